import pytest

from nas_lightning.reports.colours import CYCLE, paints_of, tint

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
