"""nas-show: draws a genotype and tells its size; loads no data, and writes over no file."""

import json
import os
from itertools import chain, count
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nas_lightning.config.making import make
from nas_lightning.config.trust import Trust
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.files import replacing
from nas_lightning.reports.png import FORMATS
from nas_lightning.run.origin import SPACE, run_of, scale_of, with_own_parts
from nas_lightning.run.shown import ShownGenotype, shown

__all__ = ["job"]


def job(cfg: DictConfig, folder: Path, trust: Trust) -> None:
    """Prints a genotype's cells and size, and draws it; `trust` is for the folder of a run.

    Raises: ValueError: there is no such genotype, or no drawing can be written there.
    """
    path = None if cfg.output is None else _checked(Path(cfg.output).expanduser())
    cfg = with_own_parts(cfg, HydraConfig.get().overrides.task, SPACE, trust)
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    changes = {key: cfg[key] for key in ("channels", "cells", "stem", "num_outputs")}
    shape = None if cfg.input_shape is None else tuple(cfg.input_shape)
    home = run_of(cfg.genotype)
    scale = None if home is None else scale_of(home, trust)
    found = shown(cfg.genotype, space, {**changes, "input_shape": shape}, scale)
    content = _content(found)  # a mistake comes before the drawing
    if path is not None:
        path = _write(path, FORMATS[path.suffix.lower()](found.drawing))
        content["drawing"] = str(path)
    if cfg.json:
        print(json.dumps(content))
    else:
        print(found)
        if path is not None:
            print(f"{'drawing':24} {path}")


def _content(found: ShownGenotype) -> dict[str, Any]:
    genotype = found.genotype
    content = {"id": genotype.id, "space": genotype.space, "text": found.text, **found.size}
    return {**content, "memory_mb": found.memory_mb, "choices": genotype.mapping}


def _checked(path: Path) -> Path:
    """Refuses a folder, and a suffix that names none of the formats."""
    if path.is_dir():
        raise _unwritable(path, "it is a folder")
    if path.suffix.lower() not in FORMATS:
        example = path.with_suffix(".png")
        raise ValueError(
            f"output ({path}) must end in {', '.join(FORMATS)}; use e.g. output={example}"
        )
    return path


def _write(path: Path, drawing: bytes) -> Path:
    """Writes the drawing, under a number where another file has the name; returns its path."""
    try:
        names = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
        path = next(each for each in chain([path], names) if not _is_other(each, drawing))
        with replacing(path) as temporary:
            temporary.write_bytes(drawing)
    except OSError as error:
        raise _unwritable(path, str(error.strerror)) from error
    return path


def _is_other(path: Path, drawing: bytes) -> bool:
    return os.path.lexists(path) and path.read_bytes() != drawing


def _unwritable(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"output ({path}) cannot be written: {reason}; name a file in a folder of yours, or give "
        "output=null"
    )
