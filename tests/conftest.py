"""What all tests share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Small networks are faster on one thread, and tests beside others keep their pace."""
    torch.set_num_threads(1)
