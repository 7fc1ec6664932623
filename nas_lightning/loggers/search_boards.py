"""What dashboards show of a search after each epoch or trial: lines, a heat map, the genotype."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from time import monotonic
from typing import Any

import lightning as L
import torch

from nas_lightning.core.choices import Mixture
from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.loggers.dashboard import Dashboards
from nas_lightning.reports.alpha_charts import draw_heat_map
from nas_lightning.reports.drawing import choice_name, draw
from nas_lightning.reports.records import AlphaCurve
from nas_lightning.reports.rendering import chart_svg
from nas_lightning.strategies.relaxations import mean_entropy, mean_share
from nas_lightning.training.supernet import SupernetModule

__all__ = ["EpochBoard", "TrialBoard"]

SHARE = 0.1  # most of a black-box search's time that goes into heat maps


class EpochBoard(L.Callback):
    """Shows a one-shot search at its start and after every epoch."""

    def __init__(self, dashboards: Dashboards) -> None:
        self.dashboards, self.history = dashboards, _History()
        self._drawn: str | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows where the search starts, as epoch -1."""
        if not self.history.points:
            self._show(trainer, pl_module, -1)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Shows what the epoch gave."""
        self._show(trainer, pl_module, trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Returns what was shown so far."""
        return {"points": deepcopy(self.history.points)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what was shown so far."""
        self.history.points = deepcopy(state_dict["points"])

    def _show(self, trainer: L.Trainer, module: L.LightningModule, epoch: int) -> None:
        assert isinstance(module, SupernetModule)
        if not (trainer.is_global_zero and self.dashboards.are_watched):
            return
        space, scores, moment = module.space, module.strategy.scores(), {"epoch": epoch}
        self.history.add(self.dashboards, space, scores, moment)
        self.history.draw(self.dashboards, space, moment)
        for optimizer in trainer.optimizers[1:]:  # the params' own is logged as search/lr
            self.dashboards.log({"search/alpha_lr": optimizer.param_groups[0]["lr"]}, moment)
        genotype = space.discretize(scores)
        if genotype.id != self._drawn:
            self._drawn = genotype.id
            self.dashboards.log_picture(
                "search/genotype", draw(space.graphs(genotype), space.option_names), moment
            )


class TrialBoard:
    """Shows a black-box search after every trial.

    Trials may take no time and a heat map takes long, so that one is drawn only as often as it
    takes a tenth of the time, and at the end.

    Args:
        shown: trials that were shown before a resume.
        running: tells how many children are trained now.
    """

    def __init__(
        self,
        dashboards: Dashboards,
        strategy: BlackBoxStrategy,
        objective: Objective,
        shown: int = 0,
        running: Callable[[], int] = int,
    ) -> None:
        self.dashboards, self.strategy, self.shown = dashboards, strategy, shown
        self.objective = objective
        self.running = running
        self.history, self._seen, self._best = _History(), 0, float("-inf")
        self._failed = 0
        self._next_drawing = float("-inf")  # moment by the clock
        self._undrawn: Mapping[str, int] = {}  # the last moment, unless the heat map shows it

    def begin(self, trial: Trial) -> None:
        """Shows that a trial is evaluated now."""
        self.dashboards.log_trial(trial, self.strategy.space, self.objective)

    def show(self, trials: Sequence[Trial]) -> None:
        """Shows the trials that are new."""
        first, self._seen = self._seen, len(trials)
        if not self.dashboards.are_watched:
            return
        for place, trial in enumerate(trials[first:], first):  # which is not in order of numbers
            self._failed += bool(trial.failure)
            self._show(trial, place + 1)
        scores = self.strategy.scores()
        if self._seen > self.shown and scores is not None:
            self._show_scores(scores, {"trial": trials[-1].number})

    def draw(self) -> None:
        """Draws the heat map of the trials so far, unless it is drawn already."""
        if not (self._undrawn and self.dashboards.are_watched):
            return
        started = monotonic()
        self.history.draw(self.dashboards, self.strategy.space, self._undrawn)
        ended = monotonic()
        self._undrawn, self._next_drawing = {}, ended + (ended - started) * (1 / SHARE - 1)

    def _show_scores(self, scores: Mixture, moment: Mapping[str, int]) -> None:
        space, weights = self.strategy.space, scores.weights.detach()
        allowed = torch.zeros_like(weights, dtype=torch.bool)
        for row, options in zip(allowed, scores.support, strict=True):
            row[list(options)] = True
        values = {
            "search/alpha_entropy": float(mean_entropy(weights, allowed)),
            "search/skip_share": mean_share(weights, space.choices, "skip_connect"),
        }
        self.dashboards.log(values, moment)
        self.history.add(self.dashboards, space, scores, moment)
        self._undrawn = moment
        if monotonic() >= self._next_drawing:
            self.draw()

    def _show(self, trial: Trial, done: int) -> None:
        is_better, moment = trial.told_reward > self._best, {"trial": trial.number}
        self._best = max(self._best, trial.told_reward)
        self.dashboards.log_trial(trial, self.strategy.space, self.objective)
        if done <= self.shown:
            return
        values = {"search/reward": trial.told_reward}
        values |= {f"search/{name}": value for name, value in trial.measurements.items()}
        values |= {f"search/trial_{name}": value for name, value in trial.cost.items()}
        states = {"running": self.running(), "done": done, "failed": self._failed}
        values |= {f"search/trials_{name}": float(number) for name, number in states.items()}
        if is_better:
            space = self.strategy.space
            drawing = draw(space.graphs(trial.genotype), space.option_names)
            self.dashboards.log_picture("search/genotype", drawing, moment)
        self.dashboards.log(values | {"search/best_reward": self._best}, moment)


class _History:
    """The weights of every option so far: (epochs or trials done, weight), by choice and option."""

    def __init__(self) -> None:
        self.points: dict[tuple[int, int], list[tuple[float, float]]] = {}

    def add(
        self, dashboards: Dashboards, space: SearchSpace, scores: Mixture, moment: Mapping[str, int]
    ) -> None:
        """Adds the weights of all options, and shows them as numbers."""
        (number,) = moment.values()
        table, values = scores.weights.detach().cpu().tolist(), {}
        for index, (choice, support) in enumerate(zip(space.choices, scores.support, strict=True)):
            for option in support:
                weight = table[index][option]
                self.points.setdefault((index, option), []).append((number + 1.0, weight))
                values[f"alpha/{choice.group}/{choice.name}/{choice.options[option]}"] = weight
        dashboards.log(values, moment)

    def draw(self, dashboards: Dashboards, space: SearchSpace, moment: Mapping[str, int]) -> None:
        """Shows the history as a heat map."""
        curves = []
        for (index, option), points in sorted(self.points.items()):
            choice = space.choices[index]
            name = choice.options[option]
            curves.append(AlphaCurve(choice.group, choice.name, name, tuple(points)))
        graphs = space.graphs(space.sample(0))  # whose nodes are those of every genotype
        names = {
            choice.name: {"name": choice_name(choice.name, graphs)} for choice in space.choices
        }
        picture = chart_svg(draw_heat_map(tuple(curves), names))
        dashboards.log_picture("search/alphas", picture, moment)
