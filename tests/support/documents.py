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


def pages() -> list[str]:
    """Returns the documents that users read, by their path from the root."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [str(path.relative_to(ROOT)) for path in paths]


def commands() -> list[str]:
    """Returns each of our commands that stands in a block of a document, without its comment."""
    text = "\n".join((ROOT / page).read_text() for page in pages())
    text = re.sub(r"\s*\\\n\s*", " ", text)  # a line that goes on in the next one
    lines = re.findall(r"^(?: {4})?(nas-\w+ ?.*)$", text, re.MULTILINE)
    return sorted({re.sub(r"\s+#.*", "", line).strip() for line in lines})
