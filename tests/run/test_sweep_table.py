"""How a sweep's table shows figures."""

import pytest

from nas_lightning.run.sweep_table import Figure, _table


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


def test_a_narrow_terminal_gets_a_block_per_row():
    heads, rows = ["strategy.order", "runs"], [["first", "2"], ["second", "3"]]
    assert _table(heads, rows, 19) == (
        "strategy.order  first\nruns            2\n\nstrategy.order  second\nruns            3"
    )
    assert _table(heads, rows, 80) == (
        "strategy.order  runs\n--------------------\nfirst           2\nsecond          3"
    )
