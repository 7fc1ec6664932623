"""Logistic regression on the pixels, and the plainest objective."""

from types import SimpleNamespace

import numpy as np
import pytest

from nas_lightning.evaluation import baselines
from nas_lightning.evaluation.objectives import Accuracy


def images(labels):
    """Images whose brightness tells the label, in a little noise."""
    noise = np.random.default_rng(0).normal(0, 0.1, (len(labels), 1, 2, 2))
    return (noise + labels[:, None, None, None]).astype("float32")


def data_of(train, test, wrong=0):
    """A data module's arrays; the first test labels are wrong."""
    told = test.copy()
    told[:wrong] = 1 - told[:wrong]
    return SimpleNamespace(
        training_arrays=lambda: (images(train), train), test_arrays=lambda: (images(test), told)
    )


LABELS = np.arange(40) % 2


def test_it_learns_from_the_training_set_and_is_measured_on_the_test_set():
    data = data_of(LABELS, LABELS[:20], wrong=5)
    assert baselines.logistic_regression_accuracy(data) == 0.75


def test_it_learns_from_an_even_choice_of_a_large_training_set(monkeypatch):
    monkeypatch.setattr(baselines, "MAX_IMAGES", 10)
    data = data_of(np.repeat([0, 1], 500), LABELS)
    assert baselines.logistic_regression_accuracy(data) == 1.0


def test_the_objective_is_the_validation_accuracy():
    measured = {"validation_accuracy": 0.75, "parameters": 10**9}
    assert Accuracy().reward(measured) == pytest.approx(0.75)
