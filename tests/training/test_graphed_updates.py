"""Losses as CUDA graphs: what is captured and when; a GPU replays them in tests/test_gpu.py.

A stand-in for `torch.cuda.make_graphed_callables` keeps to its rules on a CPU: a function runs on
the samples that it was captured with, what is given is copied there, and each replay writes over
what the last one gave.
"""

from weakref import ref

import pytest
import torch
import torch.nn.functional as F
from search_step import CLASSES, SIDE, batches, in_double
from torch import nn

from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.scale import Scale
from nas_lightning.networks.draws import NormalDraws
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.strategies.drnas import DrNas
from nas_lightning.strategies.gdas import Gdas
from nas_lightning.strategies.lambda_darts import LambdaDarts
from nas_lightning.strategies.oles import Oles
from nas_lightning.strategies.pc_darts import PcDarts
from nas_lightning.strategies.sdarts import SDarts
from nas_lightning.strategies.snas import Snas
from nas_lightning.training.graphed_updates import SIGHTS, GraphedUpdates
from nas_lightning.training.supernet import SupernetModule
from nas_lightning.training.updates import SearchUpdates

STEPS = 8


class Replays:
    """Stands for torch.cuda.make_graphed_callables; `counts` tells the replays of each graph.

    `meter` is that of the updates, which a replay does not reach; `held` is the number of graphs
    that are held in memory, and `autocast` whether the last one was captured under autocast.
    """

    def __init__(self):
        self.counts, self.meter, self.outputs, self.autocast = [], None, [], None

    def __call__(self, function, samples, allow_unused_input):
        assert allow_unused_input
        # what other passes recorded of a param would draw their stream into the capture
        assert all(s.is_leaf and not isinstance(s, nn.Parameter) for s in samples)
        assert not torch.is_autocast_cache_enabled()
        self.autocast = torch.is_autocast_enabled("cpu")
        wanted = [s for s in samples if s.requires_grad]
        places = [s.data_ptr() for s in samples]
        assert function(*samples).requires_grad  # as warming up does
        number, counts, meter = len(self.counts), self.counts, self.meter
        counts.append(0)
        out = torch.zeros((), dtype=torch.float64)
        self.outputs.append(ref(out))
        kept = [torch.zeros_like(s) for s in wanted]  # what the backward pass reads
        grads, unused = [torch.zeros_like(s) for s in wanted], set()

        class Replay(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *inputs):
                assert [s.data_ptr() for s in samples] == places
                for sample, given in zip(samples, inputs, strict=True):
                    assert sample.requires_grad == given.requires_grad
                    if sample.data_ptr() != given.data_ptr():
                        sample.detach().copy_(given)
                counts[number] += 1
                counted = meter.training_samples
                with torch.enable_grad():
                    loss = function(*samples)
                meter.training_samples = counted
                found = torch.autograd.grad(loss, wanted, allow_unused=True)
                unused.update(k for k, grad in enumerate(found) if grad is None)
                for own, grad in zip(kept, found, strict=True):
                    own.zero_() if grad is None else own.copy_(grad)
                return out.copy_(loss.detach()).detach()

            @staticmethod
            def backward(ctx, outer):
                for own, grad in zip(grads, kept, strict=True):
                    torch.mul(grad, outer, out=own)
                written = (None if k in unused else g.detach() for k, g in enumerate(grads))
                return tuple(next(written) if s.requires_grad else None for s in samples)

        return Replay.apply

    @property
    def held(self):
        return sum(output() is not None for output in self.outputs)


@pytest.fixture
def replays(monkeypatch):
    stand_in = Replays()
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", stand_in)
    return stand_in


def updates_of(kind, make, replays):
    """Returns the updates of a small search, whose momentum of BatchNorm has settled."""
    space = NasBench201Space(scale=Scale(4, 4))
    strategy = make(space, 0, 50, params_optimizer=Sgd(), alpha_optimizer=Adam(lr=0.05))
    updates = in_double(kind(space, strategy, (3, SIDE, SIDE), CLASSES))
    updates.start_epoch(strategy.epochs - 1)  # in which alphas move
    updates.stage_steps, replays.meter = 20, updates.meter
    return updates


def searched(kind, make, replays):
    """Returns the updates of a short search, and the loss of each step."""
    updates = updates_of(kind, make, replays)
    torch.manual_seed(1)
    return updates, [updates.strategy.search_step(*batches(), updates) for _ in range(STEPS)]


def second(*arguments, **more):
    return Darts(*arguments, order="second", **more)


@pytest.mark.parametrize(
    ("make", "graphs"),
    [
        (Darts, 2),
        (second, 2),
        (PcDarts, 2),
        (DrNas, 2),
        (SDarts, 2),
        (Gdas, 0),
        (LambdaDarts, 3),
        (Oles, 1),
        (Snas, 1),
    ],
)
def test_graphs_take_the_steps_of_the_updates(replays, make, graphs):
    (plain, expected), (graphed, losses) = (
        searched(kind, make, replays) for kind in (SearchUpdates, GraphedUpdates)
    )
    assert len(replays.counts) == graphs
    assert all(count >= STEPS - SIGHTS for count in replays.counts)
    torch.testing.assert_close(losses, expected, rtol=1e-9, atol=0)
    own = graphed.snapshot()["tensors"]
    torch.testing.assert_close(own, plain.snapshot()["tensors"], rtol=0, atol=1e-9)
    counts = [updates.meter.training_samples for updates in (plain, graphed)]
    assert counts[0] == counts[1]


def test_a_second_loss_before_the_gradient_of_the_first_is_no_graph(replays):
    updates = updates_of(GraphedUpdates, Darts, replays)
    train, _ = batches()
    alpha = updates.strategy.alpha

    def loss():
        return updates.loss(train, updates.strategy.mixture("alpha"))

    for _ in range(SIGHTS + 1):
        updates.minimise("alpha", loss)
    (expected,) = updates.gradient(loss(), [alpha])
    gradients = []
    alpha.register_hook(gradients.append)
    updates.minimise("alpha", lambda: loss() - 0.5 * loss())
    assert replays.counts == [2]
    torch.testing.assert_close(sum(gradients), 0.5 * expected)


def test_params_that_were_moved_are_captured_anew(replays):
    updates = updates_of(GraphedUpdates, Darts, replays)
    train, _ = batches()
    step = lambda: updates.minimise(  # noqa: E731
        "params", lambda: updates.loss(train, updates.strategy.mixture("params"), statistics=True)
    )
    for _ in range(SIGHTS + 2):
        step()
    assert replays.counts == [2]
    kept = [param.data for param in updates.params.values()]  # or the new would take their places
    updates.supernet.float().double()
    for _ in range(SIGHTS + 1):
        step()
    assert replays.counts == [2, 1]
    assert kept


def supported(updates, *options):
    """Takes a step whose first choice has some options alone."""
    whole = updates.strategy.mixture("params")
    mixture = Mixture(whole.weights, (options, *whole.support[1:]))
    updates.minimise("params", lambda: updates.loss(batches()[0], mixture, statistics=True))


def test_other_options_take_the_place_of_the_graph_and_its_memory(replays):
    updates = updates_of(GraphedUpdates, Darts, replays)
    for options in ((0, 1), (1, 2), (0, 1)):
        for _ in range(SIGHTS + 2):
            supported(updates, *options)
    assert replays.counts == [2, 2, 2]
    assert replays.held == 1
    updates.release()
    assert replays.held == 0


def test_options_that_change_from_step_to_step_are_no_graph(replays):
    updates = updates_of(GraphedUpdates, Darts, replays)
    for _ in range(SIGHTS + 2):
        supported(updates, 0, 1)
        supported(updates, 1, 2)
    assert replays.counts == []


def test_a_smaller_last_batch_leaves_the_graph(replays):
    updates = updates_of(GraphedUpdates, Darts, replays)
    mixture = updates.strategy.mixture("params")
    for size in (*[6] * (SIGHTS + 1), 4, 6, 4, 6, 4, 6, 4, 6):
        train, _ = batches(size)
        updates.minimise("params", lambda batch=train: updates.loss(batch, mixture))
    assert replays.counts == [5]


def test_dropout_draws_the_numbers_of_the_updates(replays):
    found = []
    for kind in (SearchUpdates, GraphedUpdates):
        updates = updates_of(kind, Darts, replays)
        updates.supernet.classifier.register_forward_hook(lambda m, x, out: F.dropout(out, 0.5))
        torch.manual_seed(1)
        found.append([updates.strategy.search_step(*batches(), updates) for _ in range(STEPS)])
    assert len(replays.counts) == 2
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=0)


@pytest.mark.parametrize("is_cast", [True, False])
def test_gradients_are_captured_under_the_autocast_of_the_step(replays, is_cast):
    updates = updates_of(GraphedUpdates, Darts, replays)
    with torch.autocast("cpu", torch.bfloat16, enabled=is_cast):
        for _ in range(SIGHTS + 1):
            updates.strategy.search_step(*batches(), updates)
    assert replays.autocast == is_cast


def test_a_search_that_ends_frees_its_graphs():
    space = NasBench201Space(scale=Scale(2, 3))
    module = SupernetModule(space, Darts(space, 0), (3, SIDE, SIDE), CLASSES, graphs=True)
    module.updates._graphs["any"] = None
    module.on_train_end()
    assert not module.updates._graphs


def test_noise_that_is_drawn_is_no_graph(replays):
    updates = updates_of(GraphedUpdates, Darts, replays)
    updates.supernet.noise = NormalDraws()
    updates._has_noise = True
    _, val = batches()
    for _ in range(SIGHTS + 1):
        updates.strategy.search_step(val, val, updates)
    assert replays.counts == []


def test_what_cannot_be_captured_is_told_with_its_cure(monkeypatch, replays):
    def broken(*_, **__):
        try:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", broken)
    message = r"needs losses that CUDA can capture.*Darts are not \(operation not.*ing\); leave it"
    with pytest.raises(ValueError, match=message):
        searched(GraphedUpdates, Darts, replays)
