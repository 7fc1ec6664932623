"""Jobs of a sweep that would train the same baselines train them once, also at the same time."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import TINY_CHILD
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from nas_lightning.config import schema
from nas_lightning.config.paths import config_dir
from nas_lightning.run import baselines
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.run import Run, assemble

FIGURES = {"random_genotype": {"test_accuracy": 0.5}}


def composed(*overrides):
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("search", [*TINY_CHILD, *overrides])


def key(*overrides):
    cfg = composed(*overrides)
    return baselines.same_baselines(Run(cfg, None, assemble(cfg)))


@pytest.fixture(scope="module")
def plain():
    return key()


@pytest.mark.parametrize(
    "override",
    ["strategy=random", "search_space.scale.channels=4", "max_samples=99", "retrain=false"],
)
def test_what_only_the_search_knows_leaves_the_baselines_the_same(plain, override):
    assert key(override) == plain


@pytest.mark.parametrize(
    "override",
    ["seed=1", "child.lr=0.2", "data.batch_size=128", "search_space.nodes=2", "child.scale.cells=4",
     "hardware.precision=64-true", "data.augmentation=null", "limits.parameters=2k"],
)  # fmt: skip
def test_baselines_differ_with_all_that_a_child_depends_on(plain, override):
    assert key(override) != plain


def test_baselines_differ_with_the_content_of_the_data(tmp_path):
    def of_images(labels):
        images = np.arange(40 * 64, dtype=np.uint8).reshape(40, 8, 8)
        np.savez(tmp_path / "images.npz", images=images, labels=labels)
        return key("data=folder", f"data.path={tmp_path}/images.npz", "data.batch_size=8")

    assert of_images(np.arange(40) % 2) != of_images((np.arange(40) + 1) % 2)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Makes job n of a sweep ask for its baselines; counts how often they are trained."""
    cfg, trainings = composed(), []
    parts = assemble(cfg)

    def trained(_run, folder):
        trainings.append(folder)
        return FIGURES

    def run(number, mode="MULTIRUN"):
        kept = tmp_path / str(number) / ".hydra" / "hydra.yaml"
        kept.parent.mkdir(parents=True)
        subdir = {"mode": mode, "job": {"num": number}, "sweep": {"subdir": "${hydra.job.num}"}}
        kept.write_text(OmegaConf.to_yaml({"hydra": subdir}))
        return Run(cfg, RunFolder(tmp_path / str(number)), parts)

    def job(number, mode="MULTIRUN"):
        return baselines.baselines_of(run(number, mode))

    monkeypatch.setattr(baselines, "_trained", trained)
    job.run, job.trainings, job.kept = run, trainings, tmp_path / "baselines" / key()
    return job


def test_a_second_job_takes_what_the_first_one_trained(job):
    assert [job(0), job(1)] == [FIGURES, FIGURES]
    assert job.trainings == [job.kept]


def test_a_run_by_itself_trains_its_own(job, tmp_path):
    job(0, mode="RUN")
    assert job.trainings == [tmp_path / "0"]


def test_a_job_waits_while_another_process_trains_the_same(job, monkeypatch, capsys):
    job.kept.mkdir(parents=True)
    hold = (
        "import pathlib, sys; from nas_lightning.files import ProcessLock; "
        "lock = ProcessLock(pathlib.Path(sys.argv[1])).take(); "
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(job.kept / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()

        def finish(seconds):
            (job.kept / "figures.json").write_text(json.dumps({"from": "the other"}))
            other.communicate()

        monkeypatch.setattr(baselines.time, "sleep", finish)
        assert job(0) == {"from": "the other"}
    assert job.trainings == []
    assert "another job of the sweep trains the same baselines: waiting" in capsys.readouterr().err


def test_where_the_job_that_trained_them_was_stopped_the_next_one_trains(job):
    job.kept.mkdir(parents=True)
    (job.kept / "lock").touch()
    assert job(1) == FIGURES
    assert job.trainings == [job.kept]


def test_jobs_share_their_random_children_and_resnets_of_one_width(job, monkeypatch, tmp_path):
    trainings = []

    def figures(_run, *arguments, **_more):
        trainings.append(next(a for a in arguments if isinstance(a, Path)).name)
        return {"test_accuracy": 0.5}

    monkeypatch.setattr(baselines, "train_child", figures)
    monkeypatch.setattr(baselines, "train_network", figures)
    for number, parameters in enumerate((5_000, 5_010, 90_000)):
        run = job.run(number)
        assert baselines.baselines_of(run, {"parameters": parameters})["resnet"]["width"] > 0
        assert baselines.random_child(run, 2)["test_accuracy"] == 0.5
    assert [name.partition("_")[0] for name in trainings] == ["resnet", "random", "resnet"]
    assert (job.kept / "random_genotype_2" / "figures.json").is_file()
