"""Quantities that limits bound, in words: their names, and values with their units."""

from decimal import ROUND_CEILING, Context

__all__ = ["at_least_words", "bound_words", "quantity_name", "value_words"]

WORDS = {"latency_ms": ("latency", "ms"), "memory_mb": ("memory", "MB")}  # name and unit
DIGITS = Context(prec=3, rounding=ROUND_CEILING)


def quantity_name(quantity: str) -> str:
    """Returns what a quantity is called where its unit stands beside the value.

    >>> quantity_name("latency_ms"), quantity_name("multiply_adds")
    ('latency', 'multiply_adds')
    """
    return WORDS.get(quantity, (quantity,))[0]


def value_words(quantity: str, value: float) -> str:
    """Returns a value with its unit, rounded; whole numbers are not.

    >>> value_words("latency_ms", 0.7025039999986049), value_words("parameters", 90_000)
    ('0.703 ms', '90,000')
    """
    return _with_unit(quantity, f"{value:,}" if isinstance(value, int) else f"{value:,.3g}")


def bound_words(quantity: str, bound: float) -> str:
    """Returns a limit with its unit, as it was typed.

    >>> bound_words("memory_mb", 0.0625)
    '0.0625 MB'
    """
    return _with_unit(quantity, f"{bound:,}" if isinstance(bound, int) else f"{bound:,.6g}")


def at_least_words(quantity: str, value: float) -> str:
    """Returns a value with its unit, rounded up: as a limit, it allows the value.

    >>> at_least_words("latency_ms", 0.7021), at_least_words("parameters", 90_001)
    ('0.703 ms', '90,001')
    """
    if isinstance(value, int):
        return value_words(quantity, value)
    return _with_unit(quantity, f"{DIGITS.create_decimal_from_float(value):,f}")


def _with_unit(quantity: str, number: str) -> str:
    return " ".join([number, *WORDS.get(quantity, ())[1:]])
