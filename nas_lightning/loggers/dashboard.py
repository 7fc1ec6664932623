"""What dashboards know of a run and show beside numbers; a run survives those that fail."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Trial

__all__ = ["Artifact", "Dashboard", "Dashboards", "Guarded", "RunFacts"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFacts:
    """What a dashboard knows of the run that it shows."""

    folder: Path  # a dashboard's files go into it
    job: str  # "search" or "child"
    name: str
    group: str  # what the run belongs to: its sweep, or else its folder
    tags: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)  # flat, e.g. "strategy.epochs"
    source: str | None = None  # name of the artifact that the run begins with


@dataclass(frozen=True)
class Artifact:
    """Files that a run made, with plain data about them."""

    name: str  # unique for its content, e.g. "genotype-0123456789ab"
    kind: str  # "genotype" or "model"
    files: tuple[Path, ...]
    facts: Mapping[str, Any]


class Dashboard(Logger, ABC):
    """A Lightning logger that also takes pictures, a summary, artifacts and trials.

    Attributes:
        needs_trials: whether it shows trials alone, which a one-shot search does not have.
    """

    needs_trials = False

    @abstractmethod
    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows an SVG picture at {"epoch": number} or {"trial": number}; epoch -1 is the start."""

    @abstractmethod
    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with."""

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files; a hook."""

    def log_trial(self, trial: Trial, space: SearchSpace, objective: Objective) -> None:
        """Shows a trial that begins, or with its reward; again those before a resume; a hook."""

    def close(self, is_failed: bool) -> None:
        """Ends the run; a hook, called once or more."""
        self.finalize("failed" if is_failed else "success")


def _attribute(name: str, otherwise: Any = None) -> Any:
    """Returns a property of `Guarded` that reads its logger's; reading may fail too."""

    def read(guarded: "Guarded") -> Any:
        try:
            value = getattr(guarded.logger, name, None)
        except Exception as error:  # whatever a logger raises, a search is worth more
            guarded.drop(error)
            return otherwise
        return otherwise if value is None else value

    return property(read)


def _method(name: str, kind: type = Logger) -> Any:
    """Returns a method of `Guarded` that calls its logger's, if it is of a kind."""

    def call(guarded: "Guarded", *args: Any, **kwargs: Any) -> None:
        if isinstance(guarded.logger, kind):
            guarded.call(name, *args, **kwargs)

    return call


class Guarded(Dashboard):
    """A logger, by its label in the configuration, that is dropped at its first failure."""

    def __init__(self, logger: Logger, label: str) -> None:
        super().__init__()
        self.logger: Logger | None = logger  # None once it has failed
        self.label = label

    name, version = _attribute("name"), _attribute("version")
    save_dir, root_dir = _attribute("save_dir"), _attribute("root_dir")
    log_dir, experiment = _attribute("log_dir"), _attribute("experiment")
    group_separator = _attribute("group_separator", otherwise="/")
    log_metrics, log_hyperparams = _method("log_metrics"), _method("log_hyperparams")
    log_graph, after_save_checkpoint = _method("log_graph"), _method("after_save_checkpoint")
    save, finalize = _method("save"), _method("finalize")
    log_picture = _method("log_picture", Dashboard)
    log_artifact = _method("log_artifact", Dashboard)
    log_trial = _method("log_trial", Dashboard)

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with; a logger that is no dashboard gets the numbers."""
        if isinstance(self.logger, Dashboard):
            self.call("log_summary", figures)
        else:
            numbers = {n: float(v) for n, v in figures.items() if not isinstance(v, str)}
            self.call("log_metrics", numbers)

    def close(self, is_failed: bool) -> None:
        """Ends the run."""
        if isinstance(self.logger, Dashboard):
            self.call("close", is_failed)
        else:
            self.finalize("failed" if is_failed else "success")

    def call(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method of the logger, unless it has failed."""
        if self.logger is None:
            return
        try:
            getattr(self.logger, method)(*args, **kwargs)
        except Exception as error:
            self.drop(error)

    def drop(self, error: BaseException) -> None:
        """Leaves the logger out from now on, with a warning that names the first cause."""
        self.logger = None
        while error.__cause__ is not None:
            error = error.__cause__
        why = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        log.warning("logger.%s failed; the run goes on without it: %s", self.label, why)


class Dashboards:
    """The loggers of one run; a context that tells them the config, and ends them."""

    def __init__(
        self, loggers: Sequence[Guarded] = (), config: Mapping[str, Any] | None = None
    ) -> None:
        self.loggers, self.config = tuple(loggers), dict(config or {})

    def __enter__(self) -> "Dashboards":
        for logger in self.loggers:
            logger.log_hyperparams(dict(self.config))
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        for logger in self.loggers:
            logger.close(is_failed=kind is not None)

    @property
    def are_watched(self) -> bool:
        """Whether a logger is left to show anything to."""
        return any(guarded.logger is not None for guarded in self.loggers)

    def log(self, values: Mapping[str, float], moment: Mapping[str, int]) -> None:
        """Logs numbers at {"epoch": number} or {"trial": number}."""
        (step,) = moment.values()
        for logger in self.loggers:
            logger.log_metrics({**values, **moment}, step)

    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture (see `Dashboard`)."""
        for logger in self.loggers:
            logger.log_picture(name, svg, moment)

    def log_trial(self, trial: Trial, space: SearchSpace, objective: Objective) -> None:
        """Shows a trial (see `Dashboard`)."""
        for logger in self.loggers:
            logger.log_trial(trial, space, objective)

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with."""
        for logger in self.loggers:
            logger.log_summary(figures)

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files."""
        for logger in self.loggers:
            logger.log_artifact(artifact)
