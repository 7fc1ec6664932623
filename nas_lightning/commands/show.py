"""nas-show: draws a genotype and tells its size; loads no data."""

import json
from dataclasses import replace
from errno import EISDIR
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.config.making import make
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.files import write_text
from nas_lightning.reports.drawing import describe, draw
from nas_lightning.run.origin import with_own_space
from nas_lightning.zoo.reader import read_genotype

__all__ = ["job"]

DEFAULT_SHAPE, DEFAULT_OUTPUTS = (3, 32, 32), 10


def job(cfg: DictConfig, folder: Path) -> None:
    """Prints a genotype's cells and size, and draws it."""
    cfg = with_own_space(cfg, HydraConfig.get().overrides.task)
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    changes = {k: cfg[k] for k in ("channels", "cells", "stem") if cfg[k] is not None}
    published = space.published_scale()
    shape = cfg.input_shape or published.input_shape or DEFAULT_SHAPE
    outputs = cfg.num_outputs or published.num_outputs or DEFAULT_OUTPUTS
    scale = replace(published, input_shape=tuple(shape), num_outputs=outputs, **changes)
    space = space.fitted(scale)
    genotype = read_genotype(cfg.genotype, space)
    size = child_cost(space, genotype, scale)
    graphs, text = space.graphs(genotype), space.write_text(genotype)
    if cfg.output is not None:
        _write(Path(cfg.output), draw(graphs))
    if cfg.json:
        content = {"id": genotype.id, "space": genotype.space, "text": text, **size}
        print(json.dumps(content | {"choices": genotype.mapping}))
        return
    print(f"genotype {genotype.id} of space {genotype.space}\n{describe(graphs)}\n")
    if text is not None:
        print(f"{text}\n")
    print(
        f"at {scale.channels} channels, {scale.cells} cells, images {scale.image()}, "
        f"{scale.num_outputs} classes:"
    )
    print(f"{'parameters':24} {size['parameters']:,}")
    print(f"{'multiply-adds':24} {size['multiply_adds']:,}")
    if cfg.output is not None:
        print(f"{'drawing':24} {cfg.output}")


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
