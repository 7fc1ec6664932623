"""The baselines of a run; the jobs of a sweep that would train the same ones train them once."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import distributed

from nas_lightning.config.making import plain_node
from nas_lightning.core.cost import count_cost
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.evaluation.linear_baseline import linear_baseline
from nas_lightning.evaluation.residual_baseline import (
    ResidualNetwork,
    nearest_width,
    takes_residual,
)
from nas_lightning.files import LockedError, ProcessLock, write_json
from nas_lightning.loggers.dashboard import Dashboards
from nas_lightning.run.children import train_child, train_network
from nas_lightning.run.run import Run
from nas_lightning.training.child import built

__all__ = ["baselines_of", "random_child", "same_baselines"]

SHARED, FIGURES, LOCK = "baselines", "figures.json", "lock"
RESNET = "resnet"
GROUPS = ("data", "task", "hardware")
POLL_S = 1.0


def baselines_of(run: Run, child: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the figures of what stands beside a run's child, by name.

    They are a random genotype and a linear model, and where the figures of the `child` are given a
    ResNet of about its size, unless inputs are tables.
    """
    figures = _once(run, "", _trained)
    scale = run.parts.recipe.scale
    if child is None or not takes_residual(scale):
        return figures
    width = nearest_width(child["parameters"], scale)
    return {**figures, RESNET: _once(run, f"{RESNET}_{width}", partial(_resnet, width=width))}


def random_child(run: Run, number: int) -> dict[str, Any]:
    """Returns the figures of a random child, 2 or more: the first one is among the baselines.

    One that diverges has no test figure, but "diverged".
    """
    return _once(run, f"random_genotype_{number}", partial(_random_child, number=number))


def _once(run: Run, name: str, train: Callable[[Run, Path], dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of what is trained now, unless another job of the sweep did so.

    The jobs of a sweep keep their baselines in its folder. They may run at the same time: one
    trains, the others wait; where it is stopped, another resumes from its checkpoint.
    """
    run = run.seen_by(Dashboards())
    if (sweep := run.folder.sweep) is None:
        return train(run, run.folder / SHARED / name if name else run.folder.path)
    shared = sweep / SHARED / same_baselines(run) / name
    shared.mkdir(parents=True, exist_ok=True)
    with _claimed(shared) as is_ours:
        if is_ours:
            figures = train(run, shared)
            if run.parts.hardware.is_first:
                write_json(shared / FIGURES, figures)
            return figures
    content: dict[str, Any] = json.loads((shared / FIGURES).read_text(encoding="utf-8"))
    return content


def same_baselines(run: Run) -> str:
    """Returns 12 hex digits that stand for all that a run's baselines depend on.

    These are the random genotype, the data with their split, the task, the child's recipe at its
    scale, the limits, the hardware, and the seed, but not the size at which the search itself runs.
    """
    cfg, parts = run.cfg, run.parts
    groups = {name: plain_node(cfg[name], name) for name in GROUPS}
    space = plain_node(cfg.search_space, "search_space")
    space.pop("scale", None)
    facts: dict[str, Any] = {**groups, "space": space, "split": parts.data.split_hash}
    if parts.space.limits is not None:
        facts["limits"] = parts.space.limits.bounds
    recipe = asdict(parts.recipe)
    recipe.pop("init")  # baselines start anew
    facts |= {"identity": parts.data.identity, "recipe": recipe, "seed": parts.seed}
    facts |= {"planned": dict(run.planned)} if run.planned else {}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _trained(run: Run, folder: Path) -> dict[str, Any]:
    """Returns the figures of a random genotype, trained from new params, and a linear model."""
    parts, name = run.parts, "random genotype"
    child = _random(run, folder / "baselines" / "random_genotype", name)
    return {"random_genotype": child, **linear_baseline(parts.data, parts.task)}


def _random_child(run: Run, folder: Path, number: int) -> dict[str, Any]:
    return _random(run, folder, f"random genotype {number}")


def _random(run: Run, folder: Path, name: str) -> dict[str, Any]:
    genotype = run.parts.space.sample(Random(keyed_seed(run.parts.seed, name)))
    train = partial(train_child, run, genotype, folder, name)
    return {"genotype_id": genotype.id, **_figures(run, train)}


def _figures(run: Run, train: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Returns what a training returns; where it diverges, that and no test figure."""
    try:
        return train()
    except FloatingPointError:
        return {f"test_{run.parts.task.metric}": None, "diverged": 1.0}


def _resnet(run: Run, folder: Path, width: int) -> dict[str, Any]:
    scale = run.parts.recipe.scale
    network = built(partial(ResidualNetwork, width, scale), keyed_seed(run.parts.seed, RESNET))
    figures = _figures(run, partial(train_network, run, network, folder, RESNET))
    with torch.device("meta"):
        size = count_cost(ResidualNetwork(width, scale), scale.sample_shape())
    return {"width": width, **figures, **size}


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this job is to train in a folder; waits while another one does."""
    lock = ProcessLock(folder / LOCK)
    try:
        if (state := _state(lock, folder)) == "busy":
            print("another job of the sweep trains the same baselines: waiting", file=sys.stderr)
        while state == "busy":  # no blocking wait: a broadcast has a time limit
            time.sleep(POLL_S)
            state = _state(lock, folder)
        yield state == "ours"
    finally:
        lock.release()


def _state(lock: ProcessLock, folder: Path) -> str:
    """Returns "busy", "done" or "ours"; of a job's processes, the first looks and tells."""
    is_alone = not (distributed.is_available() and distributed.is_initialized())
    states = ["busy"]
    if is_alone or distributed.get_rank() == 0:
        with suppress(LockedError):
            lock.take()
            states = ["done" if (folder / FIGURES).is_file() else "ours"]
    if not is_alone:
        distributed.broadcast_object_list(states)
    return states[0]
