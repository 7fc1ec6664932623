"""A logger that fails where a test says so, and what is told of it."""

import logging

from lightning.pytorch.loggers import Logger

METHODS = (
    "name",
    "version",
    "save_dir",
    "experiment",
    "log_metrics",
    "log_hyperparams",
    "log_graph",
    "save",
    "finalize",
)


class FailingLogger(Logger):
    """Raises in one of its methods, as a full disk would make it, and takes the rest."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    @property
    def name(self) -> str:
        return self._use("name")

    @property
    def version(self) -> str:
        return self._use("version")

    @property
    def save_dir(self) -> str:
        return self._use("save_dir")

    @property
    def experiment(self) -> str:
        return self._use("experiment")

    def log_metrics(self, metrics, step=None) -> None:
        self._use("log_metrics")

    def log_hyperparams(self, params, *args, **kwargs) -> None:
        self._use("log_hyperparams")

    def log_graph(self, model, input_array=None) -> None:
        self._use("log_graph")

    def save(self) -> None:
        self._use("save")

    def finalize(self, status) -> None:
        self._use("finalize")

    def _use(self, method: str) -> str:
        if method == self.method:
            raise OSError(28, f"No space left for {method}")
        return ""


class warnings_of:  # noqa: N801 - a context manager used as a verb
    """Collects what a module warns of."""

    def __init__(self, name):
        self.log, self.told = logging.getLogger(name), []
        self.handler = logging.Handler()
        self.handler.emit = lambda record: self.told.append(record.getMessage())

    def __enter__(self):
        self.log.addHandler(self.handler)
        return self.told

    def __exit__(self, *_):
        self.log.removeHandler(self.handler)
