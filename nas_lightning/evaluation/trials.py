"""The loop of a black-box search: ask, evaluate, tell; it resumes where it was interrupted."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

from nas_lightning.core.objective import Objective
from nas_lightning.core.quantities import at_least_words, quantity_name
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.trial_time import TrialTime
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["best_trial", "check_fit", "chosen_trial", "run_trials", "with_reward"]

EVENT_KEYS = ("event", "trial", "genotype_id", "reward", "cost", "asking_s")


def run_trials(
    strategy: BlackBoxStrategy,
    evaluation: Evaluation,
    objective: Objective,
    journal: Journal,
    max_samples: int | None = None,
    watch: Callable[[list[Trial]], None] = lambda trials: None,
    begin: Callable[[], None] = lambda: None,
    time: TrialTime | None = None,
) -> tuple[list[Trial], CostMeter]:
    """Returns the finished trials in order, and their cost, once trials or samples are used up.

    A journal that already holds events is replayed first: the strategy is asked and told again,
    and nothing is evaluated twice. A trial that was asked but not told starts anew. The journal
    takes every event before the search continues. No trial begins that would exceed `max_samples`
    training samples; `watch` is called with the trials so far after each one, `begin` before the
    first that is not replayed, or at the end. `time` sets the strategy's trials by their speed;
    what it takes to ask for them is journaled then, so that a replay counts the same.
    Apart from the strategy, a trial costs the same whatever its number.

    Raises:
        ValueError: the parts do not fit, `max_samples` or `time` is less than the first trial
            needs, or the strategy asks for a child beyond the limits of its space.
    """
    check_fit(strategy, evaluation, objective)
    trials, cost = list[Trial](), CostMeter()
    for trial in _replayed(strategy, objective, journal):
        trials.append(trial)
        cost.add(trial.cost)
        if time is not None:
            time.plan(strategy, trials)
    if trials:
        watch(trials)
    replayed = len(trials)
    while len(trials) < strategy.trials:
        started = monotonic()
        trial = strategy.ask(len(trials))
        trial = trial if time is None else replace(trial, asking_s=monotonic() - started)
        _check_limits(strategy, trial)
        if not _is_affordable(trial, evaluation, cost, max_samples):
            break
        if time is not None and not time.allows(trial, trials):
            break
        if trial.number == replayed:
            begin()
        if not journal.asked(trial.number):
            journal.append(_asked(trial))
        origin = trial  # in which the child was first trained
        while origin.parent is not None:
            origin = trials[origin.parent]
        seed = keyed_seed(strategy.seed, "trial", origin.number)
        measurements, spent = evaluation.evaluate(trial, seed)
        trial = with_reward(trial, objective, measurements, spent.as_dict())
        journal.append(_told(trial))
        strategy.tell(trial)
        trials.append(trial)
        cost.add(spent)
        if time is not None:
            time.plan(strategy, trials)
        watch(trials)
    if len(trials) == replayed:
        begin()
    return trials, cost


def check_fit(strategy: BlackBoxStrategy, evaluation: Evaluation, objective: Objective) -> None:
    """Checks before any work that the three can work together.

    Raises: ValueError: the evaluation lacks a measurement, or cannot spend the strategy's budgets.
    """
    names = evaluation.measures() | set(objective.known())
    if missing := sorted(objective.needs() - names):
        raise ValueError(
            f"objective {type(objective).__name__} needs '{missing[0]}', which evaluation "
            f"{type(evaluation).__name__} does not measure; it has: {', '.join(sorted(names))}; "
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


def with_reward(
    trial: Trial, objective: Objective, measurements: Mapping[str, float], cost: Mapping[str, float]
) -> Trial:
    """Returns a trial with its measurements, the objective's own included, and their reward."""
    measurements = {**measurements, **objective.measure(trial.genotype)}
    reward, values = objective.reward(measurements), objective.values(measurements)
    return replace(trial, reward=reward, values=values, measurements=measurements, cost=cost)


def best_trial(trials: list[Trial]) -> Trial:
    """Returns the trial of the largest budget with the highest reward, the first of equal ones."""
    return max(trials, key=lambda trial: (trial.budget, trial.told_reward, -trial.number))


def chosen_trial(trials: list[Trial], objective: Objective) -> Trial:
    """Returns the best trial that the objective allows.

    Raises: ValueError: it allows none of them.
    """
    met = [trial for trial in trials if objective.is_met(trial.measurements)]
    if not met:
        nearest = zip(objective.names, best_trial(trials).values, strict=True)
        raise ValueError(
            f"none of the {len(trials)} children meets objective {type(objective).__name__} "
            f"({objective.requirement()}); the nearest has "
            f"{', '.join(f'{name} {value:g}' for name, value in nearest)}: loosen it, or give the "
            "search more trials"
        )
    return best_trial(met)


def _check_limits(strategy: BlackBoxStrategy, trial: Trial) -> None:
    limits = strategy.space.limits
    if limits is not None and not limits.keeps(trial.genotype):
        found = limits.values(trial.genotype).items()
        values = ", ".join(f"{quantity_name(n)} {at_least_words(n, value)}" for n, value in found)
        raise ValueError(
            f"strategy {type(strategy).__name__} asks for a child with {values}, beyond the limits "
            f"({limits}); draw with the sample, mutate, crossover or kept of its space"
        )


def _is_affordable(
    trial: Trial, evaluation: Evaluation, cost: CostMeter, max_samples: int | None
) -> bool:
    if max_samples is None:
        return True
    each = evaluation.samples(trial.budget)
    if trial.start > 0:
        each -= evaluation.samples(trial.start)
    elif each == 0 and trial.number == 0:
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
    return cost.training_samples + each <= max_samples


def _replayed(
    strategy: BlackBoxStrategy, objective: Objective, journal: Journal
) -> Iterator[Trial]:
    """Asks and tells the strategy what the journal holds; yields the finished trials."""
    for event in journal.told():
        trial = strategy.ask(event["trial"])
        if trial.genotype.id != event["genotype_id"]:
            raise ValueError(
                f"{journal.path} tells of genotype {event['genotype_id']} in trial {trial.number}, "
                f"this search asks for {trial.genotype.id}: it belongs to another search; use a "
                "new folder"
            )
        measurements = {n: v for n, v in event.items() if n not in EVENT_KEYS}
        trial = replace(trial, values=objective.values(measurements), measurements=measurements)
        trial = replace(trial, reward=event["reward"], cost=event["cost"])
        trial = replace(trial, asking_s=event.get("asking_s", 0.0))
        strategy.tell(trial)
        yield trial


def _asked(trial: Trial) -> dict[str, Any]:
    budget = {} if trial.budget == 1 else {"budget": trial.budget}
    parent = {} if trial.parent is None else {"parent": trial.parent}
    return _event("asked", trial) | budget | parent | {"choices": trial.genotype.mapping}


def _told(trial: Trial) -> dict[str, Any]:
    result = {"reward": trial.reward, **trial.measurements, "cost": dict(trial.cost)}
    asking = {"asking_s": trial.asking_s} if trial.asking_s else {}
    return _event("told", trial) | result | asking


def _event(kind: str, trial: Trial) -> dict[str, Any]:
    return {"event": kind, "trial": trial.number, "genotype_id": trial.genotype.id}
