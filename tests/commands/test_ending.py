"""The epoch that a search ends with, and what becomes of one that collapses."""

import json
from functools import partial

import pytest
from command import TINY, bits, result, rows, run
from omegaconf import OmegaConf

import nas_lightning as nl
from nas_lightning.core.optimizers import Sgd
from nas_lightning.run.ending import check_ending
from nas_lightning.training.supernet import SupernetModule

pytestmark = pytest.mark.usefixtures("unreported")

SHORT = (*TINY, "strategy.epochs=3", "data.max_images=200", "data.batch_size=50", "retrain=false")
STOP = (
    "strategy.on_collapse=stop",
    "callbacks.collapse.share=0.1",
    "callbacks.collapse.patience=1",
)
BEFORE = ("strategy.final=before_collapse", *STOP[1:])
BEST = ("strategy.final=best",)


class Kill(BaseException):
    """Stands for a kill at some point of a search."""


def ended(folder, *arguments):
    run("search", f'hydra.run.dir="{folder}"', *SHORT, *arguments)
    return folder


def genotype_id(path):
    return json.loads(path.read_text())["id"]


@pytest.fixture(scope="module", params=[BEST, STOP, BEFORE], ids=["best", "stop", "before"])
def searched(request, tmp_path_factory):
    """A whole search, and what was typed for it."""
    return ended(tmp_path_factory.mktemp("search"), *request.param), request.param


def killed_in(epoch, folder, *arguments):
    """Leaves a search that was killed in a step of an epoch; past the last, before the result."""
    step = SupernetModule.training_step

    def training_step(self, batch, batch_idx):
        if self.current_epoch == epoch and batch_idx == 1:
            raise Kill
        return step(self, batch, batch_idx)

    def write(*_):
        raise Kill

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SupernetModule, "training_step", training_step)
        patch.setattr("nas_lightning.commands.search.write_genotype", write)
        with pytest.raises(Kill):
            ended(folder, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 9])
def test_a_search_that_was_killed_ends_with_the_same_epoch_and_bits(searched, tmp_path, epoch):
    whole, typed = searched
    killed_in(epoch, tmp_path, *typed)
    run("search", f'resume="{tmp_path}"')
    assert bits(tmp_path) == bits(whole)


@pytest.mark.slow
def test_best_is_the_epoch_whose_mixture_validates_best(tmp_path):
    said = result(ended(tmp_path, *BEST, "seed=1"))["search"]
    values = [float(row["search/validation_accuracy"]) for row in rows(tmp_path / "metrics.csv")]
    best = values.index(max(values))
    assert (said["final"], said["final_epoch"], said["last_epoch"]) == ("best", best, 2)
    assert said["validation_accuracy"] == pytest.approx(values[best])
    found = tmp_path / "genotypes" / f"epoch={best:03d}.json"
    assert genotype_id(tmp_path / "genotype.json") == genotype_id(found)


def test_stop_ends_a_search_in_the_epoch_that_shows_the_collapse(tmp_path, capsys):
    whole = result(ended(tmp_path, *STOP))
    said = whole["search"]
    assert said["stopped_by_collapse"]
    assert said["collapse"]["seen"] == said["last_epoch"] == said["final_epoch"] == 0
    assert len(rows(tmp_path / "metrics.csv")) == said["cost"]["epochs_trained"] == 1
    assert "had no parameters, which ended it (strategy.on_collapse=stop)" in whole["notes"][0]
    assert "note: the search collapsed from epoch 0 (0-based) on: " in capsys.readouterr().out


def test_before_collapse_is_the_epoch_before_its_first_sign(tmp_path, monkeypatch):
    shares = iter([0.0, 0.9, 0.9])
    monkeypatch.setattr(
        "nas_lightning.callbacks.collapse.CollapseSentinel._shares",
        lambda self, module: {"parameter_free_share": next(shares), "genotype_skip_share": 0.0},
    )
    monkeypatch.setattr(
        "nas_lightning.callbacks.collapse.CollapseSentinel.on_validation_epoch_end",
        lambda *_: None,
    )
    whole = result(ended(tmp_path, "strategy.final=before_collapse"))
    said = whole["search"]
    assert (said["collapse"]["epoch"], said["collapse"]["seen"]) == (1, 2)
    assert (said["final_epoch"], said["last_epoch"], said["stopped_by_collapse"]) == (0, 2, False)
    assert whole["notes"][1] == (
        "the genotype is that of epoch 0 of 0 to 2 (strategy.final=before_collapse)"
    )


@pytest.mark.slow
def test_a_search_without_a_collapse_ends_with_the_last_epoch(tmp_path):
    typed = ("strategy.final=before_collapse", "callbacks.collapse.share=1")
    said = result(ended(tmp_path, *typed))["search"]
    assert (said["collapse"], said["final_epoch"]) == (None, 2)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (
            ["strategy.final=first"],
            "unknown strategy.final 'first'; choose from: last, best",
        ),
        (
            ["strategy.on_collapse=end"],
            "unknown strategy.on_collapse 'end'; choose from: warn",
        ),
        (
            ["strategy.on_collapse=stop", "callbacks.collapse=null"],
            "strategy.on_collapse (stop) needs the collapse sentinel",
        ),
        (
            ["strategy.final=before_collapse", "callbacks=[]"],
            "strategy.final (before_collapse) needs the collapse sentinel",
        ),
        (
            ["strategy=random_sharing", "callbacks.collapse.eigenvalue_every=1"],
            "callbacks.collapse.eigenvalue_every (1) needs a strategy whose scores are a function",
        ),
        (
            ["strategy=random", "strategy.final=best"],
            "strategy.final=best has no effect: strategy RandomSearch trains no supernet",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, monkeypatch, capsys, typed, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        run("search", "hydra.run.dir=run", *typed)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_epoch_is_chosen_in_python_too_also_of_a_strategy_that_is_an_object(tmp_path):
    strategy = partial(nl.Darts, epochs=2, params_optimizer=Sgd(lr=0.05))
    small = [each for each in SHORT if not each.startswith(("strategy", "callbacks"))]
    found = nl.search(strategy=strategy, overrides=[*small, "strategy.final=best"], folder=tmp_path)
    assert found.result["search"]["final"] == "best"


def test_a_configuration_of_before_has_the_default():
    strategy = nl.Darts(nl.NasBench201Space(), seed=0)
    check_ending(OmegaConf.create({"strategy": {"epochs": 3}}), strategy, None)
