"""What a dashboard knows of its run, and what it can show beside numbers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

__all__ = ["Artifact", "Dashboard", "RunFacts"]


@dataclass(frozen=True)
class RunFacts:
    """What a dashboard knows of the run that it shows.

    Attributes:
        folder: the run's folder; a dashboard's files go into it.
        job: "search" or "child".
        group: what the run belongs to: its sweep, or else its folder.
        config: the configuration, flat: "strategy.epochs", and the options of the groups.
        source: name of the artifact that the run begins with, if any.
    """

    folder: Path
    job: str
    name: str
    group: str
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None


@dataclass(frozen=True)
class Artifact:
    """Files that a run made, with plain data about them.

    Attributes:
        name: unique for its content, e.g. "genotype-0123456789ab".
        kind: "genotype" or "model".
    """

    name: str
    kind: str
    files: tuple[Path, ...]
    facts: Mapping[str, Any]


class Dashboard(Logger, ABC):
    """A Lightning logger that also takes pictures, a summary and artifacts."""

    @abstractmethod
    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows an SVG picture, named e.g. "search/genotype".

        A moment is {"epoch": number} or {"trial": number}, 0-based; epoch -1 is the start.
        """

    @abstractmethod
    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with."""

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files; a hook."""

    def close(self, is_failed: bool) -> None:
        """Ends the run; a hook, called once or more."""
        self.finalize("failed" if is_failed else "success")
