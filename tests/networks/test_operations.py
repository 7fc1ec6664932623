import re

import pytest
import torch
import torch.nn.functional as F

from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.operations import OPERATIONS, FactorizedReduction, Pool, build_operation
from nas_lightning.networks.state import State

CHANNELS = 4
SEARCH, CHILD = Norm.of(Scale(flavour="search")), Norm.of(Scale(flavour="child"))
CALCULATED = [name for name in OPERATIONS if name != "noise"]
ROUNDING = {"rtol": 1e-10, "atol": 1e-10}  # the same sums in float64, in another order


def images(height, width, channels=CHANNELS):
    rng = torch.Generator().manual_seed(height * 100 + width)
    return torch.randn(3, channels, height, width, generator=rng, dtype=torch.float64)


def build(name, stride, norm):
    torch.manual_seed(0)
    op = build_operation(name, CHANNELS, stride, norm).double()
    for param in op.parameters():
        torch.nn.init.normal_(param)
    return op


def normalised(x, affine):
    """BatchNorm of a training batch, with the next two of the op's params where it is affine."""
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
    x = (x - mean) / torch.sqrt(variance + 1e-5)
    if not affine:
        return x
    gain, shift = affine
    return x * gain[:, None, None] + shift[:, None, None]


def patches(x, stride, value, kernel=3):
    """The surroundings of every pixel (N, C, H', W', kernel**2), `value` beyond the border."""
    padded = F.pad(x, [kernel // 2] * 4, value=value)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).flatten(4)


def pooled(name, x, stride):
    if name.startswith("max"):
        return patches(x, stride, float("-inf"), int(name[-1])).amax(-1)
    return patches(x, stride, 0.0).sum(-1) / patches(torch.ones_like(x), stride, 0.0).sum(-1)


def pointwise(weight, x):
    return torch.einsum("oc,nchw->nohw", weight[:, :, 0, 0], x)


def convolved(x, params, stride):
    """A whole convolution, or one of a row and one of a column of taps."""
    weight = next(params)
    if weight.shape[2] == 1 < weight.shape[3]:
        weight = torch.einsum("omij,mchw->ocihjw", next(params), weight).flatten(2, 3).flatten(3)
    wide = F.pad(x, [weight.shape[3] // 2] * 2 + [weight.shape[2] // 2] * 2)
    windows = wide.unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], stride)
    return torch.einsum("ocij,nchwij->nohw", weight, windows)


def expression(name, params, x, stride, norm):
    """What an operation of the paper computes, from its params in their order."""
    params = iter(params)
    affine = (lambda: (next(params), next(params))) if norm.affine else (lambda: ())
    if "_pool_" in name:
        out = pooled(name, x, stride)
        return normalised(out, ()) if norm.after_pools else out
    if name == "skip_connect" and stride == 1:
        return x
    if name == "skip_connect":
        x = F.relu(x)
        even, odd = next(params), next(params)
        wide = F.pad(x, (0, 1, 0, 1))
        halves = [pointwise(even, x[:, :, ::2, ::2]), pointwise(odd, wide[:, :, 1::2, 1::2])]
        return normalised(torch.cat(halves, 1), affine())
    if name.startswith("conv") or (name.startswith("nor_conv") and norm.affine):
        return normalised(convolved(F.relu(x), params, stride), affine())
    if name.startswith("nor_conv"):
        wide = convolved(F.relu(x), params, stride)
        return normalised(wide + next(params)[:, None, None], affine())
    kernel = int(name[-1])
    stages = [(stride, 1), (1, 1)] if name.startswith("sep") else [(stride, 2)]
    for step, dilation in stages:
        wide = F.conv2d(
            F.relu(x), next(params), None, step, dilation * (kernel // 2), dilation, CHANNELS
        )
        x = normalised(pointwise(next(params), wide), affine())
    return x


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (3, 4)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("norm", [SEARCH, CHILD], ids=["search", "child"])
@pytest.mark.parametrize("name", CALCULATED)
def test_an_operation_is_the_papers_expression(name, norm, stride, size):
    op, x = build(name, stride, norm), images(*size).requires_grad_()
    found = op(State(x))
    wanted = expression(name, list(op.parameters()), x, stride, norm)
    assert found.shape == (3, CHANNELS, -(-size[0] // stride), -(-size[1] // stride))
    torch.testing.assert_close(found, wanted, **ROUNDING)
    wrt = [x, *op.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((found**3).sum(), wrt),
        torch.autograd.grad((wanted**3).sum(), wrt),
        rtol=1e-9,
        atol=1e-7,  # gradients of the normalised images are in the hundreds
    )


@pytest.mark.parametrize("name", CALCULATED)
def test_every_param_of_an_operation_gets_a_gradient(name):
    op = build(name, 2, CHILD)
    (op(State(images(6, 6).requires_grad_())) ** 3).sum().backward()
    assert all(param.grad.abs().sum() > 0 for param in op.parameters())


def test_the_number_of_params_is_the_papers():
    c = CHANNELS
    counts = {
        name: sum(p.numel() for p in build_operation(name, c, 2, SEARCH).parameters())
        for name in OPERATIONS
    }
    assert counts == {
        "max_pool_3x3": 0,
        "avg_pool_3x3": 0,
        "skip_connect": c * c,
        "sep_conv_3x3": 2 * (9 * c + c * c),
        "sep_conv_5x5": 2 * (25 * c + c * c),
        "sep_conv_7x7": 2 * (49 * c + c * c),
        "dil_conv_3x3": 9 * c + c * c,
        "dil_conv_5x5": 25 * c + c * c,
        "max_pool_5x5": 0,
        "max_pool_7x7": 0,
        "conv_1x1": c * c,
        "conv_3x3": 9 * c * c,
        "conv_3x1_1x3": 2 * 3 * c * c,
        "conv_7x1_1x7": 2 * 7 * c * c,
        "nor_conv_1x1": c * c + c,
        "nor_conv_3x3": 9 * c * c + c,
        "noise": 0,
    }


def test_only_a_skip_without_stride_is_the_identity():
    identical = {
        (name, stride)
        for name in OPERATIONS
        for stride in (1, 2)
        if build_operation(name, CHANNELS, stride, SEARCH).is_identity
    }
    assert identical == {("skip_connect", 1)}


def test_a_factorized_reduction_of_odd_sizes_sees_zeros_beyond_the_last_pixels():
    op = FactorizedReduction(1, 2, CHILD).double()
    op.norm = torch.nn.Identity()
    torch.nn.init.ones_(op.even.weight)
    torch.nn.init.ones_(op.odd.weight)
    x = torch.arange(1.0, 10.0, dtype=torch.float64).view(1, 1, 3, 3)
    even, odd = op(State(x))[0]
    assert even.tolist() == [[1.0, 3.0], [7.0, 9.0]]
    assert odd.tolist() == [[5.0, 0.0], [0.0, 0.0]]


def test_a_factorized_reduction_divides_an_odd_number_of_channels():
    op = FactorizedReduction(4, 5, SEARCH)
    assert (op.even.out_channels, op.odd.out_channels) == (2, 3)
    assert op(State(torch.randn(2, 4, 6, 6))).shape == (2, 5, 3, 3)


@pytest.mark.parametrize("compute", ["relu", "max_pool", "average_pool"])
def test_a_state_computes_what_operations_share_once(compute):
    state = State(images(4, 4))
    arguments = () if compute == "relu" else (2,)
    assert getattr(state, compute)(*arguments) is getattr(state, compute)(*arguments)


def test_a_state_tells_pools_and_strides_apart():
    state = State(images(4, 4))
    assert state.max_pool(1).shape != state.max_pool(2).shape
    assert not torch.equal(state.max_pool(2), state.average_pool(2))


def test_an_operation_leaves_its_state_as_it_was():
    x = images(5, 5)
    state = State(x.clone())
    for name in OPERATIONS:
        build(name, 1, SEARCH)(state)
    assert torch.equal(state.x, x)


@pytest.mark.parametrize(
    ("name", "likely"),
    [("conv9", "conv_3x3"), ("none", "noise"), ("__import__('os')", None)],
)
def test_an_unknown_operation_is_refused_with_the_known_ones(name, likely):
    message = f"unknown op '{name}'; choose from: none, {', '.join(OPERATIONS)}"
    message += f"; did you mean '{likely}'?" if likely else ""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build_operation(name, CHANNELS, 1, SEARCH)


def test_a_forward_of_ones_own_inherits_no_shortcut_for_another_one():
    class Doubled(Pool):
        def forward(self, state):
            return 2 * super().forward(state)

    pool, doubled = (kind("max", 4, 1, Norm(False, True, False)) for kind in (Pool, Doubled))
    assert (pool.signature() is None, doubled.signature()) == (False, None)
    state = State(torch.randn(2, 4, 6, 6))
    term = doubled.term(state, torch.tensor(1.0))
    assert torch.equal(term.x, doubled(state))
