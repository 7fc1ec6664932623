"""The loop of a black-box search: ask, evaluate, tell; it resumes where it was interrupted."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from nas_lightning.core.objective import Objective
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.core.termination import Interruption
from nas_lightning.evaluation.admission import check_limits, is_affordable
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Executor, Job, Outcome, Outcomes, SerialExecutor
from nas_lightning.evaluation.flight import Flight, check_in_flight
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.trial_time import TrialTime
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["best_trial", "check_fit", "chosen_trial", "run_trials", "with_reward"]

EVENT_KEYS = ("event", "trial", "genotype_id", "reward", "cost", "asking_s", "failure")


def run_trials(
    strategy: BlackBoxStrategy,
    evaluation: Evaluation,
    objective: Objective,
    journal: Journal,
    max_samples: int | None = None,
    watch: Callable[[list[Trial]], None] = lambda trials: None,
    begin: Callable[[], None] = lambda: None,
    time: TrialTime | None = None,
    executor: Executor | None = None,
    in_flight: int = 1,
    arrived: Path | None = None,
    is_virtual: bool = True,
    starts: Callable[[Trial], None] = lambda trial: None,
) -> tuple[list[Trial], CostMeter]:
    """Returns the trials in the order in which they were told, and their cost.

    It ends once trials or samples are used up. A journal that already holds events is replayed
    first: the strategy is asked and told again, and nothing is evaluated twice. A trial that was
    asked but not told starts anew, unless its outcome is in the file `arrived`. The journal
    takes every event before the search continues. No trial begins that would exceed `max_samples`
    training samples; `watch` is called with the trials so far after each one, `begin` before the
    first that is not replayed, or at the end, `starts` with each that is to be evaluated.
    `time` sets the strategy's trials by their speed; what it takes to ask for them is journaled
    then, so that a replay counts the same.
    `executor` evaluates, by default in this process; up to `in_flight` trials are asked before
    the first of them is told, in an order that depends on no clock (see `flight`); unless
    `is_virtual`, as they arrive, and only the journal can repeat the search.
    A SIGTERM lets workers finish for a while, and `arrived` keeps what they finish.
    Apart from the strategy, a trial costs the same whatever its number.

    Raises:
        ValueError: the parts do not fit, `max_samples` or `time` is less than the first trial
            needs, or the strategy asks for a child beyond the limits of its space.
        ChildProcessError: a trial cannot be evaluated, and its evaluation has nothing to tell then.
    """
    check_fit(strategy, evaluation, objective)
    check_in_flight(strategy, in_flight)
    outcomes = Outcomes(executor or SerialExecutor(evaluation), arrived, journal.has_told)
    flight = Flight(in_flight)
    loop = _Loop(strategy, evaluation, objective, journal, outcomes, flight, time, is_virtual)
    try:
        loop.run(max_samples, watch, begin, starts)
    except Interruption as interruption:
        if interruption.number == signal.SIGTERM:
            outcomes.drain()
        raise
    return loop.trials, loop.cost


@dataclass
class _Loop:
    """A search on its way: what was told so far, and what is in flight."""

    strategy: BlackBoxStrategy
    evaluation: Evaluation
    objective: Objective
    journal: Journal
    outcomes: Outcomes
    flight: Flight
    time: TrialTime | None
    is_virtual: bool
    trials: list[Trial] = field(default_factory=list)
    cost: CostMeter = field(default_factory=CostMeter)
    asked: int = 0
    is_over: bool = False  # whether a trial was refused, so that none is asked any more
    _origins: dict[int, int] = field(default_factory=dict)  # where each child was first trained

    def run(
        self,
        max_samples: int | None,
        watch: Callable[[list[Trial]], None],
        begin: Callable[[], None],
        starts: Callable[[Trial], None],
    ) -> None:
        """Asks and tells until nothing is left; the arguments are those of `run_trials`."""
        told, replayed, has_begun = self.journal.told(), self.journal.num_told, False
        while True:
            while (trial := self.ask(max_samples)) is not None:
                if self.journal.has_told(trial.number):
                    continue
                if not has_begun:
                    begin()
                    has_begun = True
                self._submit(trial)
                starts(trial)
            if not self.flight.trials:
                break
            self.tell(next(told, None) if len(self.trials) < replayed else None)
            if len(self.trials) >= replayed:
                watch(self.trials)
        if not has_begun:
            begin()

    def ask(self, max_samples: int | None) -> Trial | None:
        """Returns another trial, journaled and in flight; None if none may be asked now."""
        strategy, flight, number = self.strategy, self.flight, self.asked
        was_asked = self.journal.asked(number)
        if self.is_over or flight.is_full or strategy.is_waiting:
            return None
        if number >= strategy.trials and not was_asked:
            return None
        started = monotonic()
        trial = replace(strategy.ask(number), after=len(self.trials))
        if self.time is not None:
            trial = replace(trial, asking_s=monotonic() - started)
        if not was_asked and not self._is_admitted(trial, max_samples):
            self.is_over = True
            return None
        if not was_asked:
            self.journal.append(_asked(trial))
        flight.add(trial, flight.work(trial, self.evaluation))
        parent = trial.parent
        self._origins[number] = number if parent is None else self._origins[parent]
        self.asked += 1
        return trial

    def _submit(self, trial: Trial) -> None:
        """Has a trial evaluated: a child that is trained further keeps its seed."""
        origin = self._origins[trial.number]
        job = Job(trial, keyed_seed(self.strategy.seed, "trial", origin))
        with self.outcomes.executor.as_in_a_worker():
            self.evaluation.prepare(trial, job.seed)
        self.outcomes.submit(job)

    def tell(self, event: Mapping[str, Any] | None) -> None:
        """Tells what finishes first its result: that of the journal's event, or a new one."""
        trial = self._next(event)
        if event is None:
            trial = self._finished(trial, self.outcomes.take(trial.number))
            self.evaluation.settle(trial, len(self.trials), self.flight.trials)
            self.journal.append(_told(trial))
        else:
            trial = _replayed(trial, event, self.objective, self.journal.path)
        self.strategy.tell(trial)
        self.evaluation.forget(self.strategy.ended)
        self.trials.append(trial)
        self.cost.add(trial.cost)
        if self.time is not None:
            self.time.plan(self.strategy, self.trials)

    def _next(self, event: Mapping[str, Any] | None) -> Trial:
        """Removes and returns the trial in flight that is told next."""
        numbers = {trial.number for trial in self.flight.trials}
        if event is not None and event["trial"] in numbers:
            return self.flight.take(event["trial"])  # in whichever order it was told
        if event is not None or self.is_virtual:
            return self.flight.pop()
        return self.flight.take(self.outcomes.first(numbers))

    def _is_admitted(self, trial: Trial, max_samples: int | None) -> bool:
        check_limits(self.strategy, trial)
        before, time = self.flight.trials, self.time
        if not is_affordable(trial, before, self.evaluation, self.cost, max_samples):
            return False
        return time is None or time.allows(trial, self.trials, before)

    def _finished(self, trial: Trial, outcome: Outcome) -> Trial:
        measurements: Mapping[str, float] | None = outcome.measurements
        cost = outcome.cost
        if outcome.failure:
            measurements, cost = self.evaluation.worst(trial), CostMeter().as_dict()
        if measurements is None:
            raise ChildProcessError(outcome.failure)
        trial = replace(trial, failure=outcome.failure)
        return with_reward(trial, self.objective, measurements, cost)


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


def _replayed(trial: Trial, event: Mapping[str, Any], objective: Objective, path: Path) -> Trial:
    """Returns a trial with what the journal at a path tells of it."""
    if (trial.number, trial.genotype.id) != (event["trial"], event["genotype_id"]):
        raise ValueError(
            f"{path} tells of genotype {event['genotype_id']} in trial {event['trial']}, "
            f"this search asks for {trial.genotype.id}: it belongs to another search; use a "
            "new folder"
        )
    measurements = {n: v for n, v in event.items() if n not in EVENT_KEYS}
    trial = replace(trial, values=objective.values(measurements), measurements=measurements)
    trial = replace(trial, reward=event["reward"], cost=event["cost"])
    return replace(trial, asking_s=event.get("asking_s", 0.0), failure=event.get("failure", ""))


def _asked(trial: Trial) -> dict[str, Any]:
    budget = {} if trial.budget == 1 else {"budget": trial.budget}
    parent = {} if trial.parent is None else {"parent": trial.parent}
    return _event("asked", trial) | budget | parent | {"choices": trial.genotype.mapping}


def _told(trial: Trial) -> dict[str, Any]:
    result = {"reward": trial.reward, **trial.measurements, "cost": dict(trial.cost)}
    asking = {"asking_s": trial.asking_s} if trial.asking_s else {}
    failure = {"failure": trial.failure} if trial.failure else {}
    return _event("told", trial) | result | asking | failure


def _event(kind: str, trial: Trial) -> dict[str, Any]:
    return {"event": kind, "trial": trial.number, "genotype_id": trial.genotype.id}
