"""What follows operators sees the sizes that torch itself gives."""

import subprocess
import sys

import pytest
import torch

from nas_lightning.core.dispatch import OperatorMode


class Plain(OperatorMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.run(func, args, kwargs)


@pytest.mark.parametrize("shape", [(2, 3), (3,), (1, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_on_the_meta_device_have_torchs_shape_and_type(shape, dtype):
    x, y = torch.empty(2, 3, device="meta"), torch.empty(shape, dtype=dtype, device="meta")
    with Plain():
        total = torch.relu(x + y)
    expected = torch.relu(x + y)
    assert (total.shape, total.dtype) == (expected.shape, expected.dtype)


def test_numbers_on_a_real_device_are_torchs():
    x = torch.tensor([-1.0, 2.0])
    with Plain():
        assert torch.equal(torch.relu(x + x), torch.tensor([0.0, 4.0]))


def test_relu_and_sums_import_no_compiler():
    code = """
import sys, torch
from tests.core.test_dispatch import Plain
x = torch.empty(2, 3, device="meta")
with torch.no_grad(), Plain():
    torch.relu(x + x)
sys.exit("torch._dynamo" in sys.modules)
"""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    subprocess.run([sys.executable, "-c", path + code], check=True)
