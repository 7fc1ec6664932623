"""The child of a run: trained, tested, shown."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
from torch import nn

from nas_lightning import __version__
from nas_lightning.callbacks.checkpoint import RunCheckpoint
from nas_lightning.callbacks.checkpoint_file import best_or_last, resumable
from nas_lightning.config.making import plain_node
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.memory import child_memory_mb
from nas_lightning.core.search_space import child_cost
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.deployment.export import export_child
from nas_lightning.deployment.load import load_child
from nas_lightning.run.answers import AnswerLog
from nas_lightning.run.dashboards import open_dashboards, show_child
from nas_lightning.run.fitting import fit
from nas_lightning.run.initial_params import initialise
from nas_lightning.run.latency import latency, onnx_latency, promised
from nas_lightning.run.outcome import write_confusion
from nas_lightning.run.run import Run
from nas_lightning.training.child import ChildModule, build_child
from nas_lightning.training.time_plan import SamePlan, TimePlan

__all__ = ["train_child", "train_network", "train_shown"]


def train_shown(
    run: Run,
    genotype: Genotype,
    search: dict[str, Any] | None = None,
    plan: TimePlan | None = None,
) -> dict[str, Any]:
    """Trains, tests and exports the child of a run, and shows it to the loggers.

    `search` are the figures of the search that found the genotype, None without one; `plan` sets
    the epochs by the time that they take.
    """
    with open_dashboards(run.cfg, run.folder, "child", genotype) as dashboards:
        run = run.seen_by(dashboards)
        parts, folder = run.parts, run.folder / "child"
        answers = AnswerLog(folder, parts.task, parts.data.class_names, parts.data.preprocessing)
        child = train_child(run, genotype, folder, "child", initialise, [answers], plan)
        if parts.hardware.is_first:
            child |= latency(load_child(run.folder.path, parts.space), parts.latency)
        show_child(run, genotype, child, search)
    if run.parts.hardware.is_first:
        files = export_child(run.folder.path, run.cfg.export, run.parts.space)
        child |= onnx_latency(files, run.parts.latency)
        child |= promised(run.parts.latency, genotype, child)
    return child


def train_child(
    run: Run,
    genotype: Genotype,
    folder: Path,
    name: str,
    start: Callable[[Run, Genotype, nn.Module], None] | None = None,
    observing: Sequence[L.Callback] = (),
    plan: TimePlan | None = None,
) -> dict[str, Any]:
    """Trains a child on the whole training set, or resumes it; returns test figures, size, cost.

    Checkpoint and metrics go to `folder`; `name` is for the progress bar and the seed; `start`
    may change the initial params, where there is no checkpoint yet; `observing` are callbacks, and
    `plan` sets the epochs.
    """
    parts, scale = run.parts, run.parts.recipe.scale
    network = build_child(parts.space, genotype, scale, keyed_seed(parts.seed, name))
    if start is not None and resumable(folder) is None:
        start(run, genotype, network)
    figures = train_network(run, network, folder, name, _card(run, genotype), observing, plan)
    cost = figures.pop("cost")
    size = child_cost(parts.space, genotype, scale)
    memory = child_memory_mb(parts.space, genotype, scale)
    return {**figures, **size, "memory_mb": memory, "cost": cost}


def train_network(
    run: Run,
    network: nn.Module,
    folder: Path,
    name: str,
    card: dict[str, Any] | None = None,
    observing: Sequence[L.Callback] = (),
    plan: TimePlan | None = None,
) -> dict[str, Any]:
    """Trains a network as the run's child is, or resumes it; returns test figures and cost.

    The other arguments are those of `train_child`; `card` says what the network is.
    """
    parts, recipe = run.parts, run.parts.recipe
    plan = plan or (SamePlan(run.planned) if run.planned else None)
    outputs, seed = parts.data.num_outputs, keyed_seed(parts.seed, name)
    module = ChildModule(network, outputs, recipe, parts.task, seed, card, plan)
    view = parts.data.final(recipe.validation_share, recipe.batch_size, recipe.cutout)
    monitor = f"child/validation_{parts.task.metric}" if recipe.validation_share else None
    keeper = RunCheckpoint(folder, monitor, parts.task.higher_is_better)
    options = {} if monitor else {"limit_val_batches": 0}
    trainer = fit(run, module, view, recipe.epochs, folder, name, [keeper, *observing], **options)
    module.load_state_dict(best_or_last(folder)["state_dict"])
    module.meter.children_trained = 1
    (figures,) = trainer.test(module, datamodule=view, verbose=False)
    write_confusion(run, folder, module)
    return {
        f"validation_{parts.task.metric}": keeper.best if monitor else None,
        **{metric.removeprefix("child/"): float(value) for metric, value in figures.items()},
        "cost": module.meter.as_dict(),
    }


def _card(run: Run, genotype: Genotype) -> dict[str, Any]:
    """Returns what `load_child` needs to build the network again, as plain data."""
    return {
        "version": __version__,
        "space": plain_node(run.cfg.search_space, "search_space"),
        "genotype": genotype.to_json(),
        "scale": asdict(run.parts.recipe.scale),
        "task": run.parts.task.card(),
        "class_names": list(run.parts.data.class_names),
        "preprocessing": run.parts.data.preprocessing,
    }
