"""Optuna's journal storage: a mirror of a search's trials, for optuna-dashboard and for Optuna.

The search never reads it. A trial is one record of the file, so that a kill leaves it whole or not
at all; a resumed search adds what is missing.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Trial
from nas_lightning.loggers.dashboard import Dashboard, RunFacts

__all__ = ["OptunaJournal"]

FILE = "optuna.log"  # in the run's folder
NUMBER = "trial"  # attribute that holds a trial's number in trials.jsonl


class OptunaJournal(Dashboard):
    """Writes every trial that was told to optuna.log, in a study of the run's name.

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
        self._shown = set[int]()

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
        """Writes a trial, unless it is there."""
        if self._storage is None:
            self._open(objective)
        if trial.number not in self._shown:
            self._shown.add(trial.number)
            frozen = self._frozen(trial, space, objective)
            self._storage.create_new_trial(self._study, template_trial=frozen)

    def _open(self, objective: Objective) -> None:
        """Opens the file and its study, which an earlier run may have begun."""
        storages, study = self.optuna.storages, self.optuna.study
        path = self.facts.folder / FILE
        if path.exists():  # a line that a kill cut short
            content = path.read_bytes()
            path.write_bytes(content[: content.rfind(b"\n") + 1])
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
        trials = self._storage.get_all_trials(self._study, deepcopy=False)
        self._shown = {trial.user_attrs[NUMBER] for trial in trials}

    def _frozen(self, trial: Trial, space: SearchSpace, objective: Objective) -> Any:
        choices = trial.genotype.mapping
        categories = self.optuna.distributions.CategoricalDistribution
        values = trial.values if len(objective.names) > 1 else (trial.told_reward,)
        state = self.optuna.trial.TrialState
        facts = {"genotype_id": trial.genotype.id, "budget": trial.budget, "parent": trial.parent}
        more = {"failure": trial.failure} if trial.failure else {}
        has_failed = bool(trial.failure) or not all(map(isfinite, values))  # Optuna takes no NaN
        return self.optuna.trial.create_trial(
            state=state.FAIL if has_failed else state.COMPLETE,
            values=None if has_failed else values,
            params=choices,
            distributions={
                decision.name: categories(decision.options)
                for decision in space.decisions
                if decision.name in choices
            },
            user_attrs={NUMBER: trial.number, **facts, **more, **trial.measurements, **trial.cost},
        )
