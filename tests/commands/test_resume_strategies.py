"""Every one-shot strategy, killed again and again, ends with the bits of an unbroken search."""

import random
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from command import PLANTED, bits, rows, run
from listener import Listener
from plain_context import ONE_SHOT
from planted_search import EPOCHS, search
from representatives import rest_slow

from nas_lightning.loggers.dashboard import Dashboards, Guarded
from nas_lightning.loggers.search_boards import EpochBoard
from nas_lightning.training.updates import SearchUpdates


class Kill(BaseException):
    """Stands for a kill at some point of a search."""


class Updates:
    """Counts the updates of each epoch; kills a search before the last one of an epoch.

    That is between the step of alphas and the step of params, and between two steps of a
    controller, which follow an epoch's last batch.
    """

    def __init__(self, patch):
        self.minimise, self.start_epoch = SearchUpdates.minimise, SearchUpdates.start_epoch
        self.numbers, self.last, self.epoch = {}, None, None
        patch.setattr(SearchUpdates, "minimise", lambda *arguments: self.count(*arguments))
        patch.setattr(SearchUpdates, "start_epoch", lambda *arguments: self.start(*arguments))

    def start(self, updates, epoch):
        self.epoch = epoch
        self.start_epoch(updates, epoch)

    def count(self, updates, which, closure):
        self.numbers[self.epoch] = number = self.numbers.get(self.epoch, 0) + 1
        if (self.epoch, number) == self.last:
            raise Kill
        return self.minimise(updates, which, closure)


def watched_search(name, folder):
    """Searches before a dashboard; returns the finished module and what the dashboard was told."""
    listener = Listener()
    shown = EpochBoard(Dashboards([Guarded(listener, "listener")]))
    return search(name, folder, [shown]), listener


FAST = ("gdas", "p_darts")  # draws, and means in stages
WITHOUT_ALPHAS = "random_sharing"


@pytest.fixture(scope="module", params=rest_slow(ONE_SHOT, *FAST, WITHOUT_ALPHAS))
def whole(request, tmp_path_factory):
    """An unbroken search: its strategy's name, folder, and updates by epoch; module; dashboard."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        updates = Updates(patch)
        module, listener = watched_search(request.param, folder)
    return SimpleNamespace(
        name=request.param,
        folder=folder,
        updates=updates.numbers,
        module=module,
        told=[word[1:] for word in listener.told if word[0] == "metrics"],
    )


@pytest.mark.parametrize("whole", rest_slow(ONE_SHOT, *FAST), indirect=True)
def test_a_search_killed_in_every_epoch_ends_with_the_same_bits(whole, tmp_path, monkeypatch):
    updates = Updates(monkeypatch)
    for epoch in range(1, EPOCHS):
        torch.manual_seed(epoch)  # another process has another global generator
        updates.numbers, updates.last = {}, (epoch, whole.updates[epoch])
        with pytest.raises(Kill):
            watched_search(whole.name, tmp_path)
    updates.last = None
    for when in ("in the last epoch", "before the genotype is written"):
        torch.manual_seed(EPOCHS)
        watched_search(whole.name, tmp_path)
        assert bits(tmp_path) == bits(whole.folder), when


def preferences(folder):
    """Returns of alphas.csv each epoch's weights by choice and option."""
    found = {}
    for row in rows(folder / "alphas.csv"):
        weights = found.setdefault(int(row["epoch"]), {})
        weights[row["group"], row["choice"], row["option"]] = float(row["weight"])
    return found


def named(space, scores):
    """Returns scores by choice and option, as alphas.csv has them."""
    table = zip(space.choices, scores.weights.tolist(), scores.support, strict=True)
    return {(c.group, c.name, c.options[o]): row[o] for c, row, options in table for o in options}


@pytest.mark.slow
def test_alphas_csv_tells_what_is_preferred_from_the_start_to_the_end(whole):
    found, space = preferences(whole.folder), whole.module.space
    assert list(found) == list(range(-1, EPOCHS))
    assert len(found[-1]) == sum(len(choice.options) for choice in space.choices)
    for weights in found.values():
        assert {choice for _, choice, _ in weights} == {choice.name for choice in space.choices}
    assert found[EPOCHS - 1] == named(space, whole.module.strategy.scores())


def test_preferences_move_exactly_where_a_strategy_has_something_that_learns(whole):
    found = preferences(whole.folder)
    learns = bool(list(whole.module.strategy.parameters()))
    assert (found[-1] != found[EPOCHS - 1]) is learns
    if not learns:
        sizes = {choice.name: len(choice.options) for choice in whole.module.space.choices}
        assert found[-1] == {key: pytest.approx(1 / sizes[key[1]]) for key in found[-1]}


def test_dashboards_are_told_what_alphas_csv_has(whole):
    told = {}
    for values, epoch in whole.told:
        alphas = {name: value for name, value in values.items() if name.startswith("alpha/")}
        told.setdefault(epoch, {}).update(alphas)
    found = preferences(whole.folder)
    assert {
        epoch: {f"alpha/{'/'.join(key)}": w for key, w in found[epoch].items()} for epoch in found
    } == told


SMALL = (
    *PLANTED,
    "data.source.images=400",
    "search_space.scale.channels=2",
    "retrain=false",
    "callbacks=silent",
    "hardware.threads=1",
)
FEW_STEPS = {
    "enas": ["strategy.steps=5", "strategy.aggregate=3"],
    "pc_darts": ["strategy.partial=1"],  # the planted cells have no partial channels
    "tangle": ["search_space=chain", "search_space.depths=[2]"],  # nor elastic sizes
}


def start(*arguments):
    command = [sys.executable, "-m", "nas_lightning", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_progress(process, told):
    """Waits until a search writes what it prefers, after it was started or gone on with."""
    before = told.stat().st_size if told.exists() else 0
    while process.poll() is None and (not told.exists() or told.stat().st_size == before):
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_SHOT)
def test_a_process_killed_all_over_its_search_ends_with_the_same_bits(name, tmp_path):
    arguments = (*SMALL, f"strategy={name}", *FEW_STEPS.get(name, ()))
    since = time.monotonic()
    run("search", f"hydra.run.dir={tmp_path / 'whole'}", *arguments)
    seconds, draw, ends = time.monotonic() - since, random.Random(name), []
    folder = tmp_path / "run"
    typed = [f"hydra.run.dir={folder}", *arguments]
    for _ in range(3):
        killed = start(*typed)
        wait_for_progress(killed, folder / "alphas.csv")
        time.sleep(draw.uniform(0, seconds / 3))
        killed.kill()
        ends.append(killed.wait())
        typed = [f"resume={folder}", "trust=true"]  # its data are of the tests
    assert ends[0] == -signal.SIGKILL
    run("search", f"resume={folder}", "trust=true")
    assert bits(folder) == bits(tmp_path / "whole")
