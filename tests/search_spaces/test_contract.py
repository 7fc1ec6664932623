"""The contract of every search space, parametrised over its configuration files."""

import math
import time
from collections import Counter
from copy import copy
from dataclasses import replace
from random import Random
from xml.etree import ElementTree

import pytest
import torch
from omegaconf import OmegaConf
from representatives import SPACES_LIKE_OTHERS, some_slow
from torch.utils.flop_counter import FlopCounterMode

from nas_lightning.config.making import make
from nas_lightning.config.paths import config_dir
from nas_lightning.core.choices import Mixture
from nas_lightning.core.decisions import is_active
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import child_cost, crop, inherit, uniform_mixture
from nas_lightning.reports.drawing import describe, draw

FILES = sorted((config_dir() / "search_space").glob("*.yaml"))
SHAPES = [(1, 8, 8), (5, 9, 11)]


@pytest.fixture(scope="module", params=some_slow(FILES, *SPACES_LIKE_OTHERS))
def space(request):
    config = OmegaConf.load(request.param)
    if "blocks" in config:  # five of them have hundreds of operations a cell, and tests would crawl
        config.blocks = 2
    space = make(config, "search_space")
    return space.fitted(replace(space.scale, input_shape=(3, 8, 8), num_outputs=3))


def small(space, shape):
    return replace(space.scale, channels=4, cells=3, input_shape=shape, num_outputs=3)


def genotypes(space, number):
    return [space.sample(Random(seed)) for seed in range(number)]


def restricted(space, seed, names=None, least=24):
    """The same space, in which few decisions, of these names, are left open; and its genotypes."""
    rng, left = Random(seed), copy(space)
    base = space.sample(rng).mapping
    left.decisions = [replace(d, options=(base.get(d.name, d.options[0]),)) for d in left.decisions]
    open_ones = [i for i, d in enumerate(space.decisions) if len(d.options) > 1]
    open_ones = [i for i in open_ones if names is None or space.decisions[i].name in names]
    while len(exhaustive(left)) < least:
        index = open_ones.pop(rng.randrange(len(open_ones)))
        options = tuple(rng.sample(space.decisions[index].options, 2))
        left.decisions[index] = replace(space.decisions[index], options=options)
    return left, exhaustive(left)


def exhaustive(space):
    """All genotypes of a small space."""
    found = [{}]
    for decision in space.decisions:
        found = [
            {**chosen, decision.name: option} if option else chosen
            for chosen in found
            for option in (decision.options if is_active(decision, chosen) else [None])
        ]
    return [Genotype.of(space.name, chosen) for chosen in found]


def test_a_genotypes_own_mixture_discretizes_to_it(space):
    for genotype in genotypes(space, 20):
        assert space.discretize(space.mixture(genotype)) == genotype


def test_a_space_says_whether_its_networks_deepen_with_the_number_of_cells(space):
    with torch.device("meta"):
        networks = [space.supernet(replace(small(space, SHAPES[0]), cells=n)) for n in (3, 4)]
    flat, deep = (len(list(network.modules())) for network in networks)
    assert (deep > flat) is space.has_cells


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_hot_supernet_is_the_inherited_child_to_the_bit(space, shape):
    scale = small(space, shape)
    torch.manual_seed(0)
    supernet = space.supernet(scale)
    x = torch.randn(4, *shape)
    supernet(x, uniform_mixture(space.choices))  # moves the running statistics
    for genotype, training in zip(genotypes(space, 4), (True, False) * 2, strict=True):
        child = space.child(genotype, scale)
        inherit(child, supernet)
        supernet.train(training), child.train(training)
        assert torch.equal(supernet(x, space.mixture(genotype)), child(x))


def test_multiply_adds_are_half_the_flops_that_torch_counts(space):
    scale, genotype = small(space, (3, 32, 32)), space.sample(Random(0))
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        space.child(genotype, scale).eval()(torch.empty(1, 3, 32, 32))
    multiply_adds = child_cost(space, genotype, scale)["multiply_adds"]
    assert counter.get_total_flops() == 2 * multiply_adds
    assert space.cost(scale).of_child(space.mixture(genotype))["multiply_adds"] == multiply_adds


def reached(network):
    return {name for name, param in network.named_parameters() if param.grad is not None}


def test_gradients_reach_exactly_the_operations_that_the_mixture_uses(space):
    scale, genotype = small(space, (3, 8, 8)), space.sample(Random(0))
    supernet, child = space.supernet(scale), space.child(genotype, scale)
    supernet(torch.randn(2, 3, 8, 8), space.mixture(genotype)).sum().backward()
    child(torch.randn(2, 3, 8, 8)).sum().backward()
    assert reached(supernet) == reached(child)


def test_no_operation_runs_but_the_childs(space):
    scale, genotype = small(space, (3, 8, 8)), space.sample(Random(1))
    supernet, child = space.supernet(scale), space.child(genotype, scale)
    ran = {network: set() for network in (supernet, child)}
    for network, names in ran.items():
        for name, module in network.named_modules():
            if not list(module.children()):
                module.register_forward_hook(lambda *_, names=names, name=name: names.add(name))
    x = torch.randn(2, 3, 8, 8)
    supernet(x, space.mixture(genotype)), child(x)
    assert ran[supernet] == ran[child]


def test_gradients_of_the_one_hot_supernet_are_the_childs(space):
    scale = small(space, (3, 8, 8))
    supernet, genotype = space.supernet(scale).double(), space.sample(Random(1))
    child = space.child(genotype, scale).double()
    inherit(child, supernet)
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    (supernet(x, space.mixture(genotype).to(x)) ** 2).sum().backward()
    (child(x) ** 2).sum().backward()
    theirs, own = dict(supernet.named_parameters()), dict(child.named_parameters())
    for name in reached(child):
        inherited = crop(theirs[name].grad, own[name].shape)
        torch.testing.assert_close(own[name].grad, inherited, rtol=1e-10, atol=1e-12)


def test_a_mixture_without_gradient_moves_no_alpha_and_one_with_it_moves_each(space):
    supernet, x = space.supernet(small(space, (3, 8, 8))), torch.randn(2, 3, 8, 8)
    mixture = uniform_mixture(space.choices)
    weights = mixture.weights.requires_grad_()
    (gradient,) = torch.autograd.grad(
        (supernet(x, Mixture(weights, mixture.support)) ** 2).sum(), weights
    )
    used = torch.tensor([any(row) for row in gradient.tolist()])
    assert used.all()
    assert supernet(x, Mixture(weights, mixture.support).detach()).requires_grad


def test_genotypes_are_counted_and_drawn_uniformly_on_a_small_part_of_the_space(space):
    part, all_of_them = restricted(space, seed=0)
    assert part.count() == len(all_of_them) == len(set(all_of_them))
    draws, rng = 40 * len(all_of_them), Random(1)
    seen = Counter(part.sample(rng) for _ in range(draws))
    expected = draws / len(all_of_them)
    statistic = sum((seen[g] - expected) ** 2 / expected for g in all_of_them)
    freedom = len(all_of_them) - 1
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)  # about one in ten thousand


def test_a_space_counts_its_genotypes_and_samples_more_than_one(space):
    assert space.count() > 0
    assert len(set(genotypes(space, 20))) > 1


def test_cost_of_a_one_hot_mixture_is_the_childs_own(space):
    scale = small(space, (3, 8, 8))
    cost = space.cost(scale)
    for genotype in genotypes(space, 2):
        assert cost.of_child(space.mixture(genotype)) == child_cost(space, genotype, scale)


def test_expected_cost_is_the_mean_over_all_genotypes_of_a_small_part_of_the_space(space):
    """Drawn decision by decision, each option as likely as the others."""
    part, all_of_them = restricted(space, 2, {choice.name for choice in space.choices}, least=12)
    cost = space.cost(small(space, (3, 8, 8)))
    num_options = {decision.name: len(decision.options) for decision in part.decisions}
    shares = [1 / math.prod(num_options[n] for n in g.mapping) for g in all_of_them]
    mixtures = [space.mixture(genotype) for genotype in all_of_them]
    assert sum(shares) == pytest.approx(1)
    weights = sum(share * m.weights.double() for share, m in zip(shares, mixtures, strict=True))
    weights = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)  # given that it is active
    supports = zip(*(m.support for m in mixtures), strict=True)
    mean = Mixture(weights, tuple(tuple(sorted(set().union(*s))) for s in supports))
    for name, expected in cost.of(mean).items():
        sizes = [cost.of_child(mixture)[name] for mixture in mixtures]
        exact = sum(share * size for share, size in zip(shares, sizes, strict=True))
        assert float(expected) == pytest.approx(exact, rel=1e-9)


def test_the_cost_of_a_genotype_takes_under_ten_milliseconds_once_warm(space):
    scale, some = small(space, (3, 8, 8)), genotypes(space, 5)
    space.cost(scale).of_child(space.mixture(some[0]))
    times = []
    for genotype in some:
        start = time.perf_counter()
        space.cost(scale).of_child(space.mixture(genotype))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01


def test_genotypes_survive_json_codes_mutation_and_crossover(space):
    rng = Random(0)
    for genotype in genotypes(space, 20):
        assert space.validate(Genotype.from_json(genotype.to_json())) == genotype
        assert space.decode(space.encode(genotype)) == genotype
        mutant = space.validate(space.mutate(genotype, rng))
        both = genotype.mapping.keys() & mutant.mapping.keys()
        assert sum(genotype.mapping[name] != mutant.mapping[name] for name in both) == 1
        space.validate(space.crossover(genotype, mutant, rng))


def test_graphs_name_their_nodes_in_order(space):
    for graph in [graph for genotype in genotypes(space, 20) for graph in space.graphs(genotype)]:
        position = {name: index for index, name in enumerate(graph.nodes)}
        assert len(position) == len(graph.nodes)
        assert all(position[e.source] < position[e.target] for e in graph.edges)


def test_every_genotype_can_be_drawn_and_described(space):
    for genotype in genotypes(space, 2):
        graphs = space.graphs(genotype)
        labels = {edge.label for graph in graphs for edge in graph.edges} - {""}
        drawing = "".join(ElementTree.fromstring(draw(graphs)).itertext())
        assert [label for label in labels if label not in drawing] == []
        assert [graph.title for graph in graphs if graph.title not in describe(graphs)] == []


def test_a_genotype_of_another_space_is_refused_with_the_cure(space):
    with pytest.raises(ValueError, match=r"of space 'elsewhere'.*choose search_space=elsewhere"):
        space.validate(Genotype.of("elsewhere", {}))


def test_hostile_choices_are_refused(space):
    genotype = space.sample(Random(0))
    name = genotype.choices[0][0]
    with pytest.raises(ValueError, match="unknown option '__import__"):
        space.validate(Genotype.of(space.name, genotype.mapping | {name: "__import__('os')"}))
    with pytest.raises(ValueError, match="unknown decision 'surprise'"):
        space.validate(Genotype.of(space.name, genotype.mapping | {"surprise": "x"}))


def test_a_child_can_be_exported(space):
    child = space.child(space.sample(Random(0)), small(space, (3, 9, 8))).eval()
    exported = torch.export.export(child, (torch.randn(2, 3, 9, 8),)).module()
    x = torch.randn(2, 3, 9, 8)
    torch.testing.assert_close(exported(x), child(x))
