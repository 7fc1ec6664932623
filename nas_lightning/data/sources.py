"""What reads a data set, by the name that a file of conf/data/ gives it: digits, folder, hub."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas_lightning.core.checks import at_least
from nas_lightning.data.formats.detect import read_path
from nas_lightning.data.formats.image_folder import read_image_folder
from nas_lightning.data.formats.parquet import read_hub
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

    Raises: ValueError: a path is given, or channels, the copies of the grey one, is not positive.
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
    raw = RawSplit.of_pixels(grey, content.target, names=[str(n) for n in content.target_names])
    return as_arrays(raw, image_size, channels)


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

    The path holds PNG and JPEG images in one sub-folder per class, or in train/ and test/ of such
    sub-folders; parquet files; a folder saved by `datasets`; an .npz file of arrays; the python
    batches of CIFAR-10 and CIFAR-100; idx files; or SVHN's MATLAB files. Without a test part a
    fixed, stratified fifth is the test set. Image files are scaled and cropped to one size and
    mode, see `decode`. Class names, in order, replace numbers; for the others see `ReadOptions`.

    Raises: ValueError: the folder or a part of it is missing or wrong; the message names it.
    """
    options = ReadOptions(
        image_size, channels, image_column, label_column, train_split, test_split, layout
    )
    return _read(path, options, class_names)


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

    It is OWNER/NAME in one of its configurations, or a copy at a path on this machine, in any form
    that `folder` reads; the other options are those of `folder`.

    Raises: ValueError: the data set cannot be fetched, or does not fit.
    """
    options = ReadOptions(
        image_size, channels, image_column, label_column, train_split, test_split, layout
    )
    if path is not None:
        return _read(path, options, class_names)
    return as_arrays(read_hub(name, config, options), image_size, channels, class_names)


def _read(path: str | None, options: ReadOptions, class_names: Sequence[str] | None) -> ImageArrays:
    root = Path(path or "").expanduser()
    raw = read_path(root, options) if path is not None and root.exists() else None
    if raw is None:  # images by class: their folders name the classes
        raw, class_names = read_image_folder(path, options), None
    return as_arrays(raw, options.image_size, options.channels, class_names)
