"""The loop of a black-box search: ask, evaluate, tell; interrupted, it goes on where it was."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.candidates import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.modules.meter import CostMeter

__all__ = ["best_trial", "run_trials"]

EVENT_KEYS = ("event", "trial", "genotype_id", "reward", "cost")


def run_trials(
    strategy: BlackBoxStrategy,
    evaluation: Evaluation,
    objective: Accuracy,
    journal: Journal,
    max_samples: int | None = None,
    watch: Callable[[list[Trial]], None] = lambda trials: None,
) -> tuple[list[Trial], CostMeter]:
    """Evaluates what a strategy asks for until its trials or samples are used up.

    A journal that already holds events is replayed first: the strategy is asked and told again,
    and nothing is evaluated twice. A trial that was asked but not told starts anew.

    Args:
        strategy: proposes genotypes.
        evaluation: measures them.
        objective: makes rewards of measurements.
        journal: takes every event before the search goes on.
        max_samples: no trial begins that would pass this many training samples.
        watch: is given the trials so far after each one.

    Returns:
        The finished trials in order, and the cost of all of them.

    Raises:
        ValueError: the journal does not belong to this search, or `max_samples` is less than
            one trial needs.
    """
    limit = _affordable(evaluation, max_samples)
    trials: list[Trial] = []
    cost = CostMeter()
    for trial in _replayed(strategy, journal):
        trials.append(trial)
        cost.add(trial.cost)
    if trials:
        watch(trials)
    while len(trials) < min(strategy.trials, limit):
        trial, spent = _run(strategy, evaluation, objective, journal, len(trials))
        trials.append(trial)
        cost.add(spent)
        watch(trials)
    return trials, cost


def _run(
    strategy: BlackBoxStrategy,
    evaluation: Evaluation,
    objective: Accuracy,
    journal: Journal,
    number: int,
) -> tuple[Trial, CostMeter]:
    """Asks for a trial, evaluates it, and tells what came out."""
    trial = strategy.ask(number)
    if not journal.asked(number):
        journal.append(_event("asked", trial))
    seed = keyed_seed(strategy.seed, "trial", number)
    values, spent = evaluation.evaluate(trial.genotype, seed)
    reward = objective.reward(values)
    trial = replace(trial, reward=reward, measurements=values, cost=spent.as_dict())
    journal.append(_event("told", trial))
    strategy.tell(trial)
    return trial, spent


def best_trial(trials: list[Trial]) -> Trial:
    """Returns the trial with the highest reward, the first of equal ones."""
    return max(trials, key=lambda trial: (_reward(trial), -trial.number))


def _reward(trial: Trial) -> float:
    assert trial.reward is not None, "a finished trial has a reward"
    return trial.reward


def _affordable(evaluation: Evaluation, max_samples: int | None) -> int:
    if max_samples is None:
        return 2**62
    each = evaluation.samples()
    if max_samples < each:
        raise ValueError(
            f"max_samples ({max_samples}) must allow at least one trial, which "
            f"processes {each} training samples; raise it, or lower the evaluation"
        )
    return max_samples // each


def _replayed(strategy: BlackBoxStrategy, journal: Journal) -> Iterator[Trial]:
    for event in journal.told():
        trial = strategy.ask(event["trial"])
        if trial.genotype.id != event["genotype_id"]:
            raise ValueError(
                f"{journal.path} tells of genotype {event['genotype_id']} in trial "
                f"{trial.number}, this search asks for {trial.genotype.id}: it "
                "belongs to another search; use a new folder"
            )
        trial = replace(
            trial,
            reward=event["reward"],
            measurements={n: v for n, v in event.items() if n not in EVENT_KEYS},
            cost=event["cost"],
        )
        strategy.tell(trial)
        yield trial


def _event(kind: str, trial: Trial) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": kind,
        "trial": trial.number,
        "genotype_id": trial.genotype.id,
    }
    if kind == "asked":
        return event | {"choices": trial.genotype.mapping}
    return event | {"reward": trial.reward, **trial.measurements, "cost": dict(trial.cost)}
