"""The supernet of a finished search, restored from its checkpoint."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from omegaconf import DictConfig

from nas_lightning.callbacks.checkpoint_file import read_checkpoint
from nas_lightning.config.making import make
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.data.batches import View
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.forked import kept_epochs
from nas_lightning.run.run import Run
from nas_lightning.strategies.derivation import Trained
from nas_lightning.strategies.projection import validation_measure
from nas_lightning.training.supernet import SupernetModule
from nas_lightning.training.time_plan import STATE as PLAN

__all__ = ["final_checkpoint", "restored", "trained"]


def final_checkpoint(home: RunFolder) -> Path:
    """Returns the checkpoint of the epoch that a finished search ended with (strategy.final).

    Raises: ValueError: it is not there any more, or cannot be read.
    """
    epoch, kept = (home.result() or {})["search"]["final_epoch"], kept_epochs(home)
    if epoch not in kept:
        raise ValueError(
            f"run ({home.path}) must have the checkpoint of epoch {epoch}, which its search ended "
            f"with, and has those of {', '.join(map(str, sorted(kept)))}; put it back, or search "
            "again"
        )
    return kept[epoch]


def restored(run: Run, checkpoint: Path) -> tuple[SupernetModule, View]:
    """Returns the module of a search as a checkpoint left it, and its data without test."""
    parts = run.parts
    strategy = make(
        run.cfg.strategy, "strategy", kind=OneShotStrategy, space=parts.space, seed=parts.seed
    )
    content = read_checkpoint(checkpoint)
    strategy.epochs = content.get(PLAN, {}).get("epochs") or strategy.epochs
    module = SupernetModule(
        parts.space,
        strategy,
        parts.data.input_shape,
        parts.data.num_outputs,
        parts.task,
        parts.seed,
    )
    trainer, view = parts.hardware.trainer(strategy.epochs), parts.data.search()
    module.trainer = view.trainer = trainer
    module.setup("fit")
    module.on_load_checkpoint(content)
    module.load_state_dict(content["state_dict"])
    module.to(trainer.strategy.root_device)
    return module, view


def trained(
    module: SupernetModule, view: View, settings: DictConfig
) -> tuple[Trained, Callable[[Genotype], float]]:
    """Returns a restored supernet as rules see it, and the validation figure of a genotype's path.

    `settings` are the keys of nas-derive; its `recalibration` is the number of training batches
    from which BatchNorm's statistics are taken anew for each path.
    """
    scores, val = module.strategy.scores().detach(), list(view.val_dataloader())
    pairs = (pair["train"] for pair in view.train_dataloader() if isinstance(pair, dict))
    train = [batch for _, batch in zip(range(settings.recalibration), pairs, strict=False)]

    @cache
    def figure(genotype: Genotype) -> float:
        path = module.space.mixture(genotype).to(scores.weights)
        return module.validate(path, val, train)

    def fitness(genotype: Genotype) -> float:
        return module.updates.reward(figure(genotype))

    measure = validation_measure(module.updates, val)
    rng = Random(keyed_seed(settings.seed, "derivation"))
    numbers = settings.samples, settings.generations, settings.threshold
    return Trained(module.space, scores, measure, fitness, rng, *numbers), figure
