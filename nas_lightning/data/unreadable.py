"""Images that cannot be read: refused, or left out."""

import logging

import torch
from torch import Tensor

from nas_lightning.data.images import ImageArrays, Images, Subset

__all__ = ["WAYS", "readable", "refuse"]

log = logging.getLogger(__name__)

WAYS = ("refuse", "skip")
MOST_NAMED = 10


def readable(arrays: ImageArrays) -> tuple[ImageArrays, tuple[str, ...]]:
    """The data set without the images that cannot be read, and a sentence that names them.

    Every image is decoded once for that.
    """
    train, train_labels, faults = _without(arrays.train, arrays.train_labels)
    test, test_labels, more = _without(arrays.test, arrays.test_labels)
    if not (faults := [*faults, *more]):
        return arrays, ()
    named = "; ".join(faults[:MOST_NAMED])
    rest = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
    note = f"unreadable images left out: {len(faults)} ({named}{rest})"
    log.warning("%s", note)
    return ImageArrays(train, train_labels, test, test_labels, arrays.class_names), (note,)


def refuse(images: Images, whole: bool) -> None:
    """Refuses images of which one cannot be read.

    Args:
        images: the images.
        whole: whether they are decoded; else a look at their headers does.

    Raises:
        ValueError: it names the first, and says how many more there are.
    """
    if faults := list(images.unreadable(whole).values()):
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}; data.unreadable=skip leaves such images out")


def _without(images: Images, labels: Tensor) -> tuple[Images, Tensor, list[str]]:
    faults = images.unreadable()
    if not faults:
        return images, labels, []
    kept = torch.tensor([i for i in range(len(images)) if i not in faults], dtype=torch.int64)
    return Subset(images, kept), labels[kept], list(faults.values())
