"""Benchmark tables: what was measured of every child of a space.

A row is a child. Columns are DATA_val_EPOCHS and DATA_test_EPOCHS (accuracies in per cent),
DATA_train_seconds_EPOCHS, DATA_params and DATA_flops. `table_file.py` reads them from files.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_lightning.core.checks import most_like
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace

__all__ = ["Code", "Columns", "Table"]

Code = tuple[int, ...]
Columns = Mapping[str, NDArray[Any]]
LARGEST = sys.float_info.max
SCHEDULE = re.compile(r"(\w+)_val_(\d+)")


@dataclass(frozen=True)
class Table:
    """What was measured of the children of one space.

    Attributes:
        name: what the user called it.
        rows: number of the row by the encoding of its genotype.
        columns: arrays (rows, ...) by name.

    Raises: ValueError: any method, if the table lacks what it asks for or holds it in another form.
    """

    name: str
    space: SearchSpace
    rows: Mapping[Code, int]
    columns: Columns

    @cached_property
    def schedules(self) -> dict[str, tuple[int, ...]]:
        """The trained lengths in epochs, ascending, by data set."""
        lengths: dict[str, set[int]] = {}
        for column in self.columns:
            if match := SCHEDULE.fullmatch(column):
                lengths.setdefault(match[1], set()).add(int(match[2]))
        return {data: tuple(sorted(epochs)) for data, epochs in lengths.items()}

    def row(self, genotype: Genotype) -> int:
        """Returns the row of a genotype."""
        row = self.rows.get(self.space.encode(genotype))
        if row is None:
            raise ValueError(
                f"table '{self.name}' has {len(self.rows)} of the {self.space.count()} children "
                f"of search space '{self.space.name}', and not {genotype.id}: "
                f"{genotype.mapping}; complete the table, or restrict the space"
            )
        return row

    def column(self, name: str) -> NDArray[Any]:
        """Returns a column."""
        if name not in self.columns:
            raise ValueError(
                f"table '{self.name}' has no column '{name}'; add it: it has "
                f"{', '.join(sorted(self.columns))}"
            )
        return self.columns[name]

    def numbers(self, name: str, highest: float = LARGEST) -> NDArray[np.float64]:
        """Returns a column of numbers (rows,), each from 0 to the highest allowed one."""
        column = self.column(name)
        if column.shape != (len(self.rows),):
            raise ValueError(
                f"table '{self.name}': column '{name}' {column.shape} must have a number for each "
                f"of the {len(self.rows)} rows"
            )
        numbers = np.array([_number(value) for value in column.tolist()])
        wrong = np.flatnonzero(~((numbers >= 0) & (numbers <= highest)))
        if len(wrong):
            limit = "at least 0" if highest == LARGEST else f"from 0 to {highest:g}"
            raise ValueError(
                f"table '{self.name}', row {wrong[0] + 1}: {name} ({column[wrong[0]]}) must be a "
                f"number {limit}"
            )
        return numbers

    def accuracies(self, name: str) -> NDArray[np.float64]:
        """Returns a column of accuracies (rows,), in per cent in the table, as shares in [0, 1]."""
        percents = self.numbers(name, 100.0)
        if 0 < percents.max() <= 1:
            raise ValueError(
                f"table '{self.name}': {name} must be in per cent, and nothing in it is above "
                f"{percents.max():g}; multiply it by 100"
            )
        return percents / 100

    def lengths(self, data: str) -> tuple[int, ...]:
        """Returns the schedules of a data set in epochs, ascending."""
        if not self.schedules:
            raise ValueError(
                f"table '{self.name}' must have a column DATA_val_EPOCHS; it has: "
                f"{', '.join(sorted(self.columns))}"
            )
        if data not in self.schedules:
            raise ValueError(
                f"table '{self.name}' has no data '{data}'; choose from: "
                f"{', '.join(f'evaluation.data={name}' for name in self.schedules)}"
                f"{most_like(data, self.schedules)}"
            )
        return self.schedules[data]

    def seconds(self, data: str, epochs: int) -> NDArray[np.float64]:
        """Returns the training seconds of every row.

        A schedule without its own column takes its share of the longest that has one.
        """
        lengths = self.lengths(data)
        timed = [n for n in lengths if f"{data}_train_seconds_{n}" in self.columns]
        chosen = epochs if epochs in timed else [*lengths, *timed][-1]
        return self.numbers(f"{data}_train_seconds_{chosen}") * (epochs / chosen)


def _number(value: Any) -> float:
    """Returns a value as a number, NaN where it cannot be read as one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
