"""The progress of a black-box search: trial, best so far, time left, what its workers do."""

import sys
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from types import TracebackType

from rich.console import Console

from nas_lightning.callbacks.progress import Bar, is_drawable
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.executors import Running
from nas_lightning.evaluation.trials import best_trial
from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.terminal import say

__all__ = ["TrialProgress"]


class TrialProgress:
    """A bar on a terminal, else a line per trial, while this context lasts.

    Below it stands a line per child that a worker trains.

    The time left is that to the last trial or to the cap of samples, whichever is sooner.

    Args:
        total: number of trials.
        max_samples: cap of the training samples; None for none.
        share: the metric, a share, that the reward is; None where it is something else.
        running: tells what the workers do now.
    """

    def __init__(
        self,
        total: int,
        max_samples: int | None,
        share: MainMetric | None = None,
        running: Callable[[], list[Running]] = list,
    ) -> None:
        self.total, self.max_samples = total, max_samples
        self.name = f"validation {share.words}" if share else "reward"
        self.text = share.text if share else "{:.4f}".format
        self.running = running
        self.shown, self.failed, self.seconds, self.samples = 0, 0, 0.0, 0.0
        self.best: Trial | None = None
        self.bar: Bar | None = None
        self._console = Console(file=sys.stderr)

    def __enter__(self) -> "TrialProgress":
        if is_drawable(self._console):
            self.bar = Bar(self._console, self._title(), self.total, more_notes=self._children)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def show(self, trials: list[Trial]) -> None:
        """Shows the last of all trials so far, at least one, and counts those that are new."""
        for trial in trials[self.shown :]:
            self.best = trial if self.best is None else best_trial([self.best, trial])
            self.failed += bool(trial.failure)
            self.seconds += trial.cost["wall_s"]
            self.samples += trial.cost["training_samples"]
        self.shown, last, best = len(trials), trials[-1], self.best or trials[-1]
        figures = f"{self.name} {self.text(last.reward)}"
        figures += f"  best {self.text(best.reward)} ({best.genotype.id})"
        figures += f"  {self.failed} failed" if self.failed else ""
        left = self._left()
        if self.bar is not None:
            self.bar.update(self.bar.only, total=self.total)
            self.bar.show(self._title(), self.shown, left)
            self.bar.notes = (figures,)
            return
        ends = f"  {ceil(left)} s left" if left > 0 else ""  # nothing is left, rather than 0 s
        line = f"trial {self.shown}/{self.total}  {figures}{ends}"
        say("\n".join([line, *(f"  {child}" for child in self._children())]), sys.stderr)

    def _children(self) -> list[str]:
        """Returns a line per child that a worker trains."""
        return [_line(running) for running in self.running()]

    def _title(self) -> str:
        return f"search trial {min(self.shown + 1, self.total)}/{self.total}"

    def _left(self) -> float:
        left = self.seconds / self.shown * (self.total - self.shown)
        if self.max_samples is None or not self.samples:
            return left
        missing = max(0.0, self.max_samples - self.samples)
        return min(left, self.seconds / self.samples * missing)


def _line(running: Running) -> str:
    trial, seconds = running.trial, timedelta(seconds=int(running.seconds))
    budget = "" if trial.budget == 1 else f"  budget {trial.budget:.3g}"
    child = f"trial {trial.number + 1} ({trial.genotype.id}){budget}"
    return f"worker {running.worker}  {child}  {seconds}"
