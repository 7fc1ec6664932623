"""The MATLAB files of SVHN's cropped digits (Netzer et al. 2011)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from nas_lightning.data.raw_split import RawSplit, ReadOptions

__all__ = ["has_mat_files", "read_mat_files"]

TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"


def has_mat_files(folder: Path) -> bool:
    """Returns whether a folder holds SVHN's files."""
    return (folder / TRAIN).is_file()


def read_mat_files(folder: Path, _: ReadOptions) -> RawSplit:
    """Returns the images and labels of train_32x32.mat and, if it is there, test_32x32.mat."""
    images, labels = _read(folder / TRAIN)
    test_images, test_labels = _read(folder / TEST) if (folder / TEST).is_file() else (None, None)
    return RawSplit.of_pixels(images, labels, test_images, test_labels, layout="NHWC")


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        content = loadmat(path, variable_names=["X", "y"])
        images, labels = content["X"], content["y"].ravel().astype(np.int64)
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(
            f"cannot read SVHN's file '{path}' ({error}); download it again"
        ) from error
    return images.transpose(3, 0, 1, 2), labels % 10  # class 10 is the digit 0
