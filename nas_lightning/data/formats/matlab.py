"""The cropped digits of SVHN as their authors give them (Netzer et al. 2011): MATLAB files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas_lightning.data.pixels import as_images
from nas_lightning.data.raw_split import RawSplit

TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"


def mat_files(folder: Path) -> bool:
    """Whether a folder holds SVHN's files."""
    return (folder / TRAIN).is_file()


def read_mat_files(folder: Path) -> RawSplit:
    """The images and labels of train_32x32.mat and, where it is, test_32x32.mat.

    Raises:
        ValueError: if a file is damaged.
    """
    train, labels = _read(folder / TRAIN)
    if not (folder / TEST).is_file():
        return RawSplit(as_images(train, None, "NHWC")[0], labels)
    test, test_labels = _read(folder / TEST)
    images, test_images = as_images(train, test, "NHWC")
    return RawSplit(images, labels, test_images, test_labels)


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel().astype(np.int64)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"cannot read SVHN's file '{path}' ({error}); fetch it anew") from error
    return images.transpose(3, 0, 1, 2), labels % 10  # class 10 is the digit 0
