"""The report's lines to paste: quoted, and fit for the run."""

from pathlib import Path

import pytest

from nas_lightning.reports.conclusion import conclude
from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.usage import next_steps, uses

CHILD = {"test_accuracy": 0.9, "cost": {"epochs_trained": 12}}
RESULT = {
    "space": "darts",
    "strategy": "darts",
    "command": "nas-search seed=3 strategy=darts strategy.order=second 'data.path=my images'",
    "input_shape": [3, 32, 32],
    "targets": "classes",
    "search": {"validation_accuracy": 0.9},
    "child": CHILD,
}


def lines(result, folder=Path("/home/me/run 1")):
    return [line for _, line in uses(folder, result)]


def following(result):
    steps = next_steps(Path("/run"), result, conclude(result, MainMetric()))
    return [line or text for text, line in steps]


def test_a_child_is_loaded_used_exported_and_trained_longer():
    assert lines(RESULT) == [
        "import nas_lightning as nl\nchild = nl.load_child('/home/me/run 1')",
        "child.classify('photo.png')\nchild.predict('photo.png')  # probabilities",
        "from nas_lightning.deployment.export import export_child\n"
        "export_child('/home/me/run 1', ['onnx'])",
        "nas-train 'genotype=/home/me/run 1' child.epochs=60",
        "nas-train 'genotype=/home/me/run 1' child=darts_cifar",
    ]


def test_images_too_small_for_the_published_recipe_are_not_offered_it():
    assert "darts_cifar" not in "".join(lines(RESULT | {"input_shape": [1, 8, 8]}))


def test_without_a_child_the_line_trains_it():
    assert lines(RESULT | {"child": None}, Path("/run")) == ["nas-train genotype=/run"]


@pytest.mark.parametrize(("shape", "targets"), [([2, 96], "classes"), ([6], "values")])
def test_what_is_no_image_is_an_array(shape, targets):
    (_, (text, line), *_) = uses(Path("/run"), RESULT | {"input_shape": shape, "targets": targets})
    assert f"an array {tuple(shape)} of raw numbers" in text
    assert "photo" not in line
    assert ("classify" in line) == (targets == "classes")


def test_a_space_of_the_users_own_is_imported_and_passed():
    own = RESULT | {"own_space": "my_net.Net", "space": "custom"}
    assert lines(own, Path("/run"))[0] == (
        "import nas_lightning as nl\nfrom my_net import Net\n"
        "child = nl.load_child('/run', space=Net)"
    )


def test_a_search_from_python_is_trained_longer_from_python():
    called = RESULT | {"command": "nl.search(data=<arrays>)", "own_space": "__main__.Layers()"}
    assert lines(called, Path("/run"))[-2].startswith(
        "nl.train('/run', data, search_space=Layers(), overrides=['child.epochs=60'])"
    )
    assert following(called) == [
        "Repeat the call with seed=1 and seed=2: one run alone shows little."
    ]


def test_the_command_is_repeated_with_other_seeds_and_another_strategy():
    assert following(RESULT) == [
        "nas-search -m strategy=darts strategy.order=second 'data.path=my images' seed=0,1,2",
        "nas-report /run OTHER_RUN_DIR",
        "nas-search 'data.path=my images' strategy=drnas",
    ]


def test_a_black_box_search_is_offered_more_trials():
    black_box = RESULT | {"search": {"trials": 20}, "command": "nas-search strategy.trials=20"}
    assert following(black_box)[-1] == "nas-search strategy.trials=40"


def test_where_no_search_was_needed_that_is_said_first():
    result = RESULT | {"baselines": {"random_genotype": {"test_accuracy": 0.95}}}
    assert following(result)[0].startswith("A network that needs no search does as well here")


def test_an_open_verdict_is_decided_without_another_search():
    verdict = {"answer": "undecided", "children": 3, "wins": 3, "more_children": 21}
    shown = {"win_share": [0.2, 1.0], "difference": 0.1, "interval": [None, None]}
    line = "nas-train genotype=/run baselines=true verdict.children=24"
    assert line in following(RESULT | {"verdict": verdict | shown})
    assert line not in following(RESULT | {"verdict": verdict | shown | {"more_children": None}})
