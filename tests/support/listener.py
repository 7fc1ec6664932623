"""A dashboard that a test listens with."""

from nas_lightning.loggers.dashboard import Dashboard


class Listener(Dashboard):
    """Notes what it is told, and fails at one of it."""

    name = version = None

    def __init__(self, fails_at=""):
        super().__init__()
        self.told, self.fails_at = [], fails_at

    def _hear(self, *words):
        if words[0] == self.fails_at:
            raise ConnectionError(f"lost at {words[0]}")
        self.told.append(words)

    def log_metrics(self, metrics, step=None):
        self._hear("metrics", metrics, step)

    def log_hyperparams(self, params, *args, **kwargs):
        self._hear("config", params)

    def log_picture(self, name, svg, moment):
        self._hear("picture", name, svg, moment)

    def log_summary(self, figures):
        self._hear("summary", figures)

    def log_artifact(self, artifact):
        self._hear("artifact", artifact)

    def finalize(self, status):
        self._hear("end", status)
