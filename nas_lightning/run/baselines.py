"""The baselines of a run; the jobs of a sweep that would train the same ones train them once."""

import fcntl
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from omegaconf import OmegaConf
from torch import distributed

from nas_lightning.core.seeding import keyed_seed
from nas_lightning.evaluation.linear_baseline import linear_baseline
from nas_lightning.files import write_text
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
    sweep = run.folder.sweep
    if sweep is None:
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

    That is the random genotype, the data with their split, the task, the child's recipe at its
    scale, the hardware, and the seed. The size at which the search itself runs has no part in it.
    """
    cfg, parts = run.cfg, run.parts
    groups = {name: OmegaConf.to_container(cfg[name], resolve=True) for name in GROUPS}
    space = OmegaConf.to_container(cfg.search_space, resolve=True)
    assert isinstance(space, dict)
    space.pop("scale", None)
    facts = {
        **groups,
        "space": space,
        "split": parts.data.split_hash,
        "recipe": asdict(parts.recipe),
        "seed": parts.seed,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _trained(run: Run, folder: Path) -> dict[str, Any]:
    """Returns the figures of a random genotype, trained alike, and of a linear model."""
    parts, name = run.parts, "random genotype"
    genotype = parts.space.sample(Random(keyed_seed(parts.seed, name)))
    child = train_child(run, genotype, folder / "baselines" / "random_genotype", name)
    return {
        "random_genotype": {"genotype_id": genotype.id, **child},
        **linear_baseline(parts.data, parts.task),
    }


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Whether this job is to train in a folder; waits while another one does.

    The system gives the lock up when its process ends, however that ends. Several processes of
    one job do alike what the first of them finds.
    """
    has_said = False
    with (folder / LOCK).open("a") as file:
        while (state := _agreed(partial(_state, file.fileno(), folder))) == "busy":
            if not has_said:
                print(
                    "another job of the sweep trains the same baselines: waiting", file=sys.stderr
                )
            has_said = True
            time.sleep(POLL_S)
        yield state == "ours"


def _state(lock: int, folder: Path) -> str:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return "busy"
    return "done" if (folder / FIGURES).is_file() else "ours"


def _agreed(look: Callable[[], str]) -> str:
    """Returns what the first of a job's processes sees; the others do not look."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return look()
    found = [look() if distributed.get_rank() == 0 else ""]
    distributed.broadcast_object_list(found)
    return found[0]
