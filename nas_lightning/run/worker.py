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
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.serving import serve
from nas_lightning.run.black_box import evaluation_of
from nas_lightning.run.folder import LATENCY, RunFolder
from nas_lightning.run.run import assemble

__all__ = ["main"]


def main(folder: Path) -> None:
    """Evaluates the children of the search in a run's folder, by the configuration there."""
    serve(lambda: _built(RunFolder(folder)), message_of)


def _built(home: RunFolder) -> tuple[SearchSpace, Evaluation]:
    cfg = _configuration(home)
    parts = assemble(cfg, None, None, home.hydra / LATENCY, home.lineage.get("split_seed"))
    return parts.space, evaluation_of(cfg, home, parts)[0]


def _configuration(home: RunFolder) -> DictConfig:
    """Returns the driver's configuration, with this worker's share of the threads."""
    setup_globals()
    HydraConfig.instance().cfg = home.settings  # type: ignore[assignment]
    cfg = schema.typed(home.config, "search")
    cfg.hardware.threads = make(cfg.hardware, "hardware").worker_threads
    return cfg


if __name__ == "__main__":
    main(Path(sys.argv[1]))
