"""A worker of a black-box search, started by `run.black_box` and never by a user."""

import sys
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import setup_globals
from omegaconf import DictConfig

from nas_lightning.config import schema
from nas_lightning.config.making import make
from nas_lightning.config.messages import message_of
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.serving import serve
from nas_lightning.run.candidates import evaluation_of
from nas_lightning.run.folder import LATENCY, RunFolder
from nas_lightning.run.run import assemble
from nas_lightning.training.worker_settings import OF_WORKERS

__all__ = ["built", "main"]


def main(folder: Path) -> None:
    """Evaluates the children of the search in a run's folder, by the configuration there."""
    home = RunFolder(folder)
    serve(lambda: built(home)[:2], message_of)


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
