"""Files of benchmark tables: packaged, or a user's own .npz or CSV.

A row is a child. `arch` holds it in the space's text notation; or else there is a column for every
decision of the space, with its option (empty where the decision is inactive). A .npz file may give
`ops` (rows, decisions) instead, indices into `op_names`. The other columns: `table.py`.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table import Code, Columns, Table

__all__ = ["FOLDER", "packaged", "read_table", "texts_of"]

FOLDER = Path(__file__).resolve().parent.parent / "tables"


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
    columns = _read_npz(path) if path.suffix == ".npz" else _read_csv(path, space)
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
    if not is_zipfile(path):
        raise ValueError(f"table '{path}' cannot be read as .npz: write it with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(f"table '{path}' cannot be read as .npz: {error}") from error


def _read_csv(path: Path, space: SearchSpace) -> dict[str, NDArray[Any]]:
    """Returns the columns; options of the space stay the texts that they are."""
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a mark first
        try:
            lines = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"table '{path}' cannot be read as CSV: {error}") from error
    names, rows = (lines[0], lines[1:]) if lines else ([], [])
    if not rows or any(len(row) != len(names) for row in rows):
        raise ValueError(f"table '{path}' must have a header, and a row of its length a child")
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
    """Returns the encoding of every row."""
    if "ops" in columns and "op_names" in columns:
        return _codes_of_indices(columns, space, name)
    if "arch" in columns:
        texts = texts_of(columns["arch"])
        return [_code(space, name, i, text=text) for i, text in enumerate(texts)]
    lacking = [d.name for d in space.decisions if d.name not in columns]
    if lacking:
        raise ValueError(
            f"table '{name}' must have a column 'arch', or one for every decision of search space "
            f"'{space.name}'; it lacks '{lacking[0]}'"
        )
    parts = {d.name: texts_of(columns[d.name]) for d in space.decisions}
    if len({len(part) for part in parts.values()}) > 1:
        raise ValueError(f"table '{name}' must have an option in every row of every decision")
    rows = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
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
        raise ValueError(
            f"table '{name}', row {index + 1}: {error}; choose a table of search space "
            f"'{space.name}', or the table's own space"
        ) from error
    return space.encode(found)


def _codes_of_indices(columns: Columns, space: SearchSpace, name: str) -> list[Code]:
    """Returns the rows of `ops`, its indices turned into those of the space's options."""
    names, ops = texts_of(columns["op_names"]), columns["ops"]
    fits = ops.dtype.kind in "iu" and ops.ndim == 2 and ops.shape[1] == len(space.decisions)
    if not fits or not _are_within(ops, len(names)):
        raise ValueError(
            f"table '{name}': ops {ops.shape} must be whole numbers (rows, {len(space.decisions)}),"
            f" each from 0 to {len(names) - 1}: one of the {len(names)} op_names a decision of "
            f"search space '{space.name}'"
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


def _are_within(indices: NDArray[Any], length: int) -> bool:
    return indices.size > 0 and 0 <= indices.min() <= indices.max() < length


def texts_of(names: NDArray[Any]) -> list[str]:
    """Returns an array of texts or bytes as texts."""
    return [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(names).tolist()]
