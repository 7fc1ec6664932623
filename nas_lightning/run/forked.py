"""The state of a run after an epoch, placed where a forked run resumes from it."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from nas_lightning.callbacks.checkpoint_file import BEFORE, BEST, LAST, read_checkpoint
from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.config.making import make
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.files import replacing, write_text
from nas_lightning.run.folder import RunFolder
from nas_lightning.training.supernet import EXTRA, FORKED
from nas_lightning.training.task import Task
from nas_lightning.training.time_plan import STATE as PLAN

__all__ = ["forget_state", "kept_epochs", "place_state"]

CHECKPOINTS = "checkpoints"
SENTINEL = "CollapseSentinel"
OWN = ("AlphaLog", "CostTimer", "MetricsLog", "RunCheckpoint")  # callbacks of every search
PLACED = ("alphas.csv", "metrics.csv", "genotypes", CHECKPOINTS)


def kept_epochs(run: RunFolder) -> dict[int, Path]:
    """Returns by epoch (0-based) the checkpoint of each of which a search has kept the state.

    Raises: ValueError: a checkpoint cannot be read.
    """
    folder, kept = run / CHECKPOINTS, dict[int, Path]()
    for name in (BEST, BEFORE, LAST):
        if (path := folder / name).is_file():
            kept[int(read_checkpoint(path)["epoch"])] = path
    for path in folder.glob("epoch=*.ckpt"):
        if found := re.fullmatch(r"epoch=(\d+)", path.stem):
            kept[int(found[1])] = path
    return kept


def place_state(checkpoint: Path, parent: RunFolder, home: RunFolder, cfg: DictConfig) -> None:
    """Writes what a run has after an epoch into the folder of its fork, the checkpoint last.

    The clock of max_seconds begins anew; with another seed the strategy draws from another
    generator; what is logged and kept of the epochs so far is the parent's.
    """
    content = read_checkpoint(checkpoint)
    epoch = int(content["epoch"])
    states = content["callbacks"] = _states(content["callbacks"], cfg)
    content[FORKED] = True
    if cfg.get("max_seconds") is not None or cfg.get("max_seconds_in_all") is not None:
        content[PLAN] = _plan(content.get(PLAN), cfg, epoch)
    trains_on = PLAN in content or cfg.strategy.get("epochs", epoch + 2) > epoch + 1
    if trains_on and SENTINEL in states:
        states[SENTINEL] = _judged_anew(states[SENTINEL], parent.config, cfg)
    if cfg.seed != parent.config.seed and EXTRA in content["state_dict"]:
        generator = torch.Generator().manual_seed(keyed_seed(cfg.seed, "fork", epoch))
        extra = content["state_dict"][EXTRA]
        content["state_dict"][EXTRA] = {**extra, "rng": generator.get_state()}
    if _limit_names(cfg) != _limit_names(parent.config):  # whose multipliers begin anew
        content["state_dict"] = _without_limits(content["state_dict"])
    text = (parent / "alphas.csv").read_bytes()[: states["AlphaLog"]["size"]]
    write_text(home / "alphas.csv", text.decode("utf-8"))
    write_text(home / "metrics.csv", csv_text(states["MetricsLog"]["rows"]))
    (home / "genotypes").mkdir(parents=True, exist_ok=True)
    for number in range(epoch + 1):
        name = f"genotypes/epoch={number:03d}.json"
        shutil.copyfile(parent / name, home / name)
    (home / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    _keep_ending(states, {e: p for e, p in kept_epochs(parent).items() if e <= epoch}, home, cfg)
    with replacing(home / CHECKPOINTS / LAST) as temporary:
        torch.save(content, temporary)


def forget_state(home: RunFolder) -> None:
    """Removes what `place_state` wrote, of a fork that has done nothing yet; else nothing."""
    last = home / CHECKPOINTS / LAST
    if not last.is_file() or FORKED not in read_checkpoint(last):
        return
    for path in map(home.path.__truediv__, PLACED):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _states(callbacks: Mapping[str, Any], cfg: DictConfig) -> dict[str, Any]:
    """Returns the state of the callbacks that the fork has too."""
    nodes = OmegaConf.to_container(cfg.callbacks)
    targets = [node.get("_target_", "") for node in nodes.values() if node]  # type: ignore[union-attr]
    names = {*OWN, *(["EpochBoard"] if cfg.logger else [])}
    names |= {*(str(target).rpartition(".")[2] for target in targets)}
    return {key: state for key, state in callbacks.items() if key.partition("{")[0] in names}


def _judged_anew(
    sentinel: Mapping[str, Any], before: DictConfig, cfg: DictConfig
) -> dict[str, Any]:
    """Returns the state of the collapse sentinel for a fork that trains on.

    What was seen by other settings is forgotten; what was a collapse since it was in the last
    epoch awaits the next one.
    """
    settings, past = (OmegaConf.select(each, "callbacks.collapse") for each in (cfg, before))
    if settings != past:
        return {**sentinel, "collapse": None, "since": None}
    collapse = sentinel["collapse"]
    patience = 1 if settings is None else settings.get("patience", 1)
    is_seen = collapse is not None and collapse["seen"] + 1 >= collapse["epoch"] + patience
    return {**sentinel, "collapse": collapse if is_seen else None}


def _without_limits(state: Any) -> Any:
    """Returns a state without multipliers, also in the snapshots that a strategy keeps in it."""
    if not isinstance(state, dict):
        return state
    kept = {key: part for key, part in state.items() if not str(key).startswith("limits")}
    return {key: _without_limits(part) for key, part in kept.items()}


def _plan(past: Mapping[str, Any] | None, cfg: DictConfig, epoch: int) -> dict[str, Any]:
    """Returns a plan of epochs whose time begins now, at least one more epoch."""
    epochs = (past or {}).get("epochs") or cfg.strategy.get("epochs", 0)
    plan = {"last_steps": 0, "past": {}, **(past or {})}
    return {**plan, "epochs": max(epochs, epoch + 2), "used_s": 0.0}


def _limit_names(cfg: DictConfig) -> list[str]:
    limits = cfg.get("limits") or {}
    return [str(name) for name in limits if limits[name] is not None]


def _keep_ending(
    states: Mapping[str, Any], kept: Mapping[int, Path], home: RunFolder, cfg: DictConfig
) -> None:
    """Keeps which of the epochs so far the fork may end with: the best of those that are kept."""
    keeper, final = states["RunCheckpoint"], cfg.strategy.get("final", "last")
    last = max(kept)
    keeper["epochs"], name, chosen = {LAST: last}, "", last
    if final == "best":
        task = make(cfg.task, "task", kind=Task)
        rows = {row["epoch"]: row for row in states["MetricsLog"]["rows"]}
        values = {e: rows[e][f"search/validation_{task.metric}"] for e in sorted(kept)}
        name, chosen = BEST, (max if task.higher_is_better else min)(values, key=values.__getitem__)
        keeper["best"] = values[chosen]
    if final == "before_collapse":
        since = states.get(SENTINEL, {}).get("since")
        name, chosen = (
            BEFORE,
            max((e for e in kept if since is None or e < since), default=min(kept)),
        )
    if name:
        keeper["epochs"][name] = chosen
        shutil.copyfile(kept[chosen], home / CHECKPOINTS / name)
