"""Latencies of a space's children on many devices, from a packaged table or one's own.

The rows are laid out as in a benchmark table (`table.py`). A CSV file has a column for every
device, in milliseconds; so has a .npz file, or else `devices` (names) and `latency_ms`
(rows, devices).
"""

from collections.abc import Callable
from dataclasses import replace

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table_file import read_table, texts_of

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
        latencies, names = table.column("latency_ms"), texts_of(table.columns["devices"])
        if latencies.shape != (wanted := (len(table.rows), len(names))):
            raise ValueError(
                f"table '{name}': latency_ms {latencies.shape} must be {wanted}, a row a child and "
                "a column for each of the devices"
            )
        columns |= {n: latencies[:, i] for i, n in enumerate(names)}
    if device not in columns:
        raise ValueError(
            f"objective.device ('{device}') must be a device of table '{name}': "
            f"{', '.join(sorted(columns)) or '(it has none)'}"
        )
    figures = replace(table, columns=columns).numbers(device).tolist()
    return lambda genotype: float(figures[table.row(genotype)])
