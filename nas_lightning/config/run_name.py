"""The name of a new run's folder, which says what the run works on."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

__all__ = ["register", "run_name"]

MOST = 40  # letters of a part
UNNAMED = ("folder", "hub", "own")  # options that say nothing about the data
TIME = re.compile(r"\d\d-\d\d-\d\d-\d+_")  # before the name of another run's folder


def register() -> None:
    """Lets a configuration write ${run_name:COMMAND}."""
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)


def run_name(command: str, *, _root_: DictConfig) -> str:
    """Returns e.g. "darts_digits" for a search, from its whole configuration.

    >>> choices = {"hydra": {"runtime": {"choices": {"strategy": "darts", "data": "folder"}}}}
    >>> run_name("search", _root_=OmegaConf.create({"data": {"path": "my/leaves"}, **choices}))
    'darts_leaves'
    """
    data = _choice(_root_, "data")
    if data in UNNAMED:
        data = _value(_root_, "data.name") or _value(_root_, "data.path") or data
    parts = {
        "search": [_choice(_root_, "strategy"), data],
        "train": ["train", *_trained(_root_, data)],
        "benchmark": ["benchmark", _choice(_root_, "strategy"), _choice(_root_, "data")],
        "derive": ["derive", _value(_root_, "rule"), _value(_root_, "run")],
        "measure": [_value(_root_, "what"), data],
    }[command]
    return "_".join(filter(None, map(_part, parts))) or command


def _trained(cfg: DictConfig, data: Any) -> Iterable[Any]:
    """Returns what a training is named by: of another run, whose data it takes, the run alone."""
    genotype = _value(cfg, "genotype")
    path = Path(os.path.abspath(os.path.expanduser(str(genotype))))
    candidate = path.stem if os.path.isfile(path.parent / "derived.json") else ""
    run = path.parent if candidate else path
    overrides = _value(cfg, "hydra.overrides.task")
    typed: Any = [] if overrides is None else OmegaConf.to_container(overrides)  # not interpolated
    is_typed = any(str(each).lstrip("+").startswith("data=") for each in typed)
    if is_typed or not os.path.isfile(run / ".hydra" / "config.yaml"):
        return genotype, data
    return run, candidate if candidate != "genotype" else ""


def _choice(cfg: DictConfig, group: str) -> Any:
    return _value(cfg, f"hydra.runtime.choices.{group}")


def _value(cfg: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(cfg, key)
    except OmegaConfBaseException:  # to be told where the value is used
        return None


def _part(value: Any) -> str:
    """Returns a name of plain characters: of a path its last part, of a text notation none."""
    text = str(value or "")
    if set(text) & set("(|"):
        return "genotype"
    path = Path(text)
    path = path.parent if path.name == "genotype.json" else path
    name = TIME.sub("", path.stem if path.suffix in (".json", ".npz", ".zip") else path.name)
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:MOST]
