"""The baselines of a run; the jobs of a sweep that would train the same ones train them once."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from torch import distributed

from nas_lightning.config.making import plain_node
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.evaluation.linear_baseline import linear_baseline
from nas_lightning.files import LockedError, ProcessLock, write_text
from nas_lightning.loggers.dashboard import Dashboards
from nas_lightning.run.children import train_child
from nas_lightning.run.run import Run

__all__ = ["baselines_of", "same_baselines"]

SHARED, FIGURES, LOCK = "baselines", "figures.json", "lock"
GROUPS = ("data", "task", "hardware")
POLL_S = 1.0


def baselines_of(run: Run) -> dict[str, Any]:
    """Returns the baselines' figures, trained now unless another job of the sweep did so.

    The jobs of a sweep keep their baselines in its folder. They may run at the same time: one
    trains, the others wait; where it is stopped, another resumes from its checkpoint.
    """
    run = run.seen_by(Dashboards())
    if (sweep := run.folder.sweep) is None:
        return _trained(run, run.folder.path)
    shared = sweep / SHARED / same_baselines(run)
    shared.mkdir(parents=True, exist_ok=True)
    with _claimed(shared) as is_ours:
        if is_ours:
            figures = _trained(run, shared)
            if run.parts.hardware.is_first:
                write_text(shared / FIGURES, json.dumps(figures, indent=2) + "\n")
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
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _trained(run: Run, folder: Path) -> dict[str, Any]:
    """Returns the figures of a random genotype, trained from new params, and a linear model."""
    parts, name = run.parts, "random genotype"
    genotype = parts.space.sample(Random(keyed_seed(parts.seed, name)))
    child = train_child(run, genotype, folder / "baselines" / "random_genotype", name)
    return {
        "random_genotype": {"genotype_id": genotype.id, **child},
        **linear_baseline(parts.data, parts.task),
    }


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
