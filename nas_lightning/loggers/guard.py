"""Keeps a search alive when a logger fails, and hands results to several loggers at once."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.loggers import Logger

from nas_lightning.loggers.dashboard import Artifact, Dashboard

__all__ = ["Dashboards", "Guarded"]

log = logging.getLogger(__name__)


def _of_logger(attribute: str, otherwise: Any = None) -> property:
    """Returns a property of `Guarded` that reads its logger's, which may fail too."""

    def read(guarded: "Guarded") -> Any:
        value = guarded.get(attribute)
        return otherwise if value is None else value

    return property(read)


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

    name: Any = _of_logger("name")
    version: Any = _of_logger("version")
    root_dir: Any = _of_logger("root_dir")
    log_dir: Any = _of_logger("log_dir")
    save_dir: Any = _of_logger("save_dir")
    experiment: Any = _of_logger("experiment")
    group_separator: Any = _of_logger("group_separator", otherwise="/")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Logs numbers."""
        self._call("log_metrics", metrics, step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Logs the configuration."""
        self._call("log_hyperparams", params, *args, **kwargs)

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Logs the network's graph, where the logger does."""
        self._call("log_graph", model, input_array)

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Tells the logger of a checkpoint."""
        self._call("after_save_checkpoint", checkpoint_callback)

    def save(self) -> None:
        """Lets the logger write."""
        self._call("save")

    def finalize(self, status: str) -> None:
        """Tells the logger that a training ended."""
        self._call("finalize", status)

    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture, where the logger is a dashboard."""
        if isinstance(self._logger, Dashboard):
            self._call("log_picture", name, svg, moment)

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with; a logger that is no dashboard gets the numbers."""
        if isinstance(self._logger, Dashboard):
            self._call("log_summary", figures)
        else:
            numbers = {n: float(v) for n, v in figures.items() if not isinstance(v, str)}
            self._call("log_metrics", numbers)

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files, where the logger is a dashboard."""
        if isinstance(self._logger, Dashboard):
            self._call("log_artifact", artifact)

    def close(self, is_failed: bool) -> None:
        """Ends the run."""
        if isinstance(self._logger, Dashboard):
            self._call("close", is_failed)
        else:
            self._call("finalize", "failed" if is_failed else "success")

    def get(self, attribute: str) -> Any:
        """Returns an attribute of the logger; None where it has none, or has failed."""
        try:
            return getattr(self._logger, attribute, None)
        except Exception as error:  # whatever a logger raises, a search is worth more
            self._drop(error)
            return None

    def _call(self, method: str, *args: Any, **kwargs: Any) -> None:
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
