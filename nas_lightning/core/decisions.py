"""Conditional categorical decisions: counting, drawing, changing and checking genotypes."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import prod
from random import Random

from nas_lightning.core.checks import most_like

__all__ = [
    "Decision",
    "active_choices",
    "canonical",
    "complete",
    "count",
    "decode",
    "encode",
    "is_active",
    "mutate",
    "neighbours",
    "sample",
]


@dataclass(frozen=True)
class Decision:
    """One choice of a genotype, active only where `given` holds.

    `given` are pairs (name of an earlier decision, options): each of those decisions is active and
    takes one of its options.
    """

    name: str  # unique in the space, e.g. "normal/node_2/inputs"
    options: tuple[str, ...]
    kind: str  # "op", "input", "skip", "size" or "combine"
    given: tuple[tuple[str, tuple[str, ...]], ...] = ()


def is_active(decision: Decision, chosen: Mapping[str, str]) -> bool:
    """Returns whether a decision must be made after the earlier ones."""
    return all(chosen.get(name) in options for name, options in decision.given)


def active_choices(decisions: Sequence[Decision], chosen: Mapping[str, str]) -> dict[str, str]:
    """Returns the choices without those of inactive decisions."""
    result: dict[str, str] = {}
    for decision in decisions:
        if decision.name in chosen and is_active(decision, result):
            result[decision.name] = chosen[decision.name]
    return result


def canonical(decisions: Sequence[Decision], chosen: Mapping[str, str]) -> dict[str, str]:
    """Returns the checked choices in the order of `decisions`.

    Raises: ValueError: a decision is missing, unknown, inactive, or takes an unknown option.
    """
    names = sorted(decision.name for decision in decisions)
    if unknown := sorted(set(chosen).difference(names)):
        listed = f"{_listing(names)}{most_like(unknown[0], names)}"
        raise ValueError(f"unknown decision '{unknown[0]}'; the space has: {listed}")
    result: dict[str, str] = {}
    for decision in decisions:
        name, value = decision.name, chosen.get(decision.name)
        if not is_active(decision, result):
            if value is not None:
                raise ValueError(
                    f"decision '{name}' ('{value}') has no effect beside the other choices; leave "
                    "it out"
                )
            continue
        if value not in decision.options:
            fault = f"unknown option '{value}' of decision '{name}'"
            fault = f"decision '{name}' is missing" if value is None else fault
            similar = "" if value is None else most_like(value, decision.options)
            raise ValueError(f"{fault}; choose from: {_listing(decision.options)}{similar}")
        result[name] = value
    return result


def count(decisions: Sequence[Decision]) -> int:
    """Returns the exact number of genotypes."""
    return prod(_counter(part)({}) for part in _components(tuple(decisions)))


def sample(decisions: Sequence[Decision], rng: Random) -> dict[str, str]:
    """Draws the choices of one genotype uniformly over all genotypes."""
    drawn: dict[str, str] = {}
    for part in _components(tuple(decisions)):
        if len(part) == 1:  # nothing to count: every option completes one genotype
            options = part[0].options
            drawn[part[0].name] = options[rng.randrange(len(options))]
            continue
        completions, chosen = _counter(part), dict[str, str]()
        for position, decision in enumerate(part):
            if is_active(decision, chosen):
                proposals = ({**chosen, decision.name: option} for option in decision.options)
                counts = [completions(proposal, position + 1) for proposal in proposals]
                number = rng.randrange(sum(counts))
                index = bisect(list(accumulate(counts)), number)
                chosen[decision.name] = decision.options[index]
        drawn |= chosen
    return {d.name: drawn[d.name] for d in decisions if d.name in drawn}


def complete(
    decisions: Sequence[Decision], proposals: Sequence[Mapping[str, str]], rng: Random
) -> dict[str, str]:
    """Returns choices that take each active decision from a random proposal that makes it.

    A decision that no proposal makes is drawn uniformly over its options.
    """
    chosen: dict[str, str] = {}
    for decision in decisions:
        if is_active(decision, chosen):
            made = [p[decision.name] for p in proposals if decision.name in p]
            chosen[decision.name] = rng.choice(made or decision.options)
    return chosen


def mutate(decisions: Sequence[Decision], chosen: Mapping[str, str], rng: Random) -> dict[str, str]:
    """Returns choices with one active decision changed; decisions that this activates are drawn.

    Raises: ValueError: every active decision has a single option.
    """
    movable = [d for d in decisions if d.name in chosen and len(d.options) > 1]
    if not movable:
        raise ValueError("nothing to mutate: every active decision has a single option")
    decision = rng.choice(movable)
    option = rng.choice([o for o in decision.options if o != chosen[decision.name]])
    return complete(decisions, [{**chosen, decision.name: option}], rng)


def neighbours(
    decisions: Sequence[Decision], chosen: Mapping[str, str], rng: Random
) -> list[dict[str, str]]:
    """Returns all choices that differ in one active decision; what this activates is drawn."""
    changes = [(d.name, o) for d in decisions if d.name in chosen for o in d.options]
    proposals = [{**chosen, name: option} for name, option in changes if option != chosen[name]]
    return [complete(decisions, [proposal], rng) for proposal in proposals]


def encode(decisions: Sequence[Decision], chosen: Mapping[str, str]) -> tuple[int, ...]:
    """Returns one option index per decision, -1 where the decision is inactive."""
    return tuple(d.options.index(chosen[d.name]) if d.name in chosen else -1 for d in decisions)


def decode(decisions: Sequence[Decision], code: Sequence[int]) -> dict[str, str]:
    """Returns the choices of an encoding.

    Raises: ValueError: `code` has another length, or encodes no genotype.
    """
    if len(code) != len(decisions):
        raise ValueError(f"a code has {len(decisions)} entries here, got {len(code)}")
    chosen: dict[str, str] = {}
    for decision, index in zip(decisions, code, strict=True):
        name, num = decision.name, len(decision.options)
        if not -1 <= index < num:
            raise ValueError(f"entry {index} of decision '{name}' must be -1 or below {num}")
        if index >= 0:
            chosen[name] = decision.options[index]
    return canonical(decisions, chosen)


@lru_cache(maxsize=64)
def _components(decisions: tuple[Decision, ...]) -> tuple[tuple[Decision, ...], ...]:
    """Divides decisions into parts that are independent of each other."""
    root = {decision.name: decision.name for decision in decisions}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for decision in decisions:
        for name, _ in decision.given:
            root[find(decision.name)] = find(name)
    parts: dict[str, list[Decision]] = {}
    for decision in decisions:
        parts.setdefault(find(decision.name), []).append(decision)
    return tuple(tuple(part) for part in parts.values())


class _Counter:
    """Counts the completions of one component by what later decisions depend on."""

    def __init__(self, part: tuple[Decision, ...]) -> None:
        self.part = part
        names = set[str]()
        watched: list[tuple[str, ...]] = [()]
        for decision in reversed(part):
            names |= {name for name, _ in decision.given}
            watched.append(tuple(sorted(names)))
        self.watched = watched[::-1]
        self.memory: dict[tuple[int, tuple[str | None, ...]], int] = {}

    def __call__(self, chosen: Mapping[str, str], start: int = 0) -> int:
        key = start, tuple(chosen.get(name) for name in self.watched[start])
        if key not in self.memory:
            self.memory[key] = self._count(chosen, start)
        return self.memory[key]

    def _count(self, chosen: Mapping[str, str], start: int) -> int:
        number = 1
        for position, decision in enumerate(self.part[start:], start=start):
            if not is_active(decision, chosen):
                continue
            if decision.name in self.watched[position + 1]:
                options = ({**chosen, decision.name: option} for option in decision.options)
                return number * sum(self(option, position + 1) for option in options)
            number *= len(decision.options)
        return number


_counter = lru_cache(maxsize=256)(_Counter)


def _listing(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
