"""Fills the templates beside this file, drawings and pages; all text in them is escaped."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nas_lightning.core.quantities import quantity_name, value_words
from nas_lightning.reports.numbers import count, duration

__all__ = ["fill"]

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fill(name: str, **values: Any) -> str:
    """Returns a template of this folder with its values; strings are escaped, Markup is not."""
    return _environment().get_template(name).render(values)


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
