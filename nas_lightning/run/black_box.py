"""The black-box half of nas-search: ask, evaluate, tell, and what that leaves."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nas_lightning.callbacks.epoch_logs import TrialLog
from nas_lightning.config.messages import message_of
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.by_training import Candidates, FullTraining
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.executors import Executor, SerialExecutor
from nas_lightning.evaluation.flight import check_in_flight
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import WeightedProduct
from nas_lightning.evaluation.pareto import pareto_front
from nas_lightning.evaluation.processes import ProcessExecutor
from nas_lightning.evaluation.ray_cluster import RayCluster
from nas_lightning.evaluation.ray_executor import RayExecutor
from nas_lightning.evaluation.trials import check_fit, chosen_trial, run_trials
from nas_lightning.files import write_json
from nas_lightning.loggers.search_boards import TrialBoard
from nas_lightning.reports.metric import MainMetric
from nas_lightning.run.candidates import CHILDREN, evaluation_of
from nas_lightning.run.remote import Sent
from nas_lightning.run.run import Run
from nas_lightning.run.time_bounds import trial_time
from nas_lightning.run.trial_progress import TrialProgress
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.worker_settings import SERIAL

__all__ = ["BlackBoxSearch", "check_black_box"]

ARRIVED = "arrived.jsonl"  # outcomes that wait to be told


@dataclass(frozen=True)
class BlackBoxSearch:
    """A search whose strategy asks and is told; `candidates` trains the children."""

    run: Run
    strategy: BlackBoxStrategy
    objective: Objective
    evaluation: Evaluation
    candidates: Candidates

    @classmethod
    def of(cls, run: Run, strategy: BlackBoxStrategy, objective: Objective) -> "BlackBoxSearch":
        """Returns the search, everything about it checked.

        Raises: ValueError: strategy, evaluation and objective do not fit, or a value is impossible.
        """
        parts, folder = run.parts, run.folder
        if (number := parts.hardware.num_processes) > 1:
            raise ValueError(
                f"hardware.devices ({number}) must be 1 for strategy {type(strategy).__name__}, "
                "which trains small children one after another: use hardware=cpu or hardware=gpu "
                "with retrain=false, then nas-train genotype=RUN_DIR with this hardware"
            )
        evaluation, candidates = evaluation_of(run.cfg, folder, parts)
        check_fit(strategy, evaluation, objective)
        return cls(run, strategy, objective, evaluation, candidates)

    def _announce(self) -> None:
        self.run.announce()
        if isinstance(self.objective, WeightedProduct) and self.run.parts.hardware.is_first:
            goal = self.objective.goal()
            print(f"objective {goal}; objective.target=NUMBER wants another", flush=True)

        if not self.run.parts.hardware.is_virtual:
            print(
                "hardware.order=arrival: results are told as they arrive, so that no other search "
                "repeats this one; its journal does",
                flush=True,
            )

    def search(self) -> tuple[Genotype, dict[str, Any]]:
        """Evaluates what the strategy asks for; returns the best genotype and the figures.

        Where the search has not trained children, the best one is trained to measure it.
        """
        folder, objective, hardware = self.run.folder, self.objective, self.run.parts.hardware
        with self._executor() as executor:
            trials, cost = self._trials(executor)
        cost.wall_s /= min(hardware.workers, hardware.num_in_flight)  # they work at the same time
        if len(objective.names) > 1:
            front = pareto_front(trials, objective)
            write_json(folder / "pareto.json", front)
        best = chosen_trial(trials, objective)
        metric = f"validation_{self.run.parts.task.metric}"
        measured = best.measurements
        if metric not in measured:
            whole, seed = replace(best, budget=1.0, parent=None), self.run.parts.seed
            measured, spent = FullTraining(self.candidates).evaluate(whole, seed=seed)
            cost.add(spent)
        shutil.rmtree(folder / CHILDREN, ignore_errors=True)
        (folder / ARRIVED).unlink(missing_ok=True)
        return best.genotype, {
            metric: measured[metric],
            "reward": best.reward,
            "trials": len(trials),
            **({} if hardware.is_virtual else {"order": hardware.order}),
            "cost": cost.as_dict(),
        }

    def _trials(self, executor: Executor) -> tuple[list[Trial], CostMeter]:
        """Returns the trials and their cost; shows them as they are told."""
        folder, strategy, max_samples = self.run.folder, self.strategy, self.run.cfg.max_samples
        journal, hardware = Journal(folder / "trials.jsonl"), self.run.parts.hardware
        task, is_plain = self.run.parts.task, folder.choice("objective") == "accuracy"
        share = MainMetric(task.metric) if is_plain and task.targets != "values" else None
        log = TrialLog(folder / "metrics.csv")
        progress = TrialProgress(strategy.trials, max_samples, share, executor.running)
        shown = self.run.loggers, strategy, self.objective, journal.num_told
        board = TrialBoard(*shown, running=lambda: len(executor.running()))

        def watch(trials: list[Trial]) -> None:
            log.write(trials)
            progress.total = strategy.trials  # which the time may have changed
            progress.show(trials)
            board.show(trials)

        parts = strategy, self.evaluation, self.objective, journal, max_samples
        bound, in_flight = trial_time(self.run, strategy), hardware.num_in_flight
        is_kept = in_flight > 1 or hardware.executor != SERIAL
        arrived = folder / ARRIVED if is_kept else None
        flying = executor, in_flight, arrived, hardware.is_virtual
        with progress:
            told = run_trials(*parts, watch, self._announce, bound, *flying, board.begin)
        board.draw()
        return told

    def _executor(self) -> Executor:
        hardware = self.run.parts.hardware
        makers = {"serial": self._serial, "processes": self._processes, "ray": self._ray}
        executor = makers[hardware.executor](hardware)
        executor.drain_seconds = hardware.drain_seconds
        return executor

    def _serial(self, hardware: Hardware) -> Executor:
        return SerialExecutor(self.evaluation)

    def _processes(self, hardware: Hardware) -> Executor:
        # -P: the current folder stands where it does here, not before the standard library
        start = [sys.executable, "-P", "-m", "nas_lightning.run.worker", str(self.run.folder.path)]
        return ProcessExecutor(
            start,
            hardware.workers,
            hardware.child_seconds,
            hardware.visible_devices(),
            hardware.worker_threads,
        )

    def _ray(self, hardware: Hardware) -> Executor:
        home, seconds = self.run.folder, hardware.child_seconds
        parts = RayCluster(hardware), Sent.of(home).build, message_of, seconds
        return RayExecutor(*parts, folder=home / CHILDREN, files=self.evaluation.files)


def check_black_box(
    strategy: BlackBoxStrategy, hardware: Hardware, objects: Mapping[str, Any]
) -> None:
    """Refuses before any image is read what cannot be evaluated by workers or ahead of rewards.

    Raises: ValueError: the strategy cannot be asked ahead, or an object cannot be sent.
    """
    check_in_flight(strategy, hardware.num_in_flight)
    if hardware.executor == "ray":
        RayCluster(hardware).check()
    if hardware.executor != "serial" and objects:
        raise ValueError(
            f"hardware.executor ({hardware.executor}) must be serial where {', '.join(objects)} "
            "are objects, which other processes cannot be given; name an option instead"
        )
