"""Where images come from: each source is a function that returns ImageArrays."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nas_lightning.data.arrays import (
    ImageArrays,
    ResizedImages,
    as_size,
    from_numpy,
    with_test_fifth,
)
from nas_lightning.data.files import (
    FileImages,
    ImagePaths,
    find_images,
    header,
    most_common_channels,
    most_common_size,
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
) -> ImageArrays:
    """PNG and JPEG images in one sub-folder a class, or in train/ and test/ of such sub-folders.

    Classes are named after their folders and sorted by name; images may lie deeper inside. Files
    of other types and hidden ones are left alone. Without a test folder a fixed, stratified fifth
    is the test set. Images of other sizes and modes are scaled and cropped to one, see `decode`.

    Args:
        path: the folder.
        image_size: one side or (height, width) in pixels; None means the most common size of the
            training images (the larger of equals), scaled down to a shorter side of 64.
        channels: 1 (grey), 3 (colour) or 4 (with opacity); None means the more common one of grey
            and colour (colour, if equal) among the training images.

    Raises:
        ValueError: if the folder or what is in it is missing or wrong; the message names it.
    """
    train, test = find_images(path)
    class_names = sorted(train)
    headers = [header(file) for name in class_names for file in train[name]]
    size = most_common_size(headers) if image_size is None else as_size(image_size)
    channels = most_common_channels(headers) if channels is None else channels
    images, labels = _labelled(train, class_names, size, channels)
    if test is None:
        return with_test_fifth(images, labels, class_names)
    for files in test.values():
        for file in files:
            header(file)
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
