"""How a sweep's table shows figures."""

import pytest

from nas_lightning.run.sweep_table import Figure


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([64, 64], "64 \u00b1 0"),
        ([0.25, 0.75], "0.5000 \u00b1 0.3536"),
        ([1000.4, 1000.4], "1,000 \u00b1 0"),
        ([], "-"),
    ],
)
def test_counts_are_whole_and_small_numbers_have_four_digits(values, shown):
    assert Figure(("n",), "n").readable([{"n": value} for value in values]) == shown


def test_shares_are_shown_in_percent():
    assert Figure(("n",), "n", is_share=True).readable([{"n": 0.5}]) == "50.00"
