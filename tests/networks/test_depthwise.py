import pytest
import torch
from torch import nn

from nas_lightning.networks.kernels import DepthwiseConv

CHANNELS = 3
SIZES = [(1, 1), (2, 3), (4, 4), (1, 7), (9, 8), (10, 12)]
# Both compute the same sums in float64; second derivatives of a cube reach the thousands.
ROUNDING = {"rtol": 1e-10, "atol": 1e-9}


def pair(kernel, stride, dilation):
    """A depthwise convolution and torch's own with the same kernel."""
    torch.manual_seed(kernel)
    mine = DepthwiseConv(CHANNELS, kernel, stride, dilation).double()
    padding = dilation * (kernel - 1) // 2
    theirs = nn.Conv2d(
        CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=CHANNELS, bias=False
    ).double()
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


def images(size):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, CHANNELS, *size, generator=rng, dtype=torch.float64)
    return x.requires_grad_()


def derivatives(conv, x):
    """First and second derivatives of a loss that is curved in images and kernel."""
    wrt = [x, conv.weight]
    first = torch.autograd.grad((conv(x) ** 3).sum(), wrt, create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), wrt)
    return (*first, *second)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_values_and_derivatives_are_torchs(kernel, stride, dilation, size):
    mine, theirs = pair(kernel, stride, dilation)
    x = images(size)
    torch.testing.assert_close(mine(x), theirs(x), **ROUNDING)
    torch.testing.assert_close(derivatives(mine, x), derivatives(theirs, x), **ROUNDING)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_images_without_gradient_get_the_same_values(size):
    mine, theirs = pair(5, 1, 2)
    x = images(size).detach()
    torch.testing.assert_close(mine(x), theirs(x), **ROUNDING)
    assert mine(x).requires_grad


def test_second_derivatives_are_those_of_finite_differences():
    conv, _ = pair(5, 1, 2)
    x = images((3, 4))

    def function(x, weight):
        return torch.func.functional_call(conv, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(function, (x, conv.weight))
    assert torch.autograd.gradgradcheck(function, (x, conv.weight))


def test_taps_that_meet_only_padding_get_a_zero_gradient():
    conv, _ = pair(5, 1, 2)
    conv(images((2, 2))).sum().backward()
    inner = torch.zeros(5, 5, dtype=torch.bool)
    inner[2, 2] = True  # taps are two pixels apart: on 2x2 images only the middle one meets them
    assert (conv.weight.grad[:, :, ~inner] == 0).all()
    assert (conv.weight.grad[:, :, inner] != 0).all()


def test_only_what_is_asked_is_differentiated():
    conv, _ = pair(3, 1, 1)
    x = images((4, 4))
    conv.weight.requires_grad_(False)
    (gradient,) = torch.autograd.grad(conv(x).sum(), [x])
    assert gradient.shape == x.shape


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_gradient_of_a_kernel_is_right_in_single_precision(kernel, dilation):
    conv, _ = pair(kernel, 1, dilation)
    x = images((10, 12)).contiguous(memory_format=torch.channels_last)
    (wanted,) = torch.autograd.grad((conv(x) ** 2).sum(), conv.weight)
    (found,) = torch.autograd.grad((conv.float()(x.float()) ** 2).sum(), conv.weight)
    close = 1e-5 * float(wanted.abs().max())  # a hundred times float32's rounding
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=close)
