"""The journal of the long benchmarks: what is finished is not measured again."""

import pytest
from journal import journaled, read

PLAN = [{"strategy": "darts", "seed": seed} for seed in range(3)]


def test_an_interrupted_journal_goes_on_with_the_cell_that_was_lost(tmp_path):
    file, begun = tmp_path / "results" / "cells.jsonl", []

    def measure(strategy, seed):
        begun.append(seed)
        if begun == [0, 1]:
            raise KeyboardInterrupt
        return {"accuracy": seed / 10}

    with pytest.raises(KeyboardInterrupt):
        journaled(file, PLAN, measure)
    rows = journaled(file, PLAN, measure)

    assert begun == [0, 1, 1, 2]
    assert rows == [{"strategy": "darts", "seed": s, "accuracy": s / 10} for s in range(3)]
    assert read(file) == rows


def test_a_plan_gets_its_own_rows_of_a_larger_journal(tmp_path):
    file = tmp_path / "cells.jsonl"
    journaled(file, PLAN, lambda strategy, seed: {"accuracy": seed})

    assert journaled(file, PLAN[1:2], lambda strategy, seed: {}) == [{**PLAN[1], "accuracy": 1}]
