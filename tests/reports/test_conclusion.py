"""The report says honestly whether a search was worth it."""

import pytest

from nas_lightning.evaluation.verdict import Verdict
from nas_lightning.reports.conclusion import conclude, verdict_words
from nas_lightning.reports.metric import MainMetric

ACCURACY = MainMetric()


def judged(child, tests=0, metric=ACCURACY, **others):
    key = f"test_{metric.name}"
    baselines = {name: {key: value} for name, value in others.items()}
    return conclude({"child": {key: child}, "baselines": baselines}, metric, tests)


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
    assert conclude(result, MainMetric()).answer == answer


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([0.8] * 24, "Worth it: the network beats 24 of 24 random networks of its space, trained "
                     "alike."),
        ([0.95, 0.8, 0.95], "Not worth it: the network beats 1 of 3 random networks of its space, "
                            "trained alike."),
        ([0.8], "Undecided: the network beats 1 of 1 random network of its space, trained alike; "
                "23 more would decide (verdict.children=24)."),
        ([0.95], "Undecided: the network beats 0 of 1 random network of its space, trained alike; "
                 "about 1 more would decide (verdict.children=2)."),
        ([0.95] + [0.8] * 19, "Undecided: the network beats 19 of 20 random networks of its space, "
                              "trained alike; more of them would hardly decide."),
    ],
)  # fmt: skip
def test_a_verdict_is_a_sentence(others, words):
    assert verdict_words(Verdict(0.9, others).as_dict()) == words


def with_verdict(others, **figures):
    baselines = {name: {"test_accuracy": value} for name, value in figures.items()}
    result = {"child": {"test_accuracy": 0.9}, "baselines": baselines}
    return conclude(result | {"verdict": Verdict(0.9, others).as_dict()}, ACCURACY, tests=400)


def test_a_verdict_comes_first_and_then_what_is_no_random_network():
    conclusion = with_verdict([0.8] * 24, random_genotype=0.8, resnet=0.89, linear_regression=0.5)
    assert conclusion.outcome == "better"
    assert conclusion.answer == (
        "Worth it: the network beats 24 of 24 random networks of its space, trained alike. The "
        "gain over a ResNet of its size, trained alike, is small enough to be chance. It is better "
        "than a linear regression."
    )
    assert conclusion.reasons[:2] == (
        "It beats 77.2 % to 100 % of all random networks of its space (95 % interval, however "
        "often one looks). At most 1 in 20 searches that find no more than a random one do so "
        "well.",
        "Its test accuracy is 10.00 percentage points better than the median of these random "
        "networks (95 % interval 10.00 to 10.00).",
    )


def test_a_verdict_against_random_networks_is_not_all():
    conclusion = with_verdict([0.8] * 24, resnet=0.95)
    assert (conclusion.outcome, conclusion.answer.split(". ")[1]) == (
        "not better",
        "A ResNet of its size, trained alike, does as well here or better.",
    )
    assert "The ResNet of its size needs no search and is at least as good." in conclusion.reasons
    assert with_verdict([0.95] * 2).outcome == "not better"
    assert with_verdict([0.8]).outcome == "close"
