"""P-DARTS: the supernet deepens in stages while the candidates of each edge shrink.

Source: Chen et al., Progressive DARTS, 2019 (arXiv:1904.12760), section 3, and the official code.
Deliberate differences: skip dropout drops whole operations of an edge (the code drops elements
of their output), also those of stride 2; its rate falls by shares of a stage, so that a stage of
25 epochs has the code's values; the alphas' gradients are not clipped (there to 5); depth is given
as cells beyond the space's own.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from nas_lightning.core.best_within import best_genotype
from nas_lightning.core.checks import at_least, equal_length, in_range
from nas_lightning.core.choices import SKIP, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Stage
from nas_lightning.strategies.alphas import StagedStrategy, share_of, stage_of

__all__ = ["PDarts", "dropout_at"]

log = logging.getLogger(__name__)

DECAY = 5.0  # of the dropout per stage: 0.2 in each of the code's 25 epochs


class PDarts(StagedStrategy):
    """Progressive differentiable architecture search.

    Args:
        space: the search space; its scale has the cells of the first stage (the paper: 5).
        epochs: length of all stages together; the paper has 75.
        growth: cells that each stage adds to the space's own; the paper has 0, 6, 12. Only zeros
            suit a space without cells, or one whose choices depend on their number.
        kept: share of the options that each stage begins with; the paper has 8, 5, 3 of 8.
        dropout: a skip's chance to be dropped as alphas begin to move; the paper has 0, 0.4, 0.7.
        warmup: share of a stage in which alphas stand still, in [0, 1); the paper has 0.4.
        max_skips: most skips outside reduction cells in the genotype; the paper has 2. A space
            without a "skip_connect", which the dropout needs too, is warned of.

    Raises: ValueError: a value is out of range, or the space cannot grow by `growth`.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> p_darts = PDarts(space, seed=0, epochs=3)
    >>> [p_darts.stage(epoch).of(space.scale).cells for epoch in range(3)]
    [5, 6, 7]
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        growth: Sequence[int] = (0, 1, 2),
        kept: Sequence[float] = (1.0, 0.625, 0.375),
        dropout: Sequence[float] = (0.0, 0.4, 0.7),
        warmup: float = 0.4,
        max_skips: int = 2,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        use = "[0,1,2], [1.0,0.625,0.375] and [0.0,0.4,0.7]"
        equal_length(use, growth=growth, kept=kept, dropout=dropout)
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer, warmup, kept)
        in_range("strategy.growth", growth, "[0, inf)", use="[0,1,2]")
        in_range("strategy.dropout", dropout, "[0, 1)", use="[0.0,0.4,0.7]")
        at_least("strategy.max_skips", max_skips, 0, use=2)
        _check_growth(space, growth)
        self.growth, self.dropout, self.max_skips = tuple(growth), tuple(dropout), max_skips
        self.drop = self.dropout[0]
        choices = enumerate(space.choices)
        self._skips = [(row, c.options.index(SKIP)) for row, c in choices if SKIP in c.options]
        if not self._skips:
            log.warning(
                "search space '%s' has no skip_connect: strategy.dropout and max_skips do nothing",
                space.name,
            )

    def stage(self, epoch: int) -> Stage:
        """Returns the depth of an epoch; each stage has its own supernet."""
        number, _, _ = stage_of(epoch, self.epochs, len(self.growth))
        cells = self.space.scale.cells + self.growth[number]
        return Stage({"cells": cells}, keep_params=False, number=number)

    def start_epoch(self, epoch: int) -> None:
        """Begins a stage where it is time; lowers the dropout."""
        super().start_epoch(epoch)
        number, within, length = stage_of(epoch, self.epochs, len(self.growth))
        warm = share_of(self.warmup, length)
        self.drop = dropout_at(self.dropout[number], within, warm, length)

    def begin_stage(self, share: float) -> None:
        """Drops candidates and draws new alphas."""
        super().begin_stage(share)
        self.reset()

    def mixture(self, phase: str) -> Mixture:
        """Returns the softmax of alpha; some skips are dropped, the others scaled up."""
        mixture = super().mixture(phase)
        if not self.drop or not self._skips:
            return mixture
        weights = mixture.weights
        factors = torch.ones(weights.shape)
        rows, columns = zip(*self._skips, strict=True)
        stays = torch.rand(len(rows), generator=self.rng) >= self.drop
        factors[list(rows), list(columns)] = stays / (1.0 - self.drop)
        return Mixture(weights * factors.to(weights), mixture.support)

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the space's genotype with at most `max_skips` skips outside reduction cells.

        The weakest skip is taken away and the rest chosen anew until so few are left; a warning
        tells of skips that nothing can replace.
        """
        self.warn_of_warmup()
        scores = self.scores()
        weights = scores.weights.detach().cpu().clone()
        while True:
            mixture = Mixture(weights, scores.support)
            genotype = best_genotype(self.space, mixture)
            taken = self._taken(genotype, mixture)
            if len(taken) <= self.max_skips:
                return genotype
            spare = [place for place in taken if weights[place] >= 0]
            if not spare:
                log.warning(
                    "the genotype has %d skips, strategy.max_skips is %d: nothing else is left "
                    "where they are; keep more options with strategy.kept",
                    len(taken),
                    self.max_skips,
                )
                return genotype
            weights[min(spare, key=lambda place: float(weights[place]))] = -1.0

    def _taken(self, genotype: Genotype, mixture: Mixture) -> list[tuple[int, int]]:
        """Returns row and column of each skip of a genotype outside reduction cells."""
        chosen, taken = genotype.mapping, list[tuple[int, int]]()
        runs = self.space.mixture(genotype).support
        for row, column in self._skips:
            name = self.space.choices[row].name
            if self.space.has_edges:
                is_skip = chosen.get(name) == SKIP
            else:  # the halves of a block may have changed places, and names
                best = max(mixture.support[row], key=mixture.weights[row].__getitem__)
                is_skip = best == column and bool(runs[row])
            if is_skip and not name.startswith("reduction/"):
                taken.append((row, column))
        return taken


def dropout_at(rate: float, epoch: int, warm: int, epochs: int) -> float:
    """Returns the probability with which skips are dropped in an epoch of a stage.

    It falls linearly while alphas stand still, and exponentially, again from `rate`, while they
    move (from epoch `warm`), as in the official code; the paper only says that it decays in each
    stage. `epoch` (0-based) counts within the stage of `epochs`.
    """
    if epoch < warm:
        return rate * (epochs - epoch - 1) / epochs
    return rate * math.exp(-DECAY * (epoch - warm) / epochs)


def _check_growth(space: SearchSpace, growth: Sequence[int]) -> None:
    cure = f"strategy.growth is {list(growth)}; set strategy.growth=[{','.join('0' * len(growth))}]"
    if max(growth) > 0 and not space.has_cells:
        raise ValueError(f"search space '{space.name}' has no scale.cells to grow by, {cure}")
    for cells in {space.scale.cells + more for more in growth if more}:
        if space.fitted(replace(space.scale, cells=cells)).choices != space.choices:
            raise ValueError(
                f"search space '{space.name}' has other choices with {cells} cells than with "
                f"{space.scale.cells}, {cure}"
            )
