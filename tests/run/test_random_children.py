"""Random children are trained until they decide the verdict, or the most are."""

from types import SimpleNamespace

import pytest

from nas_lightning.run import random_children
from nas_lightning.run.random_children import check_verdict, unbeaten, verdict_of
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.task import Classification


def run_of(init=None):
    return SimpleNamespace(
        parts=SimpleNamespace(task=Classification(), recipe=SimpleNamespace(init=init))
    )


RUN = run_of()
BASELINES = {"random_genotype": {"genotype_id": "a", "test_accuracy": 0.8, "cost": {"wall_s": 9.0}}}


@pytest.fixture
def trained(monkeypatch):
    """Has every random child after the first one these figures; holds their numbers."""
    numbers = []

    def give(**figures):
        def child(run, number):
            numbers.append(number)
            return {"genotype_id": f"g{number}", **figures}

        monkeypatch.setattr(random_children, "random_child", child)
        return numbers

    return give


def verdict(accuracy, most):
    return verdict_of(RUN, {"test_accuracy": accuracy}, BASELINES, most)


@pytest.mark.parametrize(
    ("accuracy", "most", "answer", "numbers"),
    [
        (0.9, 1, "undecided", []),
        (0.9, 4, "undecided", [2, 3, 4]),
        (0.9, 30, "worth it", list(range(2, 25))),
        (0.5, 30, "not worth it", [2]),
    ],
)
def test_children_are_trained_until_they_decide(trained, accuracy, most, answer, numbers):
    made = trained(test_accuracy=0.7, cost=CostMeter(wall_s=2.0, children_trained=1).as_dict())
    content = verdict(accuracy, most)
    assert (content["answer"], made, content["most_children"]) == (answer, numbers, most)
    assert content["cost"]["children_trained"] == len(numbers)
    assert content["cost"]["wall_s"] == 2.0 * len(numbers)  # the first one is a baseline
    assert content["others"][0] == {"genotype_id": "a", "test_accuracy": 0.8}


def test_a_child_that_diverges_is_beaten(trained):
    trained(diverged=1.0)
    content = verdict(0.7, 2)
    assert (content["wins"], content["others"][1]["test_accuracy"]) == (1, None)


@pytest.mark.parametrize(("children", "notes"), [(None, 1), (1, 1), (3, 0)])
def test_beside_several_random_children_the_first_one_has_no_note(children, notes):
    verdict = children and {"children": children}
    linear = {"logistic_regression": {"test_accuracy": 0.9}}
    told = unbeaten(RUN, {"test_accuracy": 0.7}, BASELINES | linear, verdict)
    assert len([note for note in told if note.startswith("a random genotype, trained")]) == notes
    assert (
        "logistic regression does as well as the found network or better on this test set" in told
    )


def test_there_is_no_verdict_of_no_children_nor_of_a_start_that_random_ones_lack():
    assert verdict(0.9, 0) is None
    assert verdict_of(run_of("supernet"), {"test_accuracy": 0.9}, BASELINES, 1) is None
    with pytest.raises(ValueError, match=r"verdict.children \(2\) random networks start anew"):
        check_verdict({"children": 2, "resnet": True}, True, "retrain=true", "supernet")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"children": -1}, r"verdict.children \(-1\) must be at least 0; use e.g. 24"),
        ({"children": 9}, r"verdict.children \(9\) has no effect .*; give retrain=true, or leave"),
        ({"resnet": False}, r"verdict.resnet \(False\) has no effect where the child is not"),
    ],
)
def test_settings_of_a_verdict_that_is_not_given_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        check_verdict({"children": 1, "resnet": True} | settings, False, "retrain=true")
