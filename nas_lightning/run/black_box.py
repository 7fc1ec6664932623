"""The black-box half of nas-search: ask, evaluate, tell, and what that leaves."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

if TYPE_CHECKING:
    from nas_lightning.core.genotype import Genotype
    from nas_lightning.core.objective import Objective
    from nas_lightning.core.strategy import BlackBoxStrategy, Trial
    from nas_lightning.evaluation.evaluation import Evaluation
    from nas_lightning.loggers.guard import Dashboards
    from nas_lightning.run.parts import Parts
    from nas_lightning.training.cost_meter import CostMeter

__all__ = ["prepare_black_box"]

Found = tuple["Genotype", dict[str, Any]]
CHILDREN = "children"  # checkpoints of those that may be trained on, while the search runs


def prepare_black_box(
    strategy: "BlackBoxStrategy",
    objective: "Objective",
    parts: "Parts",
    cfg: DictConfig,
    folder: Path,
    dashboards: "Dashboards",
) -> Callable[[], Found]:
    """Returns the search, everything about it checked.

    Raises:
        ValueError: strategy, evaluation and objective do not fit, or a value is impossible.
    """
    from nas_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
    from nas_lightning.config.making import make
    from nas_lightning.evaluation.candidates import Candidates
    from nas_lightning.evaluation.evaluation import Evaluation
    from nas_lightning.evaluation.full import FullTraining
    from nas_lightning.evaluation.trials import check_fit
    from nas_lightning.run.outcome import choice_of

    if (number := parts.hardware.num_processes) > 1:
        raise ValueError(
            f"hardware.devices ({number}) must be 1 for strategy {type(strategy).__name__}, which "
            "trains small children one after another: use hardware=cpu or hardware=gpu with "
            "retrain=false, then nas-train genotype=RUN_DIR with this hardware"
        )

    def make_trainer(epochs: int) -> Any:
        return parts.hardware.trainer(epochs, folder=folder, plugins=[AtomicCheckpointIO()])

    run = Candidates(
        parts.space, parts.data, parts.recipe, parts.task, make_trainer, folder / CHILDREN
    )
    evaluation = make(
        cfg.evaluation,
        "evaluation",
        kind=Evaluation,
        run=run,
        space=parts.space,
        data_name=choice_of(folder, "data"),
    )
    check_fit(strategy, evaluation, objective)
    metric = f"validation_{parts.task.metric}"
    confirm = partial(FullTraining(run).evaluate, seed=parts.seed)
    return partial(
        _search,
        strategy,
        evaluation,
        objective,
        cfg.max_samples,
        folder,
        metric,
        dashboards,
        confirm,
    )


def _search(
    strategy: "BlackBoxStrategy",
    evaluation: "Evaluation",
    objective: "Objective",
    max_samples: int | None,
    folder: Path,
    metric: str,
    dashboards: "Dashboards",
    confirm: "Callable[[Trial], tuple[dict[str, float], CostMeter]]",
) -> Found:
    """Evaluates what the strategy asks for; returns the best genotype and the figures.

    Where the search has not trained children, `confirm` trains the best one.
    """
    from nas_lightning.callbacks.trial_log import TrialLog
    from nas_lightning.evaluation.journal import Journal
    from nas_lightning.evaluation.pareto import pareto_front
    from nas_lightning.evaluation.trials import chosen_trial, run_trials
    from nas_lightning.files import write_text
    from nas_lightning.loggers.search_boards import TrialBoard

    journal = Journal(folder / "trials.jsonl")
    log, voice = TrialLog(folder / "metrics.csv"), _Voice(strategy.trials, max_samples)
    board = TrialBoard(dashboards, strategy, shown=sum(1 for _ in journal.told()))

    def watch(trials: list["Trial"]) -> None:
        log.write(trials)
        voice.say(trials)
        board.show(trials)

    trials, cost = run_trials(strategy, evaluation, objective, journal, max_samples, watch)
    if len(objective.names) > 1:
        front = pareto_front(trials, objective)
        write_text(folder / "pareto.json", json.dumps(front, indent=2) + "\n")
    best = chosen_trial(trials, objective)
    measured = best.measurements
    if metric not in measured:
        measured, spent = confirm(replace(best, budget=1.0, parent=None))
        cost.add(spent)
    shutil.rmtree(folder / CHILDREN, ignore_errors=True)
    return best.genotype, {
        metric: measured[metric],
        "reward": best.reward,
        "trials": len(trials),
        "cost": cost.as_dict(),
    }


class _Voice:
    """Prints a line a trial, with the time that is left.

    Args:
        total: number of trials of the whole search.
        max_samples: training samples at which it ends before that; None never does.
    """

    def __init__(self, total: int, max_samples: int | None) -> None:
        self.total, self.max_samples = total, max_samples
        self.heard, self.seconds, self.samples = 0, 0.0, 0.0
        self.best: Trial | None = None

    def say(self, trials: list["Trial"]) -> None:
        """Takes note of what is new, and tells of the last trial."""
        from nas_lightning.evaluation.trials import best_trial

        for trial in trials[self.heard :]:
            self.best = trial if self.best is None else best_trial([self.best, trial])
            self.seconds += trial.cost["wall_s"]
            self.samples += trial.cost["training_samples"]
        self.heard, last, best = len(trials), trials[-1], self.best
        assert best is not None
        print(
            f"trial {self.heard}/{self.total}  reward {last.reward:.4f}  best {best.reward:.4f} "
            f"({best.genotype.id})  {self._left():.0f} s left",
            file=sys.stderr,
            flush=True,
        )

    def _left(self) -> float:
        """Returns the seconds to the last trial or to the cap of samples, whichever is sooner."""
        left = self.seconds / self.heard * (self.total - self.heard)
        if self.max_samples is None or not self.samples:
            return left
        missing = max(0.0, self.max_samples - self.samples)
        return min(left, self.seconds / self.samples * missing)
