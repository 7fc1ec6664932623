"""A task's loss and metrics, against numbers worked out by hand."""

from functools import partial
from math import inf, log

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.classification import MulticlassConfusionMatrix

from nas_lightning.training.task import OF_VALUES, Classification, Multilabel, Regression


def measured(task, outputs, targets):
    """Returns every metric of one batch."""
    found = {}
    for name, metric in task.metrics(outputs.shape[1]).items():
        task.update(metric, outputs, targets)
        found[name] = float(metric.compute())
    return found


def test_balanced_accuracy_is_the_mean_over_classes():
    logits = torch.eye(2)[[0] * 9 + [0]]
    found = measured(Classification(), logits, torch.tensor([0] * 9 + [1]))
    assert found == {"accuracy": pytest.approx(0.9), "balanced_accuracy": 0.5}


def test_shares_of_classes_give_the_mixed_loss_and_count_as_the_larger_one():
    task, logits = Classification(), torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    first, second = torch.tensor([0, 1]), torch.tensor([2, 0])
    shares = 0.7 * F.one_hot(first, 3) + 0.3 * F.one_hot(second, 3)
    mixed = 0.7 * task.loss(logits, first, 0.1) + 0.3 * task.loss(logits, second, 0.1)
    torch.testing.assert_close(task.loss(logits, shares, 0.1), mixed)
    assert measured(task, logits, shares)["accuracy"] == 1.0


def test_labels_are_judged_one_by_one_and_together():
    outputs = torch.tensor([[4.0, -4.0], [4.0, 4.0]])
    found = measured(Multilabel(), outputs, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert (found["label_accuracy"], found["exact_match"]) == (0.75, 0.5)


def test_the_loss_of_labels_is_their_mean_cross_entropy():
    loss = Multilabel().loss(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), 0.2)
    assert float(loss) == pytest.approx(log(2))


@pytest.fixture
def heights():
    """A task of one value whose mean is 170 and whose deviation 10."""
    return Regression().fitted(torch.tensor([170.0]), torch.tensor([10.0]))


def test_values_are_learnt_standardised_and_measured_in_their_units(heights):
    outputs, targets = torch.tensor([[0.0], [1.0]]), torch.tensor([[170.0], [190.0]])
    assert float(heights.loss(outputs, targets)) == 0.5
    found = measured(heights, outputs, targets)
    assert (found["mae"], found["rmse"]) == (5.0, pytest.approx(50**0.5))


def test_several_values_are_measured_together():
    task = Regression().fitted(torch.zeros(2), torch.ones(2))
    targets = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert measured(task, targets, targets) == {"rmse": 0.0, "mae": 0.0, "r2": 1.0}


def test_a_task_says_which_values_of_its_main_metric_are_better():
    tasks = (Classification(), Multilabel(), Regression(), Regression(metric="r2"))
    assert [task.higher_is_better for task in tasks] == [True, True, False, True]
    assert [task.worst for task in tasks] == [0.0, 0.0, inf, -inf]
    assert Regression().reward(2.0) == -2.0


def test_only_classes_have_a_confusion_matrix():
    assert Classification().confusion(3) is not None
    assert Multilabel().confusion(3) is Regression().confusion(3) is None


def test_smoothing_values_is_refused(heights):
    with pytest.raises(ValueError, match=r"child\.label_smoothing \(0\.1\) has no meaning"):
        heights.check(1, label_smoothing=0.1)


def test_a_main_metric_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"task\.metric 'f1' must be one of .*: rmse, mae, r2"):
        Regression(metric="f1")


def test_a_main_metric_without_a_direction_is_refused():
    metrics = {"accuracy": None, "matrix": MulticlassConfusionMatrix}
    with pytest.raises(ValueError, match=r"task\.metric 'matrix' must be one number"):
        Classification(metrics=metrics, metric="matrix")


def test_a_loss_that_does_not_fit_the_targets_is_refused_before_training():
    task = Classification(loss=F.mse_loss)
    with pytest.raises(ValueError, match=r"must fit outputs \(N, 3\) and targets that are classes"):
        task.check(3)


def test_a_metric_can_be_dropped_and_another_added():
    more = dict(OF_VALUES) | {"mae": None, "mse": partial(OF_VALUES["rmse"].func)}
    assert list(Regression(metrics=more).metrics(1)) == ["rmse", "r2", "mse"]
