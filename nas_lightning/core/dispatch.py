"""What follows the operators that a network runs, without the compiler that torch would bring."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from nas_lightning.core.meta_outputs import OUTPUTS

__all__ = ["OperatorMode"]


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that does not import torch's compiler: subclass it.

    Torch imports it, for more than a second of CPU time, to keep it out of `__torch_dispatch__`.
    Nothing is compiled where our modes run.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def run(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        """Runs an operator that `__torch_dispatch__` was given, and returns its outputs."""
        known = OUTPUTS.get(func)
        out = known(*args) if known and not kwargs else None
        return func(*args, **(kwargs or {})) if out is None else out

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
