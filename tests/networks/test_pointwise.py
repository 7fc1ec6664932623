import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.kernels import PointwiseConv
from nas_lightning.networks.operations import OPERATIONS, FactorizedReduction, build_operation


@pytest.mark.parametrize(("side", "stride", "bias"), [(8, 2, False), (7, 2, True), (5, 1, True)])
def test_function_and_gradients_are_those_of_torchs_own(side, stride, bias):
    torch.manual_seed(0)
    conv = PointwiseConv(9, 8, stride, bias).double()
    x = torch.randn(2, 9, side, side, dtype=torch.double, requires_grad=True)
    wrt = [x, *conv.parameters()]
    mine, theirs = conv(x), F.conv2d(x, conv.weight, conv.bias, stride)
    torch.testing.assert_close(mine, theirs)
    slope = torch.randn_like(theirs)
    pairs = zip(*(torch.autograd.grad(y, wrt, slope) for y in (mine, theirs)), strict=True)
    for gradient, expected in pairs:
        torch.testing.assert_close(gradient, expected)


def test_no_operation_holds_a_strided_pointwise_convolution_of_torchs_own():
    """Its gradient writes outside its memory on some CPUs."""
    norm = Norm(affine=False, after_pools=True, fixed=False)
    built = [build_operation(name, 4, 2, norm) for name in OPERATIONS]
    found = [
        conv
        for module in [*built, FactorizedReduction(4, 4, None)]
        for conv in module.modules()
        if isinstance(conv, nn.Conv2d) and set(conv.kernel_size) == {1} and set(conv.stride) != {1}
    ]
    assert found
    assert all(type(conv) is PointwiseConv for conv in found)
