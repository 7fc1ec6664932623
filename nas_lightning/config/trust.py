"""What a search space that was read from a file may hold: nothing that is called."""

from typing import Any

from nas_lightning.core.scale import Scale

__all__ = ["trusted_space"]


def trusted_space(node: dict[str, Any], source: str) -> dict[str, Any]:
    """Returns the node of a search space that was read from a file.

    Args:
        node: the configuration of the space.
        source: what it was read from, for the message.

    Raises:
        ValueError: it holds more than a `Scale` and plain data.
    """
    scale = f"{Scale.__module__}.{Scale.__qualname__}"
    for name, value in node.items():
        if isinstance(value, dict) and value.get("_target_", scale) != scale:
            raise ValueError(
                f"{source}: search_space.{name} names {value['_target_']!r}; a space that is read "
                "from a file may hold a Scale and plain data only; name the space yourself: "
                "load_child(RUN_DIR, space), or search_space=... on a command line"
            )
    return node
