"""A linear model of the pixels, whatever the task."""

from types import SimpleNamespace

import numpy as np
import pytest

from nas_lightning.evaluation import linear_baseline as baselines
from nas_lightning.training.task import Classification, Multilabel, Regression


def images(brightness):
    """Images whose brightness tells the target, in a little noise."""
    noise = np.random.default_rng(0).normal(0, 0.1, (len(brightness), 1, 2, 2))
    return (noise + brightness[:, None, None, None]).astype("float32")


def data_of(train, test, wrong=0, targets=lambda labels: labels):
    """A data module's arrays; the first test labels are wrong."""
    told = test.copy()
    told[:wrong] = 1 - told[:wrong]
    return SimpleNamespace(
        num_outputs=2,
        training_arrays=lambda: (images(train), targets(train)),
        test_arrays=lambda: (images(test), targets(told)),
    )


LABELS = np.arange(40) % 2


def logistic_regression(data):
    return baselines.linear_baseline(data, Classification())["logistic_regression"]


def test_it_learns_from_the_training_set_and_is_measured_on_the_test_set():
    data = data_of(LABELS, LABELS[:20], wrong=5)
    assert logistic_regression(data)["test_accuracy"] == 0.75


def test_it_learns_from_an_even_choice_of_a_large_training_set(monkeypatch):
    monkeypatch.setattr(baselines, "MAX_IMAGES", 10)
    data = data_of(np.repeat([0, 1], 500), LABELS)
    assert logistic_regression(data)["test_accuracy"] == 1.0


def test_every_label_has_a_logistic_regression_of_its_own():
    def targets(labels):
        return np.stack([labels, 1 - labels], axis=1).astype("float32")

    data = data_of(LABELS, LABELS[:20], targets=targets)
    found = baselines.linear_baseline(data, Multilabel())["logistic_regression"]
    assert (found["test_f1"], found["test_exact_match"]) == (1.0, 1.0)


def test_values_are_foretold_by_linear_regression_in_their_units():
    def targets(labels):
        return np.stack([1000.0 + 50 * labels, 3.0 - labels], axis=1).astype("float32")

    task = Regression()
    task.mean, task.std = (1025.0, 2.5), (25.0, 0.5)
    data = data_of(LABELS, LABELS[:20], targets=targets)
    found = baselines.linear_baseline(data, task)["linear_regression"]
    assert found["test_r2"] > 0.9
    assert found["test_mae"] == pytest.approx(0, abs=5)  # of 50 and 1, half of which is chance
