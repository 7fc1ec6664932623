"""metrics.csv of a black-box search: a row per trial, whose number stands under "epoch"."""

import csv
import io
from pathlib import Path
from typing import Any

from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.core.strategy import Trial
from nas_lightning.files import write_text

__all__ = ["TrialLog"]


class TrialLog:
    """Adds a row for every new trial; a new column has the file written anew.

    Args:
        path: the file; what an interrupted search left there is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns: list[str] = []
        self.written = 0

    def write(self, trials: list[Trial]) -> None:
        """Adds the rows of the trials that are not in the file yet."""
        rows = [_row(trial) for trial in trials[self.written :]]
        if self.written == 0 or not {name for row in rows for name in row} <= set(self.columns):
            rows = [_row(trial) for trial in trials]
            self.columns = list(dict.fromkeys(name for row in rows for name in row))
            write_text(self.path, csv_text(rows))
        else:
            text = io.StringIO()
            csv.DictWriter(text, self.columns, lineterminator="\n").writerows(rows)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(text.getvalue())
        self.written = len(trials)


def _row(trial: Trial) -> dict[str, Any]:
    measured = {f"search/{name}": value for name, value in sorted(trial.measurements.items())}
    return {"epoch": trial.number, "search/reward": trial.reward, **measured}
