"""Watches a one-shot search for a collapse to operations without parameters.

Source: Zela et al., Understanding and Robustifying DARTS, 2020 (arXiv:1909.09656): alphas that
favour skips and pools over convolutions lead to children that generalise badly.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.core.choices import NONE, SKIP
from nas_lightning.core.decisions import Decision
from nas_lightning.core.search_context import Batch
from nas_lightning.strategies.relaxations import is_even, mean_entropy
from nas_lightning.training.supernet import SupernetModule

__all__ = ["CollapseSentinel", "is_before_collapse", "parameter_free_share", "sentinel_of"]

log = logging.getLogger(__name__)

PARAMETER_FREE = (NONE, SKIP, "max_pool_", "avg_pool_", "noise")  # beginnings of names
EIGENVALUE = "search/dominant_eigenvalue"
MOVED = 0.02  # mean weight per choice that has moved since the start; before, nothing is decided
CURE = (
    "a strategy that holds against it (e.g. strategy=robust_darts, strategy=sdarts or "
    "strategy=drnas), fewer epochs (strategy.epochs), a larger weight decay "
    "(strategy.params_optimizer.weight_decay), or strategy.final=before_collapse"
)


def parameter_free_share(
    decisions: Sequence[Decision],
    chosen: Mapping[str, str],
    beginnings: tuple[str, ...] = PARAMETER_FREE,
) -> float:
    """Returns the share of a genotype's operations that have no parameters, in [0, 1].

    `beginnings` of names count others, e.g. skips alone.
    """
    options = [o for d in decisions if d.kind == "op" and (o := chosen.get(d.name))]
    ops = [op for option in options for op in option.split("+")]  # one may be several at once
    return sum(op.startswith(beginnings) for op in ops) / max(1, len(ops))


class CollapseSentinel(L.Callback):
    """Warns once where a search collapses, with the reason and a cure.

    It looks at the genotype that the scores give after each epoch. A search has collapsed where
    more than `share` of its operations have no parameters in `patience` epochs in a row, or in the
    last one. Epochs in which no preference has formed yet, as in a warm-up, do not count.

    It logs "search/parameter_free_share" and "search/genotype_skip_share" of that genotype, and
    on request "search/discretized_validation_accuracy" (or another main metric): that of its path
    in the supernet, with BatchNorm recalibrated on the validation batches, and
    "search/dominant_eigenvalue" (see `strategies.curvature`) of the first validation batch, unless
    the strategy logs its own. It draws nothing and leaves the search as it is; but with `stops`,
    which a run sets, it ends a collapsed one.

    Args:
        share: largest share of operations without parameters that is no collapse, in (0, 1].
        patience: epochs in a row that make a collapse.
        path_every: epochs from one measurement of the path to the next, each of which takes two
            passes over the validation part; null measures none.
        eigenvalue_every: epochs from one dominant eigenvalue to the next, each of which takes tens
            of passes over a batch; null measures none. The scores must be a function of alphas.

    Attributes:
        collapse: what was seen of a collapse, None where there was none: "epoch" is its first one.

    Raises: ValueError: a value is out of range.
    """

    def __init__(
        self,
        share: float = 0.6,
        patience: int = 2,
        path_every: int | None = None,
        eigenvalue_every: int | None = None,
    ) -> None:
        in_range("callbacks.collapse.share", share, "(0, 1]", use=0.6)
        at_least("callbacks.collapse.patience", patience, 1, use=2)
        at_least("callbacks.collapse.path_every", path_every, 1, use=5)
        at_least("callbacks.collapse.eigenvalue_every", eigenvalue_every, 1, use=2)
        self.share, self.patience = share, patience
        self.path_every, self.eigenvalue_every = path_every, eigenvalue_every
        self.stops = False
        self.collapse: dict[str, Any] | None = None
        self.since: int | None = None  # first of the latest epochs in a row that exceed the share
        self.start: Tensor | None = None  # the weights of the scores before the first epoch

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Notes the scores of the start; ends a search at once that was stopped before."""
        if isinstance(pl_module, SupernetModule) and self.start is None:
            self.start = pl_module.strategy.scores().weights.detach().cpu().clone()
        self._stop(trainer)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs what the scores give."""
        if not isinstance(pl_module, SupernetModule) or is_even(pl_module.strategy.scores()):
            return
        for name, value in self._shares(pl_module).items():
            pl_module.log(f"search/{name}", value)
        done, val = trainer.current_epoch + 1, trainer.val_dataloaders or ()
        if self.path_every and done % self.path_every == 0:
            pl_module.log(_path_metric(pl_module), _of_path(pl_module, val))
        is_due = self.eigenvalue_every and done % self.eigenvalue_every == 0
        if is_due and "dominant_eigenvalue" not in pl_module.strategy.measurements():
            pl_module.log(EIGENVALUE, _eigenvalue(pl_module, next(iter(val))))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Judges the epoch; warns, and stops where that is wanted, of a collapse that is new."""
        if not isinstance(pl_module, SupernetModule) or self.collapse is not None:
            return
        epoch, most = trainer.current_epoch, trainer.max_epochs or 0
        shares = self._shares(pl_module) if self._is_decided(pl_module) else {}
        if shares.get("parameter_free_share", 0.0) <= self.share:
            self.since = None
            return
        self.since = epoch if self.since is None else self.since
        is_last = trainer.should_stop or epoch + 1 >= most
        if epoch - self.since + 1 < self.patience and not is_last:
            return
        self.collapse = {"epoch": self.since, "seen": epoch, **shares}
        self.collapse["entropy"] = _entropy(pl_module)
        log.warning(f"{self._reason(trainer, pl_module)}; try {CURE}")
        self._stop(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Returns what was seen so far."""
        return {"collapse": self.collapse, "since": self.since, "start": self.start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what was seen so far."""
        self.collapse, self.since = state_dict["collapse"], state_dict["since"]
        self.start = state_dict["start"]

    def _stop(self, trainer: L.Trainer) -> None:
        """Ends a collapsed search, on all ranks alike: they judge the same scores."""
        if self.stops and self.collapse is not None:
            trainer.should_stop = True

    def _is_decided(self, module: SupernetModule) -> bool:
        scores = module.strategy.scores()
        if is_even(scores):  # uniform paths: the genotype comes from their ranking alone
            return False
        if self.start is None:
            return True
        moved = (scores.weights.detach().cpu() - self.start).abs().sum(dim=1).mean() / 2
        return bool(moved > MOVED)

    def _shares(self, module: SupernetModule) -> dict[str, float]:
        """Returns the shares of operations in the genotype that the scores give."""
        decisions = module.space.decisions
        chosen = module.space.discretize(module.strategy.scores()).mapping
        return {
            "parameter_free_share": parameter_free_share(decisions, chosen),
            "genotype_skip_share": parameter_free_share(decisions, chosen, (SKIP,)),
        }

    def _reason(self, trainer: L.Trainer, module: SupernetModule) -> str:
        assert self.collapse is not None
        free, skips = self.collapse["parameter_free_share"], self.collapse["genotype_skip_share"]
        words = [
            f"the search has probably collapsed: since epoch {self.collapse['epoch']} (0-based) "
            f"more than {self.share:.0%} of the preferred operations have no parameters, "
            f"now {free:.0%} ({skips:.0%} are skips)",
            f"the entropy of the weights is {self.collapse['entropy']:.2f}",
        ]
        name, metrics = module.task.metric, trainer.callback_metrics
        if (path := _path_metric(module)) in metrics:
            mixture, alone = float(metrics[f"search/validation_{name}"]), float(metrics[path])
            words.append(f"validation {name} is {mixture:.3f} mixed and {alone:.3f} of the path")
        if EIGENVALUE in metrics:
            words.append(f"the dominant eigenvalue is {float(metrics[EIGENVALUE]):.3g}")
        return ", ".join(words)


def sentinel_of(callbacks: Iterable[L.Callback]) -> CollapseSentinel | None:
    """Returns the sentinel among callbacks, None without one."""
    return next((each for each in callbacks if isinstance(each, CollapseSentinel)), None)


def is_before_collapse(trainer: L.Trainer) -> bool:
    """Returns whether the sentinel has seen no sign of a collapse up to the present epoch."""
    sentinel = sentinel_of(trainer.callbacks)  # type: ignore[attr-defined]
    return sentinel is None or (sentinel.collapse is None and sentinel.since is None)


def _entropy(module: SupernetModule) -> float:
    weights = module.strategy.scores().weights.detach()
    return float(mean_entropy(weights, module.strategy.allowed))


def _path_metric(module: SupernetModule) -> str:
    return f"search/discretized_validation_{module.task.metric}"


def _of_path(module: SupernetModule, val: Iterable[Any]) -> float:
    """Returns the main validation metric of the path that the scores give, mean over processes."""
    scores, batches = module.strategy.scores(), list(val)
    path = module.space.mixture(module.space.discretize(scores)).to(scores.weights)
    with _untouched(module):
        return module.validate(path, batches, batches)


def _eigenvalue(module: SupernetModule, batch: Batch) -> float:
    """Returns the dominant eigenvalue of a batch's loss in the alphas."""
    with _untouched(module):
        x, targets = (part.clone() for part in batch)
        return module.dominant_eigenvalue((x, targets))


@contextmanager
def _untouched(module: SupernetModule) -> Iterator[None]:
    """Leaves the global generators as they were: an operation may draw in a forward, as noise."""
    devices = [module.device] if module.device.type == "cuda" else []
    # Tensors that a forward makes in inference mode could not be used in a later step.
    with torch.random.fork_rng(devices), torch.inference_mode(False), torch.no_grad():
        yield
