"""The loop of a black-box search: ask, evaluate, tell; interrupted, it goes on where it was."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nas_lightning.core.objective import Objective
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["best_trial", "check_fit", "chosen_trial", "finished", "run_trials"]

EVENT_KEYS = ("event", "trial", "genotype_id", "reward", "cost")


def run_trials(
    strategy: BlackBoxStrategy,
    evaluation: Evaluation,
    objective: Objective,
    journal: Journal,
    max_samples: int | None = None,
    watch: Callable[[list[Trial]], None] = lambda trials: None,
) -> tuple[list[Trial], CostMeter]:
    """Evaluates what a strategy asks for until its trials or samples are used up.

    A journal that already holds events is replayed first: the strategy is asked and told again,
    and nothing is evaluated twice. A trial that was asked but not told starts anew. Apart from
    the strategy, a trial costs the same whatever its number.

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
        ValueError: the three do not fit each other, the journal does not belong to this search,
            or `max_samples` is less than the first trial needs.
    """
    check_fit(strategy, evaluation, objective)
    trials: list[Trial] = []
    cost = CostMeter()
    for trial in _replayed(strategy, objective, journal):
        trials.append(trial)
        cost.add(trial.cost)
    if trials:
        watch(trials)
    while len(trials) < strategy.trials:
        trial = strategy.ask(len(trials))
        if not _is_affordable(trial, evaluation, cost, max_samples):
            break
        seed = keyed_seed(strategy.seed, "trial", _origin(trial, trials))
        trial, spent = _run(trial, seed, strategy, evaluation, objective, journal)
        trials.append(trial)
        cost.add(spent)
        watch(trials)
    return trials, cost


def check_fit(strategy: BlackBoxStrategy, evaluation: Evaluation, objective: Objective) -> None:
    """Finds out before any work whether the three can work together.

    Raises:
        ValueError: the objective needs what the evaluation does not measure, or the strategy
            trains children step by step and the evaluation cannot, or not by its budgets.
    """
    known = evaluation.measures() | set(objective.known())
    if lacking := sorted(objective.needs() - known):
        raise ValueError(
            f"objective {type(objective).__name__} needs '{lacking[0]}', which evaluation "
            f"{type(evaluation).__name__} does not measure; it has: {', '.join(sorted(known))}; "
            "choose another evaluation, or e.g. objective=measurement objective.name=NAME with one "
            "of them"
        )
    if strategy.needs_budgets and not evaluation.takes_budgets:
        raise ValueError(
            f"strategy {type(strategy).__name__} trains children step by step, which evaluation "
            f"{type(evaluation).__name__} cannot; choose evaluation=full"
        )
    for budget in strategy.budgets:
        evaluation.check_budget(budget)


def finished(
    trial: Trial, objective: Objective, values: Mapping[str, float], cost: Mapping[str, float]
) -> Trial:
    """Returns a trial with what was measured of it, and the reward of that."""
    measurements = {**values, **objective.measure(trial.genotype)}
    return replace(
        trial,
        reward=objective.reward(measurements),
        values=objective.values(measurements),
        measurements=measurements,
        cost=cost,
    )


def _origin(trial: Trial, trials: Sequence[Trial]) -> int:
    """Returns the number of the trial whose child a trial's goes back to."""
    while trial.parent is not None:
        trial = trials[trial.parent]
    return trial.number


def _run(
    trial: Trial,
    seed: int,
    strategy: BlackBoxStrategy,
    evaluation: Evaluation,
    objective: Objective,
    journal: Journal,
) -> tuple[Trial, CostMeter]:
    """Evaluates a trial and tells what came out."""
    if not journal.asked(trial.number):
        journal.append(_event("asked", trial))
    values, spent = evaluation.evaluate(trial, seed)
    trial = finished(trial, objective, values, spent.as_dict())
    journal.append(_event("told", trial))
    strategy.tell(trial)
    return trial, spent


def best_trial(trials: list[Trial]) -> Trial:
    """Returns the trial with the highest reward, the first of equal ones.

    Only those of the largest budget are compared: a child that was trained less says little.
    """
    return max(trials, key=lambda trial: (trial.budget, trial.told_reward, -trial.number))


def chosen_trial(trials: list[Trial], objective: Objective) -> Trial:
    """Returns the best of the trials that the objective allows to be chosen.

    Raises:
        ValueError: it allows none of them.
    """
    met = [trial for trial in trials if objective.is_met(trial.measurements)]
    if not met:
        nearest = best_trial(trials)
        raise ValueError(
            f"none of the {len(trials)} children meets objective {type(objective).__name__} "
            f"({objective.requirement()}); the nearest has "
            f"{_listed(objective.names, nearest.values)}: loosen it, or give the search more trials"
        )
    return best_trial(met)


def _listed(names: tuple[str, ...], values: tuple[float, ...]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in zip(names, values, strict=True))


def _is_affordable(
    trial: Trial, evaluation: Evaluation, cost: CostMeter, max_samples: int | None
) -> bool:
    if max_samples is None:
        return True
    each = evaluation.samples(trial.budget)
    if trial.start > 0:
        each -= evaluation.samples(trial.start)
    elif each == 0:
        raise ValueError(
            f"max_samples ({max_samples}) has no effect beside evaluation "
            f"{type(evaluation).__name__}, which trains nothing; leave it out: strategy.trials "
            "end the search"
        )
    if max_samples < each and trial.number == 0:
        raise ValueError(
            f"max_samples ({max_samples}) must allow at least one trial, which "
            f"processes {each} training samples; raise it, or lower the evaluation"
        )
    return cost.training_samples + each <= max_samples


def _replayed(
    strategy: BlackBoxStrategy, objective: Objective, journal: Journal
) -> Iterator[Trial]:
    for event in journal.told():
        trial = strategy.ask(event["trial"])
        if trial.genotype.id != event["genotype_id"]:
            raise ValueError(
                f"{journal.path} tells of genotype {event['genotype_id']} in trial "
                f"{trial.number}, this search asks for {trial.genotype.id}: it "
                "belongs to another search; use a new folder"
            )
        measurements = {n: v for n, v in event.items() if n not in EVENT_KEYS}
        trial = replace(
            trial,
            reward=event["reward"],
            values=objective.values(measurements),
            measurements=measurements,
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
        fidelity = {} if trial.budget == 1 else {"budget": trial.budget}
        line = {} if trial.parent is None else {"parent": trial.parent}
        return event | fidelity | line | {"choices": trial.genotype.mapping}
    return event | {"reward": trial.reward, **trial.measurements, "cost": dict(trial.cost)}
