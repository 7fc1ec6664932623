"""Reads the examples of the documents."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def named_files(document: str) -> dict[str, str]:
    """Returns the code blocks that stand under a file's name."""
    text = (ROOT / document).read_text()
    return dict(re.findall(r"^`([\w/]+\.\w+)`\n\n```\w+\n(.*?)^```", text, re.M | re.S))


def python_blocks(document: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.M | re.S)
