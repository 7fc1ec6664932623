"""How a run keeps to max_seconds and max_seconds_in_all: what each of its trainings may take."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
from nas_lightning.evaluation.trial_time import TrialTime
from nas_lightning.run.folder import OVERRIDES, RunFolder
from nas_lightning.run.run import Run
from nas_lightning.training.time_plan import TimePlan

__all__ = ["begin_of", "child_plan", "search_plan", "time_notes", "trial_time"]

IN_ALL = "max_seconds_in_all"
SHARE = 0.5  # of the seconds in all that the search takes
REST = 0.05  # of them is left for tests, the linear model and the report


@dataclass(frozen=True)
class _Bound:
    key: str
    seconds: float
    share: float = 1.0  # of the seconds under the key


def begin_of(folder: RunFolder) -> float:
    """Returns when a run began, on the clock of time.monotonic.

    That is when its folder was made, before torch was imported; now, if it is resumed.
    """
    now, made = time.monotonic(), folder.hydra / OVERRIDES
    if folder.has_progress or not made.is_file():
        return now
    return now - max(0.0, time.time() - made.stat().st_mtime)


def search_plan(run: Run, strategy: OneShotStrategy) -> TimePlan | None:
    """Returns the plan of a one-shot search, None unbound; epochs that were typed are the most."""
    if (bound := _of_search(run.cfg)) is None:
        return None
    most = strategy.epochs if _is_typed(run, "strategy.epochs") else None
    return TimePlan(bound.seconds, bound.key, most, share=bound.share)


def trial_time(run: Run, strategy: BlackBoxStrategy) -> TrialTime | None:
    """Returns the time of a search by trials; trials that were typed are the most."""
    if (bound := _of_search(run.cfg)) is None:
        return None
    most = strategy.trials if _is_typed(run, "strategy.trials") else None
    at_once = min(run.parts.hardware.workers, run.parts.hardware.num_in_flight)
    return TrialTime(bound.seconds, bound.key, most, bound.share, at_once)


def child_plan(run: Run, search: Mapping[str, Any], spent_s: float) -> TimePlan | None:
    """Returns the plan of the child's training, of what is left in all; None: no bound.

    What it is compared with takes as long, each; `search` are the figures of the search, which
    count where the `spent_s` seconds of this process are fewer: the run was resumed.
    """
    if (seconds := run.cfg[IN_ALL]) is None:
        return None
    left = (1 - REST) * seconds - max(spent_s, search["cost"]["wall_s"])
    trainings = 2 + run.cfg.verdict.resnet + max(0, run.cfg.verdict.children - 1)
    most = run.parts.recipe.epochs if _is_typed(run, "child.epochs") else None
    each = max(0.0, left) / trainings
    return TimePlan(each, IN_ALL, most, has_part=False, must_fit=False)


def time_notes(run: Run, search: Mapping[str, Any]) -> list[str]:
    """Returns a note of how much of a search its time allowed; none where it has no bound."""
    if (bound := _of_search(run.cfg)) is None:
        return []
    cost = search["cost"]
    is_black_box = "trials" in search
    made = f"{search['trials']} trials" if is_black_box else f"{cost['epochs_trained']:.3g} epochs"
    of_search = "" if bound.share == 1 else f", {bound.seconds:.0f} s of it for the search,"
    return [
        f"{bound.key} ({run.cfg[bound.key]:g} s){of_search} allowed {made}; they took "
        f"{cost['wall_s']:.0f} s"
    ]


def _of_search(cfg: DictConfig) -> _Bound | None:
    if cfg.max_seconds is not None:
        return _Bound("max_seconds", cfg.max_seconds)
    if cfg[IN_ALL] is None:
        return None
    if not cfg.retrain:
        return _Bound(IN_ALL, cfg[IN_ALL])
    return _Bound(IN_ALL, SHARE * cfg[IN_ALL], SHARE)


def _is_typed(run: Run, key: str) -> bool:
    """Whether a number was given for this run, and is no default."""
    passed = getattr(run.objects.get("strategy"), "keywords", {})  # of a partial
    typed = [*run.folder.lineage.get("typed", []), *run.folder.overrides]  # a fork's parent's too
    named = (override.lstrip("+").partition("=")[0] for override in typed)
    return key in named or key in (f"strategy.{name}" for name in passed)
