"""The black-box half of nas-search: ask, evaluate, tell, and what that leaves."""

import shutil
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
from nas_lightning.evaluation.objectives import WeightedProduct
from nas_lightning.evaluation.pareto import pareto_front
from nas_lightning.evaluation.trials import check_fit, chosen_trial, run_trials
from nas_lightning.files import write_json
from nas_lightning.loggers.search_boards import TrialBoard
from nas_lightning.reports.metric import MainMetric
from nas_lightning.run.run import Run
from nas_lightning.run.time_bounds import trial_time
from nas_lightning.run.trial_progress import TrialProgress

__all__ = ["BlackBoxSearch"]

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

    def _announce(self) -> None:
        self.run.announce()
        if isinstance(self.objective, WeightedProduct) and self.run.parts.hardware.is_first:
            goal = self.objective.goal()
            print(f"objective {goal}; objective.target=NUMBER wants another", flush=True)

    def search(self) -> tuple[Genotype, dict[str, Any]]:
        """Evaluates what the strategy asks for; returns the best genotype and the figures.

        Where the search has not trained children, the best one is trained to measure it.
        """
        folder, strategy, max_samples = self.run.folder, self.strategy, self.run.cfg.max_samples
        journal = Journal(folder / "trials.jsonl")
        task, is_plain = self.run.parts.task, folder.choice("objective") == "accuracy"
        share = MainMetric(task.metric) if is_plain and task.targets != "values" else None
        log = TrialLog(folder / "metrics.csv")
        progress = TrialProgress(strategy.trials, max_samples, share)
        told = sum(1 for _ in journal.told())
        board = TrialBoard(self.run.loggers, strategy, shown=told)

        def watch(trials: list[Trial]) -> None:
            log.write(trials)
            progress.total = strategy.trials  # which the time may have changed
            progress.show(trials)
            board.show(trials)

        objective = self.objective
        parts = strategy, self.evaluation, objective, journal, max_samples
        bound = trial_time(self.run, strategy)
        with progress:
            trials, cost = run_trials(*parts, watch, self._announce, bound)
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
        return best.genotype, {
            metric: measured[metric],
            "reward": best.reward,
            "trials": len(trials),
            "cost": cost.as_dict(),
        }
