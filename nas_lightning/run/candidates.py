"""What evaluates the candidates of a black-box search, in the search's process and in workers."""

from functools import partial

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO
from nas_lightning.config import schema
from nas_lightning.config.making import make
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.run.folder import LATENCY, RunFolder
from nas_lightning.run.run import Parts, assemble
from nas_lightning.training.worker_settings import OF_WORKERS

__all__ = ["CHILDREN", "built", "evaluation_of"]

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


def built(
    home: RunFolder, threads: int | None = None
) -> tuple[SearchSpace, Evaluation, Candidates]:
    """Returns what a worker builds of the search in a folder; `threads` None takes its share.

    Raises: ValueError: it cannot be built.
    """
    cfg = _configuration(home, threads)
    parts = assemble(cfg, None, None, home.hydra / LATENCY, home.lineage.get("split_seed"))
    return parts.space, *evaluation_of(cfg, home, parts)


def _configuration(home: RunFolder, threads: int | None) -> DictConfig:
    """Returns the driver's configuration, with the hardware of this worker alone."""
    setup_globals()
    HydraConfig.instance().cfg = home.settings  # type: ignore[assignment]
    cfg = schema.typed(home.config, "search")
    threads = threads or make(cfg.hardware, "hardware").worker_threads
    own = {key: default for key, (default, _) in OF_WORKERS.items() if key in cfg.hardware}
    cfg.hardware.update({**own, "executor": "serial", "in_flight": None, "threads": threads})
    return cfg
