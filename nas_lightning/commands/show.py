"""nas-show: draws a genotype and tells its size; loads no data."""

import json
from errno import EISDIR
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.config.making import make
from nas_lightning.config.trust import Trust
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.files import write_text
from nas_lightning.run.origin import SPACE, run_of, scale_of, with_own_parts
from nas_lightning.run.shown import ShownGenotype, shown

__all__ = ["job"]


def job(cfg: DictConfig, folder: Path, trust: Trust) -> None:
    """Prints a genotype's cells and size, and draws it; `trust` is for the folder of a run."""
    cfg = with_own_parts(cfg, HydraConfig.get().overrides.task, SPACE, trust)
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    changes = {key: cfg[key] for key in ("channels", "cells", "stem", "num_outputs")}
    shape = None if cfg.input_shape is None else tuple(cfg.input_shape)
    home = run_of(cfg.genotype)
    scale = None if home is None else scale_of(home, trust)
    found = shown(cfg.genotype, space, {**changes, "input_shape": shape}, scale)
    printed = _as_json(found) if cfg.json else str(found)  # a mistake comes before the drawing
    if cfg.output is not None:
        _write(Path(cfg.output), found.drawing)
    print(printed)
    if cfg.output is not None and not cfg.json:
        print(f"{'drawing':24} {cfg.output}")


def _as_json(found: ShownGenotype) -> str:
    genotype = found.genotype
    content = {"id": genotype.id, "space": genotype.space, "text": found.text, **found.size}
    return json.dumps(content | {"choices": genotype.mapping})


def _write(path: Path, drawing: str) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, "it is a folder")
        write_text(path, drawing)
    except OSError as error:
        raise ValueError(
            f"output ({path}) cannot be written: {error.strerror}; name an SVG file in a folder "
            "of yours, or give output=null"
        ) from error
