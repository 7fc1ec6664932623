"""What products of matrices cost, however a network comes to compute them."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.core.cost import count_cost


def on_meta(build):
    with torch.device("meta"):
        return build()


class Calls(nn.Module):
    """A function of rows, as a module that holds another one's params."""

    def __init__(self, function, inner=None):
        super().__init__()
        self.function, self.inner = function, inner

    def forward(self, x):
        return self.function(x) if self.inner is None else self.function(self.inner, x)


def heads(x):
    return x.unflatten(-1, (2, 4)).transpose(1, 2)


def attended(x, **options):
    return nn.functional.scaled_dot_product_attention(heads(x), heads(x), heads(x), **options)


def attention(**options):
    return nn.MultiheadAttention(8, 2, batch_first=True, **options)


# What one sample of 6 rows of 8 numbers costs, by hand.
PRODUCTS = {
    "matmul": (lambda: Calls(lambda x: x @ x.mT), 6 * 8 * 6),
    "bmm": (lambda: Calls(lambda x: torch.bmm(x.mT, x)), 8 * 6 * 8),
    "einsum": (lambda: Calls(lambda x: torch.einsum("bij,bkj->bik", x, x)), 6 * 8 * 6),
    "baddbmm": (lambda: Calls(lambda x: torch.baddbmm(x, x, x.mT @ x)), 6 * 8 * 8 + 8 * 6 * 8),
    "linear": (lambda: Calls(lambda m, x: nn.functional.linear(x, m.weight), nn.Linear(8, 3)),
               6 * 8 * 3),
    "conv": (lambda: Calls(lambda m, x: nn.functional.conv1d(x, m.weight), nn.Conv1d(6, 4, 3)),
             6 * 6 * 4 * 3),
    "transposed": (lambda: nn.ConvTranspose1d(6, 4, 3, 2, groups=2), (6 * 8) * (4 // 2) * 3),
    "attention": (lambda: Calls(attended), 2 * 6 * 6 * 8),
    "causal": (lambda: Calls(partial(attended, is_causal=True)), 2 * 6 * 6 * 8),
    "heads": (lambda: Calls(lambda m, x: m(x, x, x, need_weights=False)[0], attention()),
              4 * 6 * 8 * 8 + 2 * 6 * 6 * 8),
    "heads with weights": (lambda: Calls(lambda m, x: m(x, x, x)[0], attention()),
                           4 * 6 * 8 * 8 + 2 * 6 * 6 * 8),
    "two keys": (lambda: Calls(lambda m, x: m(x, x[:, :2, :4], x[:, :2, :5])[0],
                               attention(kdim=4, vdim=5)),
                 2 * 6 * 8 * 8 + 2 * 8 * (4 + 5) + 2 * 6 * 2 * 8),
    "layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
              4 * 6 * 8 * 8 + 2 * 6 * 6 * 8 + 2 * 6 * 8 * 16),
}  # fmt: skip


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_products_of_matrices_are_counted_as_torch_counts_them(name, device):
    build, multiply_adds = PRODUCTS[name]
    network, x = build().to(device).eval(), torch.ones(1, 6, 8, device=device)
    # Torch's counter does not see fused kernels: hence gradients, and attention as two products.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        network(x)
    assert counter.get_total_flops() == 2 * multiply_adds
    assert count_cost(build().to("meta"), (6, 8))["multiply_adds"] == multiply_adds


class GatedAttention(nn.MultiheadAttention):
    """Attention with layers of its own, one of them after a projection that runs by itself."""

    def __init__(self):
        super().__init__(8, 2, batch_first=True)
        self.gate, self.shape = nn.Linear(8, 8), nn.Conv1d(6, 6, 3, padding=1)

    def forward(self, x):
        return super().forward(x, x, x)[0] * self.gate(x) + self.shape(x)


class RunsItsProjection(nn.MultiheadAttention):
    def forward(self, x):
        return self.out_proj(super().forward(x, x, x)[0])


class MixedConv(nn.Conv1d):
    """A convolution, pooled, with one by another kernel and a product of matrices beside it."""

    def __init__(self):
        super().__init__(6, 6, 3, padding=1)
        self.point = nn.Parameter(torch.ones(6, 6, 1))

    def forward(self, x):
        convolved = super().forward(x) + nn.functional.conv1d(x, self.point)
        return nn.functional.avg_pool1d(convolved @ x.mT @ x, 2)


class UnfoldedConv(nn.Conv2d):
    """A convolution as one product of matrices."""

    def forward(self, x):
        return self.weight.flatten(1) @ nn.functional.unfold(x.unsqueeze(1), 3)


SUBCLASSES = {
    "attention with layers": GatedAttention,
    "attention that runs its projection": partial(RunsItsProjection, 8, 2, batch_first=True),
    "convolution with products": MixedConv,
    "convolution as a product": partial(UnfoldedConv, 1, 4, 3, bias=False),
}


@pytest.mark.parametrize("name", SUBCLASSES)
def test_a_subclass_of_torchs_layers_costs_what_it_computes_and_its_params_once(name):
    network = SUBCLASSES[name]().eval()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        network(torch.ones(1, 6, 8))
    found = count_cost(SUBCLASSES[name]().to("meta"), (6, 8))
    assert found["multiply_adds"] * 2 == counter.get_total_flops()
    assert found["parameters"] == sum(p.numel() for p in network.parameters())


# Torch's counter knows none of these; what they cost, by hand.
VECTORS = {
    "mv": (lambda x: torch.mv(x[0], x[0, 0]), 6 * 8),
    "matmul": (lambda x: x @ x[0, 0], 6 * 8),
    "addmv": (lambda x: torch.addmv(x[0, :, 0], x[0], x[0, 0]), 6 * 8),
    "dot": (lambda x: x[0, 0] @ x[0, 1], 8),
    "addbmm": (lambda x: torch.addbmm(x[0, :, :6], x, x.mT), 6 * 8 * 6),
}


@pytest.mark.parametrize("name", VECTORS)
def test_products_that_torchs_counter_does_not_know_are_counted_too(name):
    function, multiply_adds = VECTORS[name]
    network = on_meta(lambda: Calls(function))
    assert count_cost(network, (6, 8))["multiply_adds"] == multiply_adds


def test_a_bilinear_layer_costs_what_it_does_as_one_product_of_matrices():
    class Written(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(8 * 8, 5)

        def forward(self, x):
            return self.line((x.unsqueeze(-1) * x.unsqueeze(-2)).flatten(-2))

    layer = on_meta(lambda: Calls(lambda m, x: m(x, x), nn.Bilinear(8, 8, 5)))
    assert count_cost(layer, (6, 8)) == count_cost(on_meta(Written), (6, 8))


def test_recurrent_layers_are_counted_though_torchs_counter_misses_their_fused_kernel():
    network = on_meta(lambda: Calls(lambda m, x: m(x)[0], nn.LSTM(8, 4, batch_first=True)))
    assert count_cost(network, (6, 8))["multiply_adds"] == 6 * 4 * 4 * (8 + 4)
