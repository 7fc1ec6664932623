"""What is taken from the files of a run: those of this minor version, and nothing to be called."""

from typing import Any

from nas_lightning import __version__
from nas_lightning.core.scale import Scale

__all__ = ["check_version", "trusted_space"]


def check_version(version: str | None, what: str) -> None:
    """Refuses what another minor version of nas_lightning wrote: checkpoints hold other things.

    `version` None means 0.1, which wrote none; `what` was written, for the message.

    Raises: ValueError: major or minor version differ from this one's.

    >>> check_version("99.1.2", "the child in RUN_DIR")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the child in RUN_DIR is of nas_lightning 99.1.2, and this is ...
    """
    version = version or "0.1"
    minor, present = (".".join(text.split(".")[:2]) for text in (version, __version__))
    if minor != present:
        raise ValueError(
            f"{what} is of nas_lightning {version}, and this is {__version__}: train again, or "
            f"install the version that wrote it: pip install 'nas-lightning=={minor}.*'"
        )


def trusted_space(node: dict[str, Any], source: str) -> dict[str, Any]:
    """Returns the configuration of a search space that was read from a file.

    Raises: ValueError: it holds more than a `Scale` and plain data; the message names the source.
    """
    scale = f"{Scale.__module__}.{Scale.__qualname__}"
    for name, value in node.items():
        is_scale = isinstance(value, dict) and value.get("_target_") == scale
        parts = [part for key, part in value.items() if key != "_target_"] if is_scale else value
        if target := _named_target(parts):
            raise ValueError(
                f"{source}: search_space.{name} names {target!r}; a space that is read "
                "from a file may hold a Scale and plain data only; name the space yourself: "
                "load_child(RUN_DIR, space), or search_space=... on a command line"
            )
    return node


def _named_target(value: Any) -> Any:
    """Returns what a value, at any depth, would have called; None for plain data."""
    if isinstance(value, dict):
        if "_target_" in value or "_partial_" in value:
            return value.get("_target_") or "_partial_"
        value = list(value.values())
    targets = map(_named_target, value) if isinstance(value, list | tuple) else ()
    return next((target for target in targets if target), None)
