"""What all tests share."""

import pytest
import torch
from command import RANDOM, TINY_RANDOM, run, search_into


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks are faster on one thread, and tests beside others keep their pace."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a finished one-shot search."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    search_into(folder)
    return folder


@pytest.fixture(scope="session")
def finished_random(tmp_path_factory):
    """The folder of a finished black-box search."""
    folder = tmp_path_factory.mktemp("random") / "run"
    run("search", f"hydra.run.dir={folder}", *TINY_RANDOM, *RANDOM)
    return folder
