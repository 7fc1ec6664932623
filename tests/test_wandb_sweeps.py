"""The sweep definitions of Weights & Biases start commands that can be composed."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from nas_lightning.config import schema
from nas_lightning.config.paths import config_dir

SWEEPS = sorted((config_dir() / "sweep").glob("*.yaml"))
METHODS = {"grid", "random", "bayes"}
PRIMARIES = {"nas-search": "search", "nas-train": "train"}


def read(path: Path) -> dict:
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    return content


def extremes(parameter: dict) -> list:
    """Returns the values that a parameter can take, of a range its ends."""
    if "value" in parameter:
        return [parameter["value"]]
    return parameter.get("values") or [parameter["min"], parameter["max"]]


def arguments(sweep: dict, values: dict) -> list[str]:
    """Returns what an agent of W&B adds to the command: its own function says so."""
    made = create_sweep_command_args({"args": {key: {"value": v} for key, v in values.items()}})
    words = sweep["command"][2:]
    fixed = [word for word in words if not word.startswith("${")]
    return [*fixed, *made["args_no_hyphens"]]


@pytest.fixture(scope="module")
def composing():
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        yield


def test_there_is_a_sweep_of_every_method():
    assert {read(path)["method"] for path in SWEEPS} == METHODS


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_an_agent_starts_one_of_our_commands_with_plain_overrides(path):
    sweep = read(path)
    assert sweep["program"] in PRIMARIES
    assert sweep["command"][:2] == ["${env}", "${program}"]
    assert sweep["command"][-1] == "${args_no_hyphens}"
    assert "logger=wandb" in sweep["command"]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_key_of_a_sweep_composes_and_takes_its_values(composing, path):
    sweep = read(path)
    ends = {key: extremes(parameter) for key, parameter in sweep["parameters"].items()}
    for turn in range(max(map(len, ends.values()))):
        chosen = {key: values[turn % len(values)] for key, values in ends.items()}
        cfg = compose(PRIMARIES[sweep["program"]], arguments(sweep, chosen))
        plain = {k: v for k, v in chosen.items() if "." in k or k == "seed"}
        assert {key: OmegaConf.select(cfg, key) for key in plain} == plain


@pytest.mark.slow
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_goes_after_a_figure_of_the_summary_that_is_no_test_figure(path, shown, trained):
    figures = {
        f"{part}/{name}"
        for folder, part in ((shown, "search"), (trained, "child"))
        for name in json.loads((folder / "result.json").read_text())[part]
    }
    metric = read(path)["metric"]
    assert metric["name"] in figures
    assert "test" not in metric["name"]
    assert metric["goal"] == "maximize"
