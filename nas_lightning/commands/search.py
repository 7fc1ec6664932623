"""nas-search: searches, exports the genotype, retrains the child, tests it, reports."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from nas_lightning.callbacks.collapse import sentinel_of
from nas_lightning.config.making import make
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
from nas_lightning.deployment.export import check_export
from nas_lightning.reports.metric import metric_of
from nas_lightning.run.baselines import baselines_of
from nas_lightning.run.black_box import BlackBoxSearch, check_black_box
from nas_lightning.run.children import train_shown
from nas_lightning.run.dashboards import check_trials, open_dashboards, show_search
from nas_lightning.run.ending import check_ending, check_no_ending, ending_notes
from nas_lightning.run.fitting import observers
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.initial_params import check_init_of_search
from nas_lightning.run.one_shot import check_one_shot, collapse_notes, search_one_shot
from nas_lightning.run.outcome import finish, write_genotype
from nas_lightning.run.random_children import check_verdict, unbeaten, verdict_of
from nas_lightning.run.run import Run
from nas_lightning.run.time_bounds import begin_of, child_plan, time_notes
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Task

__all__ = ["job"]

Search = Callable[[], tuple[Genotype, dict[str, Any]]]
Strategy = OneShotStrategy | BlackBoxStrategy


def job(cfg: DictConfig, folder: Path, objects: Mapping[str, Any] | None = None) -> float | None:
    """Runs one search, or resumes it in the run's folder; returns its main validation figure.

    `objects` are what a call in Python gave in place of a group's configuration.
    """
    home = RunFolder(folder)
    began = begin_of(home)
    if done := home.finished():
        value = done["search"][f"validation_{metric_of(done).name}"]
        return math.nan if value is None else float(value)
    check_export(cfg.export, cfg.retrain)
    check_verdict(cfg.verdict, cfg.retrain, "retrain=true", cfg.child.get("init"))
    dashboards = open_dashboards(cfg, home, "search")
    strategies = _Strategies(cfg, home, objects or {})
    run = Run.of(cfg, folder, objects, strategies.check_early).seen_by(dashboards)
    search = _prepare(run, strategies)
    with dashboards:
        genotype, figures = search()
        drawing = write_genotype(run, genotype)
        show_search(run, genotype, figures, drawing)
    child = baselines = verdict = None
    if cfg.retrain:
        plan = child_plan(run, figures, time.monotonic() - began)
        child = train_shown(run, genotype, figures, plan)
        run = replace(run, planned={} if plan is None else plan.past)
        baselines = baselines_of(run, child if cfg.verdict.resnet else None)
        verdict = verdict_of(run, child, baselines, cfg.verdict.children)
    trained = "trials" in figures  # children of their own, which cannot collapse
    notes = [*run.parts.data.notes, *ending_notes(figures)]
    notes += [] if trained or figures["collapse"] else collapse_notes(run, genotype)
    notes += time_notes(run, figures)
    notes += unbeaten(run, child, baselines, verdict)
    parts = {"search": figures, "child": child, "baselines": baselines, "verdict": verdict}
    finish(run, genotype, **parts, notes=notes)
    return float(figures[f"validation_{run.parts.task.metric}"])


def _prepare(run: Run, strategies: "_Strategies") -> Search:
    strategy, objective = strategies.of(run.parts.space, run.parts.task)
    check_init_of_search(run, strategy)
    if isinstance(strategy, OneShotStrategy):
        check_trials(run.loggers, strategy)
        return partial(search_one_shot, run, strategy)
    return BlackBoxSearch.of(run, strategy, objective).search


class _Strategies:
    """Makes strategy and objective of a search, checked, and once for the same space and task.

    Both are the same before and after the data are read, unless they depend on the data.
    """

    def __init__(self, cfg: DictConfig, folder: RunFolder, objects: Mapping[str, Any]) -> None:
        self.cfg, self.folder, self.objects = cfg, folder, objects
        self._last: tuple[SearchSpace, Task, Strategy, Objective] | None = None

    def check_early(self, space: SearchSpace, task: Task, scale: Scale) -> None:
        """Refuses before any image is read what `_prepare` and the supernet would refuse."""
        strategy, _ = self.of(space, task)
        if isinstance(strategy, OneShotStrategy):
            with torch.device("meta"):
                space.supernet(scale)

    def of(self, space: SearchSpace, task: Task) -> tuple[Strategy, Objective]:
        """Returns strategy and objective, checked against the space and each other."""
        if self._last is None or self._last[0] is not space or self._last[1] is not task:
            self._last = (space, task, *self._make(space, task))
        return self._last[2:]

    def _make(self, space: SearchSpace, task: Task) -> tuple[Strategy, Objective]:
        cfg = self.cfg
        objective = make(cfg.objective, "objective", kind=Objective, space=space, task=task)
        hardware = make(cfg.hardware, "hardware", kind=Hardware)
        more = {"objective": objective, "num_in_flight": hardware.num_in_flight}
        if (make_strategy := self.objects.get("strategy")) is not None:
            taken = signature(make_strategy).parameters
            more = {name: value for name, value in more.items() if name in taken}
            strategy = make_strategy(space, cfg.seed, **more)
        else:
            strategy = make(cfg.strategy, "strategy", space=space, seed=cfg.seed, **more)
        watching = observers(cfg, "search")  # a mistake in them must not wait for the child
        if isinstance(strategy, OneShotStrategy):
            hardware.check_serial(
                f"strategy {type(strategy).__name__} is one-shot and trains one supernet, for "
                "which hardware.devices has several processes"
            )
            check_one_shot(strategy, objective, self.folder)
            check_ending(cfg, strategy, sentinel_of(watching))
        elif isinstance(strategy, BlackBoxStrategy):
            hardware.check_ungraphed(f"strategy {type(strategy).__name__} has no supernet")
            check_no_ending(cfg, strategy, self.folder)
            check_black_box(strategy, hardware, self.objects)
        else:
            raise ValueError(
                f"strategy._target_ ({type(strategy).__name__}) must be a "
                "OneShotStrategy or a BlackBoxStrategy"
            )
        return strategy, objective
