from random import Random

import pytest
import torch
from torch import nn

from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, inherit, one_hot, uniform_mixture

CHOICES = (
    Choice("first", ("a", "b", "c"), "op", "node"),
    Choice("second", ("x", "y"), "skip", "node"),
)


class Toy(SearchSpace):
    """A space that overrides no hook."""

    def __init__(self) -> None:
        super().__init__("toy", Scale(), CHOICES)

    def supernet(self, scale):
        raise NotImplementedError

    def child(self, genotype, scale):
        raise NotImplementedError

    def graphs(self, genotype):
        return ()


TOY = Toy()
BEST = Genotype.of("toy", {"first": "b", "second": "x"})


def test_a_space_decides_each_of_its_choices_by_default():
    assert [(d.name, d.options) for d in TOY.decisions] == [(c.name, c.options) for c in CHOICES]
    assert TOY.count() == 6


def test_the_mixture_of_a_genotype_is_one_hot_by_default():
    mixture = TOY.mixture(BEST)
    assert mixture.weights.tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert mixture.support == ((1,), (0,))


def test_the_best_option_of_each_choice_is_taken_by_default():
    weights = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.4, 0.0]])
    assert TOY.discretize(Mixture(weights, ((0, 1, 2), (0, 1)))) == BEST


def test_an_option_outside_the_support_is_not_taken_and_ties_go_to_the_earlier_one():
    weights = torch.tensor([[0.9, 0.3, 0.3], [0.5, 0.5, 0.0]])
    assert TOY.discretize(Mixture(weights, ((1, 2), (0, 1)))) == BEST


def test_every_genotype_survives_its_mixture_and_its_code():
    drawn = {TOY.sample(Random(seed)) for seed in range(60)}
    assert len(drawn) == 6
    for genotype in drawn:
        assert TOY.discretize(TOY.mixture(genotype)) == genotype
        assert TOY.decode(TOY.encode(genotype)) == genotype


def test_a_seed_draws_what_a_generator_of_that_seed_draws():
    other = Genotype.of("toy", {"first": "c", "second": "y"})
    for draw in (
        TOY.sample,
        lambda rng: TOY.mutate(BEST, rng),
        lambda rng: TOY.neighbours(BEST, rng),
        lambda rng: TOY.crossover(BEST, other, rng),
    ):
        assert draw(3) == draw(Random(3))


def test_a_text_is_refused_where_a_space_has_no_notation():
    with pytest.raises(ValueError, match="search space 'toy' has no text notation; give a JSON"):
        TOY.read_text("Genotype()")


def test_a_genotype_is_checked_when_it_is_made():
    with pytest.raises(ValueError, match="unknown option 'z' of decision 'second'; choose from: x"):
        TOY.genotype({"first": "a", "second": "z"})


def test_the_uniform_mixture_pads_choices_of_fewer_options():
    mixture = uniform_mixture(CHOICES)
    torch.testing.assert_close(mixture.weights, torch.tensor([[1 / 3] * 3, [0.5, 0.5, 0.0]]))
    assert mixture.support == ((0, 1, 2), (0, 1))


def test_a_choice_that_is_not_named_has_no_support():
    mixture = one_hot(CHOICES, {"second": "y"})
    assert mixture.weights.tolist() == [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert mixture.support == ((), (1,))


def test_a_mixture_moves_to_the_type_of_a_tensor_and_lets_go_of_its_gradient():
    weights = torch.ones(2, 3, requires_grad=True)
    mixture = Mixture(weights, ((0,), (1,)))
    assert not mixture.detach().weights.requires_grad
    moved = mixture.to(torch.zeros(1, dtype=torch.float64))
    assert (moved.weights.dtype, moved.support) == (torch.float64, mixture.support)


def test_a_child_inherits_leading_channels_and_the_middle_of_kernels():
    big = nn.ModuleDict({"conv": nn.Conv2d(4, 6, 5), "norm": nn.BatchNorm2d(6)})
    small = nn.ModuleDict({"conv": nn.Conv2d(2, 3, 3), "norm": nn.BatchNorm2d(3)})
    big["norm"].running_mean.copy_(torch.arange(6.0))
    inherit(small, big)
    assert torch.equal(small["conv"].weight, big["conv"].weight[:3, :2, 1:4, 1:4])
    assert torch.equal(small["conv"].bias, big["conv"].bias[:3])
    assert small["norm"].running_mean.tolist() == [0.0, 1.0, 2.0]


def test_an_inherited_child_shares_no_memory_with_the_supernet():
    big, small = nn.Linear(2, 2), nn.Linear(2, 2)
    inherit(small, big)
    with torch.no_grad():
        small.weight.zero_()
    assert (big.weight != 0).all()


def test_a_tensor_that_the_supernet_lacks_is_named():
    with pytest.raises(KeyError, match="bias"):
        inherit(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
