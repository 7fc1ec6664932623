"""Simulated annealing: start small, propose a local change, accept it by the temperature.

Sources: Tenorio & Lee, Self Organizing Neural Networks for the Identification Problem, 1988
(structures grow and are accepted by a criterion that pays for fit and charges for size, under
simulated annealing; `objective=mdl` is that criterion); Kirkpatrick et al., 1983, for the
acceptance. Deliberate difference: a step changes one decision; it is growth where the child gets
more params, shrinkage where it gets fewer, and a swap otherwise.
"""

from dataclasses import replace
from math import exp
from random import Random

from nas_lightning.core.checks import at_least, positive
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limited import cost_measure
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

__all__ = ["Annealing"]

CHANGES = (1, -1, 0)  # growth, shrinkage and swap: the sign of the difference in params
TRIES = 16  # mutations among which one of the drawn kind is looked for
SHAPE, OUTPUTS, CELLS = (3, 32, 32), 10, 5  # of the networks compared: unless known, or at most


class Annealing(BlackBoxStrategy):
    """Walks from child to child; a worse one is accepted with probability exp(difference / T).

    Every trial but the first changes one decision of the accepted genotype; it is drawn first
    whether to grow, shrink or swap.

    Args:
        start: random genotypes of which the smallest one is the first trial, at least 1.
        temperature: T of the first change, in units of the reward, above 0.
        final_temperature: T of the last change, above 0; a geometric series leads to it.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> annealing = Annealing(NasBench201Space(), seed=0, trials=9)
    >>> [round(annealing.temperature(number), 4) for number in (1, 4, 8)]
    [0.05, 0.0094, 0.001]
    """

    needs_last_reward = True  # the next child is a change of the one that was accepted last

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int = 8,
        start: int = 16,
        temperature: float = 0.05,
        final_temperature: float = 0.001,
    ) -> None:
        super().__init__(space, seed, trials)
        at_least("strategy.start", start, 1, use=16)
        positive("strategy.temperature", temperature, use=0.05)
        positive("strategy.final_temperature", final_temperature, use=0.001)
        self.start, self.first, self.last = start, temperature, final_temperature
        self.accepted: Trial | None = None
        scale = replace(space.scale, cells=min(space.scale.cells, CELLS))
        shape, outputs = scale.input_shape or SHAPE, scale.num_outputs or OUTPUTS
        self._scale = replace(scale, input_shape=shape, num_outputs=outputs)

    def ask(self, number: int) -> Trial:
        """Returns the smallest of some random genotypes at first, then changed ones."""
        rng = self.random("annealing", number)
        if self.accepted is None:
            drawn = [self.space.sample(rng) for _ in range(self.start)]
            return Trial(number, min(drawn, key=self.size))
        return Trial(number, self._changed(self.accepted.genotype, rng))

    def tell(self, trial: Trial) -> None:
        """Accepts the child, or stays at the one before."""
        if self.accepts(trial):
            self.accepted = trial

    def accepts(self, trial: Trial) -> bool:
        """Returns whether a child replaces the accepted one (Kirkpatrick et al.)."""
        if self.accepted is None:
            return True
        gain = trial.told_reward - self.accepted.told_reward
        draw = self.random("acceptance", trial.number).random()
        return gain >= 0 or draw < exp(gain / self.temperature(trial.number))

    def temperature(self, number: int) -> float:
        """Returns T of a trial (0-based)."""
        share = (number - 1) / max(1, self.trials - 2)
        return float(self.first * (self.last / self.first) ** min(1.0, max(0.0, share)))

    def size(self, genotype: Genotype) -> int:
        """Returns the number of params of a genotype's child with few cells."""
        return int(cost_measure(self.space, self._scale)(genotype)["parameters"])

    def _changed(self, genotype: Genotype, rng: Random) -> Genotype:
        change, size = rng.choice(CHANGES), self.size(genotype)
        for _ in range(TRIES):
            proposal = self.space.mutate(genotype, rng)
            difference = self.size(proposal) - size
            if (difference > 0) - (difference < 0) == change:
                break
        return proposal
