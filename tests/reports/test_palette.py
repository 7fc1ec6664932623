import pytest

from nas_lightning.reports.palette import family, palette, tint

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
    ("label", "name"),
    [
        ("none", "none"),
        ("skip_connect", "skip"),
        ("identity", "skip"),
        ("max_pool_3x3", "pool"),
        ("avg_pool_3x3", "average pool"),
        ("dil_conv_5x5", "dilated convolution"),
        ("sep_conv_3x3", "separable convolution"),
        ("nor_conv_1x1", "convolution"),
        ("noise", "noise"),
        ("24", "other"),
    ],
)
def test_a_name_tells_the_family(label: str, name: str) -> None:
    assert family(label) == name


def test_darts_operations_all_look_different() -> None:
    assert len(set(palette(DARTS).values())) == 8


def test_a_known_operation_looks_the_same_whatever_stands_beside_it() -> None:
    assert palette(DARTS)["sep_conv_5x5"] == palette(["7", "sep_conv_5x5"])["sep_conv_5x5"]


def test_twenty_unknown_options_all_look_different() -> None:
    assert len(set(palette(map(str, range(20))).values())) == 20


def test_a_tint_lies_between_white_and_the_colour() -> None:
    assert [tint("#004080", share) for share in (0.0, 0.5, 1.0)] == [
        "#ffffff",
        "#80a0c0",
        "#004080",
    ]
