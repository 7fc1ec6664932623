"""Outputs on the meta device are those of torch, without its compiler."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from tests.core.test_dispatch import Plain


def images(*shape, dtype=torch.float32):
    return torch.empty(shape or (2, 4, 9, 7), dtype=dtype, device="meta")


def kernels(*shape):
    return torch.empty(shape, device="meta")


CALLS = {
    "convolution": lambda: F.conv2d(images(), kernels(6, 4, 3, 3), padding=1),
    "strided, with a bias": lambda: F.conv2d(images(), kernels(6, 4, 3, 5), kernels(6), 2, (1, 2)),
    "dilated depthwise": lambda: F.conv2d(images(), kernels(4, 1, 3, 3), None, 1, 2, 2, 4),
    "of a slice": lambda: F.conv2d(images()[:, :, ::2, 1:], kernels(6, 4, 1, 1)),
    "channels last": lambda: F.conv2d(
        images().to(memory_format=torch.channels_last), kernels(6, 4, 3, 3)
    ),
    "transposed": lambda: F.conv_transpose2d(images(), kernels(4, 6, 2, 2), stride=2),
    "of signals": lambda: F.conv1d(images(2, 4, 9), kernels(6, 4, 3)),
    "max pool": lambda: F.max_pool2d(images(), 3, 2, 1),
    "max pool, rounded up": lambda: F.max_pool2d(images(), 2, 2, ceil_mode=True),
    "max pool as wide as its stride": lambda: F.max_pool2d(images(), 2),
    "max pool of one image": lambda: F.max_pool2d(images(4, 9, 7), 2),
    "average pool": lambda: F.avg_pool2d(images(), 3, 2, 1, count_include_pad=False),
    "average pool, rounded up": lambda: F.avg_pool2d(images(), 2, ceil_mode=True),
    "padding": lambda: F.pad(images(), (-1, 1, 2, 0)),
    "concatenation": lambda: torch.cat([images(), images(2, 3, 9, 7)], dim=1),
    "concatenation from the end": lambda: torch.cat([images(), images()], dim=-1),
    "concatenation of two types": lambda: torch.cat([images(), images(dtype=torch.float64)]),
    "mean": lambda: images().permute(0, 2, 3, 1).mean(dim=(1, 2)),
    "mean that keeps axes": lambda: images().mean(dim=(2, 3), keepdim=True),
    "linear": lambda: F.linear(images(2, 5), kernels(3, 5), kernels(3)),
    "linear of one bias": lambda: F.linear(images(2, 5), kernels(3, 5), kernels(1)),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_outputs_have_the_shape_and_type_of_torchs(call):
    with torch.no_grad(), Plain():
        out = call()
    expected = call()
    assert (out.shape, out.dtype) == (expected.shape, expected.dtype)


MISTAKES = {
    "channels": lambda: F.conv2d(images(), kernels(6, 5, 3, 3)),
    "kernel": lambda: F.conv2d(images(), kernels(6, 4, 11, 11)),
    "padding": lambda: F.max_pool2d(images(), 3, 2, 2),
    "stride": lambda: F.max_pool2d(images(), 2, 0),
    "no taps": lambda: F.avg_pool2d(images(), 0, 1),
    "mean of an axis twice": lambda: images().mean(dim=(2, 2)),
    "nothing to concatenate": lambda: torch.cat([]),
    "sides": lambda: torch.cat([images(), images(2, 3, 9, 8)], dim=1),
    "features": lambda: F.linear(images(2, 5), kernels(3, 4), kernels(3)),
}


@pytest.mark.parametrize("call", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told_by_torch(call):
    with pytest.raises((RuntimeError, ValueError)) as expected:
        call()
    with pytest.raises(type(expected.value)) as error, torch.no_grad(), Plain():
        call()
    assert str(error.value) == str(expected.value)


def test_a_childs_cost_and_memory_import_no_compiler():
    code = """
import sys
from nas_lightning.core.memory import child_memory_mb
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost
from nas_lightning.search_spaces.darts import DartsSpace
space, scale = DartsSpace(), Scale(8, 3, input_shape=(3, 16, 16), num_outputs=10)
for seed in range(2):
    genotype = space.sample(seed)
    child_cost(space, genotype, scale), child_memory_mb(space, genotype, scale)
sys.exit(", ".join({"torch._dynamo", "sympy"} & sys.modules.keys()) or 0)
"""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    subprocess.run([sys.executable, "-c", path + code], check=True)
