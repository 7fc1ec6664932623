"""Whether a trial that a strategy asks for may begin: the limits of its space, the samples left."""

from collections.abc import Sequence

from nas_lightning.core.quantities import at_least_words, quantity_name
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["check_limits", "is_affordable"]


def check_limits(strategy: BlackBoxStrategy, trial: Trial) -> None:
    """Raises a ValueError if a trial's child does not keep the limits of its strategy's space."""
    limits = strategy.space.limits
    if limits is not None and not limits.keeps(trial.genotype):
        found = limits.values(trial.genotype).items()
        values = ", ".join(f"{quantity_name(n)} {at_least_words(n, value)}" for n, value in found)
        raise ValueError(
            f"strategy {type(strategy).__name__} asks for a child with {values}, beyond the limits "
            f"({limits}); draw with the sample, mutate, crossover or kept of its space"
        )


def is_affordable(
    trial: Trial,
    in_flight: Sequence[Trial],
    evaluation: Evaluation,
    cost: CostMeter,
    max_samples: int | None,
) -> bool:
    """Returns whether a trial's samples are left after the cost so far and what is in flight.

    Raises: ValueError: not even the first trial fits, or nothing is trained.
    """
    if max_samples is None:
        return True
    each = evaluation.samples_of(trial)
    if trial.start == 0 and each == 0:
        raise ValueError(
            f"max_samples ({max_samples}) has no effect beside evaluation "
            f"{type(evaluation).__name__}, which trains nothing; leave it out: strategy.trials "
            "end the search"
        )
    if max_samples < each and trial.number == 0:
        raise ValueError(
            f"max_samples ({max_samples}) must allow at least one trial, which processes {each} "
            "training samples; raise it, or lower the evaluation"
        )
    reserved = sum(evaluation.samples_of(other) for other in in_flight)
    return cost.training_samples + reserved + each <= max_samples
