"""Every command and every block of Python in the documents works as it stands there."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from command import TINY, run
from documents import ROOT, commands, named_files, pages, python_blocks
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from PIL import Image

from nas_lightning.cli.command_line import overrides_of
from nas_lightning.config import schema

SMALL = {  # keys that make an example small, where it has them and does not set them itself
    "data.max_images": 200,
    "data.batch_size": 32,
    "strategy.epochs": 2,
    "strategy.trials": 3,
    "strategy.population": 2,
    "strategy.sample": 1,
    "strategy.sample_size": 1,
    "evaluation.scale.channels": 4,
    "evaluation.channels": 4,
    "evaluation.epochs": 1,
    "evaluation.max_images": 60,
    "search_space.scale.channels": 4,
    "search_space.scale.cells": 3,
    "child.epochs": 1,
    "child.batch_size": 32,
    "child.scale.channels": 4,
    "child.scale.cells": 3,
    "seeds": 3,
    "children": 3,
    "batch_size": 16,
}
SHRUNK = {  # those that replace what an example says itself
    "children",
    "child.epochs",
    "child.scale.channels",
    "child.scale.cells",
    "evaluation.channels",
    "evaluation.epochs",
    "search_space.scale.channels",
    "strategy.trials",
    "strategy.population",
    "strategy.sample",
}
ELSEWHERE = {  # what a machine for tests lacks
    "fork=first": "a run to fork: tests/commands/test_fork.py",
    "data=cifar10": "the files of CIFAR-10",
    "data=hub": "a download",
    "hardware=gpu": "a GPU",
    "hardware=ddp": "several processes: tests/cli/test_several_processes.py",
    "logger=wandb": "a login",
    "logger=[wandb,tensorboard]": "a login",
    "experiment=pc_darts_cifar": "a download",
    "hardware.latency=RUN_DIR/latency.json": "its space and scale: tests/commands/test_latency.py",
    "experiment=darts_cifar": "a download",
    "experiment=planted": "the path that its page gives",
    "resume=outputs/sweep/DIR": "a sweep: tests/cli/test_sweep_resume.py",
    "outputs/sweep/DIR": "a sweep: tests/commands/test_report.py",
}


HERE = {"data=folder", "logger.wandb.mode=offline"}  # with these an example runs here, too


FLAGS = {"--help", "strategy", "strategy=gdas", "--cfg", "job"}  # of tests/cli/test_command_line.py


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with what the examples name: a run, images, modules of the user's own."""
    path = tmp_path_factory.mktemp("examples")
    for page in pages():
        for name, content in named_files(page).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(content)
    generator = np.random.default_rng(0)
    for label in ("elm", "oak"):
        for number in range(50):
            image = Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8))
            (path / "PATH" / label).mkdir(parents=True, exist_ok=True)
            image.save(path / "PATH" / label / f"{number}.png")
    image.save(path / "image.png")
    x, y = generator.integers(0, 256, (300, 32, 32, 3), np.uint8), np.arange(300) % 10
    np.savez(path / "cifar10.npz", x_train=x, y_train=y, x_test=x[:40] ^ 1, y_test=y[:40])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        run("search", "hydra.run.dir=RUN_DIR", "export=[onnx,pt2]", *TINY)
        random = ("experiment=nasbench201/random", "seeds=3")
        run("benchmark", *random, "hydra.run.dir=BENCHMARK_DIR")
    return path


def words_of(command: str) -> tuple[str, list[str]]:
    """Returns a command's name without "nas-", and its arguments, a genotype with its key."""
    name, *arguments = shlex.split(command)
    name = name.removeprefix("nas-")
    is_read = name == "report" or "--help" in arguments
    return name, arguments if is_read else overrides_of(name, arguments)


def some_values(arguments: list[str], first: int, last: int) -> list[str]:
    """Returns a sweep's arguments with some values of its first key, and one of each other."""
    shortened, part = [], slice(first, last)
    for o in OverridesParser.create().parse_overrides([a for a in arguments if a != "-m"]):
        values = list(o.sweep_string_iterator())[part] if o.is_sweep_override() else []
        shortened.append(f"{o.get_key_element()}={','.join(values)}" if values else o.input_line)
        part = slice(0, 1) if values else part
    return shortened


def made_small(name: str, arguments: list[str]) -> list[str]:
    """Returns the arguments of a command that does as those of an example do, on little."""
    is_sweep = "-m" in arguments
    jobs = [some_values(arguments, n, n + 1) for n in range(1 + is_sweep)]
    cfgs = [schema.composed(name, job) for job in jobs]
    has_scale = any(a.startswith("child.init=") for a in arguments)  # that of the params
    replaced = set() if has_scale else SHRUNK
    kept = [a for a in some_values(arguments, 0, 2) if a.partition("=")[0] not in replaced]
    typed = {a.partition("=")[0].lstrip("+~") for a in kept}
    if any("abular" in str(OmegaConf.select(cfg, "evaluation._target_")) for cfg in cfgs):
        typed.add("evaluation.epochs")  # a table has schedules of its own
    keys = [k for k in SMALL if k not in typed and not (has_scale and "scale" in k)]
    if name == "benchmark":
        keys = [key for key in keys if key == "seeds"]
    there = [k for k in keys if all(OmegaConf.select(c, k, default=0) != 0 for c in cfgs)]
    return ["-m"] * is_sweep + kept + [f"{key}={SMALL[key]}" for key in there]


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documents_composes(command):
    name, arguments = words_of(command)
    if name == "report":
        assert set(arguments) <= {"RUN_DIR", "outputs/sweep/DIR", "--out", "page.html"}
    elif any(a.startswith(("resume=", "--")) for a in arguments):
        assert not set(arguments) - {"resume=RUN_DIR", "resume=outputs/sweep/DIR", *FLAGS}
    else:
        others = [each for each in arguments if not each.startswith(("fork=", "at="))]
        schema.composed(name, some_values(others, 0, 1))


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documents_runs(command, folder, monkeypatch):
    name, arguments = words_of(command)
    reason = next((ELSEWHERE[a] for a in arguments if a in ELSEWHERE), None)
    if reason and not HERE & set(arguments):
        pytest.skip(f"needs {reason}")
    monkeypatch.chdir(folder)
    if name != "report" and not any(a.startswith(("resume=", "--")) for a in arguments):
        arguments = made_small(name, arguments)
    run(name, *arguments)


@pytest.mark.parametrize("page", [page for page in pages() if python_blocks(page)])
def test_every_block_of_python_is_one(page):
    for block in python_blocks(page):
        compile(block, page, "exec")


def test_every_page_stands_in_the_navigation():
    text = (ROOT / "docs" / "zensical.toml").read_text()
    assert [p for p in pages() if p.startswith("docs/") and f'"{Path(p).name}"' not in text] == []
