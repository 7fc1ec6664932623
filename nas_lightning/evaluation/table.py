"""Benchmark tables: what was measured of every child of a space, read from .npz or CSV.

A row is a child. `arch` holds it in the space's text notation; or else there is a column for every
decision of the space, with its option (empty where the decision is inactive). A .npz file may give
`ops` (rows, decisions) instead, indices into `op_names`. The other columns are DATA_val_EPOCHS and
DATA_test_EPOCHS (accuracies in per cent), DATA_train_seconds_EPOCHS, DATA_params and DATA_flops.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace

__all__ = ["Code", "Table", "packaged", "read_table"]

Code = tuple[int, ...]
Columns = Mapping[str, NDArray[Any]]
FOLDER = Path(__file__).resolve().parent.parent / "tables"
SCHEDULE = re.compile(r"(\w+)_val_(\d+)")


@dataclass(frozen=True)
class Table:
    """What was measured of the children of one space.

    Attributes:
        name: what the user called it.
        space: the space whose children are the rows.
        rows: row by the encoding of a genotype.
        columns: (rows, ...) by name.
    """

    name: str
    space: SearchSpace
    rows: Mapping[Code, int]
    columns: Columns

    @cached_property
    def schedules(self) -> dict[str, tuple[int, ...]]:
        """The lengths in epochs that were trained, by data set."""
        found: dict[str, set[int]] = {}
        for column in self.columns:
            if match := SCHEDULE.fullmatch(column):
                found.setdefault(match[1], set()).add(int(match[2]))
        return {data: tuple(sorted(lengths)) for data, lengths in found.items()}

    def row(self, genotype: Genotype) -> int:
        """Returns the row of a genotype.

        Raises:
            ValueError: the table has none.
        """
        found = self.rows.get(self.space.encode(genotype))
        if found is None:
            raise ValueError(
                f"table '{self.name}' has {len(self.rows)} of the {self.space.count()} children "
                f"of search space '{self.space.name}', and not {genotype.id}: "
                f"{genotype.mapping}; complete the table, or restrict the space"
            )
        return found

    def column(self, name: str) -> NDArray[Any]:
        """Returns a column.

        Raises:
            ValueError: the table has none of this name.
        """
        if name not in self.columns:
            raise ValueError(
                f"table '{self.name}' has no column '{name}'; it has: "
                f"{', '.join(sorted(self.columns))}"
            )
        return self.columns[name]

    def lengths(self, data: str) -> tuple[int, ...]:
        """Returns the schedules of a data set in epochs, ascending.

        Raises:
            ValueError: the table has none of this data set.
        """
        if data not in self.schedules:
            raise ValueError(
                f"table '{self.name}' knows nothing of data '{data}'; it has: "
                f"{', '.join(self.schedules) or '(no DATA_val_EPOCHS column)'}"
            )
        return self.schedules[data]

    def seconds(self, data: str, epochs: int) -> NDArray[Any]:
        """Returns the training seconds of every row; where they were not measured, a share.

        A schedule without a column of its own takes its share of the longest that has one.

        Raises:
            ValueError: the table has no seconds of this data set.
        """
        lengths = self.lengths(data)
        timed = [n for n in lengths if f"{data}_train_seconds_{n}" in self.columns]
        if not timed:
            return self.column(f"{data}_train_seconds_{lengths[-1]}")
        chosen = epochs if epochs in timed else timed[-1]
        seconds = self.columns[f"{data}_train_seconds_{chosen}"].astype(np.float64)
        return seconds * (epochs / chosen)


def packaged() -> tuple[str, ...]:
    """Returns the names of the packaged tables."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.npz")))


def read_table(name: str, space: SearchSpace) -> Table:
    """Returns a packaged table, or one of the user's own.

    Args:
        name: a packaged name, or the path of a .npz or CSV file.
        space: the space whose children are the rows.

    Raises:
        ValueError: there is no such table, or its rows are no children of the space.
    """
    path = FOLDER / f"{name}.npz" if name in packaged() else Path(name).expanduser()
    if path.suffix not in (".npz", ".csv") or not path.is_file():
        raise ValueError(
            f"table '{name}' must be a .npz or CSV file, 'synthetic', or a packaged one: "
            f"{', '.join(packaged())}"
        )
    columns = _read_npz(path) if path.suffix == ".npz" else _read_csv(path)
    codes = _codes(columns, space, name)
    rows = {code: index for index, code in enumerate(codes)}
    if len(rows) < len(codes):
        first = next(i for i, code in enumerate(codes) if rows[code] != i)
        raise ValueError(
            f"table '{name}': row {first + 1} tells of the same child as row "
            f"{rows[codes[first]] + 1}; leave one of them out"
        )
    return Table(name, space, rows, columns)


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"table '{path}' cannot be read as .npz: {error}") from error


def _read_csv(path: Path) -> dict[str, NDArray[Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        try:
            rows = list(csv.DictReader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"table '{path}' cannot be read as CSV: {error}") from error
    if not rows or any(None in row or None in row.values() for row in rows):
        raise ValueError(f"table '{path}' must have a header, and a row of its length a child")
    return {name: _numbers([row[name] for row in rows]) for name in rows[0]}


def _numbers(values: list[str]) -> NDArray[Any]:
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return np.array(values)


def _codes(columns: Columns, space: SearchSpace, name: str) -> list[Code]:
    """Returns the encoding of every row."""
    if "ops" in columns and "op_names" in columns:
        return _codes_of_indices(columns, space, name)
    if "arch" in columns:
        texts = [t.decode() if isinstance(t, bytes) else str(t) for t in columns["arch"].tolist()]
        return [_code(space, name, i, text=text) for i, text in enumerate(texts)]
    lacking = [d.name for d in space.decisions if d.name not in columns]
    if lacking:
        raise ValueError(
            f"table '{name}' must have a column 'arch', or one for every decision of search space "
            f"'{space.name}'; it lacks '{lacking[0]}'"
        )
    parts = [[str(v) for v in columns[d.name].tolist()] for d in space.decisions]
    names = [d.name for d in space.decisions]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]
    return [
        _code(space, name, i, chosen={k: v for k, v in row.items() if v})
        for i, row in enumerate(rows)
    ]


def _code(
    space: SearchSpace,
    name: str,
    index: int,
    text: str = "",
    chosen: dict[str, str] | None = None,
) -> Code:
    try:
        found = space.read_text(text) if chosen is None else space.genotype(chosen)
    except ValueError as error:
        raise ValueError(f"table '{name}', row {index + 1}: {error}") from error
    return space.encode(found)


def _codes_of_indices(columns: Columns, space: SearchSpace, name: str) -> list[Code]:
    """Returns the rows of `ops`, its indices turned into those of the space's options."""
    names, ops = [str(n, "ascii") for n in columns["op_names"].tolist()], columns["ops"]
    if ops.ndim != 2 or ops.shape[1] != len(space.decisions) or ops.max() >= len(names):
        raise ValueError(
            f"table '{name}': ops {ops.shape} must be (rows, {len(space.decisions)}), one of "
            f"the {len(names)} op_names a decision of search space '{space.name}'"
        )
    for decision in space.decisions:
        if unknown := sorted(set(names) - set(decision.options)):
            raise ValueError(
                f"table '{name}' has the operation '{unknown[0]}', search space '{space.name}' has "
                f"{', '.join(decision.options)}"
            )
    tables = [np.array([d.options.index(n) for n in names]) for d in space.decisions]
    codes = np.stack([table[ops[:, i]] for i, table in enumerate(tables)], axis=1)
    return [tuple(row) for row in codes.tolist()]
