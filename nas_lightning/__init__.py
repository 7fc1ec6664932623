"""nas_lightning: neural architecture search on PyTorch Lightning and Hydra."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_lightning.load import load_child

__all__ = ["__version__", "load_child"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load_child":
        from nas_lightning.load import load_child

        return load_child
    raise AttributeError(f"module 'nas_lightning' has no attribute '{name}'")
