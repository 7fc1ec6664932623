"""Checkpoints that are never seen half-written, and how they are read."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from nas_lightning.files import replacing

__all__ = ["AtomicCheckpointIO", "best_or_last", "resumable"]


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, flushes it, and moves it there in one step.

    Lightning's own writes its temporary file into the system's temporary folder and does not
    flush: on another file system the move is a copy, which a kill leaves half-done.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Writes a checkpoint; an older one stays whole until the new one is."""
        with replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)


def resumable(folder: Path) -> Path | None:
    """Returns the last checkpoint of a folder, checked to be whole, or None if there is none.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    path = folder / "last.ckpt"
    if not path.exists():
        return None
    _load(path)
    return path


def best_or_last(folder: Path) -> dict[str, Any]:
    """Returns the content of a folder's best.ckpt, or of its last.ckpt if there is none.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    path = folder / "best.ckpt"
    return _load(path if path.exists() else folder / "last.ckpt")


def _load(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} cannot be read (truncated?): {error}; remove it to "
            "begin this part anew"
        ) from error
    return content
