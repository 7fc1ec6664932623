"""Numbers as reports write them; a dash stands for what is none."""

from math import isfinite

__all__ = ["count", "duration"]


def count(value: object) -> str:
    """Returns a number with thousands apart, a dash for anything but a finite number.

    >>> count(1930618), count(2.5)
    ('1,930,618', '2.5')
    """
    if not isinstance(value, int | float) or not isfinite(value):
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"


def duration(value: object) -> str:
    """Returns seconds as people say them, a dash for anything but a finite number.

    >>> duration(5.26), duration(112.4), duration(7384)
    ('5.3 s', '1 min 52 s', '2 h 03 min')
    """
    if not isinstance(value, int | float) or not isfinite(value):
        return "-"
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
