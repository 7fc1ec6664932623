"""The LightningModule of a one-shot search: it runs a strategy's updates under a Trainer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

import lightning as L
import torch
from torch import nn
from torchmetrics import Metric

from nas_lightning.core.best_within import best_genotype
from nas_lightning.core.choices import SKIP, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_context import Batch
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.networks import batch_norm
from nas_lightning.strategies.curvature import alpha_eigenvalue
from nas_lightning.strategies.relaxations import mean_entropy, mean_share
from nas_lightning.training import search_state
from nas_lightning.training.finite_watch import IMAGES
from nas_lightning.training.graphed_updates import GraphedUpdates
from nas_lightning.training.ranks import mean_of
from nas_lightning.training.task import Task
from nas_lightning.training.time_plan import TimePlan
from nas_lightning.training.updates import SearchUpdates

__all__ = ["EXTRA", "FORKED", "SupernetModule"]

FORKED = "is_fork"  # its key in a checkpoint that another run begins with
LIMITS = "limits."
EXTRA = "strategy._extra_state"  # what a strategy keeps beside its tensors


class SupernetModule(L.LightningModule):
    """Searches a space with a one-shot strategy.

    A training batch is {"train": (x, y), "val": (x, y)}: two batches from the two parts of the
    training set. Optimisation is manual: its `updates`, a `SearchUpdates`, take every step and
    describe the other arguments.

    Args:
        seed: seed of the supernet's initial params and of draws inside it.
        max_samples: stops once this many training samples were processed; None never does.
        plan: sets the strategy's epochs by the time that they take; None leaves them.
        graphs: whether losses are replayed as CUDA graphs (`GraphedUpdates`).
    """

    def __init__(
        self,
        space: SearchSpace,
        strategy: OneShotStrategy,
        input_shape: Sequence[int],
        num_outputs: int,
        task: Task | None = None,
        seed: int = 0,
        max_samples: int | None = None,
        plan: TimePlan | None = None,
        graphs: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        updates = GraphedUpdates if graphs else SearchUpdates
        self.updates = updates(space, strategy, input_shape, num_outputs, task, seed)
        self.space, self.seed, self.max_samples = space, seed, max_samples
        self.plan, self._is_forked = plan, False
        self.task, self.meter = self.updates.task, self.updates.meter
        self.supernet, self.strategy = self.updates.supernet, strategy
        self.limits = self.updates.limits  # whose multipliers are part of the checkpoint
        self.metrics = nn.ModuleDict(self.task.metrics(num_outputs))

    def setup(self, stage: str) -> None:
        """Has the updates use the Trainer's processes and precision."""
        updates, trainer = self.updates, self.trainer
        updates.mean, updates.num_processes = mean_of(trainer), trainer.world_size
        updates.forward_context = trainer.precision_plugin.forward_context

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Returns the params' optimiser and, if the strategy has parameters, the alphas'."""
        optimizers = self.updates.build_optimizers(lambda: self.trainer.estimated_stepping_batches)
        return list(optimizers.values())

    def on_train_start(self) -> None:
        """Raises ValueError where the Trainer has other epochs, scales losses or knows no steps."""
        epochs = self.trainer.max_epochs
        if epochs != self.strategy.epochs:
            raise ValueError(
                f"Trainer(max_epochs={epochs}) must be the strategy's epochs "
                f"({self.strategy.epochs}): its schedules end there"
            )
        if self.trainer.scaler is not None:
            raise ValueError(
                f"Trainer(precision='{self.trainer.precision}') scales losses, but a search takes "
                "its gradients itself; use precision='bf16-mixed' or '32-true'"
            )
        if self.trainer.num_training_batches == inf:
            raise ValueError(
                "train_dataloader() must have a length: schedules follow the number of steps; set "
                "e.g. Trainer(limit_train_batches=100)"
            )
        if self.plan is not None:
            self.plan.start()
        self._stop_if_over()

    def on_train_epoch_start(self) -> None:
        """Seeds what the epoch draws and starts it."""
        epoch = self.current_epoch
        if self._rebuild(epoch):
            self.trainer.strategy.setup_optimizers(self.trainer)
        optimizers: Any = self.optimizers()
        listed = optimizers if isinstance(optimizers, list) else [optimizers]
        self.updates.optimizers = dict(zip(("params", "alpha"), listed, strict=False))
        if self._is_forked:
            _set_optimizers(self.updates, lambda: self.trainer.estimated_stepping_batches)
            self._is_forked = False
        torch.manual_seed(keyed_seed(self.seed, "search", epoch, self.global_rank))
        self.updates.start_epoch(epoch)
        stage_epoch = epoch - self.strategy.first_epoch(epoch)
        self.updates.stage_steps = stage_epoch * int(self.trainer.num_training_batches)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Builds for the epoch just finished, and tells the strategy, before its state loads."""
        if self.plan is not None:
            self.plan.load(checkpoint, self.trainer)
            self.strategy.epochs = self.plan.epochs or self.strategy.epochs
        self._build_as_in(checkpoint["epoch"])
        self._is_forked = bool(checkpoint.get(FORKED))
        if self._is_forked:
            self._fit_state(checkpoint)

    def go_back(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes the params and preferences after an earlier epoch, to derive from; not to train."""
        self._build_as_in(checkpoint["epoch"])
        self.load_state_dict(checkpoint["state_dict"])

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lets the strategy finish the epoch after its last step, or one that the cap makes so."""
        if self.trainer.is_last_batch or self.trainer.fit_loop.epoch_loop.done:
            val = self.trainer.val_dataloaders or ()
            self.strategy.finish_epoch(self.current_epoch, self.updates, val)
            self._stop_if_over()
        if self.plan is not None:
            self.plan.note_step(batch_idx)

    def training_step(self, batch: dict[str, Batch], batch_idx: int) -> None:
        """Takes one search step; raises ValueError for a batch without a "train" and "val" part."""
        if not (isinstance(batch, dict) and {"train", "val"} <= set(batch)):
            raise ValueError(
                'a search needs batches {"train": (x, y), "val": (x, y)}, got '
                f"{type(batch).__name__}; let train_dataloader() return "
                '{"train": loader, "val": loader}'
            )
        self.updates.watch.start_step({IMAGES[part]: batch[part][0] for part in ("train", "val")})
        loss = self.strategy.search_step(batch["train"], batch["val"], self.updates)
        once: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log("search/train_loss", loss, batch_size=len(batch["train"][1]), **once)
        self.log("search/lr", self.updates.lr, reduce_fx="max", **once)
        self._stop_if_over()
        if self.plan is not None and self.plan.ends(self.trainer, batch_idx):
            self.trainer.should_stop = True

    def on_train_epoch_end(self) -> None:
        """Plans the epochs by time; stops where numbers are not finite or processes differ."""
        if self.plan is not None and self.plan.follow(self.trainer, self._keeps_stages):
            self.strategy.epochs = self.plan.epochs or self.strategy.epochs
            self.updates.set_alpha_lr(lambda: self.trainer.estimated_stepping_batches)
        self.updates.end_epoch(self.current_epoch)

    def on_train_end(self) -> None:
        """Frees the memory of CUDA graphs."""
        if isinstance(self.updates, GraphedUpdates):
            self.updates.release()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the plan."""
        if self.plan is not None:
            self.plan.save(checkpoint)

    def on_validation_epoch_start(self) -> None:
        """Fixes the mixture that is validated, the strategy's scores, and logs its state."""
        self.updates.average_statistics()
        self._validated = self.strategy.scores()
        weights = self._validated.weights.detach()
        entropy = mean_entropy(weights, self.strategy.allowed)
        share = mean_share(weights, self.space.choices, SKIP)
        self.log("search/alpha_entropy", entropy, sync_dist=True)
        self.log("search/skip_share", share, sync_dist=True)
        for name, value in self.strategy.measurements().items():
            self.log(f"search/{name}", value)
        if self.limits is not None:
            shares = 1.0 + self.limits.excess(self._validated).detach()
            for row, name in enumerate(self.limits.names):
                self.log(f"search/share_of_limit_{name}", shares[row])
                self.log(f"search/multiplier_{name}", self.limits.multiplier[row])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the mixture on the validation part."""
        x, targets = batch
        logits = self.updates.logits(x, self._validated)
        loss = self.task.loss(logits, targets)
        self.log("search/validation_loss", loss, sync_dist=True, batch_size=len(targets))
        for name, metric in self.metrics.items():
            assert isinstance(metric, Metric)
            self.task.update(metric, logits, targets)
            self.log(f"search/validation_{name}", metric)

    def validate(
        self, mixture: Mixture, batches: Iterable[Batch], recalibrate: Iterable[Batch] | None = None
    ) -> float:
        """Returns the main metric of a mixture; buffers stay (see `SearchContext`)."""
        return self.updates.validate(mixture, batches, recalibrate)

    def dominant_eigenvalue(self, batch: Batch) -> float:
        """Returns that of a batch's loss in the alphas (see `curvature`); it changes nothing.

        The supernet normalises by the batch; the vector that it begins with depends on the seed.
        It is a collective operation: all processes call it, each with its part of the batch.

        Raises: ValueError: the scores do not depend on parameters of the strategy.
        """
        rng = torch.Generator().manual_seed(keyed_seed(self.seed, "curvature"))
        counted = self.meter.training_samples
        # a callback's hooks run without gradients, and a forward of noise counts its draws
        with torch.enable_grad(), batch_norm.kept_state(self.supernet):
            batch_norm.set_mode(self.supernet, True)
            value = alpha_eigenvalue(self.strategy, batch, self.updates, rng)
        self.meter.training_samples = counted  # watching is no part of what a search costs
        return value

    def derive(self, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype that the strategy found, the same in a resumed search.

        Where that is beyond the limits of the space, it is the best-scored one that keeps them.

        Raises: ValueError: the strategy ranks genotypes by validation batches, and there are none.
        """
        torch.manual_seed(keyed_seed(self.seed, "derive", self.global_rank))
        genotype = self.strategy.derive(self.updates, val)
        if self.space.limits is None or self.space.limits.keeps(genotype):
            return genotype
        return best_genotype(self.space, self.strategy.scores())  # of a strategy with its own rule

    def _build_as_in(self, epoch: int) -> None:
        self._rebuild(epoch)
        self.trainer.precision_plugin.convert_module(self)  # Lightning does so after the loading
        self.strategy.start_epoch(epoch)

    def _fit_state(self, checkpoint: dict[str, Any]) -> None:
        """Lets begin anew what a new strategy or new limits add; refuses others' state."""
        own, state = self.state_dict(), checkpoint["state_dict"]
        if EXTRA in state:  # another strategy keeps other things
            state[EXTRA] = own[EXTRA] | {k: v for k, v in state[EXTRA].items() if k in own[EXTRA]}
        state |= {k: own[k] for k in own if k.startswith(LIMITS) and k not in state}
        for key in [k for k in state if k.startswith(LIMITS) and k not in own]:
            del state[key]
        what = f"the state of epoch {checkpoint['epoch']}", type(self.strategy).__name__
        if misfits := search_state.misfits(own, state):
            raise ValueError(
                f"fork: {what[0]} does not fit the strategy {what[1]} with its settings "
                f"({misfits[0]} differs); leave those as they were that decide which options, "
                "stages and sizes there are"
            )
        self.strategy.allowed.copy_(state["strategy.allowed"])
        if not self.strategy.scores().weights.isfinite().all():
            raise ValueError(
                f"fork: {what[0]} has edges without an option, which {what[1]} cannot mix; fork "
                "an earlier epoch, or leave the strategy as it was"
            )

    def _rebuild(self, epoch: int) -> bool:
        with self.trainer.precision_plugin.module_init_context():
            is_new = self.updates.rebuild(epoch)
        self.supernet = self.updates.supernet
        return is_new

    def _keeps_stages(self, epochs: int) -> bool:
        """Whether the epoch that ends keeps its stage in a search of so many epochs."""
        epoch, before = self.current_epoch, self.strategy.epochs
        stage = self.strategy.stage(epoch)
        self.strategy.epochs = epochs
        try:
            return self.strategy.stage(epoch) == stage
        finally:
            self.strategy.epochs = before

    def _stop_if_over(self) -> None:
        cap, number = self.max_samples, self.meter.training_samples
        if self.strategy.is_over or (cap is not None and number >= cap):
            self.trainer.should_stop = True


def _set_optimizers(updates: SearchUpdates, steps: Callable[[], float]) -> None:
    """Gives optimisers whose state was loaded the strategy's present settings."""
    for name, fresh in updates.build_optimizers(steps).items():
        for group, new in zip(
            updates.optimizers[name].param_groups, fresh.param_groups, strict=True
        ):
            group.update({key: value for key, value in new.items() if key != "params"})
