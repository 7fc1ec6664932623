"""Runs of another minor version are refused: their state would be read wrongly."""

from nas_lightning import __version__

__all__ = ["check_version"]

BEFORE = "0.1"  # which stored no version


def check_version(found: str | None, what: str) -> None:
    """Refuses what another minor version of nas_lightning wrote.

    Args:
        found: the version that wrote it; None where none is stored, as before 0.2.
        what: what it is, for the message.

    Raises:
        ValueError: major or minor version differ from this one's.
    """
    written, own = (".".join(v.split(".")[:2]) for v in (found or BEFORE, __version__))
    if written != own:
        raise ValueError(
            f"{what} is of nas_lightning {written}, this is {own}; start it anew, or install what "
            f'wrote it: pip install "nas-lightning=={written}.*" '
            "(every version reads genotype.json)"
        )
