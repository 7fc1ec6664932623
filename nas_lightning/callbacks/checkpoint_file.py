"""Reads the files that `RunCheckpoint` saves; imports no Lightning, which nas-show waits for."""

from pathlib import Path
from typing import Any

import torch

__all__ = ["BEFORE", "BEST", "LAST", "best_or_last", "read_checkpoint", "resumable"]

BEST, BEFORE, LAST = "best.ckpt", "before_collapse.ckpt", "last.ckpt"


def resumable(folder: Path) -> Path | None:
    """Returns the last checkpoint of a folder, checked to be whole, or None if there is none.

    Raises: ValueError: the checkpoint cannot be read.
    """
    path = folder / LAST
    if not path.exists():
        return None
    read_checkpoint(path)
    return path


def best_or_last(folder: Path) -> dict[str, Any]:
    """Returns the content of a folder's best.ckpt, or of its last.ckpt if there is none.

    Raises: ValueError: the checkpoint cannot be read.
    """
    path = folder / BEST
    return read_checkpoint(path if path.exists() else folder / LAST)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Returns the content of a checkpoint, on the CPU.

    Raises: ValueError: it cannot be read.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} cannot be read (truncated?): {error}; remove it to "
            "begin this part anew"
        ) from error
    return content
