"""What reads a data set, by the name that a file of conf/data/ gives it: digits, folder, hub."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas_lightning.core.checks import at_least
from nas_lightning.data.formats.detect import read_path
from nas_lightning.data.formats.hub import read_hub
from nas_lightning.data.formats.image_folder import read_image_folder
from nas_lightning.data.images import ImageArrays
from nas_lightning.data.raw_split import RawSplit, ReadOptions, as_arrays

__all__ = ["digits", "folder", "hub"]


def digits(
    path: str | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
) -> ImageArrays:
    """Returns scikit-learn's handwritten digits: 1,797 grey images, 8x8.

    The test set of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998).
    Its 17 levels of grey are scaled to 0..255; a fixed, stratified fifth is the test set.

    Args:
        path: must be None: the images come with scikit-learn.
        image_size: one side or (height, width) in pixels; None means 8.
        channels: copies of the grey channel; None means 1.

    Raises:
        ValueError: a path is given, or channels is not positive.
    """
    from sklearn.datasets import load_digits  # takes a second, which other data need not wait for

    if path is not None:
        raise ValueError(
            f"data.path ({path}) has no meaning for data=digits, which comes with scikit-learn;"
            " use data=folder for images of your own"
        )
    at_least("data.channels", channels, 1)
    content = load_digits()
    grey = np.rint(content.images * (255 / 16)).astype(np.uint8)
    names = [str(name) for name in content.target_names]
    return as_arrays(
        RawSplit.of_pixels(grey, content.target, names=names), ReadOptions(image_size, channels)
    )


def folder(
    path: str | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
    *,
    image_column: str | None = None,
    label_column: str | Sequence[str] | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    layout: str | None = None,
    class_names: Sequence[str] | None = None,
) -> ImageArrays:
    """Returns images of your own, in whatever form a folder or file has them.

    It finds out what the path holds: PNG and JPEG images in one sub-folder per class, or in train/
    and test/ of such sub-folders; parquet files; a folder saved by `datasets`; an .npz file of
    arrays; the python batches of CIFAR-10 and CIFAR-100; idx files; SVHN's MATLAB files. Without a
    test division a fixed, stratified fifth is the test set. Image files of other sizes and modes
    are scaled and cropped to one, see `decode`.

    The options are those of `ReadOptions`.

    Raises:
        ValueError: the folder or what is in it is missing or wrong; the message names it.
    """
    options = ReadOptions(
        image_size,
        channels,
        image_column,
        label_column,
        train_split,
        test_split,
        layout,
        class_names,
    )
    return _read(path, options)


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
    """Returns a data set of the Hugging Face hub, fetched once and then read from a cache.

    It is OWNER/NAME in one of its configurations; path is a copy on this machine, in any form that
    `folder` reads, and nothing is fetched then. The options are those of `ReadOptions`.

    Raises:
        ValueError: the data set cannot be fetched, or does not fit.
    """
    options = ReadOptions(
        image_size,
        channels,
        image_column,
        label_column,
        train_split,
        test_split,
        layout,
        class_names,
    )
    if path is not None:
        return _read(path, options)
    return as_arrays(read_hub(name, config, options), options)


def _read(path: str | None, options: ReadOptions) -> ImageArrays:
    root = Path(path or "").expanduser()
    raw = read_path(root, options) if path is not None and root.exists() else None
    if raw is None:  # images by class: their folders name the classes
        options = replace(options, class_names=None)
        raw = read_image_folder(path, options)
    return as_arrays(raw, options)
