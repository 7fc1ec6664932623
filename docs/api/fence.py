"""Fences the doctests of docstrings, which Markdown would take for quotations."""

import re

import griffe

DOCTEST = re.compile(r"^([ \t]*)>>> .*(?:\n\1\S.*)*", re.MULTILINE)


class Fence(griffe.Extension):
    """Gives every paragraph that begins with `>>>` the fences of a code block."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        """Fences the docstring of anything that has one."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"\1```pycon\n\g<0>\n\1```", obj.docstring.value)
