"""Tries a user's module without memory, and says in words what does not fit."""

import traceback

from torch import Tensor, nn

__all__ = ["UnfitError", "tried"]

ON_META = (
    "; networks are tried without memory, on torch's meta device: build all modules and tensors "
    "inside search_space.network, and do not branch on their values"
)


class UnfitError(ValueError):
    """A module cannot take its input; the message names both."""


def tried(module: nn.Module, x: Tensor, place: str) -> Tensor:
    """Returns a module's output; on the meta device, where modules are tried, its errors are words.

    `place` names the module in the message.

    Raises: UnfitError: the module cannot take the input.
    """
    try:
        out: Tensor = module(x)
        return out
    except UnfitError:
        raise
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        if not x.is_meta:
            raise
        rule = f"{place} cannot take its input of shape {list(x.shape)}"
        cure = ON_META if "meta" in str(error) else ""
        raise UnfitError(f"{rule}: {_failing(module, error)}{error}{cure}") from error


def _failing(module: nn.Module, error: Exception) -> str:
    """Returns in words which part of a module failed, and on what shapes."""
    names, words = {part: name for name, part in module.named_modules()}, ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        part, args = frame.f_locals.get("self"), frame.f_locals.get("args")
        if isinstance(part, nn.Module) and part in names and args:
            what = type(part).__name__ if list(part.children()) else part
            where = f"'{names[part]}' ({what})" if names[part] else what
            shapes = [list(value.shape) for value in args if isinstance(value, Tensor)]
            words = f"{where} got {', '.join(map(str, shapes))}: "
    return words
