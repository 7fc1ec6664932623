"""Objectives: the task's main metric, weighed by what a child costs, and its description."""

from math import inf, log

import pytest

from nas_lightning.evaluation.objectives import (
    Accuracy,
    LatencyProduct,
    Measurement,
    MinimumDescriptionLength,
    WeightedProduct,
)
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.training.task import Classification, Regression

SPACE = NasBench201Space()


@pytest.mark.parametrize(
    ("task", "measured", "reward"),
    [
        (Classification(), {"validation_accuracy": 0.75, "parameters": 10**9}, 0.75),
        (Regression(), {"validation_rmse": 2.5, "validation_r2": 0.9}, -2.5),
        (Regression(metric="r2"), {"validation_rmse": 2.5, "validation_r2": 0.9}, 0.9),
    ],
)
def test_the_reward_is_the_main_metric_and_higher_is_better(task, measured, reward):
    assert Accuracy(task).reward(measured) == reward


MEASURED = {"validation_accuracy": 0.8, "parameters": 200.0, "validation_loss": 0.5}


@pytest.mark.parametrize(
    ("form", "target", "reward"),
    [
        ("soft", 100.0, 0.8 * 2**-0.07),  # MnasNet's equation 3 with alpha = beta = -0.07
        ("soft", 400.0, 0.8 * 0.5**-0.07),
        ("hard", 100.0, 0.8 / 2),  # alpha = 0, beta = -1
        ("hard", 400.0, 0.8),
    ],
)
def test_the_product_is_mnasnets(form, target, reward):
    objective = WeightedProduct(target=target, form=form)
    assert objective.reward(MEASURED) == pytest.approx(reward)


def test_a_hard_bound_is_no_form_but_a_limit():
    with pytest.raises(ValueError, match=r"form \(limit\) is no form: .* limits.parameters=100 of"):
        WeightedProduct(target=100.0, form="limit")


def test_the_values_are_kept_apart_for_a_pareto_search():
    objective = WeightedProduct()
    assert objective.values(MEASURED) == (0.8, 200.0)
    assert (objective.names, objective.directions) == (
        ("validation_accuracy", "parameters"),
        ("max", "min"),
    )


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_child_of_which_a_value_was_not_measured_has_the_worst_reward(higher_is_better):
    objective = Measurement("validation_loss", higher_is_better)
    assert objective.reward({"validation_accuracy": 0.0, "diverged": 1.0}) == -inf


def test_a_packaged_latency_is_charged():
    arch = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
    arch += "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    objective = LatencyProduct(SPACE, target=5.0)
    measured = objective.measure(SPACE.read_text(arch))
    assert measured["latency_ms"] == pytest.approx(10.754371)
    assert objective.known() == set(measured)
    reward = objective.reward({"validation_accuracy": 0.8, **measured})
    assert reward == pytest.approx(0.8 * (10.754371 / 5) ** -0.07)


def test_a_latency_of_ones_own_is_charged(tmp_path):
    path = tmp_path / "latency.csv"
    arch = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    path.write_text(f"arch,watch,phone\n{arch},7.5,2\n")
    objective = LatencyProduct(SPACE, device="watch", table=str(path))
    assert objective.measure(SPACE.read_text(arch)) == {"latency_ms": 7.5}
    with pytest.raises(ValueError, match=r"objective\.device \('tv'\) must be .*: phone, watch"):
        LatencyProduct(SPACE, device="tv", table=str(path))


def test_without_a_table_the_evaluation_has_to_measure_the_latency():
    objective = LatencyProduct(SPACE, table=None)
    assert objective.known() == set()
    assert "latency_ms" in objective.needs()


def test_the_description_length_charges_half_a_logarithm_a_parameter():
    objective = MinimumDescriptionLength(samples=50, weight=1.0)
    assert objective.reward(MEASURED) == pytest.approx(-(50 * 0.5 + 200 / 2 * log(50)) / 50)


def test_a_child_that_diverged_has_the_worst_description():
    diverged = {"validation_accuracy": 0.0, "parameters": 10.0, "diverged": 1.0}
    objective = MinimumDescriptionLength()
    assert objective.reward(diverged) < objective.reward({"parameters": 10**5, **MEASURED})


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (WeightedProduct, {"target": 0.0}, r"objective\.target \(0\.0\) must be above 0"),
        (
            WeightedProduct,
            {"form": "firm"},
            r"unknown objective\.form 'firm'; choose from: soft, hard",
        ),
        (
            WeightedProduct,
            {"exponent": 0.1},
            r"objective\.exponent \(0\.1\) must be in \(-inf, 0\); use",
        ),
        (WeightedProduct, {"task": Regression()}, r"higher values are better, not rmse; choose"),
        (MinimumDescriptionLength, {"samples": 1}, r"objective\.samples \(1\) must be at least 2"),
        (MinimumDescriptionLength, {"weight": -1.0}, r"objective\.weight \(-1\.0\) must be at le"),
    ],
)
def test_impossible_objectives_are_refused(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)
