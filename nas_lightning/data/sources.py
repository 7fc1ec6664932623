"""Where images come from: each source is a function that returns ImageArrays."""

from collections.abc import Sequence

import numpy as np

from nas_lightning.data.arrays import ImageArrays, ResizedImages, as_size, from_numpy


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


def _resized(arrays: ImageArrays, size: tuple[int, int]) -> ImageArrays:
    return ImageArrays(
        ResizedImages(arrays.train, size),
        arrays.train_labels,
        ResizedImages(arrays.test, size),
        arrays.test_labels,
        arrays.class_names,
    )
