"""Two processes are one: alphas, children, statistics, and what happens where they differ."""

import multiprocessing
import os
import signal
import threading
import traceback

import pytest
import rank_jobs
import torch
import torch.nn.functional as F
from command import rows
from lightning.pytorch.callbacks import Callback
from plain_context import ONE_SHOT
from representatives import rest_slow

from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification, Multilabel, Regression

pytestmark = pytest.mark.ddp

ALIKE = {"batch_norm": "fixed", "precision": "64-true"}
EXACT = 1e-9  # float64; sums over two halves of a batch round differently from one over all


def serve(rank, store, pipe):
    """Runs the jobs that come through a pipe, as one of two ranks."""
    os.environ |= {"LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    Hardware(devices=2, threads=1).prepare()
    while True:
        name, arguments, more = pipe.recv()
        try:
            pipe.send(getattr(rank_jobs, name)(*arguments, **more))
        except Exception:
            pipe.send(RuntimeError(traceback.format_exc()))


class Pair:
    """Two processes in one group, started once: most of their time would go into imports."""

    def __init__(self, folder):
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(2)]
        self.ends = [mine for mine, _ in pipes]
        self.processes = [
            context.Process(target=serve, args=(rank, folder / "store", theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()

    def __call__(self, name, *arguments, **more):
        """Runs a job of `rank_jobs` in both processes; returns what each of them returns."""
        for end in self.ends:
            end.send((name, arguments, more))
        assert all(end.poll(120) for end in self.ends), f"{name} hangs"
        results = [end.recv() for end in self.ends]
        for result in results:
            if isinstance(result, RuntimeError):
                raise result
        return results

    def close(self):
        for process in self.processes:
            process.kill()
            process.join()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.close()


@pytest.fixture(scope="module")
def whole(pair, tmp_path_factory):
    """The folder of a search in two processes with statistics of their own, and its results."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, pair("search", folder, batch_norm="batch", devices=2)


def weights(folder):
    return torch.tensor([float(r["weight"]) for r in rows(folder / "alphas.csv")]).double()


@pytest.mark.parametrize("order", ["first", pytest.param("second", marks=pytest.mark.slow)])
def test_two_processes_write_the_alphas_of_one(pair, tmp_path, order):
    one, two = tmp_path / "one", tmp_path / "two"
    alone, _ = rank_jobs.search(one, order)
    (first, _), (second, _) = pair("search", two, order, devices=2)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, alone, rtol=0, atol=EXACT)
    torch.testing.assert_close(weights(two), weights(one), rtol=0, atol=EXACT)


@pytest.mark.parametrize("name", rest_slow(ONE_SHOT, "enas", "gdas"))
def test_two_processes_search_as_one_with_every_strategy(pair, tmp_path, name):
    state, draws, rewards, found = rank_jobs.planted(name, tmp_path / "one", **ALIKE)
    results = pair("planted", name, tmp_path / "two", devices=2, **ALIKE)
    for result in results:
        torch.testing.assert_close(result[0], state, rtol=0, atol=EXACT)
        assert torch.equal(result[1], draws)
        torch.testing.assert_close(result[2], rewards, rtol=0, atol=EXACT)
        assert result[3] == found
    torch.testing.assert_close(results[0][0], results[1][0], rtol=0, atol=0)
    torch.testing.assert_close(
        weights(tmp_path / "two"), weights(tmp_path / "one"), rtol=0, atol=EXACT
    )


@pytest.mark.parametrize("name", rest_slow(ONE_SHOT, "darts"))
def test_two_processes_agree_with_each_other_whatever_their_statistics(pair, tmp_path, name):
    first, second = pair("planted", name, tmp_path, devices=2)
    torch.testing.assert_close(first[:3], second[:3], rtol=0, atol=0)
    assert first[3] == second[3]


@pytest.mark.slow  # their norm alone is below
def test_synchronised_statistics_make_two_processes_one_with_batchnorm_too(pair, tmp_path):
    alone, _ = rank_jobs.search(tmp_path / "one", batch_norm="batch")
    options = {"batch_norm": "batch", "devices": 2, "sync_batchnorm": True}
    (synchronised, statistics), _ = pair("search", tmp_path / "two", **options)
    torch.testing.assert_close(synchronised, alone, rtol=0, atol=EXACT)
    assert torch.isfinite(statistics).all()


def test_running_statistics_are_the_same_on_all_ranks_after_an_epoch(whole):
    _, results = whole
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("what", ["alphas", "params"])
def test_a_rank_that_holds_something_else_is_named(pair, tmp_path, what):
    told = pair("tampered_search", tmp_path, what)
    assert told[0] == told[1]
    assert told[0].startswith("rank 1 does not agree with rank 0 after epoch 0: its alphas differ")
    assert not (tmp_path / "last.ckpt").exists()


def test_a_search_stopped_on_all_ranks_resumes_to_the_same_alphas(pair, whole, tmp_path):
    unbroken, results = whole
    folder = tmp_path / "stopped"
    pair("stopped_search", folder, devices=2)
    resume = {"batch_norm": "batch", "resume": folder / "last.ckpt", "devices": 2}
    for expected, found in zip(results, pair("search", folder, **resume), strict=True):
        assert torch.equal(found[0], expected[0])
        assert torch.equal(found[1], expected[1])
    assert (folder / "alphas.csv").read_text() == (unbroken / "alphas.csv").read_text()


def test_two_processes_train_the_child_of_one(pair):
    first, second = pair("child", devices=2)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, rank_jobs.child(), rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    "task", [Classification(), Multilabel(), Regression()], ids=lambda task: task.targets
)
def test_two_processes_measure_what_one_measures(pair, task):
    rng = torch.Generator().manual_seed(0)
    outputs = torch.randn(30, 3, generator=rng)
    targets = {
        "classes": torch.randint(0, 2, (30,), generator=rng),
        "labels": torch.randint(0, 2, (30, 3), generator=rng).float(),
        "values": torch.randn(30, 3, generator=rng) + 1e4,
    }[task.targets]
    expected = {}
    for name, metric in task.metrics(3).items():
        task.update(metric, outputs, targets)
        expected[name] = pytest.approx(float(metric.compute()), rel=1e-6)  # most are float32
    assert pair("metrics_of_parts", task, outputs, targets) == [expected, expected]


@pytest.mark.parametrize("part", ["out", "grad"])
def test_a_synchronised_norm_is_that_of_the_whole_batch(pair, part):
    rng = torch.Generator().manual_seed(0)
    x, target = torch.randn(2, 6, 3, 4, 4, generator=rng, dtype=torch.float64) * 2 + 5
    whole = x.clone().requires_grad_()
    weight, bias = torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]], dtype=torch.float64)
    out = F.batch_norm(whole, None, None, weight, bias, True, 0.1, 1e-5)
    (grad,) = torch.autograd.grad(((out - target) ** 2).sum(), whole)
    expected = {"out": out.detach(), "grad": grad}[part]
    found = torch.cat(pair("normalised_part", x, target, part))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    "options", [("fixed",), pytest.param(("batch", True), marks=pytest.mark.slow)]
)
def test_two_processes_measure_the_curvature_of_one(pair, options):
    first, second = pair("eigenvalue", *options)
    assert first == second
    assert first == pytest.approx(rank_jobs.eigenvalue(options[0]), rel=2e-3)  # twice the tolerance


def test_a_synchronised_norm_moves_the_statistics_as_torch_does(pair):
    rng = torch.Generator().manual_seed(0)
    x, target = torch.randn(2, 6, 3, 4, 4, generator=rng, dtype=torch.float64)
    norm = torch.nn.BatchNorm2d(3).double()
    norm(x)
    for part, expected in (("mean", norm.running_mean), ("var", norm.running_var)):
        for found in pair("normalised_part", x, target, part):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


class HandlerSeen(Callback):
    def on_train_batch_start(self, *_):
        self.handler = signal.getsignal(signal.SIGTERM)


def test_a_training_keeps_the_answer_of_its_process_to_sigterm(tmp_path):
    assert threading.current_thread() is threading.main_thread()
    seen, kept = HandlerSeen(), signal.getsignal(signal.SIGTERM)
    rank_jobs.search(tmp_path, callbacks=[seen])
    assert seen.handler is kept
