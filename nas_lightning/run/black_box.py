"""The black-box half of nas-search: ask, evaluate, tell, and what that leaves."""

import json
import shutil
import sys
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nas_lightning.callbacks.checkpoint import AtomicCheckpointIO
from nas_lightning.callbacks.epoch_logs import TrialLog
from nas_lightning.config.making import make
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.by_training import Candidates, FullTraining
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.pareto import pareto_front
from nas_lightning.evaluation.trials import best_trial, check_fit, chosen_trial, run_trials
from nas_lightning.files import write_text
from nas_lightning.loggers.search_boards import TrialBoard
from nas_lightning.run.run import Run

__all__ = ["BlackBoxSearch", "TrialPrinter"]

CHILDREN = "children"  # checkpoints of children that may be trained further, while it runs


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

        plugins = [AtomicCheckpointIO()]
        make_trainer = partial(parts.hardware.trainer, folder=folder.path, plugins=plugins)
        candidates = Candidates(
            parts.space, parts.data, parts.recipe, parts.task, make_trainer, folder / CHILDREN
        )
        runtime = {"run": candidates, "space": parts.space, "data_name": folder.choice("data")}
        evaluation = make(run.cfg.evaluation, "evaluation", kind=Evaluation, **runtime)
        check_fit(strategy, evaluation, objective)
        return cls(run, strategy, objective, evaluation, candidates)

    def search(self) -> tuple[Genotype, dict[str, Any]]:
        """Evaluates what the strategy asks for; returns the best genotype and the figures.

        Where the search has not trained children, the best one is trained to measure it.
        """
        folder, strategy, max_samples = self.run.folder, self.strategy, self.run.cfg.max_samples
        journal = Journal(folder / "trials.jsonl")
        log, printer = TrialLog(folder / "metrics.csv"), TrialPrinter(strategy.trials, max_samples)
        told = sum(1 for _ in journal.told())
        board = TrialBoard(self.run.loggers, strategy, shown=told)

        def watch(trials: list[Trial]) -> None:
            log.write(trials)
            printer.show(trials)
            board.show(trials)

        objective = self.objective
        trials, cost = run_trials(
            strategy, self.evaluation, objective, journal, max_samples, watch, self.run.announce
        )
        if len(objective.names) > 1:
            front = pareto_front(trials, objective)
            write_text(folder / "pareto.json", json.dumps(front, indent=2) + "\n")
        best = chosen_trial(trials, objective)
        metric = f"validation_{self.run.parts.task.metric}"
        measured = best.measurements
        if metric not in measured:
            whole, seed = replace(best, budget=1.0, parent=None), self.run.parts.seed
            measured, spent = FullTraining(self.candidates).evaluate(whole, seed=seed)
            cost.add(spent)
        shutil.rmtree(folder / CHILDREN, ignore_errors=True)
        return best.genotype, {
            metric: measured[metric],
            "reward": best.reward,
            "trials": len(trials),
            "cost": cost.as_dict(),
        }


class TrialPrinter:
    """Prints a line per trial, with the time left to the last one or to the cap of samples."""

    def __init__(self, total: int, max_samples: int | None) -> None:
        self.total, self.max_samples = total, max_samples
        self.shown, self.seconds, self.samples = 0, 0.0, 0.0
        self.best: Trial | None = None

    def show(self, trials: list[Trial]) -> None:
        """Prints the last of all trials so far, at least one, and counts those that are new."""
        for trial in trials[self.shown :]:
            self.best = trial if self.best is None else best_trial([self.best, trial])
            self.seconds += trial.cost["wall_s"]
            self.samples += trial.cost["training_samples"]
        self.shown, last, best = len(trials), trials[-1], self.best or trials[-1]
        print(
            f"trial {self.shown}/{self.total}  reward {last.reward:.4f}  best {best.reward:.4f} "
            f"({best.genotype.id})  {self._left():.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def _left(self) -> float:
        """Returns the seconds to the last trial or to the cap of samples, whichever is sooner."""
        left = self.seconds / self.shown * (self.total - self.shown)
        if self.max_samples is None or not self.samples:
            return left
        missing = max(0.0, self.max_samples - self.samples)
        return min(left, self.seconds / self.samples * missing)
