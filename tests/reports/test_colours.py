import pytest

from nas_lightning.reports.colours import CYCLE, DARK_PAPER, dark_scheme, paints_of, tint

DARTS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


@pytest.mark.parametrize(
    ("label", "alike"),
    [
        ("none", "zero"),
        ("skip_connect", "identity"),
        ("max_pool_3x3", "pool"),
        ("avg_pool_3x3", "mean_pool_3x3"),
        ("dil_conv_5x5", "dilated_5x5"),
        ("sep_conv_3x3", "depthwise_3x3"),
        ("nor_conv_1x1", "conv_3x3"),
        ("noise", "gaussian_noise"),
    ],
)
def test_a_name_tells_the_family(label: str, alike: str) -> None:
    assert paints_of([label])[label] == paints_of([alike])[alike]


def test_a_name_that_tells_no_family_takes_a_colour_in_turn() -> None:
    assert [paint.colour for paint in paints_of(["24", "skip", "36"]).values()] == [
        CYCLE[0],
        paints_of(["skip"])["skip"].colour,
        CYCLE[1],
    ]


def test_darts_operations_all_look_different() -> None:
    assert len(set(paints_of(DARTS).values())) == 8


def test_a_known_operation_looks_the_same_whatever_stands_beside_it() -> None:
    assert paints_of(DARTS)["sep_conv_5x5"] == paints_of(["7", "sep_conv_5x5"])["sep_conv_5x5"]


def test_twenty_unknown_options_all_look_different() -> None:
    assert len(set(paints_of(map(str, range(20))).values())) == 20


def test_a_tint_lies_between_white_and_the_colour() -> None:
    assert [tint("#004080", share) for share in (0.0, 0.5, 1.0)] == [
        "#ffffff",
        "#80a0c0",
        "#004080",
    ]


def test_two_options_of_one_family_and_size_look_different() -> None:
    labels = ["conv3", "conv5", "conv7", "sep_conv_3x3", "24", "36"]
    assert len({paint.colour for paint in paints_of(labels).values()}) == 6


def test_an_unknown_option_does_not_take_the_colour_of_a_known_one() -> None:
    paints = paints_of(["small", "sep_conv_3x3"])
    assert paints["small"].colour != paints["sep_conv_3x3"].colour


def _brightness(colour: str) -> float:
    shares = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    "colour", [*CYCLE, *(paint.colour for paint in paints_of(DARTS).values()), "#1f2933", "#5b6673"]
)
def test_lines_and_text_can_be_seen_on_dark_paper(colour: str) -> None:
    ratio = (_brightness(dark_scheme()[colour]) + 0.05) / (_brightness(DARK_PAPER) + 0.05)
    assert ratio >= 4.5  # contrast that WCAG 2 asks of text


def test_colours_that_differ_on_white_differ_on_dark_paper() -> None:
    shades = {paint.colour for paint in paints_of(DARTS).values()} | set(CYCLE)
    assert len({dark_scheme()[shade] for shade in shades}) == len(shades)
