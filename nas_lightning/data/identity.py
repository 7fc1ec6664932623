"""What tells one data set from another: a hash over its content, and what has changed of it."""

from collections.abc import Iterable, Mapping

import xxhash
from torch import Tensor

from nas_lightning.data.images import ImageArrays

__all__ = ["Identity", "check_same", "identity"]

Identity = Mapping[str, str | int | None]


def identity(arrays: ImageArrays, samples: Iterable[Tensor]) -> dict[str, str | int]:
    """Returns the counts, and 16 hex digits each (XXH3) of classes, labels and content.

    The samples are all training and test images, or, where these do not fit in memory, some.
    """
    labels = (arrays.train_labels, arrays.test_labels)
    return {
        "training images": len(arrays.train),
        "test images": len(arrays.test),
        "classes": xxhash.xxh3_64(repr(arrays.class_names).encode()).hexdigest(),
        "labels": _hash(labels),
        "content": _hash(samples),
    }


def _hash(tensors: Iterable[Tensor]) -> str:
    digest = xxhash.xxh3_64()
    for each in tensors:
        digest.update(repr((each.dtype, tuple(each.shape))).encode())
        digest.update(each.contiguous().numpy())
    return digest.hexdigest()


def check_same(present: Identity, past: Identity, of: str) -> None:
    """Refuses data other than those of what `of` names, e.g. "this run"; tells what changed."""
    changed = [
        f"{key} ({past.get(key)} before, {present.get(key)} now)"
        for key in {**past, **present}
        if past.get(key) != present.get(key)
    ]
    if changed:
        raise ValueError(
            f"the data must be those of {of}, but these changed: {', '.join(changed)}; restore the"
            " data, or start a new run"
        )
