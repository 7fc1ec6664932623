"""Keeps a search alive when a logger fails, and hands results to several loggers at once."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.loggers import Logger

from nas_lightning.loggers.dashboard import Artifact, Dashboard

__all__ = ["Dashboards", "Guarded"]

log = logging.getLogger(__name__)


def _attribute(name: str, otherwise: Any = None) -> Any:
    """Returns a property of `Guarded` that reads its logger's; reading may fail too."""

    def read(guarded: "Guarded") -> Any:
        value = guarded.get(name)
        return otherwise if value is None else value

    return property(read)


def _method(name: str) -> Any:
    """Returns a method of `Guarded` that calls its logger's and returns nothing."""

    def call(guarded: "Guarded", *args: Any, **kwargs: Any) -> None:
        guarded.call(name, *args, **kwargs)

    return call


class Guarded(Dashboard):
    """A logger that is dropped at its first failure with a warning, while the run continues.

    Args:
        logger: any Lightning logger.
        label: its name in the configuration.
    """

    def __init__(self, logger: Logger, label: str) -> None:
        super().__init__()
        self._logger: Logger | None = logger
        self.label = label

    @property
    def is_dropped(self) -> bool:
        """Whether it has failed."""
        return self._logger is None

    name, version = _attribute("name"), _attribute("version")
    save_dir, root_dir = _attribute("save_dir"), _attribute("root_dir")
    log_dir, experiment = _attribute("log_dir"), _attribute("experiment")
    group_separator = _attribute("group_separator", otherwise="/")
    log_metrics, log_hyperparams = _method("log_metrics"), _method("log_hyperparams")
    log_graph, after_save_checkpoint = _method("log_graph"), _method("after_save_checkpoint")
    save, finalize = _method("save"), _method("finalize")

    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture, where the logger is a dashboard."""
        if isinstance(self._logger, Dashboard):
            self.call("log_picture", name, svg, moment)

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with; a logger that is no dashboard gets the numbers."""
        if isinstance(self._logger, Dashboard):
            self.call("log_summary", figures)
        else:
            numbers = {n: float(v) for n, v in figures.items() if not isinstance(v, str)}
            self.call("log_metrics", numbers)

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files, where the logger is a dashboard."""
        if isinstance(self._logger, Dashboard):
            self.call("log_artifact", artifact)

    def close(self, is_failed: bool) -> None:
        """Ends the run."""
        if isinstance(self._logger, Dashboard):
            self.call("close", is_failed)
        else:
            self.call("finalize", "failed" if is_failed else "success")

    def get(self, attribute: str) -> Any:
        """Returns an attribute of the logger; None where it has none, or has failed."""
        try:
            return getattr(self._logger, attribute, None)
        except Exception as error:  # whatever a logger raises, a search is worth more
            self._drop(error)
            return None

    def call(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method of the logger, unless it has failed."""
        if self._logger is None:
            return
        try:
            getattr(self._logger, method)(*args, **kwargs)
        except Exception as error:
            self._drop(error)

    def _drop(self, error: BaseException) -> None:
        self._logger = None
        while error.__cause__ is not None:
            error = error.__cause__
        why = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        log.warning("logger.%s failed; the run goes on without it: %s", self.label, why)


class Dashboards:
    """The loggers of one run; as a context it begins them, and ends them well or failed.

    Args:
        loggers: the loggers, none by default.
        config: what they are told first.
    """

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
        return any(not logger.is_dropped for logger in self.loggers)

    def log(self, values: Mapping[str, float], moment: Mapping[str, int]) -> None:
        """Logs numbers at {"epoch": number} or {"trial": number}."""
        (step,) = moment.values()
        for logger in self.loggers:
            logger.log_metrics({**values, **moment}, step)

    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture (see `Dashboard`)."""
        for logger in self.loggers:
            logger.log_picture(name, svg, moment)

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with."""
        for logger in self.loggers:
            logger.log_summary(figures)

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files."""
        for logger in self.loggers:
            logger.log_artifact(artifact)
