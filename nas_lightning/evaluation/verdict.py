"""Whether a search was worth it: a sequential test of what it found against random children.

A child wins where it beats one random child, trained alike; a tie is no win. Its win share p is
the share of all random children that it beats. After w wins and l losses against k random ones:

- "worth it" rejects that it is itself no more than a random child. Then its rank among the k + 1
  is uniform, and an order of w wins and l losses has the probability B(w + 1, l + 1). The e-value
  is the ratio to that of the probability which the order has if p follows Beta(100, 1), as of a
  find that few random children reach:

      e = 100 B(100 + w, 1 + l) / B(w + 1, l + 1)

  A likelihood ratio is a test martingale: of random children it ever reaches 20 with a probability
  of at most 5 % (Ville's inequality), however often one looks. Source: Ramdas, Gruenwald, Vovk &
  Shafer, Game-theoretic statistics and safe anytime-valid inference, 2023 (arXiv:2210.01948). No
  test of one find can do with fewer than 19 children, all beaten; this one takes 24.
- "not worth it" says that more than 1 in 20 random children do as well: the confidence sequence
  of p lies below 0.95. It holds each p with B(w + 1, l + 1) < 20 p^w (1 - p)^l, and the true one
  at all times with a probability of 95 %. Source: Robbins, Statistical methods related to the law
  of the iterated logarithm, 1970; it is the capital of bets on wins, mixed uniformly, of
  Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, 2024
  (arXiv:2010.09686), section 4.
- Else it is "undecided".

The interval of the difference to the median random child inverts the same sequence at p = 1/2 by
order statistics, as Howard & Ramdas, Sequential estimation of quantiles with applications to A/B
testing and best-arm identification, 2022 (arXiv:1906.09712), do with other bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, lgamma, log
from statistics import median
from typing import Any

__all__ = ["NOT_WORTH_IT", "UNDECIDED", "WORTH_IT", "Verdict", "decide"]

WORTH_IT, NOT_WORTH_IT, UNDECIDED = "worth it", "not worth it", "undecided"
ENOUGH = 20.0  # evidence at which an answer is given: 1 / 5 %
RARE = 0.95  # win share of a find that few random children reach
BET = 100.0  # first parameter of the Beta distribution of such finds
MOST = 10_000  # children that are counted ahead


@dataclass(frozen=True)
class Verdict:
    """What random children, trained alike, say of a child that was found.

    Attributes:
        figure: the child's main metric.
        others: the same of the random children, in the order of their training.
        higher_is_better: the metric's direction.

    >>> Verdict(0.9, [0.8] * 23).answer, Verdict(0.9, [0.8] * 24).answer
    ('undecided', 'worth it')
    >>> Verdict(0.9, [0.9, 0.95]).answer
    'not worth it'
    """

    figure: float
    others: Sequence[float]
    higher_is_better: bool = True

    @property
    def gains(self) -> list[float]:
        """By how much the child is better than each random one."""
        sign = 1 if self.higher_is_better else -1
        return [sign * (self.figure - other) for other in self.others]

    @property
    def wins(self) -> int:
        """The number of random children that it beats."""
        return sum(gain > 0 for gain in self.gains)

    @property
    def losses(self) -> int:
        """The number of random children that do as well or better."""
        return len(self.others) - self.wins

    @property
    def answer(self) -> str:
        """One of "worth it", "not worth it" and "undecided"."""
        return decide(self.wins, self.losses)

    @property
    def win_share(self) -> tuple[float, float]:
        """The interval of the share of all random children that it beats, in [0, 1]."""
        return _end(0.0, self.wins, self.losses), _end(1.0, self.wins, self.losses)

    @property
    def interval(self) -> tuple[float, float] | tuple[None, None]:
        """The interval of the difference to the median random child; None of fewer than 8."""
        return _median_interval(self.gains)

    def as_dict(self) -> dict[str, Any]:
        """Returns what result.json holds.

        That is the answer, the numbers of children and wins, the win share's interval, the
        difference to the median of these children (above 0: better) and its interval, how many
        more children would decide if they went on like these (None: no number up to 10,000), and
        the e-value.
        """
        return {
            "answer": self.answer,
            "children": len(self.others),
            "wins": self.wins,
            "win_share": list(self.win_share),
            "difference": _finite(median(self.gains)) if self.others else None,
            "interval": [_finite(end) for end in self.interval],
            "more_children": _more_children(self.wins, self.losses),
            "e_value": _evidence(self.wins, self.losses),
        }


def decide(wins: int, losses: int) -> str:
    """Returns the answer after so many wins and losses (see the module)."""
    if _evidence(wins, losses) >= ENOUGH:
        return WORTH_IT
    is_less = wins < RARE * (wins + losses) and _is_excluded(RARE, wins, losses)
    return NOT_WORTH_IT if is_less else UNDECIDED


def _evidence(wins: int, losses: int) -> float:
    """Returns the e-value against the hypothesis that what was found is a random child."""
    chances = _log_beta(wins + 1, losses + 1)  # of the order where the rank is uniform
    return exp(log(BET) + _log_beta(BET + wins, 1 + losses) - chances)


def _median_interval(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """Returns the ends of the confidence sequence of a median; (None, None) of too few values."""
    number, ordered = len(values), sorted(values)
    below = 0  # as many values may lie below the median, or above it
    while below < number and _is_excluded(0.5, below, number - below):
        below += 1
    return (ordered[below - 1], ordered[number - below]) if below else (None, None)


def _more_children(wins: int, losses: int) -> int | None:
    """Returns how many more children would decide if they were beaten as often as these."""
    share = losses / (wins + losses) if losses else 0.0
    for number in range(MOST + 1):
        lost = round(number * share)
        if decide(wins + number - lost, losses + lost) != UNDECIDED:
            return number
    return None


def _is_excluded(share: float, wins: int, losses: int) -> bool:
    """Whether the confidence sequence has left a win share out."""
    terms = (n * log(p) for n, p in ((wins, share), (losses, 1 - share)) if n)
    return _log_beta(wins + 1, losses + 1) - sum(terms) >= log(ENOUGH)


def _end(outside: float, wins: int, losses: int) -> float:
    """Returns the end of the confidence sequence on the side of `outside`, 0 or 1."""
    inside = wins / max(1, wins + losses)
    for _ in range(30):
        middle = (outside + inside) / 2
        if _is_excluded(middle, wins, losses):
            outside = middle
        else:
            inside = middle
    return round((outside + inside) / 2, 6)


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None  # of children that diverged


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
