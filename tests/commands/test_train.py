"""One child from a genotype to its test."""

import io
import json
from contextlib import redirect_stdout

import pytest
import torch
from command import TINY_CHILD, result, rows, run
from omegaconf import OmegaConf

from nas_lightning.commands import train

pytestmark = pytest.mark.usefixtures("unreported")

COST = {
    "wall_s",
    "device_s",
    "training_samples",
    "gradient_steps",
    "children_trained",
    "epochs_trained",
}


@pytest.fixture(scope="module")
def retrained(finished, tmp_path_factory):
    """The folder of the child that a search found, trained again beside the baselines."""
    folder = tmp_path_factory.mktemp("retrained") / "run"
    recipe = [o for o in TINY_CHILD if not o.startswith("search_space")]  # the run's own space
    run("train", f"hydra.run.dir={folder}", f"genotype={finished}", *recipe, "baselines=true")
    return folder


def test_a_published_genotype_is_trained_and_tested(trained):
    content = json.loads((trained / "result.json").read_text())
    assert (content["space"], content["strategy"], content["search"]) == ("darts", None, None)
    assert content["genotype_id"] == json.loads((trained / "genotype.json").read_text())["id"]
    assert content["baselines"] is None
    assert 0 <= content["child"]["test_accuracy"] <= 1
    assert set(content["child"]["cost"]) == COST
    assert (trained / "report.html").is_file()
    assert (trained / "genotype.svg").is_file()
    assert not list(trained.rglob("*.tmp"))


def test_the_child_is_as_large_as_its_own_space_says(trained):
    from nas_lightning.callbacks.checkpoint_file import best_or_last

    state = best_or_last(trained / "child")["state_dict"]
    numbers = [value.numel() for name, value in state.items() if name.endswith(("weight", "bias"))]
    assert sum(numbers) == result(trained)["child"]["parameters"]


def test_a_held_out_share_keeps_the_best_epoch(trained):
    accuracies = [
        float(row["child/validation_accuracy"]) for row in rows(trained / "child/metrics.csv")
    ]
    assert result(trained)["child"]["validation_accuracy"] == max(accuracies)
    best = torch.load(trained / "child" / "best.ckpt", weights_only=True)
    assert best["epoch"] == accuracies.index(max(accuracies))


def test_the_child_of_a_search_is_trained_again_to_the_same_bits(retrained, finished):
    wanted = result(finished)
    found = result(retrained)
    assert found["genotype_id"] == wanted["genotype_id"]
    assert found["child"] == wanted["child"]
    assert found["baselines"] == wanted["baselines"]


@pytest.fixture(scope="module")
def untyped(finished, tmp_path_factory):
    """The same child, of which little was typed; what was printed lies beside its folder."""
    folder, printed = tmp_path_factory.mktemp("untyped") / "run", io.StringIO()
    typed = ("data.batch_size=128", "callbacks=silent", "child.epochs=1")
    with redirect_stdout(printed):
        run("train", f"hydra.run.dir={folder}", f"genotype={finished}", *typed)
    (folder.parent / "printed.txt").write_text(printed.getvalue())
    return folder


def test_data_task_and_child_are_the_runs_but_for_what_is_typed(untyped, finished):
    own, taken = (OmegaConf.load(f / ".hydra" / "config.yaml") for f in (finished, untyped))
    wanted = {**own.data, "batch_size": 128}
    assert (taken.data, taken.task, taken.search_space) == (wanted, own.task, own.search_space)
    assert taken.child == {**own.child, "epochs": 1}
    assert result(untyped)["data"] == "digits"


@pytest.mark.slow
def test_a_run_that_took_its_parts_is_trained_again_alike(untyped, tmp_path):
    again = tmp_path / "again"
    run("train", f"hydra.run.dir={again}", f"genotype={untyped}", "callbacks=silent")
    assert result(again)["child"] == result(untyped)["child"]


def test_the_first_line_says_on_what_it_works(untyped, finished):
    assert (untyped.parent / "printed.txt").read_text().splitlines()[0] == (
        f"data digits (8x8, 10 classes), space darts, genotype {_short(str(finished))}, "
        "child of 3 cells x 2 channels"
    )


def _short(text):
    return text if len(text) <= 60 else f"{text[:57]}..."


def test_a_child_without_a_held_out_share_has_no_validation_figure(retrained):
    assert result(retrained)["child"]["validation_accuracy"] is None
    assert not (retrained / "child" / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("child", "given"), [({"validation_accuracy": 0.5}, 0.5), ({"validation_accuracy": None}, None)]
)
def test_a_sweeper_is_given_the_validation_accuracy(child, given, tmp_path, capsys):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "hydra.yaml").write_text("hydra: {}")
    (tmp_path / "result.json").write_text(json.dumps({"child": child}))
    assert train.job({}, tmp_path) == given
    assert "this run is complete; its result is in" in capsys.readouterr().out


def test_loggers_of_lightning_get_every_metric(tmp_path):
    run(
        "train", f"hydra.run.dir={tmp_path / 'run'}", "genotype=darts_v2", *TINY_CHILD,
        "search_space.nodes=4", "child.epochs=1", "data.batch_size=600",
        "+logger.csv._target_=lightning.pytorch.loggers.CSVLogger",
        f"+logger.csv.save_dir={tmp_path / 'log'}",
    )  # fmt: skip
    (metrics,) = (tmp_path / "log").rglob("metrics.csv")
    assert "child/train_loss" in metrics.read_text()
