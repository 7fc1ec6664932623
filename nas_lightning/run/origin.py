"""Where a genotype comes from: a run's folder and a published name bring what belongs to it."""

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from nas_lightning.callbacks.checkpoint_file import best_or_last
from nas_lightning.config.making import make, plain_node
from nas_lightning.config.paths import config_dir
from nas_lightning.config.sources import (
    list_target,
    module_file,
    record_sources,
    recorded_sources,
)
from nas_lightning.config.trust import Trust, check_version, outside_targets
from nas_lightning.core.scale import Scale
from nas_lightning.run.folder import LATENCY, RunFolder
from nas_lightning.run.state import RunState
from nas_lightning.zoo.reader import needed_overrides

__all__ = [
    "CHECKPOINT",
    "SPACE",
    "as_searched",
    "begun",
    "run_of",
    "scale_of",
    "searched_run",
    "with_own_parts",
]

SPACE = ("search_space",)
SEARCHED = ("search_space", "strategy", "data", "task", "child", "limits")
DERIVED = "derived.json"  # beside the candidates of nas-derive
CHECKPOINT = "checkpoints/last.ckpt"
TRAINED = ("search_space", "data", "task", "child")
ARRAYS = "nas_lightning.data.from_arrays.data_of_arrays"


def begun(
    command: str, cfg: DictConfig, home: RunFolder, trust: Trust, objects: Collection[str] = ()
) -> DictConfig:
    """Returns the configuration of a run that begins, and notes the source of its search space.

    `nas-train genotype=RUN_DIR` takes its parts from that run, but for the groups of `objects`,
    and with baselines=true its limits; they are written to the new run's folder as if they had
    been typed.

    Raises: ValueError: the other run names code that is not trusted, or was given objects.
    """
    for target in _strange_space(cfg):
        if file := module_file(target):
            list_target(target, file)  # typed, or of an option file of the user
    if command == "derive":
        cfg = _with_search(cfg, trust)
        OmegaConf.save(cfg, home.config_file)
        home.write_choices({group: RunFolder(Path(cfg.run)).choice(group) for group in SEARCHED})
    if command == "train" and "genotype" not in objects:
        groups = [group for group in TRAINED if group not in objects]
        cfg = with_own_parts(cfg, home.overrides, groups, trust)
        origin = run_of(cfg.genotype)
        if origin is not None and cfg.baselines:
            _bring_limits(cfg, home.overrides, origin)
        OmegaConf.save(cfg, home.config_file)
        if origin is not None:
            home.write_choices({g: origin.choice(g) for g in _untyped(groups, home.overrides)})
    record_sources(home.path, _strange_space(cfg))
    return cfg


def _bring_limits(cfg: DictConfig, typed: Sequence[str], origin: RunFolder) -> None:
    """Bounds the random networks of a training as those of the search were, unless typed."""
    limits = {k: v for k, v in (origin.config.get("limits") or {}).items() if v is not None}
    for key in _untyped([f"limits.{name}" for name in limits], typed):
        OmegaConf.update(cfg, key, limits[key.removeprefix("limits.")])
    if cfg.limits.latency_ms is not None and cfg.hardware.get("latency") is None:
        OmegaConf.update(cfg, "hardware.latency", str(origin.hydra / LATENCY), force_add=True)


def run_of(genotype: str) -> RunFolder | None:
    """Returns the run whose folder genotype= names, or of which it names a candidate; else None."""
    path = Path(os.path.expanduser(genotype))
    for home in (RunFolder(path), RunFolder(path.parent)):
        is_run = os.path.isfile(home.config_file)  # a notation may be no path at all
        if is_run and (home.path == path or os.path.isfile(home / DERIVED)):
            return home
    return None


def searched_run(run: str) -> RunFolder:
    """Returns the folder of a finished search that has trained a supernet.

    Raises: ValueError: it is not, or another minor version has written it.
    """
    home = RunFolder(Path(run).expanduser().resolve())
    cure = "name the folder of a finished nas-search with a one-shot strategy, e.g. strategy=darts"
    if not home.is_run:
        raise ValueError(f"run ({run}) holds no run; {cure}")
    if home.command != "search":
        raise ValueError(f"run ({run}) is of nas-{home.command}, which has no supernet; {cure}")
    check_version(home.version(), f"the run in {run}")
    if "epochs" not in home.config.strategy and not home.objects:
        name = home.choice("strategy")
        raise ValueError(f"run ({run}) is of strategy {name}, which has no supernet; {cure}")
    if (state := RunState.of(home)).word != "finished":
        does = f"; {state.command} finishes it" if state.command else ""
        raise ValueError(f"run ({run}) must be finished, and is {state.word}{does}")
    if not (home / CHECKPOINT).is_file():
        raise ValueError(
            f"run ({run}) must have its {CHECKPOINT}, which holds the supernet; {cure}"
        )
    return home


def as_searched(cfg: DictConfig) -> DictConfig:
    """Returns the configuration with the seed of its search, by which the data are split."""
    searched = cfg.copy()
    searched.seed = RunFolder(Path(cfg.run)).config.seed
    return searched


def _with_search(cfg: DictConfig, trust: Trust) -> DictConfig:
    """Returns the configuration of nas-derive with the groups of the search that run= names."""
    if cfg.hardware.get("devices", 1) != 1:
        raise ValueError(
            f"hardware.devices ({cfg.hardware.devices}) must be 1: nas-derive works in one process"
        )
    home = searched_run(cfg.run)
    if home.objects:
        raise ValueError(
            f"run ({cfg.run}) was given {', '.join(home.objects)} from Python as objects, which "
            "no file holds; search with the name of an option"
        )
    with open_dict(merged := cfg.copy()):
        for group, part in _parts(str(home.path), SEARCHED, trust).items():
            merged[group] = part
        merged.run = str(home.path)
        if (home.hydra / LATENCY).is_file():
            merged.hardware.latency = str(home.hydra / LATENCY)
    return merged


def with_own_parts(
    cfg: DictConfig, typed: Sequence[str], groups: Sequence[str], trust: Trust
) -> DictConfig:
    """Returns the configuration with these groups taken from what genotype= names.

    A run brings all of them, a published genotype its search space. A typed GROUP=OPTION stands
    in the place of a group; typed values of a group replace its own.

    Raises: ValueError: the run names code that is not trusted, or was given objects.
    """
    parts = _parts(cfg.genotype, _untyped(groups, typed), trust)
    merged = cfg.copy()
    with open_dict(merged):
        for group, part in parts.items():
            merged[group] = part
            for override in (o for o in typed if o.lstrip("+~").startswith(f"{group}.")):
                _set(merged, cfg, override)
    return merged


def scale_of(home: RunFolder, trust: Trust) -> Scale:
    """Returns the scale of a run's child, with the shape and outputs of the run's data if known.

    Raises: ValueError: the run names code that is not trusted, or a value is impossible.
    """
    node = OmegaConf.select(home.config, "child.scale")
    trust.check({"child": {"scale": node}}, f"the run {home.path}")
    scale = make(node, "child.scale", kind=Scale)
    assert isinstance(scale, Scale)
    data = _data_of(home)
    shape: Any = data.get("input_shape")
    outputs: Any = data.get("num_outputs")
    if not isinstance(shape, list) or not all(isinstance(n, int) for n in [*shape, outputs]):
        return scale
    return scale.of_data(shape, int(outputs))


def _data_of(home: RunFolder) -> dict[str, Any]:
    """Returns what a run noted of its data: input_shape and num_outputs, empty if nothing."""
    path = home / "genotype.json"
    noted = json.loads(path.read_text("utf-8")).get("provenance") if path.is_file() else None
    if isinstance(noted, dict) and "input_shape" in noted:
        return noted
    is_trained = (home / "child" / "last.ckpt").is_file()
    scale: dict[str, Any] = best_or_last(home / "child")["child"]["scale"] if is_trained else {}
    return scale


def _strange_space(cfg: DictConfig) -> set[str]:
    """Returns what the search space names that is not ours."""
    return set(outside_targets({"search_space": cfg.get("search_space")}).values())


def _untyped(groups: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Returns the groups that no override replaces as a whole."""
    keys = [override.lstrip("+~").partition("=")[0] for override in typed]
    return [group for group in groups if group not in keys]


def _set(merged: DictConfig, cfg: DictConfig, override: str) -> None:
    """Gives a key the value that it has in the configuration where it was typed."""
    key = override.lstrip("+~").partition("=")[0]
    if not override.startswith("~"):
        OmegaConf.update(merged, key, OmegaConf.select(cfg, key), force_add=True)
        return
    parent, _, name = key.rpartition(".")
    OmegaConf.select(merged, parent).pop(name, None)


def _parts(genotype: str, groups: Sequence[str], trust: Trust) -> dict[str, Any]:
    """Returns by group what a run or a published genotype brings, empty without one."""
    if needed := needed_overrides(genotype):
        return {group: _published_space(needed) for group in groups if group in SPACE}
    home = run_of(genotype)
    if home is None:
        return {}
    config = home.config
    parts: dict[str, Any] = {
        group: OmegaConf.to_container(config[group]) for group in groups if group in config
    }
    trust.check(parts, f"the run {genotype}", recorded_sources(home.path))
    if (data := parts.get("data")) is not None:
        _check_data(data, genotype)
        _find_path(data, home)
    if "init" in parts.get("child", {}):
        parts["child"]["init"] = None  # that run's start, no part of the recipe
    return parts


def _published_space(needed: Sequence[str]) -> dict[str, Any]:
    (_, name), *values = [override.split("=") for override in needed]
    file = OmegaConf.load(config_dir() / "search_space" / f"{name}.yaml")
    typed = OmegaConf.from_dotlist([f"{key}={value}" for key, value in values])
    return plain_node(OmegaConf.merge(file, typed.get("search_space", {})), "search_space")


def _check_data(data: dict[str, Any], genotype: str) -> None:
    if data.get("_target_") == ARRAYS:
        raise ValueError(
            f"the data of the run {genotype} are arrays that were passed from Python; pass them "
            "again: nl.train(RUN_DIR, data=(x, y)), or name other data, e.g. data=digits"
        )


def _find_path(data: dict[str, Any], home: RunFolder) -> None:
    """Makes a relative path of the data one from where the run was started, if it is there."""
    path = data.get("path")
    if isinstance(path, str) and (started := home.started_in / path).exists():
        data["path"] = str(started)
