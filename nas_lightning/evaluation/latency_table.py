"""Latencies of a space's children on many devices, from a packaged table or one's own.

The rows are laid out as in a benchmark table (`table.py`). A CSV file has a column for every
device, in milliseconds; so has a .npz file, or else `devices` (names) and `latency_ms`
(rows, devices).
"""

from collections.abc import Callable

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table import read_table

__all__ = ["read_latencies"]

ROWS = {"arch", "ops", "op_names", "devices", "latency_ms"}


def read_latencies(name: str, device: str, space: SearchSpace) -> Callable[[Genotype], float]:
    """Returns a function that tells the latency of a genotype in milliseconds.

    Args:
        name: a packaged table, or the path of a .npz or CSV file.
        device: which of its devices.
        space: the space whose children are the rows.

    Raises:
        ValueError: the table cannot be read, or has no such device.
    """
    table = read_table(name, space)
    columns = {n: c for n, c in table.columns.items() if n not in ROWS and c.dtype.kind in "fiu"}
    if "devices" in table.columns:
        latencies = table.column("latency_ms")
        names = [str(n, "ascii") for n in table.columns["devices"].tolist()]
        columns |= {n: latencies[:, i] for i, n in enumerate(names)}
    if device not in columns:
        raise ValueError(
            f"objective.device ('{device}') must be a device of table '{name}': "
            f"{', '.join(sorted(columns)) or '(it has none)'}"
        )
    figures = columns[device].astype(float).tolist()
    return lambda genotype: float(figures[table.row(genotype)])
