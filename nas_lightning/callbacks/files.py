"""Files that are never seen half-written."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

__all__ = ["AtomicCheckpointIO", "write_text"]


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically: it appears whole or not at all."""
    with _replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class _replacing:  # noqa: N801 - a context manager used as a verb
    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.temporary

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            self.temporary.unlink(missing_ok=True)
            return
        _flush(self.temporary)
        os.replace(self.temporary, self.path)
        _flush(self.path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, flushes it, and moves it there in one step."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Writes a checkpoint; an older one stays whole until the new one is."""
        with _replacing(Path(path)) as temporary:
            torch.save(checkpoint, temporary)
