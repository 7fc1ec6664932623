"""Optuna's journal storage: a mirror of a search's trials, for optuna-dashboard and for Optuna.

The search never reads it. A trial stands there as running once it begins, and is finished by its
last record, so that a kill leaves it running; a resumed search adds what is missing.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Trial
from nas_lightning.files import prepare_lines
from nas_lightning.loggers.dashboard import Dashboard, RunFacts

__all__ = ["OptunaJournal"]

FILE = "optuna.log"  # in the run's folder
NUMBER = "trial"  # attribute that holds a trial's number in trials.jsonl


class OptunaJournal(Dashboard):
    """Writes every trial that has begun to optuna.log, in a study of the run's name.

    A trial has a parameter per decision that its genotype made, and the reward as its value, or
    the values that the objective keeps apart; one that could not be evaluated is a failed one.
    Its attributes are its number, the genotype's id, budget, parent, measurements and cost.

    Raises: ValueError: Optuna is not installed.
    """

    needs_trials = True

    def __init__(self, facts: RunFacts) -> None:
        super().__init__()
        try:
            import optuna  # an extra that may not be installed
        except ImportError as error:
            raise ValueError(
                "logger=optuna needs Optuna: pip install 'nas-lightning[optuna]'"
            ) from error
        self.optuna: Any = optuna
        self.facts = facts
        self._storage: Any = None
        self._study = -1
        self._running: dict[int, int] = {}  # Optuna's identifiers by number
        self._finished = set[int]()

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.facts.name

    @property
    def version(self) -> str:
        """The kind of run."""
        return self.facts.job

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Shows nothing: a study has trials only."""

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Shows nothing."""

    def log_picture(self, name: str, svg: str, moment: Mapping[str, int]) -> None:
        """Shows nothing."""

    def log_summary(self, figures: Mapping[str, float | str]) -> None:
        """Shows nothing."""

    @rank_zero_only
    def log_trial(self, trial: Trial, space: SearchSpace, objective: Objective) -> None:
        """Writes that a trial has begun, or what it ended with, unless that is there."""
        if self._storage is None:
            self._open(objective)
        number = trial.number
        if number in self._finished or (trial.reward is None and number in self._running):
            return
        if number not in self._running:
            begun = self._begun(trial, space)
            self._running[number] = self._storage.create_new_trial(self._study, begun)
        if trial.reward is not None:
            self._finish(self._running.pop(number), trial, objective)
            self._finished.add(number)

    def _open(self, objective: Objective) -> None:
        """Opens the file and its study, which an earlier run may have begun."""
        storages, study = self.optuna.storages, self.optuna.study
        path = self.facts.folder / FILE
        prepare_lines(path)
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        self._storage = storages.JournalStorage(storages.journal.JournalFileBackend(str(path)))
        ways = [study.StudyDirection.MAXIMIZE]
        if len(objective.names) > 1:
            up, down = study.StudyDirection.MAXIMIZE, study.StudyDirection.MINIMIZE
            ways = [up if way == "max" else down for way in objective.directions]
        try:
            self._study = self._storage.create_new_study(ways, self.name)
        except self.optuna.exceptions.DuplicatedStudyError:
            self._study = self._storage.get_study_id_from_name(self.name)
        for frozen in self._storage.get_all_trials(self._study, deepcopy=False):
            if (number := frozen.user_attrs.get(NUMBER)) is None:
                continue  # somebody has added it
            if frozen.state.is_finished():
                self._finished.add(number)
            else:
                self._running[number] = frozen._trial_id

    def _begun(self, trial: Trial, space: SearchSpace) -> Any:
        choices = trial.genotype.mapping
        categories = self.optuna.distributions.CategoricalDistribution
        facts = {"genotype_id": trial.genotype.id, "budget": trial.budget, "parent": trial.parent}
        return self.optuna.trial.create_trial(
            state=self.optuna.trial.TrialState.RUNNING,
            params=choices,
            distributions={
                decision.name: categories(decision.options)
                for decision in space.decisions
                if decision.name in choices
            },
            user_attrs={NUMBER: trial.number, **facts},
        )

    def _finish(self, identifier: int, trial: Trial, objective: Objective) -> None:
        values = trial.values if len(objective.names) > 1 else (trial.told_reward,)
        more = {"failure": trial.failure} if trial.failure else {}
        for name, value in {**more, **trial.measurements, **trial.cost}.items():
            self._storage.set_trial_user_attr(identifier, name, value)
        state = self.optuna.trial.TrialState
        if trial.failure or not all(map(isfinite, values)):  # Optuna takes no NaN
            self._storage.set_trial_state_values(identifier, state.FAIL)
        else:
            self._storage.set_trial_state_values(identifier, state.COMPLETE, values)
