"""nas-show: draws a genotype and tells its size; loads no data."""

import json
from errno import EISDIR
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.config.making import make
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.files import write_text
from nas_lightning.run.origin import with_own_space
from nas_lightning.run.shown import ShownGenotype, shown

__all__ = ["job"]


def job(cfg: DictConfig, folder: Path) -> None:
    """Prints a genotype's cells and size, and draws it."""
    cfg = with_own_space(cfg, HydraConfig.get().overrides.task)
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    changes = {key: cfg[key] for key in ("channels", "cells", "stem", "num_outputs")}
    shape = None if cfg.input_shape is None else tuple(cfg.input_shape)
    found = shown(cfg.genotype, space, {**changes, "input_shape": shape})
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
