"""What each training of a run may take of the time that the run is given."""

import os
import time
from functools import partial
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from nas_lightning.run.folder import RunFolder
from nas_lightning.run.time_bounds import begin_of, child_plan, search_plan, time_notes, trial_time
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware

ONE_SHOT, BLACK_BOX = SimpleNamespace(epochs=6), SimpleNamespace(trials=8)


def run(*typed, objects=None, **settings):
    verdict = {"children": settings.pop("children", 1), "resnet": True}
    bounds = {"max_seconds": None, "max_seconds_in_all": None, "retrain": True}
    cfg = OmegaConf.create({**bounds, "verdict": verdict, **settings})
    parts, folder = (
        SimpleNamespace(recipe=ChildRecipe(), hardware=Hardware()),
        SimpleNamespace(overrides=typed, lineage={}),
    )
    return SimpleNamespace(cfg=cfg, parts=parts, folder=folder, objects=objects or {})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"max_seconds": 30.0}, (30.0, "max_seconds", 1)),
        ({"max_seconds_in_all": 80.0}, (40.0, "max_seconds_in_all", 0.5)),
        ({"max_seconds_in_all": 80.0, "max_seconds": 30.0}, (30.0, "max_seconds", 1)),
        ({"max_seconds_in_all": 80.0, "retrain": False}, (80.0, "max_seconds_in_all", 1)),
    ],
)
def test_a_search_has_its_own_time_or_half_of_all(settings, told):
    for bound in (search_plan(run(**settings), ONE_SHOT), trial_time(run(**settings), BLACK_BOX)):
        assert (bound.seconds, bound.key, bound.share) == told


def test_the_start_of_the_process_counts_unless_a_run_is_resumed(tmp_path):
    (tmp_path / ".hydra").mkdir()
    made = tmp_path / ".hydra" / "overrides.yaml"
    made.write_text("[]")
    os.utime(made, (time.time() - 12, time.time() - 12))
    assert time.monotonic() - begin_of(RunFolder(tmp_path)) == pytest.approx(12, abs=1)
    (tmp_path / "trials.jsonl").write_text("{}")
    assert time.monotonic() - begin_of(RunFolder(tmp_path)) == pytest.approx(0, abs=1)


def test_without_a_bound_nothing_is_planned():
    search = {"cost": {"wall_s": 1.0}}
    plans = search_plan(run(), ONE_SHOT), trial_time(run(), BLACK_BOX), child_plan(run(), search, 0)
    assert plans == (None, None, None)


@pytest.mark.parametrize(
    ("typed", "objects", "most"),
    [
        ((), {}, None),
        (("strategy.lr=1",), {}, None),
        (("strategy.epochs=6", "strategy.trials=8"), {}, (6, 8)),
        ((), {"strategy": partial(dict, epochs=6, trials=8)}, (6, 8)),
    ],
)
def test_what_was_given_is_the_most(typed, objects, most):
    bounded = run(*typed, objects=objects, max_seconds=30.0)
    found = search_plan(bounded, ONE_SHOT).most, trial_time(bounded, BLACK_BOX).most
    assert found == (most or (None, None))


def test_the_rest_is_shared_by_the_child_and_what_is_trained_alike():
    search = {"cost": {"wall_s": 40.0}}
    assert child_plan(run(max_seconds_in_all=100.0), search, 46.0).seconds == 49 / 3  # 5 stay
    assert child_plan(run(max_seconds_in_all=100.0), search, 2.0).seconds == 55 / 3  # resumed
    assert child_plan(run(max_seconds_in_all=100.0, children=4), search, 46.0).seconds == 49 / 6
    late = child_plan(run("child.epochs=9", max_seconds_in_all=30.0), search, 46.0)
    assert (late.seconds, late.most) == (0, 12)


@pytest.mark.parametrize(
    ("settings", "search", "told"),
    [
        ({}, {}, []),
        ({"max_seconds": 30.0}, {}, ["max_seconds (30 s) allowed 7 epochs; they took 29 s"]),
        (
            {"max_seconds_in_all": 80.0},
            {"trials": 5},
            [
                "max_seconds_in_all (80 s), 40 s of it for the search, allowed 5 trials; they "
                "took 29 s"
            ],
        ),
    ],
)
def test_a_note_says_how_much_the_time_allowed(settings, search, told):
    cost = {"cost": {"wall_s": 29.3, "epochs_trained": 7}}
    assert time_notes(run(**settings), cost | search) == told
