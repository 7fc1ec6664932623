"""Memory by liveness: by hand, and as torch's own allocator counts it on real children."""

from pathlib import Path
from random import Random

import pytest
import torch
from documents import ROOT
from hydra.utils import instantiate
from omegaconf import OmegaConf
from representatives import SPACES_LIKE_OTHERS, some_slow
from torch import nn
from torch.profiler import ProfilerActivity, profile

from nas_lightning.core.memory import child_memory_mb, least_memory_mb, memory_mb
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost
from nas_lightning.networks.batch_norm import BatchNorm

SPACES = sorted(Path(ROOT / "conf" / "search_space").glob("*.yaml"))
SCALE = Scale(8, 3, flavour="child", input_shape=(3, 16, 16), num_outputs=10)
ROW = 4 * 1000  # bytes


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def freed(x):
    x = x + 1
    x = x + 1
    return x + 1


def held(x):
    first = x + 1
    second = first + 1
    return second + first


ROWS = {  # tensors as large as the input that are alive at once, the input among them
    "nothing": (lambda x: x, 1),
    "a view": (lambda x: x.view(10, 100), 1),
    "in place": (lambda x: (x + 1).relu_().add_(1), 2),
    "what is read no more": (freed, 3),
    "what is read later": (held, 4),
    "halves": (lambda x: torch.cat([x[:, ::2] + 1, x[:, 1::2] + 1], 1), 3),
}


@pytest.mark.parametrize("name", ROWS)
def test_tensors_count_while_somebody_keeps_them(name):
    function, rows = ROWS[name]
    assert memory_mb(Of(function), (1000,)) == pytest.approx(rows * ROW / 1e6)


@pytest.mark.parametrize("norm", [BatchNorm, nn.BatchNorm2d])
def test_params_buffers_and_a_batch_norms_output_count(norm):
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(2, 5, 1, bias=False), norm(5))
    tensors = 4 * (5 * 2 + 4 * 5) + 8  # and the number of batches, 64 bit
    expected = tensors + 4 * 16 * (2 + 5 + 5)
    statistics = 4 * 2 * 5  # that torch's own kernel gives on the meta device alone
    assert memory_mb(network, (2, 4, 4)) * 1e6 == pytest.approx(expected, abs=statistics)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def allocated(child, x):
    """Returns the most bytes that torch's allocator has out after any operation of a child."""
    with (
        torch.inference_mode(),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record,
    ):
        child(x)
    events = record.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    spans = [(e.start_ns(), e.end_ns()) for e in events if e.name().startswith("aten::")]
    outer = [s for s in spans if not any(a < s[0] and s[1] < b for a, b in spans)]
    return x.nbytes + max(sum(n for at, n in changes if at <= end) for _, end in outer)


@pytest.mark.parametrize("path", some_slow(SPACES, *SPACES_LIKE_OTHERS))
def test_a_childs_memory_is_what_torch_allocates_for_it_on_a_cpu(path):
    space = instantiate(OmegaConf.load(path)).fitted(SCALE)
    genotype = space.sample(Random(0))
    child = space.child(genotype, SCALE).eval()
    tensors = sum(tensor.nbytes for tensor in [*child.parameters(), *child.buffers()])
    activations = 1e6 * child_memory_mb(space, genotype, SCALE) - tensors
    x = torch.zeros(1, *SCALE.sample_shape())
    assert activations == pytest.approx(allocated(child, x), rel=0.03)
    params = child_cost(space, genotype, SCALE)["parameters"]
    assert least_memory_mb(params, SCALE) <= (tensors + activations) / 1e6
