"""R-DARTS: the search answers a rise of the validation loss's curvature before alphas collapse.

Source: Zela et al., Understanding and Robustifying DARTS, 2020 (arXiv:1909.09656), section 4.3
(early stopping) and 5.2 (adaptive regularisation), and the authors' code, whose criterion compares
local means of the dominant eigenvalue. The paper's L2 regularisation, chosen from 3e-4 times 1, 3,
9, 27 and 81, is `strategy=darts` with `strategy.params_optimizer.weight_decay`; its drop path
within the supernet is not here.
Deliberate differences: the eigenvalue is that of the same validation batch each time, not
augmented, without alphas' L2 decay (see `curvature`); a search that is stopped ends with the params
of the epoch whose genotype it takes; one that goes back does not get the lost epochs again: its
schedule is drawn out over those that are left.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from nas_lightning.core.checks import at_least, in_range, one_of, positive
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy, share_of
from nas_lightning.strategies.curvature import alpha_eigenvalue

__all__ = ["Record", "RobustDarts", "local_means", "where_it_rises"]

log = logging.getLogger(__name__)

FEW = (
    "a search {} ends before eigenvalues can be compared: it is that of strategy=darts; use more "
    "epochs or samples, or a smaller strategy.window, back or start"
)


@dataclass
class Record:
    """What a search has measured and how it has answered, plain data for a checkpoint.

    Attributes:
        eigenvalues: one per measurement; going back removes those of the epochs that are lost.
        epochs: the epoch (0-based) of each measurement.
        snapshots: the state of the search at a measurement, by its number (0-based); only those
            that the search may still return to.
        places: where in the schedule each snapshot was taken, in epochs.
        latest: the eigenvalue that was measured last, also one that was then removed.
        raises: how often the weight decay was raised.
        begin: the first epoch since the search last went back, 0 before.
        place: where in the schedule, in epochs, `begin` stands.
        has_ended: whether the search was stopped.
        answers: one sentence for each rise that was answered.
    """

    eigenvalues: list[float] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    snapshots: dict[int, dict[str, Any]] = field(default_factory=dict)
    places: dict[int, float] = field(default_factory=dict)
    latest: float = math.nan
    raises: int = 0
    begin: int = 0
    place: float = 0.0
    has_ended: bool = False
    answers: list[str] = field(default_factory=list)

    def copy(self) -> "Record":
        """Returns a record with lists of its own; the snapshots, which never change, are shared."""
        same = replace(self, eigenvalues=[*self.eigenvalues], epochs=[*self.epochs])
        same.snapshots, same.places = dict(self.snapshots), dict(self.places)
        same.answers = [*self.answers]
        return same

    def cut(self, number: int) -> None:
        """Forgets the measurements after one, which becomes the last."""
        del self.eigenvalues[number + 1 :], self.epochs[number + 1 :]
        for later in [each for each in self.snapshots if each > number]:
            del self.snapshots[later], self.places[later]


class RobustDarts(AlphaStrategy):
    """First-order DARTS that stops, or regularises more, where the dominant eigenvalue rises.

    Args:
        epochs: length of the search; the paper has 50.
        on_rise: "stop" (the search ends with what it was before the rise) or "regularise" (it goes
            back there, and on with a larger weight decay of the params).
        interval: share of the epochs between two measurements, in (0, 1], at least one epoch; the
            code has 2 of 50 epochs.
        start: share of the epochs before which the search never returns, in [0, 1); the code has
            10 of 50 epochs.
        window: number of measurements of which a local mean is taken; the code has 5.
        back: by how many measurements the mean that it is compared with is earlier; the code has 4.
        ratio: a rise is a local mean above so many times the earlier one, above 0.
        factor: by which the weight decay is raised, above 1; the code has 10, or 3 by default.
        max_weight_decay: largest weight decay, at which a rise is no longer answered.

    Raises: ValueError: a value is out of range.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> robust = RobustDarts(NasBench201Space(), seed=0, epochs=50, window=5, back=4)
    >>> robust.measured_every
    2
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        on_rise: str = "stop",
        interval: float = 0.04,
        start: float = 0.2,
        window: int = 3,
        back: int = 2,
        ratio: float = 1.3,
        factor: float = 10.0,
        max_weight_decay: float = 0.03,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        one_of("strategy.on_rise", on_rise, ("stop", "regularise"))
        in_range("strategy.interval", interval, "(0, 1]", use=0.04)
        in_range("strategy.start", start, "[0, 1)", use=0.2)
        at_least("strategy.window", window, 1, use=5)
        at_least("strategy.back", back, 1, use=4)
        in_range("strategy.ratio", ratio, "(0, inf)", use=1.3)
        in_range("strategy.factor", factor, "(1, inf)", use=10)
        positive("strategy.max_weight_decay", max_weight_decay, use=0.03)
        if on_rise == "regularise":  # to which the weight decay is raised
            key, decay = "strategy.params_optimizer.weight_decay", params_optimizer.weight_decay
            in_range(key, decay, f"(0, {max_weight_decay})", use=f"{max_weight_decay / 100:g}")
        self.on_rise, self.interval, self.start = on_rise, interval, start
        self.window, self.back, self.ratio = window, back, ratio
        self.factor, self.max_weight_decay = factor, max_weight_decay
        self.record = Record()

    @property
    def measured_every(self) -> int:
        """Epochs from one measurement to the next."""
        return max(1, round(self.interval * self.epochs))

    @property
    def weight_decay(self) -> float:
        """The params' weight decay, raised at each rise that was answered so."""
        raised = self.params_optimizer.weight_decay * self.factor**self.record.raises
        return raised if not self.record.raises else min(raised, self.max_weight_decay)

    @property
    def is_over(self) -> bool:
        """Whether a rise has stopped the search."""
        return self.record.has_ended

    def lr_at(self, epoch: int) -> float:
        """Returns the params' learning rate; a search that went back has that of the earlier epoch.

        From there its cosine is drawn out over the epochs that are left.
        """
        return self.params_optimizer.lr_at(self._place(epoch), self.epochs)

    def notes(self) -> list[str]:
        """Returns how rises were answered, or that none could be seen."""
        if self.record.answers or len(self.record.eigenvalues) > self._first:
            return self.record.answers
        return [FEW.format("cut short" if self._can_compare else f"of {self.epochs} epochs")]

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Moves alphas by the validation loss, unless the search has ended."""
        if not self.is_over:
            super().alpha_step(train, val, context)

    def finish_epoch(self, epoch: int, context: SearchContext, val: Iterable[Batch]) -> None:
        """Measures the curvature where it is time, and answers a rise.

        The last epoch is measured too, for the record alone. Too few epochs are told in the second
        one, from which on their number is known where time bounds it.
        """
        if epoch == min(1, self.epochs - 1) and not self._can_compare:
            log.warning(FEW.format(f"of {self.epochs} epochs"))
        is_last, is_due = epoch == self.epochs - 1, epoch % self.measured_every == 0
        if self.is_over or not (is_last or is_due):
            return
        record = self.record
        record.latest = alpha_eigenvalue(self, _first(val), context, self.rng)
        if is_last:
            return
        record.eigenvalues.append(record.latest)
        record.epochs.append(epoch)
        if epoch >= share_of(self.start, self.epochs):
            self._keep(epoch, context)
        number = where_it_rises(record.eigenvalues, self.window, self.back, self.ratio)
        if number is not None and number in record.snapshots:
            self._answer(number, epoch, context)

    def measurements(self) -> dict[str, float]:
        """Returns the last dominant eigenvalue, and the weight decay that follows from them."""
        return {"dominant_eigenvalue": self.record.latest, "weight_decay": self.weight_decay}

    def get_extra_state(self) -> dict[str, Any]:
        """Returns the state of the generator, and the record."""
        return {**super().get_extra_state(), "record": vars(self.record.copy())}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores the state of the generator, and the record."""
        super().set_extra_state(state)
        self.record = Record(**state["record"]).copy()

    def _place(self, epoch: int) -> float:
        """Returns an epoch's place in the schedule, in epochs."""
        begin, place = self.record.begin, self.record.place
        return place + (epoch - begin) * (self.epochs - place) / (self.epochs - begin)

    def _keep(self, epoch: int, context: SearchContext) -> None:
        """Takes a snapshot of the search, and forgets one that is too old to return to."""
        record, number = self.record, len(self.record.eigenvalues) - 1
        record.snapshots[number] = context.snapshot()
        record.places[number] = self._place(epoch)
        for old in [each for each in record.snapshots if each < number - self._reach]:
            del record.snapshots[old], record.places[old]

    def _answer(self, number: int, epoch: int, context: SearchContext) -> None:
        """Returns to a measurement, and ends the search there or goes on with more decay."""
        record, target = self.record, self.record.epochs[number]
        before = self.weight_decay
        if self.on_rise == "regularise" and before >= self.max_weight_decay * (1 - 1e-9):
            return
        context.restore(record.snapshots[number])
        if self.on_rise == "stop":
            record.has_ended = True
            record.snapshots, record.places = {}, {}
            answer = "ended with what it was then"
        else:
            record.begin, record.place = epoch + 1, record.places[number] + 1
            record.cut(number)
            record.raises += 1
            answer = f"went back there, with a weight decay of {self.weight_decay:g}"
        record.answers.append(
            f"in epoch {epoch} (0-based) the dominant eigenvalue, {record.latest:.3g}, had risen "
            f"since epoch {target}; the search {answer}"
        )
        log.warning(record.answers[-1])

    @property
    def _reach(self) -> int:
        """How many measurements back a search returns."""
        return self.window // 2 + self.back

    @property
    def _first(self) -> int:
        """The number (0-based) of the first measurement that can show a rise."""
        return math.ceil(share_of(self.start, self.epochs) / self.measured_every) + self._reach

    @property
    def _can_compare(self) -> bool:
        """Whether a rise can be seen before the last epoch."""
        return self._first * self.measured_every < self.epochs - 1


def local_means(eigenvalues: Sequence[float], window: int) -> list[float]:
    """Returns the moving averages of eigenvalues, over the last `window` measurements each.

    There is one for every measurement from the one on that completes half a window, rounded up;
    the early ones average all measurements so far. The average that ends with measurement n is
    that of the neighbourhood of measurement n - window // 2, the middle of a whole window.

    >>> local_means([1.0, 3.0, 8.0, 4.0], window=3)
    [2.0, 4.0, 5.0]
    """
    ends = range(math.ceil(window / 2), len(eigenvalues) + 1)
    return [fmean(eigenvalues[max(0, end - window) : end]) for end in ends]


def where_it_rises(
    eigenvalues: Sequence[float], window: int, back: int, ratio: float
) -> int | None:
    """Returns the measurement (0-based) to return to if eigenvalues have risen, else None.

    Source: the authors' code. They have risen where the last local mean is above `ratio` times the
    one `back` measurements earlier; an earlier mean below 0 counts as 0. The measurement is the
    middle of that earlier mean's window (see `local_means`).

    >>> where_it_rises([1.0, 1.0, 1.0, 1.0, 3.0], window=3, back=2, ratio=1.3)
    1
    """
    means = local_means(eigenvalues, window)
    if len(means) <= back or not means[-1] > ratio * max(0.0, means[-1 - back]):
        return None
    return len(eigenvalues) - 1 - window // 2 - back


def _first(val: Iterable[Batch]) -> Batch:
    """Returns the first validation batch, the same in every epoch."""
    for batch in val:
        return batch
    raise ValueError(
        "strategy=robust_darts measures the curvature on a validation batch, of which there must "
        "be at least 1, got 0; hold samples out (e.g. data.validation_share=0.2), or hand their "
        "loader to a Trainer with limit_val_batches above 0"
    )
