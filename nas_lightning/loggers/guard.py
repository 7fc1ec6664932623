"""Keeps a search alive when a logger fails, and hands results to several loggers at once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from lightning.pytorch.loggers import Logger

from nas_lightning.loggers.dashboard import Artifact, Dashboard

__all__ = ["Dashboards", "Guarded"]

log = logging.getLogger(__name__)
T = TypeVar("T")


class Guarded(Dashboard):
    """A logger whose first failure is told and drops it, while the run goes on without it.

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

    @property
    def name(self) -> str | None:
        """The logger's name."""
        return self._safely(lambda logger: logger.name)

    @property
    def version(self) -> int | str | None:
        """The logger's version."""
        return self._safely(lambda logger: logger.version)

    @property
    def root_dir(self) -> str | None:
        """The logger's root folder."""
        return self._safely(lambda logger: logger.root_dir)

    @property
    def log_dir(self) -> str | None:
        """The logger's folder of this run."""
        return self._safely(lambda logger: logger.log_dir)

    @property
    def save_dir(self) -> str | None:
        """The logger's folder."""
        return self._safely(lambda logger: logger.save_dir)

    @property
    def group_separator(self) -> str:
        """What stands between the parts of a metric's name."""
        return self._safely(lambda logger: logger.group_separator) or "/"

    @property
    def experiment(self) -> Any:
        """The logger's own object, e.g. a run of Weights & Biases; None where it has none."""
        return self._safely(lambda logger: getattr(logger, "experiment", None))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Logs numbers."""
        self._safely(lambda logger: logger.log_metrics(metrics, step))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Logs the configuration."""
        self._safely(lambda logger: logger.log_hyperparams(params, *args, **kwargs))

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Logs the network's graph, where the logger does."""
        self._safely(lambda logger: logger.log_graph(model, input_array))

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Tells the logger of a checkpoint."""
        self._safely(lambda logger: logger.after_save_checkpoint(checkpoint_callback))

    def save(self) -> None:
        """Lets the logger write."""
        self._safely(lambda logger: logger.save())

    def finalize(self, status: str) -> None:
        """Tells the logger that a training ended."""
        self._safely(lambda logger: logger.finalize(status))

    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture, where the logger is a dashboard."""
        self._safely(
            lambda logger: (
                logger.log_picture(name, svg, moment) if isinstance(logger, Dashboard) else None
            )
        )

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with; a logger that is no dashboard gets the numbers."""
        numbers = {n: float(v) for n, v in figures.items() if not isinstance(v, str)}
        self._safely(
            lambda logger: (
                logger.log_summary(figures)
                if isinstance(logger, Dashboard)
                else logger.log_metrics(numbers)
            )
        )

    def log_artifact(self, artifact: Artifact) -> None:
        """Keeps files, where the logger is a dashboard."""
        self._safely(
            lambda logger: logger.log_artifact(artifact) if isinstance(logger, Dashboard) else None
        )

    def close(self, is_failed: bool) -> None:
        """Ends the run."""
        status = "failed" if is_failed else "success"
        self._safely(
            lambda logger: (
                logger.close(is_failed)
                if isinstance(logger, Dashboard)
                else logger.finalize(status)
            )
        )

    def _safely(self, act: Callable[[Logger], T]) -> T | None:
        if self._logger is None:
            return None
        try:
            return act(self._logger)
        except Exception as error:  # whatever a logger raises, a search is worth more
            self._logger = None
            log.warning("logger.%s failed; the run goes on without it: %s", self.label, _why(error))
            return None


def _why(error: BaseException) -> str:
    """Returns the first cause of an error, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")


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
        """Begins the loggers."""
        for logger in self.loggers:
            logger.log_hyperparams(dict(self.config))
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        """Ends the loggers."""
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
