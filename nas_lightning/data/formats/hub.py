"""Data sets of the Hugging Face hub, by name, through `datasets`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_lightning.data.formats.parquet import read_datasets
from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["read_hub"]


def read_hub(name: str | None, config: str | None, options: ReadOptions) -> RawSplit:
    """Returns the images and labels of a data set OWNER/NAME in one of its configurations.

    Raises:
        ValueError: the data set cannot be fetched, or does not fit.
    """
    if name is None:
        raise ValueError("data=hub needs a name, got data.name=null; add data.name=OWNER/NAME")
    from datasets import load_dataset  # takes two seconds, which files need not wait for

    try:
        with _quiet():
            datasets = load_dataset(name, config)
    except Exception as error:  # a network, a hub and a cache may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name"
            " and the network, or name a copy on this machine: data.path=PATH"
        ) from error
    return read_datasets(datasets, Path(), options)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the hub's remarks on every attempt from the terminal; its failure is told once."""
    log = logging.getLogger("huggingface_hub")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
