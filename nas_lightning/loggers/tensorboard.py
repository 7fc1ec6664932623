"""TensorBoard: the same numbers and pictures, in files under the run's folder."""

from collections.abc import Mapping
from io import BytesIO

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from nas_lightning.loggers.dashboard import Dashboard, RunFacts
from nas_lightning.reports.png import svg_to_png

__all__ = ["TensorBoard"]


class TensorBoard(Dashboard, TensorBoardLogger):
    """Writes events, by epoch or trial, to tensorboard/JOB/; a resumed run adds a file there.

    Raises: ValueError: the package tensorboard is not installed.
    """

    def __init__(self, facts: RunFacts) -> None:
        try:
            TensorBoardLogger.__init__(
                self, facts.folder, "tensorboard", facts.job, default_hp_metric=False
            )
        except ModuleNotFoundError as error:
            raise ValueError(
                "logger=tensorboard needs the package tensorboard: "
                "pip install 'nas-lightning[tensorboard]'"
            ) from error
        self._last = 0

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers at the epoch or trial that is among them."""
        values = dict(metrics)
        moment = values.pop("trial", values.pop("epoch", step))
        self._last = 0 if moment is None else int(moment)
        super().log_metrics(values, self._last)

    @rank_zero_only
    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows a picture."""
        (step,) = moment.values()
        pixels = np.asarray(Image.open(BytesIO(svg_to_png(svg))).convert("RGB"))
        self.experiment.add_image(name, pixels, step, dataformats="HWC")

    @rank_zero_only
    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows what the run ended with: numbers beside its configuration, and text."""
        numbers = {n: float(v) for n, v in figures.items() if not isinstance(v, str)}
        for name in (name for name in figures if name not in numbers):
            self.experiment.add_text(name, str(figures[name]), self._last)
        self.log_hyperparams(dict(self.hparams), numbers, self._last)
