"""Whether data are those of a run that has begun, and what has changed of them."""

from collections.abc import Mapping

__all__ = ["Identity", "check_same"]

Identity = Mapping[str, str | int | None]  # counts and hashes, by what they are of


def check_same(present: Identity, past: Identity, of: str) -> None:
    """Refuses data other than those of what `of` names, e.g. "this run"; tells what changed."""
    changed = [
        f"{key} ({past.get(key)} before, {present.get(key)} now)"
        for key in {**past, **present}
        if past.get(key) != present.get(key)
    ]
    if changed:
        raise ValueError(
            f"the data must be those of {of}, but these changed: {', '.join(changed)}; restore the"
            " data, or start a new run"
        )
