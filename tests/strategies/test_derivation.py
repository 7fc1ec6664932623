from random import Random

import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_space import uniform_mixture
from nas_lightning.search_spaces.darts import DARTS_OPS, DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.derivation import RULES, Trained

SPACE = NasBench201Space()
OPTIONS = SPACE.choices[0].options


def trained(space=SPACE, scores=None, samples=8, generations=0):
    """A supernet whose paths are the better, the more convolutions they have."""

    def fitness(genotype):
        return sum("conv" in option for _, option in genotype.choices)

    scores = scores or uniform_mixture(space.choices)
    return Trained(space, scores, lambda _: 0.0, fitness, Random(0), samples, generations, 0.85)


def leading(space, column, weight=0.5):
    """Scores with a leading option in every choice."""
    mixture = uniform_mixture(space.choices)
    weights = mixture.weights * (1 - weight)
    weights[:, column] += weight
    return Mixture(weights, mixture.support)


def test_the_spaces_rule_comes_first_and_then_its_best_scored_neighbours():
    weights = leading(SPACE, 1).weights.clone()
    weights[3, 2] += 0.2  # the second best of all
    scores = Mixture(weights, uniform_mixture(SPACE.choices).support)
    first, second = RULES["space"](trained(scores=scores), 2)
    assert set(first.mapping.values()) == {OPTIONS[1]}
    assert second.mapping == first.mapping | {SPACE.choices[3].name: OPTIONS[2]}


def test_argmax_leaves_out_an_edge_on_which_none_leads():
    space = DartsSpace(nodes=2)
    weights = leading(space, DARTS_OPS.index("skip_connect"), 0.4).weights.clone()
    conv = DARTS_OPS.index("sep_conv_3x3")
    weights[4, conv] = 0.55  # the strongest operation of the node's third edge
    weights[4, DARTS_OPS.index("none")] = 0.6
    scores = Mixture(weights, uniform_mixture(space.choices).support)
    (by_space,), (by_argmax,) = (RULES[r](trained(space, scores), 1) for r in ("space", "argmax"))
    assert "2" in by_space.mapping["normal/node_3/inputs"].split("+")
    assert by_argmax.mapping["normal/node_3/inputs"] == "0+1"


def test_argmax_is_the_spaces_rule_where_every_option_can_be_taken():
    scores = leading(SPACE, 3)
    assert RULES["argmax"](trained(scores=scores), 3) == RULES["space"](trained(scores=scores), 3)


def test_what_is_ranked_is_drawn_in_proportion_to_the_scores():
    drawn = RULES["rank"](trained(scores=leading(SPACE, 2, 0.6), samples=200), 200)
    share = sum(o == OPTIONS[2] for g in drawn for _, o in g.choices) / (6 * len(drawn))
    assert len(set(drawn)) == len(drawn) == 200
    assert 0.55 < share < 0.75  # 0.68 with repetition: the leading ones are drawn once only


def test_ranked_genotypes_come_in_the_order_of_their_fitness():
    source = trained(samples=30)
    found = RULES["rank"](source, 5)
    values = [source.fitness(genotype) for genotype in found]
    assert len(found) == 5
    assert values == sorted(values, reverse=True)


def test_evolution_betters_its_first_population():
    first = RULES["evolution"](trained(samples=10), 1)[0]
    source = trained(samples=10, generations=8)
    later = RULES["evolution"](source, 1)[0]
    assert source.fitness(later) > source.fitness(first)


def test_projections_in_several_orders_are_each_given_once():
    found = RULES["perturbation"](trained(scores=leading(SPACE, 1)), 3)
    assert [set(genotype.mapping.values()) for genotype in found] == [{OPTIONS[1]}]


def test_edges_are_drawn_too():
    space = DartsSpace(nodes=2)
    drawn = RULES["rank"](trained(space, samples=60), 60)
    inputs = {genotype.mapping["normal/node_3/inputs"] for genotype in drawn}
    assert inputs == {"0+1", "0+2", "1+2"}


def test_a_draw_leaves_torchs_own_generator_alone():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    RULES["rank"](trained(), 2)
    assert torch.equal(torch.get_rng_state(), state)
