"""What tells one data set from another: a hash over its content."""

from collections.abc import Iterable

import xxhash
from torch import Tensor

from nas_lightning.data.images import ImageArrays

__all__ = ["content_hash", "identity"]


def identity(arrays: ImageArrays, samples: Iterable[Tensor]) -> dict[str, str | int]:
    """Returns the counts, and 16 hex digits each (XXH3) of classes, labels and content.

    The samples are all training and test images, or, where these do not fit in memory, some.
    """
    labels = (arrays.train_labels, arrays.test_labels)
    return {
        "training images": len(arrays.train),
        "test images": len(arrays.test),
        "classes": xxhash.xxh3_64(repr(arrays.class_names).encode()).hexdigest(),
        "labels": content_hash(labels),
        "content": content_hash(samples),
    }


def content_hash(tensors: Iterable[Tensor]) -> str:
    """Returns 16 hex digits (XXH3) of tensors: their types, shapes and values."""
    digest = xxhash.xxh3_64()
    for each in tensors:
        digest.update(repr((each.dtype, tuple(each.shape))).encode())
        digest.update(each.contiguous().numpy().data)
    return digest.hexdigest()
