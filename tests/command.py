"""Runs the commands inside the test's own process."""

import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from nas_lightning import search, show, train

MAINS = {"search": search.main, "train": train.main, "show": show.main}
TINY = (
    "strategy.epochs=2",
    "child.epochs=2",
    "search_space.nodes=1",
    "search_space.scale.cells=3",
    "search_space.scale.channels=2",
    "child.scale.channels=2",
    "child.scale.cells=3",
    "data.batch_size=256",
    "callbacks=silent",
)
TINY_CHILD = tuple(o for o in TINY if not o.startswith(("strategy", "search_space.scale")))


def run(command: str, *arguments: str) -> None:
    """Runs a command as `nas-<command> arguments` would; SystemExit where it fails."""
    GlobalHydra.instance().clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"nas-{command}", *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "0")
        MAINS[command]()


def search_into(folder: Path, *arguments: str) -> None:
    """Runs a tiny search in a folder."""
    run("search", f'hydra.run.dir="{folder}"', *TINY, *arguments)
