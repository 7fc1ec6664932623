"""The report says honestly whether a search was worth it."""

import pytest

from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.verdict import judge

ACCURACY = MainMetric()


def judged(child, tests=0, metric=ACCURACY, **others):
    key = f"test_{metric.name}"
    baselines = {name: {key: value} for name, value in others.items()}
    return judge({"child": {key: child}, "baselines": baselines}, metric, tests)


@pytest.mark.parametrize(
    ("others", "outcome", "answer"),
    [
        (
            {"random_genotype": 0.5, "logistic_regression": 0.4},
            "better",
            "Yes, on this test set: better than a random genotype, trained alike and a logistic "
            "regression.",
        ),
        (
            {"random_genotype": 0.89, "logistic_regression": 0.4},
            "close",
            "Not shown: the gain over a random genotype, trained alike, is small enough to be "
            "chance. It is better than a logistic regression.",
        ),
        (
            {"random_genotype": 0.4, "logistic_regression": 0.9},
            "not better",
            "No: a logistic regression does as well here or better. It is better than a random "
            "genotype, trained alike.",
        ),
        (
            {"random_genotype": 0.95, "logistic_regression": 0.9},
            "not better",
            "No: a random genotype, trained alike, and a logistic regression do as well here or "
            "better.",
        ),
    ],
)
def test_the_answer_fits_the_figures(others, outcome, answer):
    verdict = judged(0.9, tests=400, **others)
    assert (verdict.outcome, verdict.answer) == (outcome, answer)


def test_the_child_of_a_lower_error_is_better():
    rmse = MainMetric("rmse", is_higher_better=False, is_share=False)
    assert judged(1.0, metric=rmse, random_genotype=2.0).outcome == "better"
    assert judged(2.0, metric=rmse, random_genotype=1.0).outcome == "not better"


def test_chance_is_two_standard_errors_of_the_test_set():
    reasons = judged(0.5, tests=100, random_genotype=0.5).reasons  # 2 sqrt(0.5 / 100)
    words = "With 100 test inputs, differences below about 14.1 percentage points may be chance."
    assert reasons[-1] == words


def test_a_linear_model_as_good_is_named_simpler():
    reasons = judged(0.5, random_genotype=0.4, logistic_regression=0.5).reasons
    words = "The logistic regression is simpler, faster and at least as good: these data may not"
    assert any(reason.startswith(words) for reason in reasons)


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        ({"child": None}, "Not known: no network was trained, so nothing was tested."),
        (
            {"child": {"test_accuracy": 0.5}, "baselines": None},
            "Not known: nothing else was trained to compare it with.",
        ),
    ],
)
def test_what_was_not_measured_is_not_known(result, answer):
    assert judge(result, MainMetric()).answer == answer
