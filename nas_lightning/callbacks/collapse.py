"""Warns where a search collapses to operations without parameters.

Source: Zela et al., Understanding and Robustifying DARTS, 2020 (arXiv:1909.09656): alphas that
favour skips and pools over convolutions lead to children that generalise badly.
"""

import logging
from collections.abc import Mapping, Sequence

import lightning as L

from nas_lightning.core.checks import in_range
from nas_lightning.core.decisions import Decision
from nas_lightning.strategies.relaxations import is_even
from nas_lightning.training.supernet import SupernetModule

__all__ = ["CollapseSentinel", "parameter_free_share"]

log = logging.getLogger(__name__)

PARAMETER_FREE = ("none", "skip_connect", "max_pool_", "avg_pool_")  # beginnings of names


def parameter_free_share(decisions: Sequence[Decision], chosen: Mapping[str, str]) -> float:
    """Returns the share of a genotype's operations that have no parameters, in [0, 1]."""
    options = [o for d in decisions if d.kind == "op" and (o := chosen.get(d.name))]
    ops = [op for option in options for op in option.split("+")]  # one may be several at once
    return sum(op.startswith(PARAMETER_FREE) for op in ops) / max(1, len(ops))


class CollapseSentinel(L.Callback):
    """Warns at the end of a search in which a larger share of operations has no parameters.

    Raises: ValueError: `share` is not in (0, 1].
    """

    def __init__(self, share: float = 0.6) -> None:
        in_range("callbacks.collapse.share", share, "(0, 1]", use=0.6)
        self.share = share

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks at the genotype that the scores give."""
        if not isinstance(pl_module, SupernetModule):
            return
        scores = pl_module.strategy.scores()
        if is_even(scores):  # uniform paths: the genotype comes from their ranking alone
            return
        genotype = pl_module.space.discretize(scores)
        share = parameter_free_share(pl_module.space.decisions, genotype.mapping)
        if share > self.share:
            log.warning(
                f"{100 * share:.0f} % of the preferred operations have no parameters (skips and "
                "pools): the search has probably collapsed; try fewer epochs or a larger weight "
                "decay"
            )
