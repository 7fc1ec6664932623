"""Values with units as users write them: limits such as 50k, times such as 1h30m."""

import re
from collections.abc import Mapping
from math import ceil
from typing import Any

from nas_lightning.core.checks import in_range, likely, unknown_name

__all__ = ["LATE", "UNITS", "read_bounds", "read_seconds", "too_short"]

COUNTS = {"k": 1e3, "M": 1e6, "G": 1e9}
UNITS: dict[str, dict[str, float]] = {  # by quantity
    "parameters": COUNTS,
    "multiply_adds": COUNTS,  # of one sample
    "latency_ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "memory_mb": {"kB": 1e-3, "MB": 1.0, "GB": 1e3},
}
EXAMPLES = {"parameters": "90k", "multiply_adds": "2M", "latency_ms": 5, "memory_mb": 1}
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
LATE = 1.1  # times the seconds that the first epoch, or trial, may take
ENOUGH = 1.5  # times the seconds that one has taken, which are advised
TIME = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([hms])\s*")


def read_bounds(limits: Mapping[str, Any] | None, where: str = "limits") -> dict[str, float]:
    """Returns the bounds that were set, as numbers; those of None are left out.

    Raises: ValueError: a quantity or unit is unknown, or a value is not above 0.

    >>> read_bounds({"parameters": "50k", "latency_ms": None})
    {'parameters': 50000}
    """
    bounds = {}
    for name, value in (limits or {}).items():
        if name not in UNITS:
            raise ValueError(unknown_name("limit", f"{where}.{name}", UNITS))
        if value is not None:
            bounds[name] = _number(f"{where}.{name}", value, UNITS[name], EXAMPLES[name])
    return bounds


def _number(key: str, value: Any, units: Mapping[str, float], example: Any) -> float:
    """Returns a number, or the number that a text with a unit means."""
    text = str(value).strip()
    digits = text.rstrip("".join(filter(str.isalpha, text)))
    digits, unit = (text, "") if _is_number(text) else (digits, text[len(digits) :].strip())
    if unit and unit not in units and _is_number(digits):
        meant = likely(unit, units)
        hint = f"; did you mean {key}={digits.strip()}{meant}?" if meant else ""
        raise ValueError(
            f"unknown unit of {key} ({text}): '{unit}'; "
            f"choose from: {', '.join(units)}, or none{hint}"
        )
    if isinstance(value, bool) or not _is_number(digits):
        raise ValueError(f"{key} ({text}) must be a number; use e.g. {example}")
    number = float(digits) * units.get(unit, 1.0)
    number = int(number) if number.is_integer() else number
    in_range(key, number, "(0, inf)", use=example)
    return number


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_seconds(key: str, value: Any, use: str) -> float | None:
    """Returns a time in seconds, of a number or a text with units; None of None.

    Raises: ValueError: it is no time, or not above 0.

    >>> read_seconds("max_seconds", "1h30m", use="5m")
    5400.0
    >>> read_seconds("max_seconds", "5 parsecs", use="5m")
    Traceback (most recent call last):
    ValueError: max_seconds (5 parsecs) must be seconds, or a time of h, m and s; use e.g. 5m
    """
    if value is None:
        return None
    text = str(value).strip()
    parts = TIME.findall(text)
    if not isinstance(value, bool) and _is_number(text):
        seconds = float(text)
    elif parts and not TIME.sub("", text) and len({unit for _, unit in parts}) == len(parts):
        seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
    else:
        raise ValueError(f"{key} ({text}) must be seconds, or a time of h, m and s; use e.g. {use}")
    in_range(key, seconds, "(0, inf)", use=use)
    return seconds


def too_short(
    key: str, seconds: float, share: float, takes_s: float, what: str, cure: str
) -> ValueError:
    """Returns the error of a time in which not even one epoch, or trial, fits.

    The time under `key`, of which `seconds` are a share, is that of the run's configuration, which
    a resumed run keeps: another one takes a new run.
    """
    of_search = "" if share == 1 else f", {share:.0%} of it for the search,"
    advised = ceil(ENOUGH * takes_s / share)
    return ValueError(
        f"{key} ({seconds / share:g}){of_search} must allow at least one {what}, which takes "
        f"{takes_s:.1f} s here; start a new run with {key}={advised} or more, or {cure}"
    )
