"""nas-train: trains a child from a genotype and tests it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.export import check_export
from nas_lightning.reports.metric import metric_of
from nas_lightning.run.baselines import baselines_of
from nas_lightning.run.children import train_shown
from nas_lightning.run.dashboards import open_dashboards
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.initial_params import check_init_of_train
from nas_lightning.run.outcome import finish, write_genotype
from nas_lightning.run.random_children import check_verdict, verdict_of
from nas_lightning.run.run import Run
from nas_lightning.zoo.reader import read_genotype

__all__ = ["job"]


def job(cfg: DictConfig, folder: Path, objects: Mapping[str, Any] | None = None) -> float | None:
    """Trains, tests and reports one child, or resumes it in the run's folder.

    Returns its best main validation figure, None without child.validation_share. `objects` are
    what a call in Python gave in place of a group's configuration.
    """
    if done := RunFolder(folder).finished():
        return _validated(done["child"], metric_of(done).name)
    check_export(cfg.export)
    check_verdict(cfg.verdict, cfg.baselines, "baselines=true", cfg.child.get("init"))
    passed = objects or {}

    def genotype_of(space: SearchSpace, *_: Any) -> Genotype:
        genotype: Genotype = passed.get("genotype") or read_genotype(cfg.genotype, space)
        return space.validate(genotype)

    open_dashboards(cfg, RunFolder(folder), "child")  # refuses a missing login now
    run = Run.of(cfg, folder, objects, check=genotype_of)
    genotype = genotype_of(run.parts.space)
    check_init_of_train(run)
    child = train_shown(run, genotype)
    baselines = verdict = None
    if cfg.baselines:
        baselines = baselines_of(run, child if cfg.verdict.resnet else None)
        verdict = verdict_of(run, child, baselines, cfg.verdict.children)
    write_genotype(run, genotype)
    notes = list(run.parts.data.notes)
    parts = {"search": None, "child": child, "baselines": baselines, "verdict": verdict}
    finish(run, genotype, **parts, notes=notes)
    return _validated(child, run.parts.task.metric)


def _validated(child: dict[str, Any], metric: str) -> float | None:
    value = child[f"validation_{metric}"]
    return None if value is None else float(value)
