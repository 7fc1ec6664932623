"""From which run another one was forked, in words."""

from collections.abc import Mapping
from typing import Any

__all__ = ["fork_words"]

MOST = 8  # keys that are named


def fork_words(fork: Mapping[str, Any]) -> str:
    """Returns where a fork started and what was changed, from "fork" of a result.

    With another strategy, settings that only one of the two knows are left out.

    >>> print(fork_words({"run": "runs/a", "epoch": 2, "changed": {"seed": [0, 1]}}))
    forked from runs/a after epoch 2, with seed=1 (was 0)
    """
    changed = fork.get("changed") or {}
    named = [
        f"{key}={_text(new)} (was {_text(old)})"
        for key, (old, new) in changed.items()
        if not ("strategy" in changed and key.startswith("strategy.") and None in (old, new))
    ]
    more = [f"{len(named) - MOST} more"] if len(named) > MOST else []
    words = ", ".join([*named[:MOST], *more]) or "nothing changed"
    joint = "with " if named else ""
    return f"forked from {fork['run']} after epoch {fork['epoch']}, {joint}{words}"


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
