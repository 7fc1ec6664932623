"""Low fidelity: children are trained shorter, smaller, and on less."""

from dataclasses import replace
from random import Random
from typing import Any

from nas_lightning.core.checks import at_least
from nas_lightning.core.search_space import child_cost
from nas_lightning.evaluation.candidates import Candidates, EvaluationByTraining

__all__ = ["LowFidelity"]


class LowFidelity(EvaluationByTraining):
    """Trains a reduced copy of every child (Zoph et al., NASNet, 2018, 1707.07012).

    Parameters and multiply-adds are those of the child at its full size.

    Args:
        run: what to train on and with.
        epochs: passes over the images; null takes the child recipe's.
        channels: channels of the reduced child; null takes the child's.
        cells: cells of the reduced child; null takes the child's.
        image_size: side of its images in pixels; null takes the data's.
        samples: training images, a stratified subset; null takes all.

    Raises: ValueError: a value is out of its range, or the reduced child cannot be built.
    """

    def __init__(
        self,
        run: Candidates,
        epochs: int | None = 5,
        channels: int | None = 8,
        cells: int | None = 3,
        image_size: int | None = None,
        samples: int | None = None,
    ) -> None:
        at_least("evaluation.epochs", epochs, 1, use=5)
        at_least("evaluation.samples", samples, 1, use=1000)
        full = run.recipe
        shape = full.scale.sample_shape()
        if image_size is not None:
            shape = (full.scale.image()[0], image_size, image_size)
        sizes: dict[str, Any] = {"channels": channels, "cells": cells, "input_shape": shape}
        scale = replace(full.scale, **{k: v for k, v in sizes.items() if v is not None})
        batch_size = full.batch_size or run.data.batch_size
        if samples is not None:
            batch_size = min(batch_size, samples)
        epochs = full.epochs if epochs is None else epochs
        recipe = replace(full, epochs=epochs, scale=scale, batch_size=batch_size)
        stage = run.data.candidate(samples, image_size, batch_size, full.cutout)
        child_cost(run.space, run.space.sample(Random(0)), scale)  # refuses an impossible scale
        super().__init__(run, recipe, stage)
