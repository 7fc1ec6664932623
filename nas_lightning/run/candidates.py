"""What evaluates the children of a black-box search, in its own process and in its workers."""

from functools import partial

from omegaconf import DictConfig

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO
from nas_lightning.config.making import make
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.run import Parts

__all__ = ["CHILDREN", "evaluation_of"]

CHILDREN = "children"  # checkpoints of children that may be trained further, while it runs


def evaluation_of(
    cfg: DictConfig, folder: RunFolder, parts: Parts
) -> tuple[Evaluation, Candidates]:
    """Returns the evaluation of a search, here as in its workers, and what it trains.

    Raises: ValueError: a value is impossible.
    """
    plugins = [AtomicCheckpointIO()]
    make_trainer = partial(parts.hardware.trainer, folder=folder.path, plugins=plugins)
    candidates = Candidates(
        parts.space, parts.data, parts.recipe, parts.task, make_trainer, folder / CHILDREN
    )
    runtime = {"run": candidates, "space": parts.space, "data_name": folder.choice("data")}
    return make(cfg.evaluation, "evaluation", kind=Evaluation, **runtime), candidates
