"""Where the configuration lies: in the installed package, else in the checkout."""

from pathlib import Path

__all__ = ["config_dir"]


def config_dir() -> Path:
    """Returns the folder of the configuration files.

    Raises: FileNotFoundError: the installation lacks it.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "search.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"no conf folder in {package} nor beside it: install nas_lightning again"
    )
