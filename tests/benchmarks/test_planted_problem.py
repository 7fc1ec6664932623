import pytest
import torch
from planted_problem.images import planted
from planted_problem.problem import BRIGHTNESS, right_view
from planted_problem.spaces import PlantedCells, PlantedLayers
from torch.nn.functional import cross_entropy

from nas_lightning.core.choices import Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import uniform_mixture

FIRST, LAST = range(4, 16), range(100, 130)  # steps; before, the classifier is any


def preferences(space, seed):
    """Trains a supernet of even weights; returns by how much more its best option, and its decoy,
    lower the validation loss than an average option does: in the first steps, and in the last."""
    arrays = planted(images=2560)
    x = (arrays.train.read(torch.arange(2048)).float() - 128.0) / 64.0
    y = arrays.train_labels
    torch.manual_seed(seed)
    supernet = space.supernet(Scale(8, 3, input_shape=(6, 8, 8), num_outputs=4))
    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.05, momentum=0.9)
    even, best = uniform_mixture(space.choices), space.best().mapping
    rows = [row for row, choice in enumerate(space.choices) if choice.kind == "op"]
    options = [space.choices[row].options for row in rows]
    right = [o.index(best[space.choices[row].name]) for o, row in zip(options, rows, strict=True)]
    decoy = [o.index(BRIGHTNESS) for o in options]
    found = {FIRST: torch.zeros(2), LAST: torch.zeros(2)}
    for step in range(LAST[-1] + 1):
        train, val = torch.randint(1024, (64,)), torch.randint(1024, 2048, (64,))
        for part in (part for part in found if step in part):
            weights = even.weights.clone().requires_grad_()
            loss = cross_entropy(supernet(x[val], Mixture(weights, even.support)), y[val])
            (grad,) = torch.autograd.grad(loss, weights)
            gain = grad.mean(dim=1, keepdim=True) - grad
            found[part] += torch.stack([gain[rows, right].mean(), gain[rows, decoy].mean()])
        loss = cross_entropy(supernet(x[train], even), y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("space", [PlantedCells(), PlantedLayers()], ids=lambda s: s.name)
def test_the_decoy_lowers_the_loss_fastest_at_first_and_the_right_view_in_the_end(space):
    found = [preferences(space, seed) for seed in range(2)]
    right, decoy = sum(each[FIRST] for each in found)
    assert decoy > max(right, 0)
    right, decoy = sum(each[LAST] for each in found)
    assert right > 0 > decoy


def test_every_plane_has_its_own_view_in_the_best_genotype():
    best = PlantedCells().best()
    assert list(best.mapping.values()) == [right_view(plane) for plane in range(6)]


def test_a_layer_whose_skip_is_off_does_not_reach_the_output():
    space = PlantedLayers()
    best = space.best()
    without = space.genotype(best.mapping | {"layer_3/skip": "no"})
    scale = Scale(8, 3, input_shape=(6, 8, 8), num_outputs=4)
    x = torch.randn(4, 6, 8, 8)
    changed = x.clone()
    changed[:, 3] += 5.0 * torch.randn(4, 8, 8)
    for genotype, is_seen in ((best, True), (without, False)):
        child = space.child(genotype, scale).eval()
        assert torch.equal(child(x), child(changed)) is not is_seen
