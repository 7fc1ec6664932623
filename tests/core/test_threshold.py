import pytest
import torch
from planted_problem.spaces import PlantedCells

from nas_lightning.core.choices import Mixture
from nas_lightning.core.limited import limited
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost
from nas_lightning.core.threshold import can_leave_edges_out, threshold_genotype
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

SCALE = Scale(4, 3, input_shape=(3, 8, 8), num_outputs=4)


def scored(space, best=(), others=0.3):
    """Scores of a space: those of some (choice, option) pairs, and the same for all others."""
    weights = torch.full((len(space.choices), max(len(c.options) for c in space.choices)), others)
    for choice, option, score in best:
        row = space.rows[choice]
        weights[row, space.choices[row].options.index(option)] = score
    return Mixture(weights, tuple(tuple(range(len(c.options))) for c in space.choices))


def drawn(space, seed):
    scores = scored(space)
    weights = torch.rand(scores.weights.shape, generator=torch.Generator().manual_seed(seed))
    return Mixture(weights, scores.support)


def official_rule(rows, threshold):
    """Up to two edges per node of the highest best operation, then those above the threshold."""
    best = [max(range(1, 8), key=row.__getitem__) for row in rows]
    edges = sorted(range(len(rows)), key=lambda source: -rows[source][best[source]])[:2]
    return {e: best[e] for e in edges if rows[e][best[e]] >= threshold}


@pytest.mark.parametrize("threshold", [0.0, 0.85, 0.93, 0.999])
def test_a_node_of_darts_keeps_what_the_official_rule_keeps(threshold):
    space, scores = DartsSpace(min_edges=0), drawn(DartsSpace(), seed=1)
    chosen = threshold_genotype(space, scores, threshold).mapping
    found, expected = {}, {}
    for group in dict.fromkeys(choice.group for choice in space.choices):
        edges = [c for c in space.choices if c.group == group]
        kept = official_rule(
            [scores.weights[space.rows[c.name]].tolist() for c in edges], threshold
        )
        expected |= {edges[e].name: edges[e].options[op] for e, op in kept.items()}
        found |= {c.name: chosen[c.name] for c in edges if c.name in chosen}
    assert found == expected


def test_a_node_may_end_with_no_edge_one_or_two():
    space = DartsSpace(nodes=2, min_edges=0)
    best = [
        ("normal/edge_0_2", "skip_connect", 0.9),
        ("normal/edge_0_3", "sep_conv_3x3", 0.9),
        ("normal/edge_2_3", "sep_conv_5x5", 0.95),
    ]
    chosen = threshold_genotype(space, scored(space, best), 0.85).mapping
    assert chosen == {
        "normal/node_2/inputs": "0",
        "normal/edge_0_2": "skip_connect",
        "normal/node_3/inputs": "0+2",
        "normal/edge_0_3": "sep_conv_3x3",
        "normal/edge_2_3": "sep_conv_5x5",
        "reduction/node_2/inputs": "nothing",
        "reduction/node_3/inputs": "nothing",
    }


def test_an_edge_that_must_stay_is_the_best_one():
    space = DartsSpace(nodes=1, min_edges=1)
    scores = scored(space, [("normal/edge_1_2", "sep_conv_3x3", 0.4)])
    chosen = threshold_genotype(space, scores, 0.85).mapping
    assert chosen["normal/node_2/inputs"] == "1"
    assert chosen["normal/edge_1_2"] == "sep_conv_3x3"


def test_the_score_of_none_never_counts():
    space = NasBench201Space()
    scores = scored(space, [("edge_0_1", "none", 0.99), ("edge_0_1", "nor_conv_1x1", 0.9)])
    chosen = threshold_genotype(space, scores, 0.85).mapping
    assert chosen.pop("edge_0_1") == "nor_conv_1x1"
    assert set(chosen.values()) == {"none"}


@pytest.mark.parametrize("space", [DartsSpace(nodes=2), PlantedCells(), ChainSpace()])
def test_a_choice_that_cannot_be_left_out_takes_its_best_option(space):
    scores = drawn(space, seed=2)
    assert threshold_genotype(space, scores, 1.0) == space.discretize(scores)
    assert not can_leave_edges_out(space)


def test_a_threshold_of_zero_is_the_spaces_own_rule_but_for_none():
    space, scores = DartsSpace(nodes=2, min_edges=0), drawn(DartsSpace(nodes=2), seed=3)
    assert threshold_genotype(space, scores, 0.0) == space.discretize(scores)
    assert can_leave_edges_out(space)


@pytest.mark.parametrize("free", [NasBench201Space(), DartsSpace(nodes=1, min_edges=0)])
def test_limits_are_kept_by_the_best_edges_above_the_threshold(free):
    scores = drawn(free, seed=4)
    whole = threshold_genotype(free, scores, 0.5)
    bound = child_cost(free, whole, SCALE)["parameters"] - 1
    space = limited(free, SCALE, {"parameters": bound})
    genotype = threshold_genotype(space, scores, 0.5)
    assert space.limits.keeps(genotype)
    taken = [
        scores.weights[free.rows[name], free.choices[free.rows[name]].options.index(op)].item()
        for name, op in genotype.mapping.items()
        if name in free.rows and op != "none"
    ]
    assert taken
    assert min(taken) >= 0.5
