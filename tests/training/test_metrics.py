"""Each task's default metrics against scikit-learn's, batch by batch."""

import json
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from torchmetrics.classification import MulticlassAUROC
from torchmetrics.regression import ExplainedVariance, PearsonCorrCoef

from nas_lightning.run.folder import RunFolder
from nas_lightning.training.metrics import R2
from nas_lightning.training.task import (
    OF_CLASSES,
    OF_VALUES,
    Classification,
    Multilabel,
    Regression,
)

SEEDS = st.integers(0, 2**31)
NUMBERS, OUTPUTS, BATCHES = st.integers(1, 70), st.integers(2, 6), st.integers(1, 40)


def measured(task, outputs, targets, batch):
    """Returns every metric of outputs that come in batches, the last one perhaps smaller."""
    found = {}
    for name, metric in task.metrics(outputs.shape[1]).items():
        for start in range(0, len(outputs), batch):
            part = slice(start, start + batch)
            task.update(metric, outputs[part], targets[part])
        found[name] = float(metric.compute())
    return found


def reference(function, *arguments, **options):
    """Returns scikit-learn's value, whose warnings on absent classes and lone samples are meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.approx(
            float(function(*arguments, **options)), rel=1e-5, abs=1e-6, nan_ok=True
        )


@settings(max_examples=30, deadline=None)
@given(SEEDS, NUMBERS, OUTPUTS, BATCHES, st.integers(1, 6), st.booleans())
def test_metrics_of_classes_are_scikit_learns(seed, number, classes, batch, occurring, is_inside):
    """Some classes may not occur, even all but one, and all outputs may lie inside [0, 1]."""
    rng = np.random.default_rng(seed)
    targets = rng.choice(rng.permutation(classes)[:occurring], number)
    outputs = (rng.random if is_inside else rng.standard_normal)((number, classes))
    outputs = torch.tensor(outputs, dtype=torch.float32)
    chosen = outputs.argmax(1).numpy()
    assert measured(Classification(), outputs, torch.tensor(targets), batch) == {
        "accuracy": reference(sk.accuracy_score, targets, chosen),
        "balanced_accuracy": reference(sk.balanced_accuracy_score, targets, chosen),
    }


@settings(max_examples=30, deadline=None)
@given(SEEDS, NUMBERS, OUTPUTS, BATCHES, st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_metrics_of_labels_are_scikit_learns(seed, number, labels, batch, share, is_inside):
    rng = np.random.default_rng(seed)
    targets = rng.random((number, labels)) < share
    outputs = (rng.random if is_inside else rng.standard_normal)((number, labels))
    outputs = torch.tensor(outputs, dtype=torch.float32)
    chosen = outputs.numpy() > 0
    assert measured(Multilabel(), outputs, torch.tensor(targets).float(), batch) == {
        "f1": reference(sk.f1_score, targets, chosen, average="macro", zero_division=0),
        "label_accuracy": reference(sk.accuracy_score, targets.ravel(), chosen.ravel()),
        "exact_match": reference(sk.accuracy_score, targets, chosen),
    }


OFFSETS, SPREADS = st.sampled_from([0.0, -3.0, 1e4, 1e6]), st.sampled_from([0.0, 1.0, 50.0])


@settings(max_examples=30, deadline=None)
@given(SEEDS, NUMBERS, st.integers(1, 3), BATCHES, OFFSETS, SPREADS)
def test_metrics_of_values_are_scikit_learns(seed, number, columns, batch, offset, spread):
    """Targets may be constant or far from zero, and a part may hold one sample."""
    rng = np.random.default_rng(seed)
    targets = (offset + spread * rng.standard_normal((number, columns))).astype(np.float32)
    outputs = torch.tensor(rng.standard_normal((number, columns)), dtype=torch.float32)
    mean, std = torch.full((columns,), offset), torch.full((columns,), 2.0)
    values = outputs.double().numpy() * 2.0 + offset
    task = Regression().fitted(mean, std)
    assert measured(task, outputs, torch.tensor(targets), batch) == {
        "rmse": reference(lambda a, b: sk.mean_squared_error(a, b) ** 0.5, targets, values),
        "mae": reference(sk.mean_absolute_error, targets.astype(np.float64), values),
        "r2": reference(sk.r2_score, targets.astype(np.float64), values),
    }


def test_r2_of_constant_targets_that_are_met_exactly_is_one():
    task, targets = Regression(), torch.full((5, 1), 3.0)
    assert measured(task, targets, targets, 2)["r2"] == 1.0
    assert measured(task, targets + 1, targets, 2)["r2"] == 0.0


def test_a_class_that_is_predicted_and_never_occurs_leaves_balanced_accuracy_alone():
    logits, targets = torch.eye(3)[[0, 0, 1, 2]], torch.tensor([0, 0, 1, 1])
    assert measured(Classification(), logits, targets, 4)["balanced_accuracy"] == 0.75


def test_a_metric_of_ranks_sees_probabilities_though_a_batch_of_logits_lies_inside_0_1():
    """torchmetrics alone takes such a batch for probabilities, and all others for logits."""
    rng = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 3, (72,), generator=rng)
    logits = torch.randn(72, 3, generator=rng) + 1.5 * torch.eye(3)[targets]
    logits[64:] = torch.rand(8, 3, generator=rng)
    task = Classification(metrics={**OF_CLASSES, "auroc": partial(MulticlassAUROC)})
    wanted = sk.roc_auc_score(targets, logits.softmax(1), multi_class="ovr")
    assert measured(task, logits, targets, 64)["auroc"] == pytest.approx(wanted, abs=1e-6)


def test_logits_that_differ_in_their_last_digit_keep_their_order():
    logits = torch.tensor([[20.0, np.nextafter(np.float32(20), np.float32(21))]])
    assert measured(Classification(), logits, torch.tensor([1]), 1)["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("metric", "wanted", "tolerance"),
    [
        (ExplainedVariance, sk.explained_variance_score, 1e-3),
        (PearsonCorrCoef, lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1], 1e-6),
    ],
)
def test_metrics_that_a_user_adds_count_in_float64(metric, wanted, tolerance):
    rng = np.random.default_rng(0)
    targets = (1e6 + 3 * rng.standard_normal((90, 1))).astype(np.float32).astype(np.float64)
    outputs = torch.tensor((targets - 1e6) / 3 + 0.3 * rng.standard_normal((90, 1))).float()
    task = Regression(metrics={**OF_VALUES, "added": metric})
    task = task.fitted(torch.tensor([1e6]), torch.tensor([3.0]))
    values = outputs.double().numpy() * 3 + 1e6
    found = measured(task, outputs, torch.tensor(targets).float(), 32)["added"]
    assert found == pytest.approx(wanted(targets, values), abs=tolerance)


def test_metrics_of_values_stay_float64_in_a_module_of_half_precision():
    targets = 1e4 + torch.arange(6.0)[:, None]
    task = Regression().fitted(torch.tensor([1e4]), torch.tensor([1.0]))
    metrics = torch.nn.ModuleDict(task.metrics(1)).to(torch.bfloat16)
    for metric in metrics.values():
        task.update(metric, (targets - 1e4) + 1, targets)
    found = {name: float(metric.compute()) for name, metric in metrics.items()}
    assert found == {"rmse": 1.0, "mae": 1.0, "r2": pytest.approx(1 - 6 / 17.5)}


def test_r2_of_one_sample_is_null_in_a_result(tmp_path):
    metric = R2()
    metric.update(torch.ones(1), torch.zeros(1))
    RunFolder(tmp_path).write_result({"child": {"test_r2": float(metric.compute())}})
    assert json.loads((tmp_path / "result.json").read_text()) == {"child": {"test_r2": None}}
