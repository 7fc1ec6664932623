"""Fills the templates beside this file, drawings and pages; all text in them is escaped."""

import re
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nas_lightning.core.quantities import quantity_name, value_words

__all__ = ["count", "duration", "fill"]

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fill(name: str, **values: Any) -> str:
    """Returns a template of this folder with its values; strings are escaped, Markup is not."""
    return _environment().get_template(name).render(values)


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


@cache  # the same for every template, and slow to make
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.undefined, environment.finalize = StrictUndefined, _printed
    environment.filters |= {"count": count, "duration": duration, "quantity": quantity_name}
    environment.filters["measured"] = lambda value, quantity: value_words(quantity, value)
    return environment


def _printed(value: Any) -> Any:
    """Returns a text without characters that XML cannot hold, a number with two decimals."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return NOT_XML.sub("\ufffd", value) if is_plain else value
