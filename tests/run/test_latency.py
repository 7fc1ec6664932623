"""How long a child takes is measured on one thread, and not for long."""

import re
import time
from dataclasses import asdict

import pytest
import torch
from torch import nn

from nas_lightning.core.scale import Scale
from nas_lightning.deployment.load import LoadedChild
from nas_lightning.run.latency import latency, latency_notes
from nas_lightning.search_spaces.darts import DartsSpace


def child_of(network):
    """A loaded child whose network is the user's."""
    space, scale = DartsSpace(), Scale(input_shape=(2,), num_outputs=2)
    facts = {"genotype": space.sample(0).to_json(), "scale": asdict(scale)}
    facts |= {"task": {"targets": "classes"}, "class_names": ["cat", "dog"], "preprocessing": {}}
    return LoadedChild(network, space, facts)


class Says(nn.Module):
    """Outputs that the first numbers of its input are; scaled by a parameter, which is 1."""

    def __init__(self, outputs=2):
        super().__init__()
        self.outputs, self.scale = outputs, nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x.flatten(1)[:, : self.outputs] * self.scale


def test_the_latency_is_a_median_of_one_thread_which_is_given_back():
    threads, seen = torch.get_num_threads(), []
    network = Says()
    network.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    try:
        figures = latency(child_of(network))
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(threads)
    assert figures["latency_ms"] > 0
    assert re.match(r"median of 50 runs, one thread, batch of 1, \S", figures["latency_measured"])


def test_a_slow_child_is_measured_for_a_second_only(monkeypatch):
    network, clock = Says(), iter(range(1000))
    for name in ("perf_counter", "thread_time"):
        monkeypatch.setattr(time, name, lambda: next(clock) * 0.15)
    figures = latency(child_of(network))
    assert figures["latency_measured"].startswith("median of 3 runs")
    assert figures["latency_ms"] == pytest.approx(150)


@pytest.mark.parametrize(
    ("error", "limit_ms", "notes"),
    [
        (0.25, None, ["the measured latency (2.50 ms) is 25% above the predicted one: was the "]),
        (0.25, 2.25, ["(2.50 ms) is 25% above the predicted one and above the limit of 2.25 ms: "]),
        (0.1, 2.1, ["(2.20 ms) is 10% above the predicted one and above the limit of 2.1 ms: "]),
        (0.1, 3.0, []),
        (-0.3, 1.0, ["(1.40 ms) is 30% below the predicted one: was the machine busy"]),
        (-0.19, 3.0, []),
    ],
)
def test_a_latency_that_is_not_the_predicted_one_is_noted(error, limit_ms, notes) -> None:
    child = {"predicted_latency_ms": 2.0, "latency_error": error}
    said = latency_notes(child, limit_ms)
    assert [part in note for part, note in zip(notes, said, strict=True)] == [True] * len(notes)
