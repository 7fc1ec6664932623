"""Fills the templates beside this file: drawings and pages, every text in them escaped."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["fill"]

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fill(name: str, **values: Any) -> str:
    """Returns a template of this folder with its values; strings are escaped, Markup is not."""
    return _environment().get_template(name).render(values)


@cache  # the same for every template, and slow to make
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _printed(value: Any) -> Any:
    """Returns a value without characters that XML cannot hold, a number with two decimals."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    is_plain = isinstance(value, str) and not isinstance(value, Markup)
    return NOT_XML.sub("\ufffd", value) if is_plain else value
