"""Full and low-fidelity training measure a genotype on digits, in seconds."""

from dataclasses import replace

import pytest
import torch

from nas_lightning.core.scale import Scale
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits
from nas_lightning.evaluation.by_training import Candidates, FullTraining, LowFidelity
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.training.child import ChildModule, ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification

SPACE = DartsSpace(nodes=1)
TRIAL = RandomSearch(SPACE, 0).ask(0)
SCALE = Scale(4, 4, flavour="child", input_shape=(1, 8, 8), num_outputs=10)
STEPS, BATCH = 2, 256  # 719 images to train on


@pytest.fixture(scope="module")
def run():
    """A run whose children train for two epochs."""
    data = ImageDataModule(digits, seed=0, batch_size=BATCH)
    recipe = ChildRecipe(epochs=2, scale=SCALE)
    make_trainer = Hardware().trainer
    return Candidates(SPACE, data, recipe, Classification(), make_trainer)


def test_full_training_measures_the_child_and_what_it_cost(run):
    evaluation = FullTraining(run)
    figures, cost = evaluation.evaluate(TRIAL, seed=3)
    assert set(figures) == {
        "validation_accuracy",
        "validation_balanced_accuracy",
        "validation_loss",
        "parameters",
        "multiply_adds",
    }
    assert 0 <= figures["validation_accuracy"] <= 1
    assert cost.training_samples == evaluation.samples() == 2 * STEPS * BATCH
    assert (cost.gradient_steps, cost.children_trained, cost.epochs_trained) == (2 * STEPS, 1, 2)
    assert 0 < cost.wall_s == cost.device_s


def test_an_evaluation_depends_on_genotype_and_seed_alone(run):
    evaluation = LowFidelity(run, epochs=1, channels=2)
    first, _ = evaluation.evaluate(TRIAL, seed=3)
    other, _ = evaluation.evaluate(TRIAL, seed=4)
    again, _ = evaluation.evaluate(TRIAL, seed=3)
    assert again == first != other


def test_low_fidelity_trains_less_and_tells_the_size_of_the_full_child(run):
    evaluation = LowFidelity(run, epochs=1, channels=2, cells=3, samples=100)
    figures, cost = evaluation.evaluate(TRIAL, seed=3)
    full, _ = FullTraining(replace(run, recipe=replace(run.recipe, epochs=1))).evaluate(TRIAL, 3)
    assert figures["parameters"] == full["parameters"]
    assert cost.training_samples == evaluation.samples() == 100
    assert cost.epochs_trained == 1


def test_low_fidelity_without_numbers_is_full_training(run):
    low = LowFidelity(run, epochs=None, channels=None, cells=None)
    assert low.recipe == replace(run.recipe, batch_size=BATCH)
    assert low.samples() == FullTraining(run).samples()


def test_low_fidelity_trains_on_images_of_another_size(run):
    evaluation = LowFidelity(run, epochs=1, channels=2, image_size=16)
    assert evaluation.recipe.scale.input_shape == (1, 16, 16)
    figures, _ = evaluation.evaluate(TRIAL, seed=3)
    assert 0 <= figures["validation_accuracy"] <= 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, r"evaluation\.epochs \(0\) must be at least 1"),
        ({"channels": 0}, r"channels \(0\) must be at least 2"),
        ({"cells": 2}, r"cells \(2\) must be at least 3"),
        ({"image_size": 4}, r"evaluation.image_size \(4\) must be .* at least 8 pixels"),
        ({"samples": 0}, r"evaluation\.samples \(0\) must be at least 1"),
    ],
)
def test_impossible_fidelities_are_refused(run, values, message):
    with pytest.raises(ValueError, match=message):
        LowFidelity(run, **values)


def test_a_reduced_child_that_cannot_be_built_is_refused_before_any_trial(run):
    scale = replace(SCALE, auxiliary=True, input_shape=(1, 32, 32))
    larger = replace(run, recipe=replace(run.recipe, scale=scale))
    with pytest.raises(ValueError, match=r"the auxiliary head needs 8: set scale\.auxiliary=false"):
        LowFidelity(larger, image_size=16)


def test_a_child_that_does_not_fit_into_memory_tells_its_batch(run, monkeypatch):
    def step(self, batch, batch_idx):
        return torch.empty(2**60)  # what torch raises on a CPU

    monkeypatch.setattr(ChildModule, "training_step", step)
    with pytest.raises(MemoryError, match=rf"^with batches of {BATCH}$"):
        FullTraining(run).evaluate(TRIAL, seed=3)


def test_a_child_that_diverges_is_worth_nothing(run):
    recipe = replace(run.recipe, lr=1e30, clip=1e30)
    figures, cost = FullTraining(replace(run, recipe=recipe)).evaluate(TRIAL, seed=3)
    assert (figures["validation_accuracy"], figures["diverged"]) == (0.0, 1.0)
    assert cost.children_trained == 1
