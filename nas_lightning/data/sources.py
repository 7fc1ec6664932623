"""Where images come from: each source is a function that returns ImageArrays."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.formats.detect import read_found
from nas_lightning.data.formats.image_folder import ImagePaths, find_images
from nas_lightning.data.formats.parquet import TableOptions
from nas_lightning.data.image_files import (
    FileImages,
    headers,
    most_common_channels,
    most_common_size,
)
from nas_lightning.data.images import (
    ImageArrays,
    ResizedImages,
    as_size,
    from_numpy,
    with_test_fifth,
)


def digits(
    path: str | None = None,
    image_size: int | Sequence[int] | None = None,
    channels: int | None = None,
) -> ImageArrays:
    """Handwritten digits: 1,797 grey images, 8x8, that come with scikit-learn.

    The test set of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998).
    Its 17 levels of grey are scaled to 0..255; a fixed, stratified fifth is the test set.

    Args:
        path: must be None: the images come with scikit-learn.
        image_size: one side or (height, width) in pixels; None means 8.
        channels: copies of the grey channel; None means 1.

    Raises:
        ValueError: if a path is given, or channels is not positive.
    """
    from sklearn.datasets import load_digits

    if path is not None:
        raise ValueError(
            f"data.path ({path}) has no meaning for data=digits, which comes with scikit-learn;"
            " use data=folder for images of your own"
        )
    channels = 1 if channels is None else channels
    if channels < 1:
        raise ValueError(f"data.channels ({channels}) must be >= 1; use 1 for grey images")
    found = load_digits()
    grey = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    names = [str(name) for name in found.target_names]
    arrays = from_numpy(np.repeat(grey, channels, axis=1), found.target, names)
    return arrays if image_size is None else _resized(arrays, as_size(image_size))


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
    """Images of your own, in whatever form a folder or file has them.

    It finds out what it was given: PNG and JPEG images in one sub-folder a class, or in train/ and
    test/ of such sub-folders; parquet files; a folder saved by `datasets`; an .npz file of arrays;
    the python batches of CIFAR-10 and CIFAR-100; idx files; SVHN's MATLAB files. Without a test
    division a fixed, stratified fifth is the test set. Images of other sizes and modes are scaled
    and cropped to one, see `decode`.

    Args:
        path: the folder or file.
        image_size: one side or (height, width) in pixels; None means what arrays have, and of
            encoded images the most common size of the training images (the larger of equals),
            scaled down to a shorter side of 64.
        channels: of an image; None means what arrays have, and of encoded images the more common
            one of grey (1) and colour (3, also if equal).
        image_column: of tables: which column holds the images; None finds it.
        label_column: of tables: which holds the labels, or several of numbers; None finds it.
        train_split: of tables: see TableOptions.
        test_split: of tables: see TableOptions.
        layout: of arrays: "NCHW" or "NHWC"; None finds it out.
        class_names: names of the classes, in order, where the files only number them.

    Raises:
        ValueError: if the folder or what is in it is missing or wrong; the message names it.
    """
    options = TableOptions(image_column, label_column, train_split, test_split, layout)
    root = Path(path or "").expanduser()
    if path is not None and root.exists():
        found = read_found(root, image_size, channels, options, class_names)
        if found is not None:
            return found
    return _by_class(path, image_size, channels)


def _by_class(
    path: str | None, image_size: int | Sequence[int] | None, channels: int | None
) -> ImageArrays:
    """Images by class, named after their folders and sorted by name."""
    train, test = find_images(path)
    class_names = sorted(train)
    files = [file for name in class_names for file in train[name]]
    found = [] if image_size and channels else headers(files, len(files))
    size = as_size(image_size) if image_size else most_common_size(found)
    channels = channels or most_common_channels(found)
    images, labels = _labelled(train, class_names, size, channels)
    if test is None:
        return with_test_fifth(images, labels, class_names)
    test_images, test_labels = _labelled(test, class_names, size, channels)
    return ImageArrays(images, labels, test_images, test_labels, tuple(class_names))


def _labelled(
    files: ImagePaths, class_names: Sequence[str], size: tuple[int, int], channels: int
) -> tuple[FileImages, Tensor]:
    paths = tuple(file for name in class_names for file in files.get(name, ()))
    counts = torch.tensor([len(files.get(name, ())) for name in class_names])
    labels = torch.arange(len(class_names)).repeat_interleave(counts)
    return FileImages(paths, size, channels), labels


def _resized(arrays: ImageArrays, size: tuple[int, int]) -> ImageArrays:
    return ImageArrays(
        ResizedImages(arrays.train, size),
        arrays.train_labels,
        ResizedImages(arrays.test, size),
        arrays.test_labels,
        arrays.class_names,
    )
