"""The first lines of a run: what was read of its data, and what was passed over."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["described"]

MOST_NAMED = 10


def described(facts: Mapping[str, Any], split: tuple[int, int] | None = None) -> list[str]:
    r"""Returns a line on samples and classes, on the search's split, and on what was passed over.

    >>> facts = {"read": {"training": 8}, "shape": [1, 8, 8], "classes": ["0", "1"]}
    >>> facts |= {"images_per_class": {"training": [5, 3]}, "passed_over": []}
    >>> print(*described(facts, split=(5, 3)), sep="\n")
    data: 8 training images 1x8x8; 2 classes numbered 0, 1; 3 to 5 training images per class
    split of the training images: a search trains on 5 and validates on 3
    """
    shape, names = "x".join(map(str, facts["shape"])), facts["classes"]
    what = "images" if len(facts["shape"]) == 3 else "samples"
    counts = [f"{number:,} {part}" for part, number in facts.get("read", {}).items()]
    parts = [f"{' and '.join(counts) or 'a data module with'} {what} {shape}"]
    per_class = facts.get("images_per_class")
    if names:
        kind = "classes" if per_class else "output" if len(names) == 1 else "outputs"
        numbered = " numbered" if all(name.isdigit() for name in names) else ":"
        parts.append(f"{len(names)} {kind}{numbered} {_some(names)}")
    if per_class:
        counts = [f"{_span(numbers)} {part}" for part, numbers in per_class.items()]
        parts.append(f"{' and '.join(counts)} {what} per class")
    passed_over = facts["passed_over"]
    lines = ["data: " + "; ".join(parts)]
    if split is not None:
        numbers = f"trains on {split[0]:,} and validates on {split[1]:,}"
        lines.append(f"split of the training {what}: a search {numbers}")
    return [*lines, f"data passed over: {_some(passed_over)}"] if passed_over else lines


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _some(names: Sequence[str]) -> str:
    rest = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest
