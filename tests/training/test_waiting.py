"""What a loss and its gradient launch: nothing for which a GPU would be waited."""

import pytest
import torch
from operators import Waiting

from nas_lightning.core.scale import Scale
from nas_lightning.networks import cell, kernels, native, saved_tensors
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_macro import EnasMacroSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.darts import Darts
from nas_lightning.training.task import Classification, Multilabel, Regression
from nas_lightning.training.updates import SearchUpdates


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Has networks take the ways that they take on a GPU."""
    monkeypatch.setattr(native, "takes", lambda x: False)
    monkeypatch.setattr(saved_tensors, "spares_memory", lambda x: False)
    monkeypatch.setattr(kernels, "has_own_gradients", lambda x: False)
    monkeypatch.setattr(cell, "_are_ones", lambda branches, mixture: False)


CLASSES_OF = Classification(), torch.arange(2)
VALUES_OF = Regression().fitted(torch.zeros(2), torch.ones(2)), torch.rand(2, 2)
LABELS_OF = Multilabel(), torch.rand(2, 2)
NASBENCH201, PARTIAL = NasBench201Space(scale=Scale(4, 3)), Scale(4, 3, partial=4)


@pytest.mark.parametrize(
    ("space", "task"),
    [
        (NASBENCH201, CLASSES_OF),
        (NASBENCH201, VALUES_OF),
        (NASBENCH201, LABELS_OF),
        (DartsSpace(1, scale=PARTIAL), CLASSES_OF),
        (ChainSpace(depths=(2,)), CLASSES_OF),
        (EnasMacroSpace(layers=3), CLASSES_OF),
        (MobileSpace(), CLASSES_OF),
    ],
)
def test_no_operator_of_a_loss_and_its_gradient_waits_for_the_device(as_on_a_gpu, space, task):
    strategy, (kind, targets) = Darts(space, 0), task
    updates = SearchUpdates(space, strategy, (3, 16, 16), 2, kind, steps=1)
    loss = lambda: updates.loss((torch.rand(2, 3, 16, 16), targets), strategy.mixture("alpha"))  # noqa: E731
    with Waiting() as waiting:
        updates.gradient(loss(), [strategy.alpha, *updates.params.values()])
    assert waiting.names == []
