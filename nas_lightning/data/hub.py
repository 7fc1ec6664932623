"""Data sets of the Hugging Face hub, by name, through `datasets`."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nas_lightning.data.formats.parquet import Table, TableOptions, from_datasets, read_tables
from nas_lightning.data.images import ImageArrays
from nas_lightning.data.raw_split import as_arrays
from nas_lightning.data.sources import folder


def hub(
    path: str | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
    *,
    name: str | None = None,
    config: str | None = None,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    layout: str | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """A data set of the hub, fetched once and then read from the cache of `datasets`.

    Args:
        path: a copy on this machine, in any form that `folder` reads; nothing is fetched then.
        image_size: one side or (height, width) in pixels; None leaves it, see `folder`.
        channels: of an image; None leaves them, see `folder`.
        name: OWNER/NAME on the hub.
        config: which of its configurations; None where it has one.
        image_column: which column holds the images; None finds it.
        label_column: which holds the labels, or several of numbers; None finds it.
        train_split: see TableOptions.
        test_split: see TableOptions.
        layout: of arrays: "NCHW" or "NHWC"; None finds it out.
        class_names: names of the classes, in order, where the data only number them.

    Raises:
        ValueError: if the data set cannot be fetched, or does not fit.
    """
    if path is not None:
        return folder(
            path,
            image_size,
            channels,
            image_column=image_column,
            label_column=label_column,
            train_split=train_split,
            test_split=test_split,
            layout=layout,
            class_names=class_names,
        )
    if name is None:
        raise ValueError("data=hub needs a name, got data.name=null; add data.name=OWNER/NAME")
    options = TableOptions(image_column, label_column, train_split, test_split, layout)
    parts = read_tables(_fetched(name, config), options, image_size, channels)
    return as_arrays(parts, image_size, channels, class_names)


def _fetched(name: str, config: str | None) -> dict[str, Table]:
    from datasets import load_dataset

    try:
        with _quiet():
            return from_datasets(load_dataset(name, config), Path())
    except Exception as error:  # a network, a hub and a cache may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"the data set '{name}' cannot be fetched from the hub ({reason}); check its name"
            " and the network, or name a copy on this machine: data.path=PATH"
        ) from error


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
