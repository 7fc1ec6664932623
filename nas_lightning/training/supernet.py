"""The LightningModule of a one-shot search: the supernet, the strategy, and their updates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torchmetrics import Metric

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_context import Batch
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.networks.batch_norm import (
    SETTLED,
    batch_norms,
    is_synchronised,
    kept_state,
    recalibrated,
    set_mode,
    settle,
    still_statistics,
    synchronise,
)
from nas_lightning.strategies.relaxations import mean_entropy, mean_share
from nas_lightning.training import building
from nas_lightning.training.agreement import average_statistics
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.health import IMAGES, LOSSES, NumberWatch, check_search
from nas_lightning.training.task import Classification, Task
from nas_lightning.training.updates import gradient_of, take_step

__all__ = ["SupernetModule"]

OPTIMIZERS = ("params", "alpha")


class SupernetModule(L.LightningModule):
    """Searches a space with a one-shot strategy; implements `SearchContext`.

    A training batch is {"train": (x, y), "val": (x, y)}: two batches from the two parts of the
    training set. Optimisation is manual. Every gradient is taken by `torch.autograd.grad` for
    just the tensors that a step moves, averaged over processes in one flat reduction, and
    assigned: so the same code serves one process and many.

    Args:
        space: the search space.
        strategy: moves alphas and says how the supernet is mixed.
        input_shape: image shape (channels, height, width).
        num_outputs: number of classes.
        task: loss and metrics.
        seed: seed of the supernet's initial params and of draws inside it.
        max_samples: stops once this many training samples were processed; None never does.

    Raises:
        ValueError: the space cannot be built for such images, or a stage has no such scale.
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
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.space, self.seed, self.max_samples = space, seed, max_samples
        self.task: Task = task or Classification()
        shape = tuple(input_shape)
        self._whole = replace(space.scale, input_shape=shape, num_outputs=num_outputs)
        scales = [strategy.stage(epoch).of(self._whole) for epoch in range(strategy.epochs)]
        self._stage, self.scale = strategy.stage(0), scales[0]
        self._install(building.build_supernet(space, self.scale, keyed_seed(seed, "supernet")))
        self.strategy = strategy
        self.metrics = nn.ModuleDict(self.task.metrics(num_outputs))
        self.meter, self.watch = CostMeter(), NumberWatch()
        self.lr = strategy.params_optimizer.lr

    @property
    def params(self) -> Mapping[str, Tensor]:
        """The supernet's params by name, in the order of its optimiser."""
        return self._params

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Returns the params' optimiser and, if the strategy has parameters, the alphas'."""
        optimizers: list[torch.optim.Optimizer] = [
            self.strategy.params_optimizer.build(self._params.values())
        ]
        if alphas := list(self.strategy.parameters()):
            build = self.strategy.alpha_optimizer.build
            optimizers.append(build(alphas, lambda: self.trainer.estimated_stepping_batches))
        return optimizers

    def on_train_start(self) -> None:
        """Checks the Trainer's length; does not go on with a search that had reached its cap.

        Raises:
            ValueError: the Trainer's epochs are not the strategy's.
        """
        epochs = self.trainer.max_epochs
        if epochs != self.strategy.epochs:
            raise ValueError(
                f"Trainer(max_epochs={epochs}) must be the strategy's epochs "
                f"({self.strategy.epochs}): its schedules end there"
            )
        self._stop_at_cap()

    def on_train_epoch_start(self) -> None:
        """Seeds what the epoch draws, sets its learning rate, and tells the strategy."""
        epoch = self.current_epoch
        if self._rebuild(epoch):
            self.trainer.strategy.setup_optimizers(self.trainer)
        torch.manual_seed(keyed_seed(self.seed, "search", epoch, self.global_rank))
        self.lr = self.strategy.lr_at(epoch)
        for group in self._optimizer("params").param_groups:
            group["lr"] = self.lr
        self._stage_epoch = epoch - self.strategy.first_epoch(epoch)
        self.strategy.start_epoch(epoch)
        self.watch.start_epoch()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Builds for the epoch just finished, and tells the strategy, before its state loads."""
        self._rebuild(checkpoint["epoch"])
        self.trainer.precision_plugin.convert_module(self)  # Lightning does so after the loading
        self.strategy.start_epoch(checkpoint["epoch"])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Lets BatchNorm's statistics settle in the first steps."""
        step = self._stage_epoch * int(self.trainer.num_training_batches) + batch_idx
        if step <= SETTLED:
            settle(self._norms, step)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lets the strategy finish the epoch after its last step, or one that the cap makes so."""
        if self.trainer.is_last_batch or self.trainer.fit_loop.epoch_loop.done:
            val = self.trainer.val_dataloaders or ()
            self.strategy.finish_epoch(self.current_epoch, self, val)

    def training_step(self, batch: dict[str, Batch], batch_idx: int) -> None:
        """Takes one search step; stops where the cap of samples is reached.

        Raises:
            ValueError: the batch does not hold a "train" and a "val" part.
        """
        building.check_parts(batch)
        self.watch.start_step({IMAGES[part]: batch[part][0] for part in ("train", "val")})
        loss = self.strategy.search_step(batch["train"], batch["val"], self)
        once: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log("search/train_loss", loss, batch_size=len(batch["train"][1]), **once)
        self.log("search/lr", self.lr, reduce_fx="max", **once)
        self._stop_at_cap()

    def on_train_epoch_end(self) -> None:
        """Stops where numbers are none or processes differ (see `check_search`)."""
        average_statistics(self.supernet, self.trainer)
        check_search(self, self.watch)

    def on_validation_epoch_start(self) -> None:
        """Fixes the mixture that is validated, the strategy's scores, and logs its state."""
        average_statistics(self.supernet, self.trainer)
        self._validated = scores = self.strategy.scores()
        weights = scores.weights.detach()
        entropy = mean_entropy(weights, self.strategy.allowed)
        share = mean_share(weights, self.space.choices, "skip_connect")
        self.log("search/alpha_entropy", entropy, sync_dist=True)
        self.log("search/skip_share", share, sync_dist=True)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the mixture on the validation part."""
        x, targets = batch
        logits = self._logits(x, self._validated)
        loss = self.task.loss(logits, targets)
        self.log("search/validation_loss", loss, sync_dist=True, batch_size=len(targets))
        for name, metric in self.metrics.items():
            assert isinstance(metric, Metric)
            self.task.update(metric, logits, targets)
            self.log(f"search/validation_{name}", metric)

    def loss(
        self,
        batch: Batch,
        mixture: Mixture,
        params: Mapping[str, Tensor] | None = None,
        statistics: bool = False,
    ) -> Tensor:
        """Returns the mean loss of a batch under a mixture (see `SearchContext`)."""
        x, targets = batch
        self.meter.training_samples += len(targets) * self.trainer.world_size
        with nullcontext() if statistics else still_statistics(self._norms):
            return self.task.loss(self._logits(x, mixture, params), targets)

    def gradient(self, loss: Tensor, wrt: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Returns the gradient of a loss, averaged over processes (see `SearchContext`)."""
        return gradient_of(loss, wrt, self._mean())

    def lookahead(self, grads: Sequence[Tensor | None]) -> dict[str, Tensor]:
        """Returns the params after the next weight step, not taken (see `SearchContext`)."""
        settings, state = self.strategy.params_optimizer, self._optimizer("params").state
        pairs = zip(self._params.items(), grads, strict=True)
        return {n: settings.ahead(w, g, state.get(w, {}), self.lr) for (n, w), g in pairs}

    def minimise(self, which: str, closure: Callable[[], Tensor]) -> Tensor:
        """Takes one optimiser step (see `SearchContext`)."""
        taken = [self._optimizer(name) for name in OPTIMIZERS if which in (name, "both")]
        wrt = [
            p for optimizer in taken for group in optimizer.param_groups for p in group["params"]
        ]
        loss = closure()
        clipped = list(self._params.values()) if which != "alpha" else []
        grads = self.gradient(loss, wrt)
        take_step(taken, wrt, grads, clipped, self.strategy.params_optimizer.clip)
        self.meter.gradient_steps += 1
        self.watch.note(LOSSES[which], loss)
        return loss.detach()

    @torch.no_grad()
    def validate(
        self,
        mixture: Mixture,
        batches: Iterable[Batch],
        recalibrate: Iterable[Batch] | None = None,
        batch_statistics: bool = False,
    ) -> float:
        """Returns the main metric of a mixture; buffers stay (see `SearchContext`)."""
        metric = self.task.metrics(self.scale.outputs())[self.task.metric].to(self.device)
        forward = partial(self._measured_logits, mixture=mixture)
        still = recalibrate is None and (batch_statistics or self.trainer.world_size == 1)
        with kept_state(self.supernet, self._norms if still else ()):
            if recalibrate is not None:
                recalibrated(self.supernet, (x for x, _ in recalibrate), forward)
            if not still:
                average_statistics(self.supernet, self.trainer)
            set_mode(self.supernet, batch_statistics)
            for x, targets in batches:
                self.task.update(metric, forward(x), targets.to(self.device))
        return float(metric.compute())

    def cost(self, mixture: Mixture) -> dict[str, Tensor]:
        """Returns the expected cost of a mixture (see `SearchContext`)."""
        return self.space.cost(self.scale).of(mixture)

    def derive(self, val: Iterable[Batch]) -> Genotype:
        """Returns the genotype that the strategy found; the same in a search gone on with."""
        torch.manual_seed(keyed_seed(self.seed, "derive", self.global_rank))
        return self.strategy.derive(self, val)

    def _mean(self) -> Callable[[Tensor], Tensor] | None:
        if self.trainer.world_size == 1:
            return None
        return partial(self.trainer.strategy.reduce, reduce_op="mean")

    def _install(self, supernet: nn.Module) -> None:
        before = getattr(self, "_norms", [])
        self.supernet = supernet
        self._norms = batch_norms(supernet)
        synchronise(self._norms, is_synchronised(before))
        self._params = dict(supernet.named_parameters())

    def _rebuild(self, epoch: int) -> bool:
        """Builds the supernet of an epoch's stage, unless it is there; returns whether it was."""
        stage = self.strategy.stage(epoch)
        if stage == self._stage:
            return False
        old, self._stage, self.scale = self.supernet, stage, stage.of(self._whole)
        seed = keyed_seed(self.seed, "supernet", self.strategy.first_epoch(epoch))
        with self.trainer.precision_plugin.module_init_context():
            self._install(building.build_supernet(self.space, self.scale, seed).to(self.device))
        if stage.keep_params:
            building.keep_params(self.supernet, old)
        return True

    def _stop_at_cap(self) -> None:
        if self.max_samples is not None and self.meter.training_samples >= self.max_samples:
            self.trainer.should_stop = True

    def _logits(
        self, x: Tensor, mixture: Mixture, params: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        like = next(iter(self._params.values()), mixture.weights)
        arguments = building.channels_last(x), mixture.to(like)
        if params is None:
            out: Tensor = self.supernet(*arguments)
        else:
            out = functional_call(self.supernet, dict(params), arguments)
        return out

    def _measured_logits(self, x: Tensor, mixture: Mixture) -> Tensor:
        """Returns logits outside the training loop, in the precision of the training."""
        precision = self.trainer.precision_plugin
        with precision.forward_context():
            return self._logits(precision.convert_input(x.to(self.device)), mixture)

    def _optimizer(self, which: str) -> Any:
        optimizers = self.optimizers()
        found = optimizers if isinstance(optimizers, list) else [optimizers]
        return found[OPTIMIZERS.index(which)]
