"""Children that are judged untrained: alone, before a training, and against a table."""

from functools import partial
from random import Random

import pytest
import torch

from nas_lightning.core.limited import cost_measure
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import child_cost
from nas_lightning.core.strategy import Trial
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits
from nas_lightning.evaluation.by_training import Candidates, LowFidelity
from nas_lightning.evaluation.proxies import PROXIES
from nas_lightning.evaluation.proxy_study import correlations, study
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.zero_cost import ZeroCost
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification

SPACE = NasBench201Space()
SCALE = Scale(4, 5, flavour="child", input_shape=(1, 8, 8), num_outputs=10)


@pytest.fixture(scope="module")
def run():
    data = ImageDataModule(digits, seed=0, batch_size=256)
    recipe = ChildRecipe(epochs=1, scale=SCALE)
    return Candidates(SPACE, data, recipe, Classification(), Hardware().trainer)


def child(op):
    return SPACE.genotype({decision.name: op for decision in SPACE.decisions})


@pytest.mark.parametrize("proxy", [*PROXIES, "parameters", "multiply_adds"])
def test_every_proxy_prefers_convolutions_to_nothing(run, proxy):
    evaluation = ZeroCost(run, proxy, batch_size=16)
    state = torch.random.get_rng_state()
    values = {op: evaluation.evaluate(Trial(0, child(op)), 0) for op in ("nor_conv_3x3", "none")}
    assert torch.equal(torch.random.get_rng_state(), state)
    (rich, cost), (poor, _) = values["nor_conv_3x3"], values["none"]
    assert set(rich) == evaluation.measures()
    assert cost.training_samples == evaluation.samples() == 0
    assert rich["parameters"] == child_cost(SPACE, child("nor_conv_3x3"), SCALE)["parameters"]
    if proxy not in ("grasp", "jacobian_covariance"):  # these do not grow with the network
        assert rich[proxy] > poor[proxy]
    assert evaluation.evaluate(Trial(0, child("nor_conv_3x3")), 0)[0] == rich


def test_a_filter_trains_the_children_that_pass_only(run):
    then = partial(LowFidelity, epochs=1, channels=2, samples=64)
    evaluation = ZeroCost(run, "parameters", then=then, keep=0.5, reference=4)
    passed, cost = evaluation.evaluate(Trial(0, child("nor_conv_3x3")), 0)
    filtered, nothing = evaluation.evaluate(Trial(1, child("skip_connect")), 0)
    assert 0 < passed["validation_accuracy"] <= 1
    assert (filtered["validation_accuracy"], filtered["filtered"]) == (0.0, 1.0)
    assert (cost.training_samples, nothing.training_samples) == (64, 0)
    assert evaluation.samples() == 64
    assert evaluation.takes_budgets


@pytest.mark.parametrize("then", [None, partial(LowFidelity, epochs=1, channels=2, samples=64)])
def test_a_child_whose_workers_die_has_the_worst_proxy_and_does_not_end_the_search(run, then):
    evaluation = ZeroCost(run, "synflow", then=then, reference=4)
    worst = evaluation.worst(Trial(0, child("skip_connect")))
    judged, _ = evaluation.evaluate(Trial(0, child("skip_connect")), 0)
    assert worst["synflow"] < judged["synflow"]
    assert worst["parameters"] == judged["parameters"]
    assert worst.get("validation_accuracy", 0.0) == 0.0
    assert ("validation_accuracy" in worst) == (then is not None)


def test_the_wanted_share_of_random_children_passes(run):
    then = partial(LowFidelity, epochs=1, channels=2, samples=64)
    evaluation = ZeroCost(run, "parameters", then=then, keep=0.25, reference=20)
    size = cost_measure(SPACE, SCALE)  # the same as of `child_cost`, at once
    sizes = [size(SPACE.sample(Random(seed)))["parameters"] for seed in range(400)]
    share = sum(size >= evaluation._least for size in sizes) / 400
    assert share == pytest.approx(0.25, abs=0.15)


def test_a_study_ranks_different_children_by_every_proxy(run, tmp_path):
    table = TabularEvaluation(SPACE, "cifar10", epochs=200)
    rows = study(run, table, tmp_path / "rows.csv", 3, 16, seed=0)
    assert len({row["genotype_id"] for row in rows}) == 3
    assert set(correlations(rows)) == {*PROXIES, "parameters", "multiply_adds"}


def test_correlations_are_of_ranks():
    rows = [
        {"genotype_id": str(i), "accuracy": i**3, "rising": 2.0**i, "falling": -i} for i in range(5)
    ]
    assert correlations(rows) == {"rising": pytest.approx(1), "falling": pytest.approx(-1)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"proxy": "zen"}, r"unknown evaluation\.proxy 'zen'; choose from: synflow, snip, grasp"),
        ({"batch_size": 1}, r"evaluation\.batch_size \(1\) must be at least 2"),
        ({"reference": 0}, r"evaluation\.reference \(0\) must be at least 1"),
        ({"keep": 0.0}, r"evaluation\.keep \(0\.0\) must be in \(0, 1\]"),
    ],
)
def test_impossible_proxies_are_refused(run, values, message):
    with pytest.raises(ValueError, match=message):
        ZeroCost(run, **values)


@pytest.mark.parametrize(
    ("children", "batch", "message"),
    [
        (1, 16, r"children \(1\) must be in \[2, 15625\]; use e\.g\. 200"),
        (20_000, 16, r"children \(20000\) must be in \[2, 15625\]"),
        (5, 1, r"batch_size \(1\) must be at least 2"),
    ],
)
def test_impossible_studies_are_refused(run, tmp_path, children, batch, message):
    table = TabularEvaluation(SPACE, "cifar10", epochs=200)
    with pytest.raises(ValueError, match=message):
        study(run, table, tmp_path / "rows.csv", children, batch, seed=0)
