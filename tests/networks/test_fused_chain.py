"""The stages of a child's operation in C++, against torch's operators."""

import pytest
import torch
from native_kernels import computing_with, needs_kernels

from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.fused_chain import takes_chain
from nas_lightning.networks.operations import build_operation
from nas_lightning.networks.state import State

pytestmark = needs_kernels()
AFFINE = Norm(affine=True, after_pools=False, fixed=False)


def operation(name="sep_conv_3x3", stride=1, channels=5, norm=AFFINE, dtype=torch.float64):
    torch.manual_seed(0)
    op = build_operation(name, channels, stride, norm).to(dtype)
    for param in op.parameters():
        torch.nn.init.normal_(param)
    return op


def images(num=2, height=7, width=6, channels=5, dtype=torch.float64):
    rng = torch.Generator().manual_seed(1)
    size = num, channels, height, width
    return torch.randn(size, generator=rng, dtype=dtype).requires_grad_()


def passed(kernels, op, x):
    """The output, and the gradients of images and params."""
    with computing_with(kernels):
        out = op(State(x))
        return [out, *torch.autograd.grad((out**3).sum(), [x, *op.parameters()])]


def close(ours, theirs, share=1e-9):
    pairs = zip(ours, theirs, strict=True)
    return all((a - b).abs().max() <= share * b.abs().max() for a, b in pairs)


@pytest.mark.parametrize("size", [(2, 7, 6), (1, 8, 8), (3, 1, 5)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "name", ["sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5"]
)
def test_outputs_and_gradients_are_torchs(name, stride, size):
    op, x = operation(name, stride), images(*size)
    assert close(passed("native", op, x), passed("torch", op, x))


def test_float32_is_torchs_up_to_its_rounding():
    op, x = operation(dtype=torch.float32), images(dtype=torch.float32)
    assert close(passed("native", op, x), passed("torch", op, x), 1e-4)


def test_second_derivatives_are_torchs():
    def second(kernels):
        op, x = operation(), images()
        with computing_with(kernels):
            inputs = [x, *op.parameters()]
            grads = torch.autograd.grad((op(State(x)) ** 3).sum(), inputs, create_graph=True)
            return torch.autograd.grad(sum((g**2).sum() for g in grads), inputs)

    assert close(second("native"), second("torch"))


def test_frozen_params_take_no_gradient():
    op, x = operation(), images()
    op.requires_grad_(False)
    with computing_with("native"):
        op(State(x)).sum().backward()
    assert x.grad is not None
    assert all(param.grad is None for param in op.parameters())


def test_the_same_bits_come_of_any_number_of_threads():
    def bits(threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return passed("native", operation(), images(4))
        finally:
            torch.set_num_threads(before)

    assert all(torch.equal(a, b) for a, b in zip(bits(1), bits(2), strict=True))


def test_one_value_per_channel_is_refused():
    with (
        computing_with("native"),
        pytest.raises(
            ValueError, match=r"more than one value per channel, got images \(1, 5, 1, 1\)"
        ),
    ):
        operation()(State(images(1, 1, 1)))


@pytest.mark.parametrize(
    "norm", [Norm(affine=True, after_pools=False, fixed=True), Norm(False, False, False)]
)
def test_other_batch_norms_are_left_to_torch(norm):
    with computing_with("native"):
        assert not takes_chain(images(), operation(norm=norm).chain)


def test_a_network_that_answers_is_left_to_torch():
    with computing_with("native"):
        assert not takes_chain(images(), operation().eval().chain)
