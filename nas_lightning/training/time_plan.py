"""How many epochs fit into some seconds: planned by the speed that was measured."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import lightning as L

from nas_lightning.core.units import LATE, too_short

__all__ = ["SamePlan", "Speed", "TimePlan"]

STATE = "time_plan"  # its key in a checkpoint

MISSED = 0.05  # share of the seconds by which the end may be missed before the plan is made anew


@dataclass(frozen=True)
class Speed:
    """What was measured of a training so far.

    Attributes:
        spent_s: seconds since its beginning, interruptions left out.
        step_s: seconds of a step of the last epoch.
        rest_s: seconds of the last epoch but its steps: validation, files.
        steps: steps of a whole epoch.
    """

    spent_s: float
    step_s: float
    rest_s: float
    steps: int

    @property
    def epoch_s(self) -> float:
        """Seconds of a whole epoch."""
        return self.steps * self.step_s + self.rest_s


class TimePlan:
    """The epochs of a training that is to take so many seconds.

    They are planned after the first epoch, so that every schedule ends with the time, and again
    only where the speed has changed by so much that the end would be missed by more than 5 %; so
    the last epoch alone ends sooner or later. The plan and the seconds used are kept in the
    checkpoint: a resumed training keeps to them.

    Args:
        seconds: seconds that the training is to take.
        key: their name as the user writes it.
        most: most epochs; None for any number.
        share: of the seconds under `key` that `seconds` are.
        has_part: whether the last epoch may be a part of one, so that the time is filled.
        must_fit: whether it is a mistake where not even one epoch fits; else there is one.
        clock: returns the seconds since some moment.

    >>> plan = TimePlan(100.0)
    >>> plan.revise(0, Speed(spent_s=10.0, step_s=1.0, rest_s=2.0, steps=8))
    True
    >>> plan.epochs, plan.last_steps
    (10, 8)
    >>> plan.revise(1, Speed(spent_s=22.5, step_s=1.2, rest_s=2.4, steps=8))
    True
    >>> plan.epochs, plan.last_steps
    (9, 2)
    """

    def __init__(
        self,
        seconds: float,
        key: str = "max_seconds",
        most: int | None = None,
        has_part: bool = True,
        must_fit: bool = True,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self.key, self.most = seconds, key, most
        self.has_part, self.must_fit, self.share = has_part, must_fit, share
        self.clock = clock
        self.epochs: int | None = None  # planned, none yet
        self.past: dict[int, int] = {}  # the epochs planned, by the epoch that ended then
        self.last_steps = 0  # steps of the last of them
        self.used_s = 0.0  # before the process began to train
        self._is_over = False  # in the middle of an epoch
        self._rest_s = 0.0  # of the last epoch that was looked at
        self._start = self._end = self._first = self._last = 0.0

    def start(self) -> None:
        """Starts the clock."""
        self._start = self._end = self.clock()

    def note_step(self, number: int) -> None:
        """Notes that a step (0-based) of an epoch has ended."""
        self._last = self.clock()
        if number == 0:  # it takes longer: memory is found, kernels are made
            self._first = self._last

    def speed(self, steps: int) -> Speed:
        """Returns what was measured, at the end of an epoch of so many steps."""
        now, before = self.clock(), self._end
        step = (self._last - self._first) / (steps - 1) if steps > 1 else self._last - before
        self._end = now
        rest = max(0.0, now - before - (self._last - self._first) - step)
        if before == self._start:  # what is done once is no part of an epoch
            rest = min(rest, now - self._last)
        return Speed(self.used_s + now - self._start, step, rest, steps)

    def revise(self, epoch: int, speed: Speed, allows: Callable[[int], bool] | None = None) -> bool:
        """Plans after an epoch (0-based), where it is needed; returns whether the plan is new.

        `allows` says whether a number of epochs fits what has been done, e.g. a stage begun.

        Raises: ValueError: one epoch takes longer than the time.
        """
        done = epoch + 1
        if self.must_fit and done == 1 and speed.spent_s > LATE * self.seconds:
            cure = "make an epoch shorter, e.g. by data.max_images"
            raise too_short(self.key, self.seconds, self.share, speed.spent_s, "epoch", cure)
        if self.epochs is not None:
            missing = self.epochs - done - 1 + self.last_steps / speed.steps
            ends = speed.spent_s + max(0.0, missing) * speed.epoch_s
            if self._is_over or abs(ends - self.seconds) <= MISSED * self.seconds:
                return False
        before, self._rest_s = (self.epochs, self.last_steps), speed.rest_s
        self._plan(done, speed, allows)
        return before != (self.epochs, self.last_steps)

    def _plan(self, done: int, speed: Speed, allows: Callable[[int], bool] | None) -> None:
        left = max(0.0, self.seconds - speed.spent_s)
        whole = int(left / max(speed.epoch_s, 1e-9))
        part = int((left - whole * speed.epoch_s - speed.rest_s) / max(speed.step_s, 1e-9))
        part = part if self.has_part and 0 < part < speed.steps else 0
        epochs, last = (done + whole + 1, part) if part else (done + whole, speed.steps)
        if self.most is not None and epochs > self.most:
            epochs, last = max(done, self.most), speed.steps
        if allows is not None and not allows(epochs):
            numbers = range(done, 2 * epochs + done)
            near = sorted((n for n in numbers if allows(n)), key=lambda n: abs(n - epochs))
            epochs, last = (near or [self.epochs or epochs])[0], speed.steps
        self.epochs, self.last_steps = epochs, last

    def ends(self, trainer: L.Trainer, step: int) -> bool:
        """Returns whether the last epoch ends with a step (0-based), alike in all processes."""
        if trainer.current_epoch + 1 != self.epochs or not self.has_part:
            return False
        used = (self.used_s + self.clock() - self._start + self._rest_s) / self.seconds
        is_time = used >= 1 - MISSED and step + 1 >= self.last_steps
        self._is_over = bool(trainer.strategy.broadcast(is_time or used >= 1 + MISSED))
        return self._is_over

    def follow(self, trainer: L.Trainer, allows: Callable[[int], bool] | None = None) -> bool:
        """Plans at the end of a Trainer's epoch (see `revise`), alike in all processes."""
        speed = trainer.strategy.broadcast(self.speed(int(trainer.num_training_batches)))
        if not self.revise(trainer.current_epoch, speed, allows):
            return False
        trainer.fit_loop.max_epochs = self.epochs
        self.past[trainer.current_epoch] = self.epochs or 0
        return True

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Adds the plan and the seconds used to a checkpoint."""
        used = self.used_s + self.clock() - self._start
        state = {"epochs": self.epochs, "last_steps": self.last_steps, "used_s": used}
        checkpoint[STATE] = state | {"past": dict(self.past)}

    def load(self, checkpoint: dict[str, Any], trainer: L.Trainer) -> None:
        """Restores the plan and the seconds used."""
        state = checkpoint[STATE]
        self.epochs, self.last_steps = state["epochs"], state["last_steps"]
        self.used_s, self.past = state["used_s"], dict(state["past"])
        if self.epochs is not None:
            trainer.fit_loop.max_epochs = self.epochs


class SamePlan(TimePlan):
    """Plans what another training has planned, whatever time this one takes.

    Args:
        planned: the `past` of the other one's plan.
    """

    def __init__(self, planned: Mapping[int, int]) -> None:
        super().__init__(seconds=inf, has_part=False, must_fit=False)
        self.planned = planned

    def follow(self, trainer: L.Trainer, allows: Callable[[int], bool] | None = None) -> bool:
        """Plans at the end of a Trainer's epoch where the other training did."""
        if (epochs := self.planned.get(trainer.current_epoch)) is None:
            return False
        self.epochs = trainer.fit_loop.max_epochs = epochs
        return True
