"""The one-shot half of nas-search: a supernet trained with its strategy."""

from typing import Any

from nas_lightning.callbacks.collapse import parameter_free_share
from nas_lightning.callbacks.epoch_logs import AlphaLog, GenotypeLog
from nas_lightning.core.cut_path import CUT, cuts_every_path
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.data.batches import View
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.loggers.search_boards import EpochBoard
from nas_lightning.run.ending import end_of, keeper_of
from nas_lightning.run.fitting import fit
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.run import Run
from nas_lightning.run.time_bounds import search_plan
from nas_lightning.strategies.relaxations import mean_entropy
from nas_lightning.training.supernet import SupernetModule

__all__ = ["check_one_shot", "collapse_notes", "search_one_shot"]

COLLAPSED = 0.6  # share of operations without parameters


def check_one_shot(strategy: OneShotStrategy, objective: Objective, folder: RunFolder) -> None:
    """Refuses what a one-shot strategy would ignore.

    Raises: ValueError: an evaluation was typed, or an objective other than the accuracy.
    """
    ignored = ("evaluation", "objective")
    typed = [each for each in folder.overrides if each.lstrip("+~").startswith(ignored)]
    typed = [override for override in typed if override != "objective=accuracy"]
    if typed and not folder.is_of_sweep:  # a sweep may mix both kinds
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


def search_one_shot(run: Run, strategy: OneShotStrategy) -> tuple[Genotype, dict[str, Any]]:
    """Trains the supernet with its strategy; returns the genotype and the search's figures."""
    parts, folder = run.parts, run.folder
    data, view, cap = parts.data, parts.data.search(), run.cfg.max_samples
    plan, shape = search_plan(run, strategy), data.input_shape
    given = parts.space, strategy, shape, data.num_outputs, parts.task, parts.seed, cap, plan
    module = SupernetModule(*given, graphs=parts.hardware.graphs)
    start_entropy = _entropy(strategy)
    logs = [AlphaLog(folder / "alphas.csv"), GenotypeLog(folder / "genotypes")]
    boards = [EpochBoard(run.loggers)] if run.loggers.loggers else []
    callbacks = [*logs, keeper_of(run), *boards]
    trainer = fit(run, module, view, strategy.epochs, folder.path, "search", callbacks)
    steps, all_steps = trainer.fit_loop.epoch_loop.total_batch_idx + 1, trainer.num_training_batches
    if cap is not None and steps < all_steps and parts.hardware.is_first:
        print(f"note: {_within_an_epoch(cap, steps, all_steps)}", flush=True)
    module.to(trainer.strategy.root_device)
    ending = end_of(run, module, trainer)
    genotype = module.derive(list(view.val_dataloader()))
    return genotype, {
        **_accuracies(module, view, genotype),
        "alpha_entropy_start": start_entropy,
        "alpha_entropy_end": _entropy(strategy),
        **ending,
        "cost": module.meter.as_dict(),
    }


def _within_an_epoch(cap: int, steps: int, all_steps: float) -> str:
    return (
        f"max_samples ({cap}) ended the search within its first epoch, after {steps} of "
        f"{all_steps:.0f} steps; more samples would show it all of its data"
    )


def collapse_notes(run: Run, genotype: Genotype) -> list[str]:
    """Returns notes if most of the found operations have no parameters, or no path is left."""
    space = run.parts.space
    share, notes = parameter_free_share(space.decisions, genotype.mapping), list[str]()
    if share > COLLAPSED:
        notes += [f"{share:.0%} of the found operations have no parameters: it may have collapsed"]
    if space.has_edges and cuts_every_path(space, genotype):
        notes.append(CUT)
    return notes


def _accuracies(module: SupernetModule, view: View, genotype: Genotype) -> dict[str, float]:
    """Returns the validation figure of the mixture and, recalibrated, of the genotype's path."""
    scores, val = module.strategy.scores(), list(view.val_dataloader())
    train = [pair["train"] for pair in view.train_dataloader() if isinstance(pair, dict)]
    path = module.space.mixture(genotype).to(scores.weights)
    metric = module.task.metric
    return {
        f"validation_{metric}": module.validate(scores, val),
        f"discretized_validation_{metric}": module.validate(path, val, train),
    }


def _entropy(strategy: OneShotStrategy) -> float:
    return float(mean_entropy(strategy.scores().weights.detach(), strategy.allowed))
