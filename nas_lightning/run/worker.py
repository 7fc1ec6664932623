"""A worker of a black-box search, started by `run.black_box` and never by a user."""

import sys
from pathlib import Path

from nas_lightning.config.messages import message_of
from nas_lightning.evaluation.serving import serve
from nas_lightning.run.candidates import built
from nas_lightning.run.folder import RunFolder

__all__ = ["main"]


def main(folder: Path) -> None:
    """Evaluates the children of the search in a run's folder, by the configuration there."""
    home = RunFolder(folder)
    serve(lambda: built(home)[:2], message_of)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
