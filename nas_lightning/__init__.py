"""nas_lightning: neural architecture search on PyTorch Lightning and Hydra."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_lightning.deployment.load import load_child
    from nas_lightning.networks.markers import OneOf, Optional, Repeat

__all__ = ["OneOf", "Optional", "Repeat", "__version__", "load_child"]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "load_child":
        from nas_lightning.deployment.load import load_child

        return load_child
    if name in __all__:
        from nas_lightning.networks import markers

        return getattr(markers, name)
    raise AttributeError(f"module 'nas_lightning' has no attribute '{name}'")
