"""The versions that results may depend on."""

import platform
from importlib.metadata import version

from nas_lightning import __version__

__all__ = ["versions"]

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")


def versions() -> dict[str, str]:
    """Returns the versions of this package, Python, and what results may depend on."""
    ours = {"nas_lightning": __version__, "python": platform.python_version()}
    return ours | {name: version(name) for name in PACKAGES}
