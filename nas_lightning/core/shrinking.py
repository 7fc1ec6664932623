"""Choices of a smaller value, e.g. the size of their child: the smallest, or a walk towards it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from nas_lightning.core.decisions import Decision, complete, count, is_active, sample

__all__ = ["STARTS", "every", "smallest", "walked"]

MOST = 2_000  # genotypes that are all compared
STARTS = 2  # of the descent that are drawn, beside the given ones

Chosen = Mapping[str, str]


def smallest(
    decisions: Sequence[Decision],
    value: Callable[[Chosen], float],
    enough: float = float("-inf"),
    starts: Sequence[Chosen] = (),
    draws: int = STARTS,
) -> dict[str, str]:
    """Returns the choices of the smallest value.

    It is exact where there are few genotypes, and where the value is a sum over decisions; else
    it is the lowest of several descents, each of which ends where no single decision lowers it. A
    value of at most `enough` ends the search.
    """
    if count(decisions) <= MOST:
        low_enough = (chosen for chosen in every(decisions) if value(chosen) <= enough)
        return next(low_enough, None) or min(every(decisions), key=value)
    drawn = (sample(decisions, Random(number)) for number in range(draws))
    best: dict[str, str] = {}
    for start in (*starts, *drawn):
        low = _descended(decisions, dict(start), value, enough)
        best = low if not best or value(low) < value(best) else best
        if value(best) <= enough:
            break
    return best


def walked(
    decisions: Sequence[Decision],
    chosen: Chosen,
    small: Chosen,
    value: Callable[[Chosen], float],
    rng: Random,
) -> dict[str, str]:
    """Returns choices of value 0 on a way from some choices to `small`, whose value is 0.

    In random order, each decision becomes that of `small` where this lowers the value; where that
    does not suffice, then all of them in turn.
    """
    names, taken = sorted(small), dict[str, str]()
    rng.shuffle(names)
    current = dict(chosen)
    for name in names:
        if (now := value(current)) <= 0.0:
            return current
        step = complete(decisions, [{**current, name: small[name]}], rng)
        current = step if value(step) < now else current
    for name in names:
        if value(current) <= 0.0:
            return current
        taken[name] = small[name]
        current = complete(decisions, [{**current, **taken}], rng)
    return current


def every(decisions: Sequence[Decision], chosen: Chosen | None = None) -> Iterator[dict[str, str]]:
    """Yields the choices of every genotype."""
    chosen = dict(chosen or {})
    for position, decision in enumerate(decisions):
        if is_active(decision, chosen):
            for option in decision.options:
                yield from every(decisions[position + 1 :], {**chosen, decision.name: option})
            return
    yield chosen


def _descended(
    decisions: Sequence[Decision],
    chosen: dict[str, str],
    value: Callable[[Chosen], float],
    enough: float,
) -> dict[str, str]:
    """Returns choices that no change of a single decision lowers, or that are low enough."""
    lowest, before, usual = value(chosen), float("inf"), dict[tuple[str, ...], str]()
    while enough < lowest < before:
        before = lowest
        for decision in decisions:
            for option in decision.options if decision.name in chosen else ():
                changed = {**chosen, decision.name: option}
                proposal = (
                    chosen if changed == chosen else _filled(decisions, changed, value, usual)
                )
                if (new := value(proposal)) < lowest:
                    chosen, lowest = proposal, new
    return chosen


def _filled(
    decisions: Sequence[Decision],
    proposal: Chosen,
    value: Callable[[Chosen], float],
    usual: dict[tuple[str, ...], str],
) -> dict[str, str]:
    """Returns a proposal with what it activates, where of options the `usual` one is the lowest.

    What is usual is found where such options are met first.
    """
    rng = Random(0)
    chosen = complete(decisions, [proposal], rng)
    for decision in decisions:
        if decision.name in chosen and decision.name not in proposal:
            known = usual.get(decision.options)
            options = decision.options if known is None else (known,)
            each = [complete(decisions, [{**chosen, decision.name: o}], rng) for o in options]
            chosen = min(each, key=value)
            usual[decision.options] = chosen[decision.name]
    return chosen
