"""Images that cannot be read: left out and named, or refused."""

import logging
from dataclasses import replace

import torch
from torch import Tensor

from nas_lightning.data.images import ImageArrays, Images, Subset

__all__ = ["WAYS", "refuse_unreadable", "without_unreadable"]

log = logging.getLogger(__name__)

WAYS = ("refuse", "skip")
MOST_NAMED = 10


def without_unreadable(arrays: ImageArrays) -> tuple[ImageArrays, tuple[str, ...]]:
    """Returns the data set without images that cannot be read, and a sentence that names them.

    Every image is decoded once for that.
    """
    train, train_labels, faults = _without(arrays.train, arrays.train_labels)
    test, test_labels, test_faults = _without(arrays.test, arrays.test_labels)
    if not (faults := [*faults, *test_faults]):
        return arrays, ()
    named = "; ".join(faults[:MOST_NAMED])
    rest = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
    note = f"unreadable images left out: {len(faults)} ({named}{rest})"
    log.warning("%s", note)
    sound = replace(arrays, train=train, train_labels=train_labels)
    return replace(sound, test=test, test_labels=test_labels), (note,)


def _without(images: Images, labels: Tensor) -> tuple[Images, Tensor, list[str]]:
    faults = images.unreadable()
    if not faults:
        return images, labels, []
    sound = torch.tensor([i for i in range(len(images)) if i not in faults], dtype=torch.int64)
    return Subset(images, sound), labels[sound], list(faults.values())


def refuse_unreadable(images: Images, whole: bool) -> None:
    """Refuses images of which one cannot be read; see `Images.unreadable` for `whole`.

    Raises:
        ValueError: it names the first, and says how many more there are.
    """
    if faults := list(images.unreadable(whole).values()):
        more = f" ({len(faults) - 1} more like it)" if len(faults) > 1 else ""
        raise ValueError(f"{faults[0]}{more}; data.unreadable=skip leaves such images out")
