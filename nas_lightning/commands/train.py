"""nas-train: trains a child from a genotype and tests it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    import lightning as L

    from nas_lightning.core.genotype import Genotype
    from nas_lightning.data.view import Stage
    from nas_lightning.loggers.guard import Dashboards
    from nas_lightning.run.parts import Parts
    from nas_lightning.training.child import ChildModule
    from nas_lightning.training.supernet import SupernetModule

__all__ = ["fit", "job", "train_baselines", "train_child", "train_shown"]


def job(cfg: DictConfig, folder: Path) -> float | None:
    """Trains, tests and reports one child.

    Returns:
        The best value of the main metric, e.g. validation accuracy, for sweepers; None without
        child.validation_share.
    """
    from nas_lightning.deployment.export import check_export, export_child
    from nas_lightning.reports.metric import metric_of
    from nas_lightning.run.baselines import baselines_of
    from nas_lightning.run.origin import with_own_space
    from nas_lightning.run.outcome import finish, finished, kept_overrides
    from nas_lightning.run.parts import assemble
    from nas_lightning.zoo.reader import read_genotype

    if done := finished(folder):
        return _validated(done["child"], metric_of(done).name)
    check_export(cfg)
    cfg = with_own_space(cfg, kept_overrides(folder))
    parts = assemble(cfg)
    genotype = read_genotype(cfg.genotype, parts.space)
    child = train_shown(parts, cfg, genotype, folder)
    if parts.hardware.is_first:
        export_child(folder, cfg.export, parts.space)
    baselines = baselines_of(parts, cfg, folder) if cfg.baselines else None
    result: dict[str, Any] = {
        "search": None,
        "child": child,
        "baselines": baselines,
        "notes": list(parts.data.notes),
    }
    finish(folder, parts, genotype, result)
    return _validated(child, parts.task.metric)


def _validated(child: dict[str, Any], metric: str) -> float | None:
    value = child[f"validation_{metric}"]
    return None if value is None else float(value)


def train_shown(
    parts: "Parts",
    cfg: DictConfig,
    genotype: "Genotype",
    folder: Path,
    search: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Trains and tests the child of a run, as `train_child` does, and shows it to the loggers.

    Args:
        parts: what to train on and with.
        cfg: the configuration.
        genotype: what to build.
        folder: the run's folder.
        search: the figures of the search that found the genotype, None without one.
    """
    from nas_lightning.run.dashboards import open_dashboards, show_child

    with open_dashboards(cfg, folder, "child", genotype) as dashboards:
        child = train_child(parts, cfg, genotype, folder / "child", "child", dashboards)
        show_child(dashboards, folder, parts, genotype, child, search)
    return child


def train_child(
    parts: "Parts",
    cfg: DictConfig,
    genotype: "Genotype",
    folder: Path,
    name: str,
    dashboards: "Dashboards | None" = None,
) -> dict[str, Any]:
    """Trains a child on the whole training set and tests it; goes on where it was stopped.

    Args:
        parts: what to train on and with.
        cfg: the configuration: callbacks, and the space that a checkpoint names.
        genotype: what to build.
        folder: where checkpoint and metrics go.
        name: what is trained, for the progress bar and the seed.
        dashboards: loggers that see it, None for none.

    Returns:
        Test figures, size and cost.
    """
    from nas_lightning.callbacks.checkpoint import RunCheckpoint
    from nas_lightning.callbacks.checkpoint_io import best_or_last
    from nas_lightning.core.search_space import child_cost
    from nas_lightning.core.seeding import keyed_seed
    from nas_lightning.run.outcome import write_confusion
    from nas_lightning.training.child import ChildModule, build_child

    recipe = parts.recipe
    seed = keyed_seed(parts.seed, name)
    network = build_child(parts.space, genotype, recipe.scale, seed)
    card = _card(parts, cfg, genotype)
    module = ChildModule(network, parts.data.num_outputs, recipe, parts.task, seed, card)
    stage = parts.data.final(recipe.validation_share, recipe.batch_size, recipe.cutout)
    monitor = f"child/validation_{parts.task.metric}" if recipe.validation_share else None
    keeper = RunCheckpoint(folder, monitor, parts.task.higher_is_better)
    options: dict[str, Any] = {} if monitor else {"limit_val_batches": 0}
    options["dashboards"] = dashboards
    trainer = fit(parts, cfg, module, stage, recipe.epochs, folder, name, [keeper], **options)
    module.load_state_dict(best_or_last(folder)["state_dict"])
    module.meter.children_trained = 1
    (figures,) = trainer.test(module, datamodule=stage, verbose=False)
    write_confusion(folder, parts, module)
    return {
        f"validation_{parts.task.metric}": keeper.best if monitor else None,
        **{metric.removeprefix("child/"): float(value) for metric, value in figures.items()},
        **child_cost(parts.space, genotype, recipe.scale),
        "cost": module.meter.as_dict(),
    }


def fit(
    parts: "Parts",
    cfg: DictConfig,
    module: "SupernetModule | ChildModule",
    stage: "Stage",
    epochs: int,
    folder: Path,
    name: str,
    callbacks: "Sequence[L.Callback]",
    dashboards: "Dashboards | None" = None,
    **options: Any,
) -> "L.Trainer":
    """Trains a module, from its last checkpoint where there is one, and returns the Trainer.

    Args:
        parts: what to train on and with.
        cfg: the configuration of callbacks.
        module: what is trained.
        stage: what it sees of the data.
        epochs: length of the training.
        folder: where metrics.csv goes.
        name: what is trained, for the progress bar.
        callbacks: further callbacks, among them the one that keeps the checkpoint.
        dashboards: loggers that see it, None for none.
        options: further arguments of the Trainer.
    """
    from nas_lightning.callbacks.checkpoint import RunCheckpoint
    from nas_lightning.callbacks.checkpoint_io import AtomicCheckpointIO, resumable
    from nas_lightning.callbacks.cost_timer import CostTimer
    from nas_lightning.callbacks.logs import MetricsLog
    from nas_lightning.files import NoRoomError

    (checkpoints,) = [c.folder for c in callbacks if isinstance(c, RunCheckpoint)]
    own = [MetricsLog(folder / "metrics.csv"), CostTimer(module.meter), *callbacks]
    watching = [*own, *observers(cfg, name)]
    plugins = [AtomicCheckpointIO()]
    loggers = () if dashboards is None else dashboards.loggers
    trainer = parts.hardware.trainer(
        epochs,
        watching,
        loggers,
        plugins,
        folder,
        wraps=module.automatic_optimization,
        **options,
    )
    try:
        trainer.fit(module, datamodule=stage, ckpt_path=resumable(checkpoints), weights_only=True)
    except (FloatingPointError, NoRoomError) as error:
        last = checkpoints / "last.ckpt"
        good = f"the last good checkpoint is {last}" if last.exists() else "no epoch was saved"
        raise type(error)(f"{error}; {good}") from error
    return trainer


def train_baselines(parts: "Parts", cfg: DictConfig, folder: Path) -> dict[str, Any]:
    """Returns the baselines' figures: a random genotype trained alike, and a linear model."""
    from random import Random

    from nas_lightning.core.seeding import keyed_seed
    from nas_lightning.evaluation.linear_baseline import linear_baseline

    genotype = parts.space.sample(Random(keyed_seed(parts.seed, "random genotype")))
    child = train_child(
        parts, cfg, genotype, folder / "baselines" / "random_genotype", "random genotype"
    )
    return {
        "random_genotype": {"genotype_id": genotype.id, **child},
        **linear_baseline(parts.data, parts.task),
    }


def observers(cfg: DictConfig, name: str) -> list["L.Callback"]:
    """Returns new callbacks of the configuration; a progress bar is named for its training."""
    from nas_lightning.callbacks.progress import Progress
    from nas_lightning.config.making import make_all

    callbacks = make_all(cfg.callbacks, "callbacks")
    for callback in callbacks:
        if isinstance(callback, Progress):
            callback.name = name
    return callbacks


def _card(parts: "Parts", cfg: DictConfig, genotype: "Genotype") -> dict[str, Any]:
    """Returns what `load_child` needs to build the network again, as plain data."""
    return {
        "space": OmegaConf.to_container(cfg.search_space, resolve=True),
        "genotype": genotype.to_json(),
        "scale": asdict(parts.recipe.scale),
        "task": parts.task.card(),
        "class_names": list(parts.data.class_names),
        "preprocessing": parts.data.preprocessing,
    }
