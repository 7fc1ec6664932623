"""Sizes that follow a mixture, against the sum of the convolutions that they stand for."""

import pytest
import torch
import torch.nn.functional as F

from nas_lightning.core.choices import Mixture
from nas_lightning.core.cost import trace_cost
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.elastic import (
    ElasticConv,
    ElasticDepthwise,
    ElasticNorm,
    Size,
    total_weight,
)

KERNEL, CHANNELS, WIDTH = Size((3, 5, 1), 0), Size((2, 6, 4), 1), Size((1, 3), 2)
TABLE = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3], [0.75, 0.25, 0.0]], dtype=torch.float64)
FULL = Mixture(TABLE, ((0, 1, 2), (0, 1, 2), (0, 1)))
ONE = Mixture(TABLE, ((1,), (2,), (0,)))
IMAGES = torch.randn(2, 6, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def centre(weight, height, width):
    top, left = (weight.shape[2] - height) // 2, (weight.shape[3] - width) // 2
    return weight[:, :, top : top + height, left : left + width]


def test_a_mixture_of_square_kernels_is_the_weighted_sum_of_their_convolutions():
    conv = ElasticConv(Size((6,)), Size((4,)), KERNEL).double()
    expected = sum(
        w * F.conv2d(IMAGES, centre(conv.weight, k, k), padding=k // 2)
        for w, k in zip(TABLE[0], KERNEL.options, strict=True)
    )
    torch.testing.assert_close(conv(IMAGES, FULL), expected)


def test_height_and_width_are_mixed_apart():
    conv = ElasticConv(Size((6,)), Size((4,)), KERNEL, WIDTH).double()
    expected = sum(
        v * w * F.conv2d(IMAGES, centre(conv.weight, h, k), padding=(h // 2, k // 2))
        for v, h in zip(TABLE[0], KERNEL.options, strict=True)
        for w, k in zip(TABLE[2], WIDTH.options, strict=False)
    )
    torch.testing.assert_close(conv(IMAGES, FULL), expected)


def test_a_mixture_of_depthwise_kernels_is_the_weighted_sum_of_their_convolutions():
    conv = ElasticDepthwise(CHANNELS, KERNEL, 2).double()
    expected = sum(
        w * F.conv2d(IMAGES, centre(conv.weight, k, k), stride=2, padding=k // 2, groups=6)
        for w, k in zip(TABLE[0], KERNEL.options, strict=True)
    )
    torch.testing.assert_close(conv(IMAGES, FULL), expected)


def test_a_mixture_of_channels_is_the_weighted_sum_of_what_their_readers_make_of_them():
    reader = ElasticConv(CHANNELS, Size((3,)), Size((1,))).double()
    expected = sum(
        w * F.conv2d(IMAGES[:, :n], reader.weight[:, :n])
        for w, n in zip(TABLE[1], CHANNELS.options, strict=True)
    )
    torch.testing.assert_close(reader(IMAGES, FULL, CHANNELS.leading(FULL)), expected)


def test_one_size_in_the_support_crops_channels_and_kernels():
    conv = ElasticConv(Size((6,)), CHANNELS, KERNEL, WIDTH).double()
    weight = centre(conv.weight[:4], 5, 1) * TABLE[0, 1] * TABLE[2, 0]
    assert torch.equal(conv(IMAGES, ONE), F.conv2d(IMAGES, weight, padding=(2, 0)))
    assert (KERNEL.running(ONE), CHANNELS.running(ONE)) == (5, 4)
    assert CHANNELS.leading(ONE).tolist() == [0.3] * 4


def test_fixed_sizes_and_children_weigh_nothing():
    assert Size((3,)).leading(FULL) is None
    assert KERNEL.centred(None, 2) is None
    assert total_weight(FULL, Size((3,)), Size((5,))) is None
    assert total_weight(FULL, KERNEL, Size((5,)), WIDTH).item() == pytest.approx(1.0)


def test_a_sampled_sizes_weight_has_a_gradient_through_the_output():
    weights = TABLE.clone().requires_grad_()
    total_weight(Mixture(weights, ONE.support), KERNEL, WIDTH).backward()
    assert weights.grad[0, 1].item() == 0.75
    assert weights.grad[2, 0].item() == pytest.approx(0.3)


def test_a_fixed_size_does_not_hide_the_weight_of_a_sampled_one():
    weights = TABLE.clone().requires_grad_()
    total_weight(Mixture(weights, ONE.support), KERNEL, Size((5,))).backward()
    assert weights.grad[0, 1].item() == 1.0


def test_normalisation_of_fewer_channels_leaves_the_other_statistics_alone():
    norm = ElasticNorm(CHANNELS, Norm(affine=True, after_pools=False, fixed=False)).double()
    before, found = norm.running_mean.clone(), norm(IMAGES[:, :4])
    torch.testing.assert_close(found, F.batch_norm(IMAGES[:, :4], None, None, training=True))
    assert torch.equal(norm.running_mean[4:], before[4:])
    assert not torch.equal(norm.running_mean[:4], before[:4])


class Layer(torch.nn.Module):
    def __init__(self, channels_out, height, width, affine):
        super().__init__()
        self.conv = ElasticConv(Size((6,)), channels_out, height, width)
        self.norm = ElasticNorm(channels_out, Norm(affine, after_pools=False, fixed=False))

    def forward(self, x, mixture=None):
        return self.norm(self.conv(x, mixture))


@pytest.mark.parametrize("affine", [True, False])
def test_the_expected_cost_is_the_mean_over_all_sizes(affine):
    with torch.device("meta"):
        network = Layer(CHANNELS, KERNEL, WIDTH, affine)
    found = trace_cost(network, (6, 7, 5), FULL).of(FULL)
    params = adds = 0.0
    for u, n in zip(TABLE[1].tolist(), CHANNELS.options, strict=True):
        for v, h in zip(TABLE[0].tolist(), KERNEL.options, strict=True):
            for w, k in zip(TABLE[2].tolist(), WIDTH.options, strict=False):
                params += u * v * w * (6 * n * h * k + 2 * n * affine)
                adds += u * v * w * 6 * n * h * k * 35
    assert found["parameters"].item() == pytest.approx(params)
    assert found["multiply_adds"].item() == pytest.approx(adds)


def test_the_cost_of_fixed_sizes_is_a_number():
    with torch.device("meta"):
        network = Layer(Size((4,)), Size((3,)), Size((5,)), True)
    (term,) = trace_cost(network, (6, 7, 5), None).terms
    assert (term.amount, term.factors) == ((6 * 4 * 15 + 8, 6 * 4 * 15 * 35), ())
