from dataclasses import replace
from random import Random

import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.mobile import MobileSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.projection import num_open, projected

SPACE = DartsSpace(nodes=2)  # per kind of cell: edges 0-2, 1-2, 0-3, 1-3, 2-3


class Worth:
    """Validates a mixture as a known function of what it runs; notes what it was asked."""

    def __init__(self, worth):
        self.worth, self.asked = worth, []

    def __call__(self, mixture):
        self.asked.append(mixture)
        return sum(
            float(mixture.weights[row, option] * self.worth[row, option])
            for row, options in enumerate(mixture.support)
            for option in options
        )


def worth_of(space, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(uniform_mixture(space.choices).weights.shape, generator=rng)


def test_the_option_is_kept_whose_removal_costs_the_most_and_it_takes_the_whole_weight():
    space, mixture = NasBench201Space(), uniform_mixture(NasBench201Space().choices)
    worth = worth_of(space)
    found = projected(space, mixture, Worth(worth), Random(0))
    best = worth.argmax(dim=1).tolist()  # weights are even: the worthiest costs the most
    assert found.support == tuple((option,) for option in best)
    expected = torch.nn.functional.one_hot(torch.tensor(best), 5).float()
    torch.testing.assert_close(found.weights, expected)


def test_a_removed_option_leaves_the_others_weights_as_they_were():
    space, measure = NasBench201Space(), Worth(worth_of(NasBench201Space()))
    mixture = uniform_mixture(space.choices)
    projected(space, mixture, measure, Random(0), decisions=1)
    assert len(measure.asked) == 5
    for asked in measure.asked:
        ((row, gone),) = torch.nonzero(asked.weights == 0).tolist()
        assert asked.support[row] == tuple(o for o in range(5) if o != gone)
        others = asked.weights[asked.weights > 0]
        torch.testing.assert_close(others, torch.full((29,), 0.2))


def test_a_removal_that_costs_more_is_chosen_although_another_option_weighs_more():
    space = NasBench201Space()
    mixture = uniform_mixture(space.choices)
    weights, worth = mixture.weights.clone(), torch.zeros(6, 5)
    weights[:, 1], worth[:, 3] = 0.6, 1.0
    found = projected(space, replace(mixture, weights=weights), Worth(worth), Random(0))
    assert found.support == ((3,),) * 6


def test_options_that_cost_the_same_are_decided_by_their_weight():
    space = NasBench201Space()
    weights = uniform_mixture(space.choices).weights + torch.eye(5)[[2] * 6] * 0.1
    mixture = replace(uniform_mixture(space.choices), weights=weights)
    assert projected(space, mixture, lambda _: 0.5, Random(0)).support == ((2,),) * 6


def test_a_node_keeps_the_two_edges_whose_removal_costs_the_most():
    worth = torch.zeros(10, 8)
    for row, cost in enumerate([0.1, 0.2, 0.5, 0.1, 0.3, 0.1, 0.2, 0.1, 0.5, 0.3]):
        worth[row, 4] = cost  # sep_conv_3x3 is the one operation that is worth something
    found = projected(SPACE, uniform_mixture(SPACE.choices), Worth(worth), Random(0))
    chosen = SPACE.discretize(found).mapping
    assert chosen["normal/node_3/inputs"] == "0+2"  # 0.5 and 0.3, not 0.1
    assert chosen["reduction/node_3/inputs"] == "1+2"
    assert {option for name, option in chosen.items() if "edge" in name} == {"sep_conv_3x3"}
    assert found.support[3] == found.support[7] == ()


def test_edges_are_compared_while_all_of_them_are_there_and_after_all_operations():
    measure = Worth(worth_of(SPACE))
    projected(SPACE, uniform_mixture(SPACE.choices), measure, Random(0))
    assert len(measure.asked) == 10 * 7 + 2 * 3  # seven operations: none is no genotype's
    for asked in measure.asked[70:]:
        assert sorted({len(options) for options in asked.support}) == [0, 1]
    missing = [asked.support[:5].count(()) for asked in measure.asked[70:73]]
    assert missing == [1, 1, 1] or missing == [0, 0, 0]


def test_decisions_made_in_parts_are_those_made_at_once():
    measure, mixture = Worth(worth_of(SPACE)), uniform_mixture(SPACE.choices)
    whole = projected(SPACE, mixture, measure, Random(3))
    rng = Random(3)
    assert num_open(SPACE, mixture.support) == 12
    for left in (7, 2, 0):
        made = num_open(SPACE, mixture.support) - left
        mixture = projected(SPACE, mixture, measure, rng, made)
        assert num_open(SPACE, mixture.support) == left
    assert mixture.support == whole.support


def test_the_order_is_random_and_given_by_the_generator():
    orders = []
    for seed in (0, 0, 1):
        measure = Worth(worth_of(SPACE))
        projected(SPACE, uniform_mixture(SPACE.choices), measure, Random(seed), 4)
        orders.append([asked.support for asked in measure.asked])
    assert orders[0] == orders[1] != orders[2]


def test_an_edge_weight_stays_that_of_its_row():
    space = NasBench201Space()
    mixture = uniform_mixture(space.choices)
    halved = Mixture(mixture.weights / 2, mixture.support)
    found = projected(space, halved, Worth(worth_of(space)), Random(0))
    torch.testing.assert_close(found.weights.sum(dim=1), torch.full((6,), 0.5))


def test_a_choice_without_effect_beside_the_kept_ones_is_not_measured():
    space = MobileSpace(depths=(2, 1, 1, 1, 1, 1))
    worth = torch.zeros(uniform_mixture(space.choices).weights.shape)
    skip, kernel = (space.rows[f"stage_1/block_2/{name}"] for name in ("skip", "kernel"))
    worth[skip, 1] = 1.0  # the block is left out
    mixture = uniform_mixture(space.choices)
    for seed in range(5):
        measure = Worth(worth)
        found = projected(space, mixture, measure, Random(seed))
        assert found.support[skip] == (1,)
        assert not any(n.startswith("stage_1/block_2/k") for n in space.discretize(found).mapping)
    last = [asked for asked in measure.asked if asked.support[skip] == (1,)]
    assert all(len(asked.support[kernel]) != 2 for asked in last)


def test_sizes_and_skips_of_a_chain_are_decided_too():
    space = ChainSpace()
    mixture = uniform_mixture(space.choices)
    found = projected(space, mixture, Worth(worth_of(space)), Random(0))
    assert {len(options) for options in found.support} == {1}
    genotype = space.discretize(found)
    assert space.validate(genotype) == genotype
