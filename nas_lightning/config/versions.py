"""Files of other versions: a minor version changes what checkpoints hold."""

from nas_lightning import __version__

__all__ = ["check_version"]

BEFORE_VERSIONS = "0.1"  # wrote no version into its files


def check_version(version: str | None, what: str) -> None:
    """Refuses what another minor version of nas_lightning wrote.

    Args:
        version: the version that wrote it; None means 0.1, which wrote none.
        what: what was written, for the message, e.g. "the child in RUN_DIR".

    Raises:
        ValueError: major or minor version differ from this one's.

    >>> check_version("99.1.2", "the child in RUN_DIR")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the child in RUN_DIR is of nas_lightning 99.1.2, and this is ...
    """
    version = version or BEFORE_VERSIONS
    if (minor := _minor(version)) != _minor(__version__):
        raise ValueError(
            f"{what} is of nas_lightning {version}, and this is {__version__}: train again, or "
            f"install the version that wrote it: pip install 'nas-lightning=={minor}.*'"
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
