"""Checks of arguments: each message words the rule, the value and the cure.

A `key` is the argument as the user writes it, e.g. "strategy.trials"; `use` is a value to suggest.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

__all__ = [
    "at_least",
    "choose_from",
    "equal_length",
    "in_range",
    "likely",
    "most_like",
    "one_of",
    "positive",
    "unknown_name",
]

Number = float | None


def at_least(key: str, value: Number, least: float, use: Any = None) -> None:
    """Refuses NaN and a number below `least`, which is also the default of `use`; None passes.

    >>> at_least("strategy.trials", 0, 1, use=8)
    Traceback (most recent call last):
    ValueError: strategy.trials (0) must be at least 1; use e.g. 8
    """
    if value is not None and not value >= least:
        suggested = least if use is None else use
        raise ValueError(f"{key} ({value}) must be at least {least}; use e.g. {suggested}")


def positive(key: str, value: Number, use: Any) -> None:
    """Refuses NaN and a number that is not above 0; None passes.

    >>> positive("strategy.lr", 0, use=0.01)
    Traceback (most recent call last):
    ValueError: strategy.lr (0) must be above 0; use e.g. 0.01
    """
    if value is not None and not value > 0:
        raise ValueError(f"{key} ({value}) must be above 0; use e.g. {use}")


def in_range(key: str, value: Number | Sequence[float], interval: str, use: Any) -> None:
    """Refuses NaN and a number, or any of a sequence, outside e.g. "(0, inf)"; None passes.

    >>> in_range("strategy.warmup", 1, "[0, 1)", use=0.3)
    Traceback (most recent call last):
    ValueError: strategy.warmup (1) must be in [0, 1); use e.g. 0.3
    """
    low, high = map(float, interval[1:-1].split(","))
    for number in value if isinstance(value, Sequence) else [] if value is None else [value]:
        above = number >= low if interval[0] == "[" else number > low
        below = number <= high if interval[-1] == "]" else number < high
        if not (above and below):
            shown = list(value) if isinstance(value, Sequence) else value
            raise ValueError(f"{key} ({shown}) must be in {interval}; use e.g. {use}")


def one_of(key: str, value: str, options: Iterable[str]) -> None:
    """Refuses a name that is not among the options.

    >>> one_of("strategy.order", "third", ("first", "second"))
    Traceback (most recent call last):
    ValueError: unknown strategy.order 'third'; choose from: first, second
    """
    names = list(options)
    if value not in names:
        raise ValueError(unknown_name(key, value, names))


def unknown_name(what: str, name: object, options: Iterable[object]) -> str:
    """Returns the message for a name that is not among the options, with the most similar one.

    >>> unknown_name("strategy.order", "secnd", ("first", "second"))
    "unknown strategy.order 'secnd'; choose from: first, second; did you mean 'second'?"
    """
    return f"unknown {what} '{name}'; {choose_from(options, instead_of=name)}"


def choose_from(options: Iterable[object], instead_of: object) -> str:
    """Returns the end of a message: the options, and the one most similar to a wrong name."""
    names = [str(option) for option in options]
    last = str(instead_of).rpartition(".")[2]  # of a key
    return f"choose from: {', '.join(names) or '(there are none)'}{most_like(last, names)}"


def most_like(name: object, options: Iterable[str]) -> str:
    """Returns "; did you mean ...?" with the option most similar to a name; "" where none is.

    >>> most_like("DART", ("darts", "random"))
    "; did you mean 'darts'?"
    """
    meant = likely(name, (option for option in options if option != name))
    return f"; did you mean '{meant}'?" if meant else ""


def likely(name: object, options: Iterable[str]) -> str:
    """Returns the option most similar to a name; "" where none is."""
    by_lower = {option.lower(): option for option in options}
    similar = get_close_matches(str(name).lower(), by_lower, n=1)
    return by_lower[similar[0]] if similar else ""


def equal_length(use: str, **values: Sequence[Any]) -> None:
    """Refuses arguments of a strategy that are empty or do not have one value per stage.

    >>> equal_length("[6,4] and [1.0,0.5]", partial=(6, 4), kept=(1.0,))
    Traceback (most recent call last):
    ValueError: strategy.partial ([6, 4]) and kept ([1.0]) must have one value per stage; use e.g. \
[6,4] and [1.0,0.5]
    """
    if len({len(value) for value in values.values()}) == 1 and all(values.values()):
        return
    *first, last = [f"{name} ({list(value)})" for name, value in values.items()]
    listed = f"{', '.join(first)} and {last}" if first else last
    raise ValueError(f"strategy.{listed} must have one value per stage; use e.g. {use}")
