"""The file of figures that several benchmarks write into."""

import json
from pathlib import Path
from typing import Any

__all__ = ["add_to"]


def add_to(file: Path, values: dict[str, Any]) -> None:
    """Adds values to a JSON object in a file, in place of those of the same keys."""
    content = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(content | values, indent=2) + "\n")
