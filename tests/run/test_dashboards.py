"""What a run shows on dashboards, read back from their own files."""

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
import quick_job
import torch
from command import TINY, bits, rows, run
from failing_logger import METHODS
from PIL import Image
from wandb_log import read_run

from nas_lightning.run import dashboards
from nas_lightning.run.folder import RunFolder

BOTH = ("logger=[wandb,tensorboard]", "logger.wandb.tags=[quick]")
COST = (
    "wall_s",
    "device_s",
    "training_samples",
    "gradient_steps",
    "children_trained",
    "epochs_trained",
)
ALPHA = "alpha/normal/node_2/normal/edge_0_2/sep_conv_3x3"


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def image_of(folder, value):
    """Returns an image that a run logged; its path is below the files of its folder."""
    (path,) = (folder / "wandb").glob(f"offline-run-*/files/{value['path']}")
    return Image.open(path)


def test_search_and_child_are_runs_of_one_group_with_the_names_of_the_configuration(runs):
    search, child = runs["search"], runs["child"]
    assert (search.name, child.name) == (
        "darts darts digits seed 0",
        "darts darts digits seed 0 child",
    )
    assert (search.group, child.group) == ("run", "run")
    assert search.project == child.project == "nas_lightning"
    assert set(search.tags) == set(child.tags) == {"darts", "digits", "quick"}
    assert search.id != child.id
    assert (search.exit_code, child.exit_code) == (0, 0)


def test_a_run_knows_its_whole_configuration(runs, shown):
    config = runs["search"].config
    assert config["strategy"] == "darts"
    assert config["strategy.epochs"] == 2
    assert config["strategy.params_optimizer.lr"] == 0.025
    assert config["folder"] == str(shown)


def test_alphas_are_lines_from_the_start_with_the_weights_of_alphas_csv(runs, shown):
    wanted = {
        (f"alpha/{r['group']}/{r['choice']}/{r['option']}", int(r["epoch"])): float(r["weight"])
        for r in rows(shown / "alphas.csv")
    }
    found = {
        (key, row["epoch"]): value
        for row in runs["search"].history
        for key, value in row.items()
        if key.startswith("alpha/")
    }
    assert found == wanted
    assert runs["search"].axes == {"", "epoch"}


def test_every_metric_of_search_and_child_is_a_line(runs, shown):
    for job, folder in (("search", shown), ("child", shown / "child")):
        for row in rows(folder / "metrics.csv"):
            epoch = int(row.pop("epoch"))
            values = {name: dict(runs[job].points(name))[epoch] for name in row}
            assert values == pytest.approx({n: float(v) for n, v in row.items()}, rel=1e-6)


def test_rates_losses_accuracies_entropy_and_skips_are_among_the_lines(runs):
    names = {name for each in runs.values() for row in each.history for name in row}
    assert names >= {
        "search/lr",
        "search/alpha_lr",
        "search/alpha_entropy",
        "search/skip_share",
        "search/train_loss",
        "search/validation_loss",
        "search/validation_accuracy",
        "child/lr",
        "child/train_loss",
        "child/train_accuracy",
        "child/test_accuracy",
    }


def test_the_heat_map_grows_with_the_epochs(runs, shown):
    values = runs["search"].points("search/alphas")
    assert [epoch for epoch, _ in values] == [-1, 0, 1]
    pictures = [np.asarray(image_of(shown, value)) for _, value in values]
    assert [picture.shape for picture in pictures] == [pictures[0].shape] * 3
    assert all((a != b).any() for a, b in pairwise(pictures))


def test_the_genotypes_drawing_is_an_image_of_search_and_child(runs, shown):
    last = image_of(shown, runs["search"].points("search/genotype")[-1][1])
    child = image_of(shown, runs["child"].points("child/genotype")[-1][1])
    assert min(last.size) > 200
    assert (np.asarray(last) == np.asarray(child)).all()


def test_the_summaries_carry_cost_and_test_accuracy(runs, shown):
    result = result_of(shown)
    for job in ("search", "child"):
        for name in COST:
            assert runs[job].summary[f"{job}/cost/{name}"] == result[job]["cost"][name]
    assert runs["child"].summary["child/test_accuracy"] == result["child"]["test_accuracy"]
    assert runs["child"].summary["search/cost/wall_s"] == result["search"]["cost"]["wall_s"]
    accuracy = result["search"]["validation_accuracy"]
    assert runs["search"].summary["search/validation_accuracy"] == accuracy


def test_genotype_and_child_are_artifacts_that_name_what_they_came_from(runs, shown):
    number = result_of(shown)["genotype_id"]
    genotype = runs["search"].artifacts[f"genotype-{number}"]
    child = runs["child"].artifacts[f"child-{number}"]
    assert (genotype.type, child.type) == ("genotype", "model")
    assert [each.path for each in genotype.manifest.contents] == ["genotype.json", "genotype.svg"]
    assert [each.local_path for each in child.manifest.contents] == [f"{shown}/child/last.ckpt"]
    assert runs["search"].id in genotype.aliases
    assert runs["child"].config["genotype_artifact"] == f"genotype-{number}"
    assert json.loads(child.metadata)["genotype"] == f"genotype-{number}"


def test_all_files_of_dashboards_are_in_the_runs_folder(shown):
    assert sorted(path.name for path in shown.parent.iterdir()) == ["run", "told.txt"]
    assert {path.name for path in (shown / "tensorboard").iterdir()} == {"search", "child"}


def test_loggers_that_work_or_fail_change_no_bit_of_the_result(shown, finished):
    watched, plain = bits(shown), bits(finished)
    for name in ("alphas.csv", "metrics.csv", "child/metrics.csv", "child/last.ckpt"):
        assert watched[name] == plain[name]
    for part in ("state_dict", "optimizer_states"):
        name = "checkpoints/last.ckpt"
        assert watched[name][part] == plain[name][part]
    assert (
        result_of(shown)["child"]["test_accuracy"] == result_of(finished)["child"]["test_accuracy"]
    )


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"name", "version", "save_dir"}))
def test_a_logger_that_fails_is_told_of_once_a_run_and_dropped(shown, method):
    told = (shown.parent / "told.txt").read_text().splitlines()
    line = (
        f"logger.{method}_fails failed; the run goes on without it: "
        f"OSError: [Errno 28] No space left for {method}"
    )
    assert told.count(line) == 2  # search and child


@pytest.fixture(scope="session")
def trials(tmp_path_factory, offline):
    """The folder of a finished black-box search."""
    folder = tmp_path_factory.mktemp("trials") / "run"
    short = [each for each in TINY if not each.startswith(("strategy", "child.epochs"))]
    run("search", f"hydra.run.dir={folder}", "strategy=random", "strategy.trials=2",
        "child.epochs=1", "retrain=false", "logger=wandb", *short)  # fmt: skip
    return folder


def test_trials_of_a_black_box_search_are_shown_alike(trials):
    (folder,) = (trials / "wandb").glob("offline-run-*")
    logged, search = read_run(folder), result_of(trials)["search"]
    assert logged.name == "random darts digits seed 0"
    assert [number for number, _ in logged.points("search/validation_accuracy")] == [0, 1]
    assert max(y for _, y in logged.points("search/reward")) == search["reward"]
    assert logged.points("search/best_reward")[-1][1] == search["reward"]
    assert logged.points("search/genotype")[0][1]["_type"] == "image-file"
    assert logged.summary["search/cost/children_trained"] == 2
    assert "trial" in logged.axes


def test_a_resumed_search_goes_on_under_its_id_and_shows_no_trial_again(trials, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trials, folder, symlinks=True)
    (folder / "result.json").unlink()
    (known,) = (folder / "wandb").glob("offline-run-*")
    run("search", f"resume={folder}")
    (resumed,) = set((folder / "wandb").glob("offline-run-*")) - {known}
    assert read_run(resumed).id == read_run(known).id
    assert read_run(resumed).points("search/reward") == []
    assert read_run(resumed).summary["search/reward"] == result_of(trials)["search"]["reward"]


@pytest.mark.slow
def test_a_resumed_run_goes_on_under_its_id(shown, runs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(shown, folder, symlinks=True)
    for name in ("result.json", "child/last.ckpt"):
        (folder / name).unlink()
    known = set((folder / "wandb").glob("offline-run-*"))
    run("search", f"resume={folder}")
    resumed = [read_run(each) for each in set((folder / "wandb").glob("offline-run-*")) - known]
    assert {each.job_type: each.id for each in resumed} == {j: r.id for j, r in runs.items()}
    (search,) = (each for each in resumed if each.job_type == "search")
    assert search.points(ALPHA) == []  # a search that was complete is not shown again
    assert torch.equal(*(weights_of(each) for each in (folder, shown)))


def weights_of(folder):
    content = torch.load(folder / "child" / "last.ckpt", weights_only=True)
    return torch.cat([value.flatten().double() for value in content["state_dict"].values()])


def test_a_sweeps_folder_is_the_group_of_its_runs(call, capsys):
    def job(cfg, folder):
        print("group", dashboards._facts(cfg, RunFolder(folder), "search", None).group)
        return quick_job.job(cfg, folder)

    assert call("-m", "hydra.sweep.dir=rates", "seed=5,6", job=job) == 0
    assert capsys.readouterr().out.count("group rates\n") == 2
