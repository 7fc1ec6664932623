"""nas-search: searches, exports the genotype, retrains the child, tests it, reports."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from nas_lightning.run.black_box import prepare_black_box

if TYPE_CHECKING:
    from nas_lightning.core.genotype import Genotype
    from nas_lightning.core.strategy import OneShotStrategy
    from nas_lightning.data.view import Stage
    from nas_lightning.loggers.guard import Dashboards
    from nas_lightning.run.parts import Parts
    from nas_lightning.training.supernet import SupernetModule

__all__ = ["job"]

Found = tuple["Genotype", dict[str, Any]]


def job(cfg: DictConfig, folder: Path) -> float | None:
    """Runs one search from its configuration to its result.

    Args:
        cfg: the composed configuration.
        folder: the run's folder; what an interrupted run left there is gone on with.

    Returns:
        The search's main metric on validation images, e.g. its accuracy, for sweepers.
    """
    from nas_lightning.commands import train
    from nas_lightning.deployment.export import check_export, export_child
    from nas_lightning.reports.metric import metric_of
    from nas_lightning.run.baselines import baselines_of
    from nas_lightning.run.dashboards import open_dashboards, show_search
    from nas_lightning.run.outcome import finish, finished, write_genotype
    from nas_lightning.run.parts import assemble

    if done := finished(folder):
        return float(done["search"][f"validation_{metric_of(done).name}"])
    check_export(cfg)
    dashboards = open_dashboards(cfg, folder, "search")
    parts = assemble(cfg)
    search = _prepare(parts, cfg, folder, dashboards)
    with dashboards:
        genotype, figures = search()
        write_genotype(folder, parts, genotype)
        show_search(dashboards, folder, parts, genotype, figures)
    child = baselines = None
    if cfg.retrain:
        child = train.train_shown(parts, cfg, genotype, folder, figures)
        if parts.hardware.is_first:
            export_child(folder, cfg.export, parts.space)
        baselines = baselines_of(parts, cfg, folder)
    notes = [*parts.data.notes, *_notes(parts, genotype, figures)]
    notes += _comparison(parts, child, baselines)
    finish(
        folder,
        parts,
        genotype,
        {"search": figures, "child": child, "baselines": baselines, "notes": notes},
    )
    return float(figures[f"validation_{parts.task.metric}"])


def _prepare(
    parts: "Parts", cfg: DictConfig, folder: Path, dashboards: "Dashboards"
) -> Callable[[], Found]:
    """Returns the search, everything about it checked.

    Raises:
        ValueError: strategy and evaluation do not fit, or a value is impossible.
    """
    from nas_lightning.commands import train
    from nas_lightning.config.making import make
    from nas_lightning.core.objective import Objective
    from nas_lightning.core.strategy import BlackBoxStrategy, OneShotStrategy
    from nas_lightning.evaluation.objectives import Accuracy
    from nas_lightning.run.outcome import is_of_sweep, kept_overrides

    if cfg.max_samples is not None and cfg.max_samples < 1:
        raise ValueError(f"max_samples ({cfg.max_samples}) must be at least 1, or null")
    objective = make(cfg.objective, "objective", kind=Objective, space=parts.space, task=parts.task)
    strategy = make(
        cfg.strategy, "strategy", space=parts.space, seed=parts.seed, objective=objective
    )
    train.observers(cfg, "search")  # a mistake in them must not wait for the child
    if isinstance(strategy, OneShotStrategy):
        typed = [
            override
            for override in kept_overrides(folder)
            if override.lstrip("+~").startswith(("evaluation", "objective"))
            and override != "objective=accuracy"
        ]
        if typed and not is_of_sweep(folder):  # a sweep may mix both kinds
            raise ValueError(
                f"{typed[0]} has no effect: strategy {type(strategy).__name__} is "
                "one-shot and evaluates in its supernet; leave it out, or choose a "
                "black-box strategy such as strategy=random"
            )
        if not isinstance(objective, Accuracy):
            raise ValueError(
                f"objective ({type(objective).__name__}) must be Accuracy beside the one-shot "
                f"strategy {type(strategy).__name__}, which descends on the validation loss; "
                "choose objective=accuracy, or a black-box strategy such as strategy=random"
            )
        return partial(_search_one_shot, strategy, parts, cfg, folder, dashboards)
    if not isinstance(strategy, BlackBoxStrategy):
        raise ValueError(
            f"strategy._target_ ({type(strategy).__name__}) must be a "
            "OneShotStrategy or a BlackBoxStrategy"
        )
    return prepare_black_box(strategy, objective, parts, cfg, folder, dashboards)


def _search_one_shot(
    strategy: "OneShotStrategy",
    parts: "Parts",
    cfg: DictConfig,
    folder: Path,
    dashboards: "Dashboards",
) -> Found:
    """Trains the supernet with its strategy; returns the genotype and the search's figures."""
    from nas_lightning.callbacks.checkpoint import RunCheckpoint
    from nas_lightning.callbacks.logs import AlphaLog, GenotypeLog
    from nas_lightning.commands import train
    from nas_lightning.loggers.scores import ScoreLog
    from nas_lightning.training.supernet import SupernetModule

    data, stage = parts.data, parts.data.search()
    module = SupernetModule(
        parts.space,
        strategy,
        data.input_shape,
        data.num_outputs,
        parts.task,
        parts.seed,
        cfg.max_samples,
    )
    start_entropy = _entropy(strategy)
    callbacks = [
        AlphaLog(folder / "alphas.csv"),
        GenotypeLog(folder / "genotypes"),
        RunCheckpoint(folder / "checkpoints"),
        *([ScoreLog(dashboards)] if dashboards.loggers else []),
    ]
    trainer = train.fit(
        parts, cfg, module, stage, strategy.epochs, folder, "search", callbacks, dashboards
    )
    module.to(trainer.strategy.root_device)
    genotype = module.derive(list(stage.val_dataloader()))
    return genotype, {
        **_accuracies(module, stage, genotype),
        "alpha_entropy_start": start_entropy,
        "alpha_entropy_end": _entropy(strategy),
        "cost": module.meter.as_dict(),
    }


def _accuracies(module: "SupernetModule", stage: "Stage", genotype: "Genotype") -> dict[str, float]:
    """Returns the validation figure of the mixture and, recalibrated, of the genotype's path."""
    scores, val = module.strategy.scores(), list(stage.val_dataloader())
    train = [pair["train"] for pair in stage.train_dataloader() if isinstance(pair, dict)]
    path = module.space.mixture(genotype).to(scores.weights)
    metric = module.task.metric
    return {
        f"validation_{metric}": module.validate(scores, val),
        f"discretized_validation_{metric}": module.validate(path, val, train),
    }


def _entropy(strategy: "OneShotStrategy") -> float:
    from nas_lightning.strategies.relaxations import mean_entropy

    return float(mean_entropy(strategy.scores().weights.detach(), strategy.allowed))


def _notes(parts: "Parts", genotype: "Genotype", figures: dict[str, Any]) -> list[str]:
    if "trials" in figures:  # of black-box searches, whose children were trained and measured
        return []
    from nas_lightning.callbacks.collapse import parameter_free_share

    share = parameter_free_share(parts.space.decisions, genotype.mapping)
    if share <= 0.6:
        return []
    return [f"{share:.0%} of the found operations have no parameters: it may have collapsed"]


def _comparison(
    parts: "Parts", child: dict[str, Any] | None, baselines: dict[str, Any] | None
) -> list[str]:
    """Returns a note for each baseline that the found child does not beat."""
    if not child or not baselines:
        return []
    key, task = f"test_{parts.task.metric}", parts.task
    names = {"random_genotype": "a random genotype, trained alike,"}
    return [
        f"{names.get(name, name.replace('_', ' '))} does as well as the found network or better "
        "on this test set"
        for name, figures in baselines.items()
        if task.reward(figures[key]) >= task.reward(child[key])
    ]
