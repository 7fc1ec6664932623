"""Optuna's samplers as strategies: TPE, Gaussian process, NSGA-II and III, several objectives.

Sources: Akiba et al., Optuna, 2019 (arXiv:1907.10902); Bergstra et al., TPE, 2011; Deb et al.,
NSGA-II, 2002; Deb & Jain, NSGA-III, 2014. Every decision is a categorical parameter of its name,
suggested where it is active. What is suggested beyond the limits of the space counts as failed
there, and is suggested anew; after a few times, a genotype on the way to a small one takes its
place. Needs the extra `optuna`.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from nas_lightning.core.checks import at_least, one_of
from nas_lightning.core.decisions import is_active
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

if TYPE_CHECKING:
    import optuna

__all__ = ["OptunaSearch"]

DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {"max": "maximize", "min": "minimize"}
DRAWS = 16  # suggestions per trial among which one within the limits is looked for
SAMPLERS = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "nsga2": "NSGAIISampler",
    "nsga3": "NSGAIIISampler",
    "random": "RandomSampler",
}


class OptunaSearch(BlackBoxStrategy):
    """Asks one of Optuna's samplers, in a study in memory; a replay restores it.

    Args:
        objective: what is maximised, or the values that are kept apart.
        sampler: "tpe", "gp", "nsga2", "nsga3" or "random".
        population: members per generation of NSGA, at least 2.
        startup: trials that TPE and the Gaussian process draw at random first, at least 0.

    Raises: ValueError: a value is out of range, or Optuna is not installed.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        objective: Objective,
        trials: int = 8,
        sampler: str = "tpe",
        population: int = 50,
        startup: int = 10,
    ) -> None:
        super().__init__(space, seed, trials)
        one_of("strategy.sampler", sampler, SAMPLERS)
        at_least("strategy.population", population, 2, use=50)
        at_least("strategy.startup", startup, 0, use=10)
        self.is_multiple = len(objective.names) > 1
        directions = objective.directions if self.is_multiple else ("max",)
        self.study = _build_study(sampler, seed % 2**32, population, startup, directions)
        self._asked: dict[int, tuple[Trial, Any]] = {}

    def ask(self, number: int) -> Trial:
        """Returns the genotype that the sampler suggests, the same if asked twice."""
        if number not in self._asked:
            asked, genotype = self._suggested()
            draws = 1
            while (limits := self.space.limits) is not None and not limits.keeps(genotype):
                self._pass_over(asked)
                if draws == DRAWS:
                    kept = self.space.shrunk(genotype, self.random("limits", number))
                    self.study.enqueue_trial(kept.mapping)  # what is suggested next
                asked, genotype = self._suggested()
                draws += 1
            self._asked[number] = Trial(number, genotype), asked
        return self._asked[number][0]

    def _suggested(self) -> tuple[Any, Genotype]:
        """Returns a trial of the study, and the genotype that the sampler suggests for it."""
        asked, chosen = self.study.ask(), dict[str, str]()
        for d in self.space.decisions:
            if is_active(d, chosen):
                chosen[d.name] = asked.suggest_categorical(d.name, d.options)
        return asked, self.space.genotype(chosen)

    def _pass_over(self, asked: Any) -> None:
        """Tells the study that a trial failed, from which samplers learn nothing."""
        from optuna.trial import TrialState  # an extra that may not be installed

        self.study.tell(asked, state=TrialState.FAIL)

    def tell(self, trial: Trial) -> None:
        """Tells the sampler the reward, or the values that are kept apart."""
        _, asked = self._asked.pop(trial.number)
        self.study.tell(asked, list(trial.values) if self.is_multiple else trial.reward)


def _build_study(
    sampler: str, seed: int, population: int, startup: int, directions: Sequence[str]
) -> "optuna.Study":
    try:
        import optuna  # an extra that may not be installed
    except ImportError as error:
        raise ValueError(
            "strategy=optuna needs Optuna; pip install 'nas-lightning[optuna]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = {"seed": seed}
    if sampler in ("tpe", "gp"):
        settings["n_startup_trials"] = startup
    elif sampler != "random":
        settings["population_size"] = population
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some samplers are called experimental
        built = getattr(optuna.samplers, SAMPLERS[sampler])(**settings)
    return optuna.create_study(sampler=built, directions=[DIRECTIONS[d] for d in directions])
