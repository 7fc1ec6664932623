"""A progress bar over the whole training: epoch, time left, what a search prefers now."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from math import ceil, inf
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.terminal import say
from nas_lightning.strategies.relaxations import is_even
from nas_lightning.training.supernet import SupernetModule

__all__ = ["Bar", "Progress", "is_drawable"]

MOST_NAMED = 3  # options that a search prefers
MEMORY_S = 600.0  # of the speed; steps may take minutes


class _TimeLeft(ProgressColumn):
    """The time left, as long as there is something to do at least a second; "-:--:--": unknown."""

    max_refresh = 0.5

    def render(self, task: Task) -> RenderableType:
        ends = task.fields.get("ends")
        left = task.time_remaining if ends is None else ends - time.monotonic()
        shown = "-:--:--" if left is None else str(timedelta(seconds=max(1, ceil(left))))
        return Text(shown, style="progress.remaining")


class Bar(RichProgress):
    """One bar: title, bar, time left; below it notes, each in a line, cut off where too long.

    Args:
        console: where it is drawn.
        title: what stands before it.
        total: how many steps there are; None where that is not known.
        done: how many of them are done.
        more_notes: makes further notes, each time that it is drawn.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        total: float | None,
        done: int = 0,
        more_notes: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.notes: tuple[str, ...] = ()
        self.more_notes = more_notes
        columns = (TextColumn("{task.description}"), BarColumn(24), _TimeLeft())
        super().__init__(*columns, console=console, transient=True, speed_estimate_period=MEMORY_S)
        self.only = self.add_task(title, total=total, completed=done)
        self.start()

    def show(self, title: str, done: int | None = None, seconds_left: float | None = None) -> None:
        """Shows a title, and steps done; `seconds_left` replaces what their speed tells."""
        ends = None if seconds_left is None else time.monotonic() + seconds_left
        self.update(self.only, description=title, completed=done, ends=ends)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yields the bar and the notes."""
        yield from super().get_renderables()
        for note in (*self.notes, *self.more_notes()):
            yield Text(f"  {note}", style="dim", no_wrap=True, overflow="ellipsis")


class Progress(ProgressBar):
    """Draws one bar on a terminal, or prints a line per epoch; `name` is what is trained."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.bar: Bar | None = None
        self._console = Console(file=sys.stderr)
        self._enabled = True

    def disable(self) -> None:
        """Shows nothing, as processes other than the first do."""
        self._enabled = False

    def enable(self) -> None:
        """Shows progress again."""
        self._enabled = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the bar."""
        self.name = self.name or ("search" if isinstance(pl_module, SupernetModule) else "child")
        if not (self._enabled and is_drawable(self._console)):
            return
        done = trainer.fit_loop.total_batch_idx + 1
        self.bar = Bar(self._console, self._title(trainer), _total(trainer), done)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Takes the number of steps anew, which a plan may have changed."""
        if self.bar is not None:
            self.bar.update(self.bar.only, total=_total(trainer))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Moves the bar."""
        if self.bar is not None:
            self.bar.advance(self.bar.only)
            self.bar.show(self._title(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows what the epoch gave."""
        notes = self._notes(trainer, pl_module)
        if self.bar is not None:
            self.bar.notes = notes
        elif self._enabled:
            say("  ".join([self._title(trainer), *notes]), sys.stderr)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ends the bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        """Ends the bar."""
        self.on_train_end(trainer, pl_module)

    def _title(self, trainer: L.Trainer) -> str:
        return f"{self.name} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"

    def _notes(self, trainer: L.Trainer, module: L.LightningModule) -> tuple[str, ...]:
        metrics = {n.split("/")[-1]: float(v) for n, v in trainer.callback_metrics.items()}
        task = getattr(module, "task", None)
        main = MainMetric(
            getattr(task, "metric", "accuracy"),
            is_share=getattr(task, "targets", "classes") != "values",
        )
        names = (f"validation_{main.name}", f"train_{main.name}")
        shown = [f"{n.replace('_', ' ')} {main.text(metrics[n])}" for n in names if n in metrics]
        shown += [f"train loss {metrics['train_loss']:.3f}"] if "train_loss" in metrics else []
        notes = ["  ".join(shown[:2])]
        if isinstance(module, SupernetModule):
            notes.append(f"prefers {preferred(module)}")
        return tuple(notes)


def _total(trainer: L.Trainer) -> float | None:
    batches = trainer.num_training_batches
    return (trainer.max_epochs or 1) * batches if batches < inf else None


def is_drawable(console: Console) -> bool:
    """Whether lines on a console can be drawn over."""
    return console.is_terminal and not console.is_dumb_terminal


def preferred(module: SupernetModule) -> str:
    """Returns the most used operations (or sizes) of the genotype; "nothing" if all weigh alike.

    Where none is used twice, as in a module with a few choices, each choice's name stands before
    its option.
    """
    scores = module.strategy.scores()
    if is_even(scores):
        return "nothing"
    chosen = module.space.discretize(scores).mapping
    made = [(d, chosen[d.name]) for d in module.space.decisions if d.name in chosen]
    ops = [(d.name, option) for d, option in made if d.kind == "op"]
    uses = [op for _, option in ops for op in option.split("+")]
    if uses and len(set(uses)) == len(uses):
        return ", ".join(f"{name}={option}" for name, option in ops[:MOST_NAMED])
    if not uses:
        sizes = [(d.name.split("/")[-1], option) for d, option in made if d.kind == "size"]
        uses = [f"{name.replace('_', ' ')} {option}" for name, option in sizes]
    return ", ".join(f"{use} {number}x" for use, number in Counter(uses).most_common(MOST_NAMED))
