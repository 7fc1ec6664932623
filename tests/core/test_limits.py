"""Limits: what they read, what they refuse, and that all draws of a limited space keep them."""

import re

import pytest

from nas_lightning.core import shrinking
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limited import cost_measure, limited, smallest_child
from nas_lightning.core.limits import Limits
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.core.shrinking import every, smallest
from nas_lightning.core.units import read_bounds
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.strategies.annealing import Annealing

SPACE, SCALE = DartsSpace(nodes=2), Scale(channels=4, cells=3).of_data((1, 8, 8), 10)
COST = cost_measure(SPACE, SCALE)


@pytest.mark.parametrize(
    ("value", "number"),
    [(50_000, 50_000), ("50_000", 50_000), ("50k", 50_000), ("1.5M", 1_500_000), ("2e3", 2_000)],
)
def test_a_bound_is_a_number_with_or_without_a_unit(value, number):
    assert read_bounds({"parameters": value, "latency_ms": None}) == {"parameters": number}


def test_units_are_those_of_the_quantity():
    assert read_bounds({"latency_ms": "2s", "memory_mb": "512kB"}) == {
        "latency_ms": 2_000,
        "memory_mb": 0.512,
    }


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"parameters": -5}, r"limits.parameters \(-5\) must be in \(0, inf\); use e.g. 90k"),
        ({"parameters": 0}, r"limits.parameters \(0\) must be in"),
        ({"parameters": "nan"}, r"limits.parameters \(nan\) must be in"),
        ({"parameters": float("inf")}, r"limits.parameters \(inf\) must be in"),
        ({"parameters": "-5k"}, r"limits.parameters \(-5000\) must be in"),
        ({"parameters": True}, r"limits.parameters \(True\) must be a number; use e.g. 90k"),
        ({"memory_mb": "much"}, r"limits.memory_mb \(much\) must be a number; use e.g. 1"),
        (
            {"parameters": "5 m"},
            r"unit of limits.parameters \(5 m\): 'm'.*did you mean limits.parameters=5M\?",
        ),
        ({"latency_ms": "5k"}, r"unit of limits.latency_ms \(5k\): 'k'; choose from: us, ms, s"),
        ({"paramters": 5}, r"unknown limit 'limits.paramters'.*did you mean 'parameters'"),
    ],
)
def test_what_is_no_limit_is_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        read_bounds(limits)


def test_a_quantity_without_a_measure_is_refused():
    message = r"limits.latency_ms \(5 ms\) has nothing that measures it here; .*parameters, mul"
    with pytest.raises(ValueError, match=message):
        limited(SPACE, SCALE, {"latency_ms": 5})


SMALL_SPACES = {
    "additive": DartsSpace(nodes=2, ops=("none", "sep_conv_3x3", "skip_connect")),
    "unused states": EnasMicroSpace(blocks=1, ops=("sep_conv_3x3", "avg_pool_3x3")),
    "sizes": ChainSpace(depths=(1, 2), heights=(1, 3), widths=(1, 3), filters=(2, 4)),
}


@pytest.mark.parametrize("quantity", ["parameters", "multiply_adds"])
@pytest.mark.parametrize("space", SMALL_SPACES.values(), ids=SMALL_SPACES)
def test_the_descent_finds_the_smallest_child(space, quantity, monkeypatch):
    limits = Limits({quantity: 1}, {quantity: cost_measure(space, SCALE)})
    exact = min(limits.value(quantity, Genotype.of(space.name, c)) for c in every(space.decisions))
    monkeypatch.setattr(shrinking, "MOST", 0)
    assert limits.value(quantity, smallest_child(space, limits, quantity)) == exact


def test_a_small_space_is_looked_through_up_to_a_child_that_is_small_enough():
    decisions, seen = [Decision("size", ("9", "2", "1"), "size")], []
    value = lambda chosen: seen.append(chosen) or int(chosen["size"])  # noqa: E731
    assert smallest(decisions, value, enough=3) == {"size": "2"}
    assert len(seen) == 2
    assert smallest(decisions, value, enough=0) == {"size": "1"}


def test_an_impossible_limit_is_refused_with_the_smallest_child_and_the_keys_that_lower_it():
    message = (
        r"limits.parameters \(1,101\) is below every child of search space 'darts' at child.scale: "
        r"the smallest has 1,102; raise the limit to that, or lower child.scale.channels \(4\)$"
    )
    with pytest.raises(ValueError, match=message):
        limited(SPACE, SCALE, {"parameters": 1_101})


@pytest.mark.parametrize(
    ("quantity", "unit", "typed"), [("latency_ms", "ms", "0.25 ms"), ("memory_mb", "MB", "250kB")]
)
def test_the_limit_that_a_refusal_tells_to_raise_to_is_one_that_works(quantity, unit, typed):
    measures = {quantity: lambda genotype: {quantity: COST(genotype)["parameters"] * 0.00123457}}
    bounds = read_bounds({quantity: typed})
    message = rf"limits.{quantity} \(0.25 {unit}\) is below .* the smallest has 1.37 {unit}; raise"
    with pytest.raises(ValueError, match=message) as refused:
        limited(SPACE, SCALE, bounds, measures)
    told = re.search("smallest has ([^;]*);", str(refused.value)).group(1)
    space = limited(SPACE, SCALE, read_bounds({quantity: told}), measures)
    assert str(space.limits).endswith(f" at most 1.37 {unit}")


def test_limits_that_no_child_keeps_together_are_refused_with_the_nearest():
    def inverse(genotype):
        return {"latency_ms": 10_000 - COST(genotype)["parameters"]}

    bounds = {"latency_ms": 5_000, "parameters": 1_200}
    message = r"limits \(parameters at most 1,200, latency at most 5,000 ms\): no child .*nearest"
    with pytest.raises(ValueError, match=message):
        limited(SPACE, SCALE, bounds, {"latency_ms": inverse})


@pytest.mark.parametrize(
    "bound",
    [
        pytest.param(1_102, id="smallest", marks=pytest.mark.slow),
        pytest.param(1_300, id="tight"),
        pytest.param(3_000, id="loose", marks=pytest.mark.slow),
    ],
)
def test_all_draws_of_a_limited_space_keep_the_limits(bound):
    space = limited(SPACE, SCALE, {"parameters": bound, "multiply_adds": 10**6})
    drawn = [space.sample(seed) for seed in range(10)]
    assert drawn == [space.sample(seed) for seed in range(10)]
    drawn += [space.mutate(genotype, 1) for genotype in drawn]
    drawn += [space.crossover(drawn[0], genotype, 2) for genotype in drawn]
    drawn += space.neighbours(drawn[0], 3)
    assert max(child_cost(space, each, SCALE)["parameters"] for each in set(drawn)) <= bound
    assert len(set(drawn)) > 10


def test_without_limits_a_space_draws_as_ever():
    loose = limited(SPACE, SCALE, {"parameters": 10**9})
    for seed in range(5):
        first, second = SPACE.sample(seed), SPACE.sample(seed + 1)
        assert loose.sample(seed) == first
        assert loose.mutate(first, seed) == SPACE.mutate(first, seed)
        assert loose.crossover(first, second, seed) == SPACE.crossover(first, second, seed)
        assert loose.neighbours(first, seed) == SPACE.neighbours(first, seed)


def test_a_child_on_the_bound_is_kept_and_one_beyond_it_exceeds_by_its_share():
    genotype = SPACE.sample(0)
    size = child_cost(SPACE, genotype, SCALE)["parameters"]
    at = Limits({"parameters": size}, {"parameters": COST})
    beyond = Limits({"parameters": size / 2}, {"parameters": COST})
    assert [at.keeps(genotype), at.excess(genotype)] == [True, 0]
    assert [beyond.keeps(genotype), beyond.excess(genotype)] == [False, 1]
    assert str(at) == f"parameters at most {size:,}"


def test_without_a_supernet_children_are_counted():
    assert cost_measure(Countless(SPACE), SCALE)(SPACE.sample(0)) == COST(SPACE.sample(0))


class Countless(SearchSpace):
    """Darts without its supernet."""

    def __init__(self, space):
        super().__init__(space.name, space.scale, space.choices, space.decisions)
        self.space = space

    def child(self, genotype, scale):
        return self.space.child(genotype, scale)

    def graphs(self, genotype):
        return self.space.graphs(genotype)


def test_every_genotype_is_met_once():
    decisions = [Decision("a", ("x", "y"), "op"), Decision("b", ("u", "v"), "op", (("a", ("y",)),))]
    assert list(every(decisions)) == [
        {"a": "x"},
        {"a": "y", "b": "u"},
        {"a": "y", "b": "v"},
    ]


def test_a_space_without_a_supernet_at_its_arguments_is_counted_child_by_child():
    space = ChainSpace(strides=(1, 2))  # where maps would follow the mixture
    scale = space.scale.of_data((1, 32, 32), 10)
    small = min(child_cost(space, space.sample(n), scale)["parameters"] for n in range(20))
    within = limited(space, scale, {"parameters": 2 * small})
    drawn = [within.sample(number) for number in range(5)]
    assert all(child_cost(space, each, scale)["parameters"] <= 2 * small for each in drawn)
    assert Annealing(space, seed=0).size(drawn[0]) > 0
