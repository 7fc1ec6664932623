"""Where the trials of a black-box search are evaluated: the protocol, and one after another here.

An executor takes jobs and gives their outcomes, in any order. It never asks, tells or journals:
the loop does, in an order of its own (see `evaluation.flight`), so that executors are exchangeable.
"""

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.files import append_text, prepare_lines, write_text

__all__ = ["Executor", "Job", "Outcome", "Outcomes", "Running", "SerialExecutor", "evaluated"]


@dataclass(frozen=True)
class Job:
    """A trial to be evaluated with a seed, which may be sent to another process as JSON."""

    trial: Trial
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Returns the job as plain data; a result of the trial is left out."""
        trial = self.trial
        return {
            "trial": trial.number,
            "choices": trial.genotype.mapping,
            "budget": trial.budget,
            "parent": trial.parent,
            "start": trial.start,
            "after": trial.after,
            "seed": self.seed,
        }

    @classmethod
    def of(cls, content: Mapping[str, Any], space: SearchSpace) -> "Job":
        """Returns the job that `as_dict` wrote, of a child of the space."""
        genotype = space.genotype(dict(content["choices"]))
        more = {name: content[name] for name in ("budget", "parent", "start", "after")}
        return cls(Trial(content["trial"], genotype, **more), content["seed"])


@dataclass(frozen=True)
class Outcome:
    """What became of a job: measurements and cost, or the reason why there are none."""

    trial: int
    measurements: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)  # by the cost meter's six names
    failure: str = ""


@dataclass(frozen=True)
class Running:
    """A job that a worker evaluates now."""

    worker: int  # from 1
    trial: Trial
    seconds: float  # since it began


class Executor(ABC):
    """Evaluates jobs; used in a `with` statement, at whose end it is closed.

    Attributes:
        threads: CPU threads of each of its workers; None where this process evaluates.
        drain_seconds: most seconds that its workers take to finish once a search must end.
    """

    threads: int | None = None
    drain_seconds = 0.0

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Takes a job, and returns at once where other processes evaluate it."""

    @abstractmethod
    def next_finished(self) -> Outcome:
        """Returns the outcome of some job that was submitted, once there is one.

        Raises: ChildProcessError: the evaluation raised an error, or no job can be evaluated.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends what was started; jobs that are not finished are given up."""

    def drain(self) -> Iterator[Outcome]:
        """Yields the outcomes of jobs that workers finish in `drain_seconds`; begins no other."""
        return iter(())

    def running(self) -> list[Running]:
        """Returns what its workers do now, also to other threads; without workers nothing."""
        return []

    @contextmanager
    def as_in_a_worker(self) -> Iterator[None]:
        """Has this process compute with a worker's CPU threads, on which the last bits depend."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads or before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class SerialExecutor(Executor):
    """Evaluates one job after another in this process, in the order of their submission."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self._jobs: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        """Takes a job."""
        self._jobs.append(job)

    def next_finished(self) -> Outcome:
        """Evaluates the first job that was submitted; an error is the evaluation's own."""
        return evaluated(self._jobs.popleft(), self.evaluation)

    def close(self) -> None:
        """Gives up the jobs that are left."""
        self._jobs.clear()


class Outcomes:
    """The outcomes of an executor by trial, which wait here until it is their turn.

    Args:
        path: the file that keeps them meanwhile, so that a search that was killed evaluates no
            trial twice; None where they never wait.
        was_told: whether a trial's turn was before, so that its outcome need not be kept.
    """

    def __init__(
        self,
        executor: Executor,
        path: Path | None = None,
        was_told: Callable[[int], bool] = lambda number: False,
    ) -> None:
        self.executor, self.path = executor, path
        self._waiting = {} if path is None else _read(path, was_told)

    def submit(self, job: Job) -> None:
        """Has a job evaluated, unless its outcome was kept."""
        if job.trial.number not in self._waiting:
            self.executor.submit(job)

    def take(self, number: int) -> Outcome:
        """Returns the outcome of a trial that was submitted, once there is one."""
        while number not in self._waiting:
            self._await()
        return self._waiting.pop(number)

    def first(self, numbers: Collection[int]) -> int:
        """Returns which of some submitted trials has an outcome first, once one has."""
        while not (arrived := [number for number in self._waiting if number in numbers]):
            self._await()
        return arrived[0]

    def drain(self) -> None:
        """Keeps in the file what workers finish soon, since the search must end."""
        if self.path is not None:
            for outcome in self.executor.drain():
                self._note(outcome)

    def _await(self) -> None:
        self._note(self.executor.next_finished())

    def _note(self, outcome: Outcome) -> None:
        self._waiting[outcome.trial] = outcome
        if self.path is not None and not outcome.failure:
            append_text(self.path, _line(outcome))


def evaluated(job: Job, evaluation: Evaluation) -> Outcome:
    """Returns the outcome of a job that is evaluated here and now."""
    measurements, cost = evaluation.evaluate(job.trial, job.seed)
    return Outcome(job.trial.number, measurements, cost.as_dict())


def _read(path: Path, was_told: Callable[[int], bool]) -> dict[int, Outcome]:
    """Returns the outcomes in a file that still wait; all else is dropped from it."""
    prepare_lines(path)
    with path.open(encoding="utf-8") as lines:
        outcomes = (Outcome(**json.loads(line)) for line in lines)
        waiting = {outcome.trial: outcome for outcome in outcomes if not was_told(outcome.trial)}
    write_text(path, "".join(map(_line, waiting.values())))
    return waiting


def _line(outcome: Outcome) -> str:
    return json.dumps(asdict(outcome)) + "\n"
