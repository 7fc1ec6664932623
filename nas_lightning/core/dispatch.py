"""What follows the operators that a network runs, without the compiler that torch would bring."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["OperatorMode"]

SAME_SHAPE = (torch.ops.aten.relu.default, torch.ops.aten.add.Tensor)  # what children run most


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that does not import torch's compiler: subclass it.

    Torch imports it, for more than a second of CPU time, to keep it out of `__torch_dispatch__`
    and out of what is computed element by element on the meta device. Nothing is compiled where
    our modes run.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def run(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Runs an operator that `__torch_dispatch__` was given, and returns its outputs."""
        if func in SAME_SHAPE and _are_alike(args):
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def _are_alike(tensors: tuple[Any, ...]) -> bool:
    """Returns whether all are tensors on the meta device of one shape, type and memory format."""
    first = tensors[0]
    return first.is_meta and all(
        isinstance(t, Tensor)
        and (t.shape, t.dtype, t.stride(), t.is_meta)
        == (first.shape, first.dtype, first.stride(), True)
        for t in tensors
    )
