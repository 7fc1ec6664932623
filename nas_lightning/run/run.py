"""A run: what every step of a command is handed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nas_lightning.loggers.dashboard import Dashboards
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.parts import Parts, assemble

__all__ = ["Run"]


@dataclass(frozen=True)
class Run:
    """One run of a command, from its configuration to its result.

    Attributes:
        cfg: the configuration.
        folder: where its files go.
        parts: what is searched, trained and measured; made, loaded and checked.
        loggers: the dashboards that see what is trained now.
        objects: what a call in Python gave in place of a group's configuration.
    """

    cfg: DictConfig
    folder: RunFolder
    parts: Parts
    loggers: Dashboards = field(default_factory=Dashboards)
    objects: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, cfg: DictConfig, folder: Path, objects: Mapping[str, Any] | None = None) -> "Run":
        """Returns a run whose data are loaded and whose parts fit each other.

        Args:
            cfg: the configuration.
            folder: where its files go.
            objects: what was given in place of a group's configuration.

        Raises:
            ValueError: a value is impossible, or parts do not fit each other or the data.
        """
        given = objects or {}
        return cls(cfg, RunFolder(folder), assemble(cfg, given), objects=given)

    def seen_by(self, loggers: Dashboards) -> "Run":
        """Returns the same run, seen by these dashboards."""
        return replace(self, loggers=loggers)
