"""Latencies of a space's children on many devices, from a packaged table or a user's own.

Rows are as in a benchmark table (`table_file.py`), and each device has a column in milliseconds.
A .npz file may have `devices` (names) and `latency_ms` (rows, devices) instead.
"""

from collections.abc import Callable
from dataclasses import replace

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table_file import read_table, texts_of

__all__ = ["read_latencies"]

ROWS = {"arch", "ops", "op_names", "devices", "latency_ms"}


def read_latencies(name: str, device: str, space: SearchSpace) -> Callable[[Genotype], float]:
    """Returns a function that looks up a genotype's latency on a device, in milliseconds.

    The table is a packaged one, or the path of a .npz or CSV file.

    Raises: ValueError: the table cannot be read, or has no such device.
    """
    table = read_table(name, space)
    columns = {n: c for n, c in table.columns.items() if n not in ROWS and c.dtype.kind in "fiu"}
    if "devices" in table.columns:
        latencies, names = table.column("latency_ms"), texts_of(table.columns["devices"])
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
