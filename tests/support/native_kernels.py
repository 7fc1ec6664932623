"""The native kernels in tests: built once into the user's cache, skipped without a compiler."""

from contextlib import contextmanager

import pytest

from nas_lightning.networks import native


def needs_kernels():
    """Returns the mark of tests that need the kernels."""
    is_there = native.is_built() or bool(native.compiler())
    return pytest.mark.skipif(not is_there, reason="no C++ compiler builds the native kernels")


@contextmanager
def computing_with(kernels):
    """Computes inside the block with these kernels."""
    with native.restored():
        native.choose(kernels)
        yield
