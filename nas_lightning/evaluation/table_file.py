"""Files of benchmark tables and of latencies: packaged, or a user's own .npz or CSV.

A row is a child. Column `arch` holds it in the space's text notation; or each decision of the
space has a column with its option (empty where the decision is inactive). A .npz file may give
`ops` (rows, decisions) instead, indices into `op_names`. `table.py` lists the other columns.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table import Code, Columns, Table

__all__ = ["FOLDER", "packaged", "read_latencies", "read_table"]

Child = TypeVar("Child")  # a row's child as the file has it
FOLDER = Path(__file__).resolve().parent.parent / "tables"
PACKAGED_SPACE = "nasbench201"
NO_DEVICES = {"arch", "ops", "op_names", "devices", "latency_ms"}


def packaged() -> tuple[str, ...]:
    """Returns the names of the packaged tables."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.npz")))


def read_table(name: str, space: SearchSpace, key: str = "evaluation.table") -> Table:
    """Returns a table by its packaged name, or by the path of a user's own .npz or CSV file.

    `key` is what names it in the configuration, for messages.

    Raises: ValueError: there is no such table, or its rows are no children of the space.
    """
    path = FOLDER / f"{name}.npz" if name in packaged() else Path(name).expanduser()
    if path.suffix not in (".npz", ".csv") or not path.is_file():
        raise ValueError(
            f"table '{name}' must be a .npz or CSV file, 'synthetic', or a packaged one: "
            f"{', '.join(packaged())}"
        )
    columns = _read_npz(path) if path.suffix == ".npz" else _read_csv(path, space)
    try:
        codes = _codes(columns, space, name)
    except ValueError as error:
        if name not in packaged():
            raise
        raise ValueError(
            f"table '{name}' is of search space '{PACKAGED_SPACE}', and this is '{space.name}'; "
            f"choose search_space={PACKAGED_SPACE}, or your own table: {key}=PATH"
        ) from error
    rows: dict[Code, int] = {}
    for row, code in enumerate(codes):
        if rows.setdefault(code, row) != row:
            raise ValueError(
                f"table '{name}': row {rows[code] + 1} is the same child as row {row + 1}; "
                "leave one of them out"
            )
    return Table(name, space, rows, columns)


def read_latencies(name: str, device: str, space: SearchSpace) -> Callable[[Genotype], float]:
    """Returns a function that looks up a genotype's latency on a device, in milliseconds.

    Each device has a column; a .npz file may have `devices` (names) and `latency_ms` (rows,
    devices) instead.

    Raises: ValueError: the table cannot be read, or has no such device.
    """
    table = read_table(name, space, "objective.table")
    numbers = {n: c for n, c in table.columns.items() if c.dtype.kind in "fiu"}
    columns = {n: c for n, c in numbers.items() if n not in NO_DEVICES}
    if "devices" in table.columns:
        latencies, names = table.column("latency_ms"), _texts(table.columns["devices"])
        if latencies.shape != (expected := (len(table.rows), len(names))):
            raise ValueError(
                f"table '{name}': latency_ms {latencies.shape} must be {expected}, a row per child "
                "and a column per device"
            )
        columns |= {n: latencies[:, i] for i, n in enumerate(names)}
    if device not in columns:
        raise ValueError(
            f"objective.device ('{device}') must be a device of table '{name}': "
            f"{', '.join(sorted(columns)) or '(it has none)'}"
        )
    latency_ms = replace(table, columns=columns).numbers(device).tolist()
    return lambda genotype: float(latency_ms[table.row(genotype)])


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    if not is_zipfile(path):
        raise ValueError(f"table '{path}' cannot be read as .npz: write it with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"table '{path}' cannot be read as .npz: {error}") from error


def _read_csv(path: Path, space: SearchSpace) -> dict[str, NDArray[Any]]:
    """Returns the columns; options of decisions stay texts, even if they look like numbers."""
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a mark first
        try:
            lines = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"table '{path}' cannot be read as CSV: {error}") from error
    names, rows = (lines[0], lines[1:]) if lines else ([], [])
    if not rows or any(len(row) != len(names) for row in rows):
        raise ValueError(
            f"table '{path}' must have a header, and rows of its length; add what is missing"
        )
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise ValueError(f"table '{path}' has two columns '{twice[0]}'; leave one of them out")
    decisions = {decision.name for decision in space.decisions}
    columns = zip(names, zip(*rows, strict=True), strict=True)
    return {n: np.array(v) if n in decisions else _numbers(v) for n, v in columns}


def _numbers(values: Sequence[str]) -> NDArray[Any]:
    try:
        return np.array([float(value) for value in values])
    except ValueError:
        return np.array(values)


def _codes(columns: Columns, space: SearchSpace, name: str) -> list[Code]:
    if "ops" in columns and "op_names" in columns:
        return _codes_of_indices(columns, space, name)
    if "arch" in columns:
        texts = _texts(columns["arch"])
        return [_code(space, name, row, space.read_text, text) for row, text in enumerate(texts)]
    if missing := [d.name for d in space.decisions if d.name not in columns]:
        raise ValueError(
            f"table '{name}' must have a column 'arch', or one for every decision of search space "
            f"'{space.name}'; it lacks '{missing[0]}'"
        )
    options = {d.name: _texts(columns[d.name]) for d in space.decisions}
    if len({len(column) for column in options.values()}) > 1:
        raise ValueError(f"table '{name}' must have an option in every row of every decision")
    rows = [zip(options, row, strict=True) for row in zip(*options.values(), strict=True)]
    children = [{decision: option for decision, option in row if option} for row in rows]
    return [_code(space, name, row, space.genotype, child) for row, child in enumerate(children)]


def _code(
    space: SearchSpace, name: str, row: int, read: Callable[[Child], Genotype], child: Child
) -> Code:
    try:
        return space.encode(read(child))
    except ValueError as error:
        raise ValueError(
            f"table '{name}', row {row + 1}: {error}; choose a table of search space "
            f"'{space.name}', or the table's own space"
        ) from error


def _codes_of_indices(columns: Columns, space: SearchSpace, name: str) -> list[Code]:
    """Returns the rows of `ops`, its indices into `op_names` turned into indices of options."""
    names, ops = _texts(columns["op_names"]), columns["ops"]
    fits = ops.dtype.kind in "iu" and ops.ndim == 2 and ops.shape[1] == len(space.decisions)
    if not (fits and ops.size and 0 <= ops.min() <= ops.max() < len(names)):
        raise ValueError(
            f"table '{name}': ops {ops.shape} must be whole numbers (rows, {len(space.decisions)}),"
            f" each from 0 to {len(names) - 1}: one of the {len(names)} op_names per decision of "
            f"search space '{space.name}'"
        )
    for decision in space.decisions:
        if unknown := sorted(set(names) - set(decision.options)):
            raise ValueError(
                f"table '{name}' has the operation '{unknown[0]}', search space '{space.name}' has "
                f"{', '.join(decision.options)}"
            )
    tables = [[decision.options.index(name) for name in names] for decision in space.decisions]
    return [tuple(t[i] for t, i in zip(tables, row, strict=True)) for row in ops.tolist()]


def _texts(names: NDArray[Any]) -> list[str]:
    return [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(names).tolist()]
