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
    "strategy.sample_size": 1,
    "evaluation.scale.channels": 4,
    "evaluation.epochs": 1,
    "evaluation.max_images": 60,
    "search_space.scale.channels": 4,
    "search_space.scale.cells": 3,
    "child.epochs": 1,
    "child.scale.channels": 4,
    "child.scale.cells": 3,
    "seeds": 3,
    "children": 3,
    "batch_size": 16,
}
ELSEWHERE = {  # what a machine for tests lacks
    "child.init=RUN_DIR": "that run's scale: tests/test_using_the_child.py",
    "child.init=supernet": "the supernet's scale: tests/test_using_the_child.py",
    "data=cifar10": "a download",
    "data=hub": "a download",
    "hardware=gpu": "a GPU",
    "hardware=ddp": "several processes: tests/cli/test_several_processes.py",
    "logger=wandb": "a login",
    "logger=[wandb,tensorboard]": "a login",
    "experiment=pc_darts_cifar": "a download",
    "hardware.latency=RUN_DIR/latency.json": "its space and scale: tests/commands/test_latency.py",
    "experiment=planted": "the path that its page gives",
    "resume=outputs/sweep/DIR": "a sweep: tests/cli/test_sweep_resume.py",
    "outputs/sweep/DIR": "a sweep: tests/commands/test_report.py",
}


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
        for number in range(12):
            image = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
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


def first_values(arguments: list[str], number: int = 1) -> list[str]:
    """Returns a sweep's arguments with the first values of each key alone."""
    parsed = OverridesParser.create().parse_overrides([a for a in arguments if a != "-m"])
    values = [list(o.sweep_string_iterator()) if o.is_sweep_override() else [] for o in parsed]
    return [
        f"{o.get_key_element()}={','.join(v[:number])}" if v else o.input_line
        for o, v in zip(parsed, values, strict=True)
    ]


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documents_composes(command):
    name, arguments = words_of(command)
    if name == "report":
        assert set(arguments) <= {"RUN_DIR", "outputs/sweep/DIR", "--out", "page.html"}
    elif any(a.startswith(("resume=", "--")) for a in arguments):
        assert not set(arguments) - {"resume=RUN_DIR", "resume=outputs/sweep/DIR", *FLAGS}
    else:
        schema.composed(name, first_values(arguments))


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documents_runs(command, folder, monkeypatch):
    if reason := next((ELSEWHERE[a] for a in words_of(command)[1] if a in ELSEWHERE), None):
        pytest.skip(f"needs {reason}")
    monkeypatch.chdir(folder)
    name, arguments = words_of(command)
    small = []
    if name != "report" and not any(a.startswith(("resume=", "--")) for a in arguments):
        cfg = schema.composed(name, first_values(arguments))
        typed = {a.partition("=")[0].lstrip("+~") for a in arguments} - {"child.epochs"}
        keys = [
            key for key in SMALL if key not in typed and (name != "benchmark" or key == "seeds")
        ]
        small = [f"{k}={SMALL[k]}" for k in keys if OmegaConf.select(cfg, k) is not None]
        if "-m" in arguments:
            arguments = ["-m", *first_values(arguments, 2)]
        kept = [a for a in arguments if not a.startswith(("child.epochs=", "strategy.trials="))]
        arguments = [*kept, *(s for s in small if s not in kept)]
    run(name, *arguments)


@pytest.mark.parametrize("page", [page for page in pages() if python_blocks(page)])
def test_every_block_of_python_is_one(page):
    for block in python_blocks(page):
        compile(block, page, "exec")


def test_every_page_stands_in_the_navigation():
    text = (ROOT / "docs" / "zensical.toml").read_text()
    assert [p for p in pages() if p.startswith("docs/") and f'"{Path(p).name}"' not in text] == []
