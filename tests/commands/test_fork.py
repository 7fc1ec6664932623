"""A run forked from another one's state: what it ends with, what may differ, what is refused."""

import io
import json
import shutil
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from command import TINY, bits, result, rows, run
from omegaconf import OmegaConf
from representatives import rest_slow, some_slow

import nas_lightning as nl
from nas_lightning.reports import page
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.forked import _judged_anew, _plan, kept_epochs
from nas_lightning.training.supernet import SupernetModule

pytestmark = pytest.mark.usefixtures("unreported")

SMALL = ("data.max_images=200", "data.batch_size=50", "retrain=false")
SHORT = (*TINY, "strategy.epochs=3", *SMALL)


class Kill(BaseException):
    """Stands for a kill at some point of a search."""


def search(folder, *arguments):
    run("search", f'hydra.run.dir="{folder}"', *SHORT, "checkpoints.every=1", *arguments)
    return folder


def fork(parent, folder, *arguments, at=1):
    run("search", f'fork="{parent}"', f"at={at}", f'hydra.run.dir="{folder}"', *arguments)
    return folder


def state(folder, name="last.ckpt"):
    return torch.load(folder / "checkpoints" / name, weights_only=True)


def is_same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """A finished search of darts, whose epochs are all kept."""
    return search(tmp_path_factory.mktemp("parent"))


@pytest.fixture(scope="module")
def ended(parent, tmp_path_factory):
    """The same search without kept epochs."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    return shutil.copytree(parent, folder, ignore=shutil.ignore_patterns("epoch=*.ckpt"))


@pytest.fixture(scope="module")
def longer(ended, unreported, tmp_path_factory):
    """A reported fork of one more epoch with other settings; what it printed lies beside it."""
    folder, printed = tmp_path_factory.mktemp("longer") / "run", io.StringIO()
    typed = ("strategy.epochs=4", "seed=1", "strategy.alpha_optimizer.weight_decay=0.5",
             "strategy.params_optimizer.momentum=0.5")  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr("nas_lightning.run.outcome.write_report", page.write_report)
        fork(ended, folder, *typed, at=2)
    (folder.parent / "printed.txt").write_text(printed.getvalue())
    return folder


@pytest.mark.parametrize("strategy", rest_slow(("gdas", "p_darts", "enas"), "gdas"))
def test_a_fork_without_a_change_ends_with_the_bits_of_its_parent(tmp_path, strategy):
    typed = {"enas": ["strategy.steps=2", "strategy.samples=4"]}.get(strategy, [])
    parent = search(tmp_path / "a", f"strategy={strategy}", "strategy.final=best", *typed)
    forked = fork(parent, tmp_path / "b", at=0)
    for name in ("alphas.csv", "genotypes/epoch=000.json", "genotypes/epoch=002.json"):
        assert (forked / name).read_bytes() == (parent / name).read_bytes()
    assert result(forked)["genotype_id"] == result(parent)["genotype_id"]
    assert result(forked)["search"] == result(parent)["search"]
    mine, theirs = state(forked), state(parent)
    for part in ("state_dict", "optimizer_states"):
        assert is_same(mine[part], theirs[part])
    metrics = [[{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows(path)]
               for path in (forked / "metrics.csv", parent / "metrics.csv")]  # fmt: skip
    assert metrics[0] == metrics[1]


def test_the_result_and_the_report_tell_the_lineage(longer, ended):
    changed = {"seed": [0, 1], "strategy.alpha_optimizer.weight_decay": [0.001, 0.5]}
    changed |= {"strategy.epochs": [3, 4], "strategy.params_optimizer.momentum": [0.9, 0.5]}
    assert result(longer)["fork"] == {"run": str(ended), "epoch": 2, "changed": changed}
    words = f"forked from {ended} after epoch 2, with seed=1 (was 0), "
    assert f"note: {words}" in (longer.parent / "printed.txt").read_text()
    assert words in (longer / "report.html").read_text()
    command = json.loads((longer / "result.json").read_text())["command"]
    assert command.startswith(f"nas-search fork={ended} at=2 strategy.epochs=4 seed=1")
    assert "nas-search -m fork" not in (longer / "report.html").read_text()


def test_settings_of_optimisers_are_those_of_the_fork(longer):
    params, alphas = state(longer)["optimizer_states"]
    assert alphas["param_groups"][0]["weight_decay"] == 0.5
    assert params["param_groups"][0]["momentum"] == 0.5
    assert result(longer)["genotype_id"] is not None


@pytest.mark.slow
def test_another_seed_gives_another_search_on_the_same_split(parent, tmp_path):
    forked = fork(parent, tmp_path, "seed=1")
    assert not is_same(state(forked)["state_dict"], state(parent)["state_dict"])
    assert result(forked)["split"] == result(parent)["split"]
    again = fork(forked, tmp_path / "again", "seed=2", at=2)
    assert result(again)["split"] == result(parent)["split"]


def test_more_epochs_go_on_where_a_search_ended_without_kept_epochs(longer):
    assert result(longer)["search"]["cost"]["epochs_trained"] == 4


@pytest.mark.slow
def test_an_epoch_of_the_past_may_be_taken_from_the_last_state_alone(parent, tmp_path):
    found = fork(parent, tmp_path, "strategy.final=best", at=2)
    said = result(found)["search"]
    values = [float(row["search/validation_accuracy"]) for row in rows(parent / "metrics.csv")]
    assert said["final_epoch"] == values.index(max(values))
    assert said["cost"]["epochs_trained"] == 3


@pytest.mark.slow
def test_limits_and_a_strategy_with_the_same_state_may_be_others(parent, tmp_path):
    fork(parent, tmp_path / "a", "limits.parameters=6k")
    assert result(tmp_path / "a")["within_limits"]["parameters"] <= 6000
    fork(parent, tmp_path / "b", "strategy=gdas")
    content = result(tmp_path / "b")
    assert (content["strategy"], content["search"]["last_epoch"]) == ("gdas", 2)
    assert content["fork"]["changed"]["strategy"] == ["darts", "gdas"]


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "key"), [("robust_darts", "record"), ("oles", "steps")])
def test_what_another_strategy_keeps_begins_anew(parent, tmp_path, strategy, key):
    there = fork(parent, tmp_path / "a", f"strategy={strategy}")
    assert key in state(there)["state_dict"]["strategy._extra_state"]
    back = fork(there, tmp_path / "b", "strategy=darts", "strategy.epochs=4", at=2)
    assert list(state(back)["state_dict"]["strategy._extra_state"]) == ["rng"]


@pytest.mark.parametrize("strategy", [nl.Darts, nl.BetaDarts, nl.Perturbation])
def test_a_state_without_some_edges_is_only_for_a_strategy_that_removes_them(strategy):
    space = nl.DartsSpace(nodes=1, scale=nl.Scale(2, 3))
    module = SupernetModule(space, strategy(space, seed=0), (3, 8, 8), 4)
    checkpoint = {"epoch": 2, "state_dict": module.state_dict()}
    allowed = module.strategy.allowed.clone()
    allowed[1] = False
    checkpoint["state_dict"]["strategy.allowed"] = allowed
    message = "fork: the state of epoch 2 has edges without an option, which .* cannot mix; fork an"
    refused = pytest.raises(ValueError, match=message)
    with nullcontext() if strategy is nl.Perturbation else refused:
        module._fit_state(checkpoint)


@pytest.mark.parametrize(
    ("seen", "typed", "wanted"),
    [
        (4, {}, {"collapse": {"epoch": 3, "seen": 4}, "since": 3}),
        (3, {}, {"collapse": None, "since": 3}),  # in the last epoch alone
        (4, {"share": 0.9}, {"collapse": None, "since": None}),
    ],
)
def test_a_fork_that_trains_on_judges_by_its_own_settings_whether_it_has_collapsed(
    seen, typed, wanted
):
    before = {"share": 0.6, "patience": 2}
    configs = [OmegaConf.create({"callbacks": {"collapse": before | now}}) for now in ({}, typed)]
    state = {"collapse": {"epoch": 3, "seen": seen}, "since": 3}
    assert _judged_anew(state, *configs) == wanted


def test_the_time_of_a_fork_begins_anew():
    cfg = OmegaConf.create({"strategy": {"epochs": 3}})
    past = {"epochs": 9, "last_steps": 2, "used_s": 50.0, "past": {0: 9}}
    assert _plan(past, cfg, 4) == {**past, "used_s": 0.0}
    assert _plan(past, cfg, 8)["epochs"] == 10
    assert _plan(None, cfg, 5)["epochs"] == 7


@pytest.mark.slow
def test_a_fork_of_an_unfinished_run_that_is_killed_ends_the_same(tmp_path, parent, monkeypatch):
    shutil.copytree(parent, tmp_path / "a")
    (tmp_path / "a" / "result.json").unlink()
    (tmp_path / "a" / "checkpoints" / "last.ckpt").unlink()
    whole = fork(tmp_path / "a", tmp_path / "whole", "strategy.epochs=4")
    step = SupernetModule.training_step

    def training_step(self, batch, batch_idx):
        if self.current_epoch == 3:
            raise Kill
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SupernetModule, "training_step", training_step)
        with pytest.raises(Kill):
            fork(tmp_path / "a", tmp_path / "killed", "strategy.epochs=4")
    run("search", f"resume={tmp_path / 'killed'}")
    assert bits(tmp_path / "killed") == bits(whole)


REFUSED = {
    "no such epoch": (["at=7"], "has no state of epoch 7; kept are: 0, 1, 2; a search with"),
    "no epoch": ([], "at (missing) must be an epoch (0-based) of"),
    "a word": (["at=last"], "at (last) must be an epoch (0-based) of"),
    "space and data": (
        ["at=1", "search_space.scale.channels=4", "data.batch_size=20", "task=regression"],
        "fork: data.batch_size, search_space.scale.channels, task must be as in the run",
    ),
    "resume": (["at=1", "resume=x"], "fork= starts a new run and resume= goes on with one"),
    "a sweep": (["at=1", "-m"], "fork= starts one run, no sweep; leave -m out"),
    "a recipe": (["at=1", "experiment=darts_cifar"], "experiment=darts_cifar sets keys of every k"),
    "fewer epochs": (["at=2", "strategy.epochs=2"], "strategy.epochs (2) must be at least 3, the"),
    "no such key": (["at=1", "strategy.epoch=3"], "unknown key 'strategy.epoch'"),
    "a bad value": (["at=1", "strategy.order=third"], "unknown strategy.order 'third'"),
    "a black-box strategy": (
        ["at=1", "strategy=random"],
        "fork: strategy=random trains children of their own and has no use for a supernet's state",
    ),
    "another network": (
        ["at=1", "strategy=p_darts", "strategy.growth=[1,1,1]"],
        "fork: the state of epoch 1 does not fit the strategy PDarts with its settings",
    ),
}


@pytest.mark.parametrize("case", some_slow(REFUSED, "another network"))
def test_what_cannot_be_forked_is_refused_and_leaves_nothing(
    parent, tmp_path, monkeypatch, capsys, case
):
    typed, message = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run("search", f"fork={parent}", "hydra.run.dir=forked", *typed)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "typed", "message"),
    [
        ("search", ["at=1"], "at=1 has no effect: it goes with fork=RUN_DIR"),
        ("search", ["fork=nowhere", "at=1"], "nowhere is no run: it has no .hydra/config.yaml"),
        ("train", ["darts_v2", "fork=x", "at=1"], "fork= goes with nas-search, not with nas-train"),
        ("search", ["fork={random}", "at=1"], "is a black-box search, which has no epochs"),
    ],
)
def test_a_fork_of_nothing_is_refused(
    finished_random, tmp_path, monkeypatch, capsys, command, typed, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run(command, *[each.format(random=finished_random) for each in typed])
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_run_is_not_forked_into(parent, capsys):
    before = sorted(parent.rglob("*"))
    with pytest.raises(SystemExit):
        fork(parent, parent)
    assert "must not hold a run already" in capsys.readouterr().err
    assert sorted(parent.rglob("*")) == before


def test_kept_epochs_are_those_of_files_of_their_own_and_the_last(tmp_path):
    search(tmp_path, "checkpoints.every=2")
    names = {epoch: path.name for epoch, path in kept_epochs(RunFolder(tmp_path)).items()}
    assert names == {1: "epoch=001.ckpt", 2: "last.ckpt"}


@pytest.mark.slow
def test_a_search_in_python_is_forked_with_its_objects(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((200, 8, 8)).astype("float32"), np.arange(200) % 4
    data = {"x": x, "y": y, "kind": "images"}
    small = [each for each in SHORT if not each.startswith("data.max")]
    typed = {"data": data, "overrides": [*small, "checkpoints.every=1"]}
    parent = nl.search(**typed, folder=tmp_path / "a")
    forked = nl.search(data=data, fork=parent.folder, at=0, folder=tmp_path / "b")
    assert forked.genotype == parent.genotype
    assert Path(forked.result["fork"]["run"]) == parent.folder
    assert forked.alphas.equals(parent.alphas)
    with pytest.raises(ValueError, match="not the run's own: data"):
        nl.search(data={**data, "x": 1 - x}, fork=parent.folder, at=0,
                  folder=tmp_path / "c")  # fmt: skip
    assert not (tmp_path / "c").exists()
