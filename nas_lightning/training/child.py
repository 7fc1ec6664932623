"""The LightningModule that trains a child, and the recipe it follows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric, Metric

from nas_lightning.core.checks import at_least, in_range, positive
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_context import Batch
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.networks import native
from nas_lightning.networks.batch_norm import SETTLED, batch_norms, settle
from nas_lightning.networks.cell import DropPath
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.finite_watch import DATA_CURE, IMAGES, FiniteWatch, check_finite
from nas_lightning.training.ranks import average_statistics, mean_of
from nas_lightning.training.task import Classification, Task
from nas_lightning.training.time_plan import TimePlan

__all__ = ["ChildModule", "ChildRecipe", "build_child", "built"]

LOSS = "the child's loss"
SHARES = ("warmup", "momentum", "label_smoothing", "drop_path", "validation_share")


@dataclass(frozen=True)
class ChildRecipe:
    """How a child is trained.

    SGD with plain momentum; the learning rate rises linearly over the share `warmup` of all steps,
    then falls along a cosine, step by step (DARTS's own schedule moves once per epoch).

    Attributes:
        epochs: passes over the training set, at least 1.
        batch_size: images of a step; None takes the data's.
        lr: largest learning rate, above 0.
        lr_min: learning rate that the cosine ends at.
        warmup: share of the steps in which it rises, in [0, 1).
        momentum: share of the last update that is kept, in [0, 1).
        weight_decay: added to the gradient, times the parameter.
        clip: largest norm of all gradients together, above 0.
        label_smoothing: share of a target spread over all classes, in [0, 1); None: the task's.
        drop_path: probability, in [0, 1), of dropping an operation; grows linearly from 0.
        auxiliary_weight: weight of the auxiliary head's loss, if scale.auxiliary.
        cutout: side in pixels of the square cut out of training images; 0 cuts nothing.
        validation_share: share of the training set held out, in [0, 1); 0 takes the last epoch.
        init: initial params: None draws them, "supernet" inherits those of the search (in nas-train
            of that which genotype names), and the folder of a run (nas-train) takes its child's,
            but for a head of other outputs.

    Raises: ValueError: a value is out of range.
    """

    epochs: int = 12
    batch_size: int | None = None
    lr: float = 0.1
    lr_min: float = 0.0
    warmup: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    label_smoothing: float | None = None
    drop_path: float = 0.0
    auxiliary_weight: float = 0.4
    cutout: int = 0
    validation_share: float = 0.0
    init: str | None = None
    scale: Scale = Scale(channels=16, cells=5, flavour="child")

    def __post_init__(self) -> None:
        at_least("child.epochs", self.epochs, 1, use=12)
        in_range("child.lr", self.lr, "(0, inf)", use=0.025)
        in_range("child.lr_min", self.lr_min, f"[0, {self.lr}]", use=0)
        for name in SHARES:
            in_range(f"child.{name}", getattr(self, name), "[0, 1)", use=0.1)
        in_range("child.weight_decay", self.weight_decay, "[0, inf)", use=3e-4)
        positive("child.clip", self.clip, use=5.0)
        at_least("child.cutout", self.cutout, 0)

    def lr_share(self, step: int, steps: int) -> float:
        """Returns the share of `lr` with which a step (0-based) of `steps` is taken."""
        warmup, lowest = int(steps * self.warmup), self.lr_min / self.lr
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1, steps - warmup)
        return lowest + (1 - lowest) * (1 + cos(pi * done)) / 2


class ChildModule(L.LightningModule):
    """Trains a network with a recipe; optimisation is automatic.

    Args:
        network: forward(x) -> logits; with `drop_path` in the recipe forward(x, drop_path=...).
        task: loss and metrics; None takes `Classification`.
        seed: seed of what is drawn while it trains.
        card: what the network is: plain data kept in every checkpoint under "child".
        plan: sets the recipe's epochs by the time that they take; None leaves them.
    """

    def __init__(
        self,
        network: nn.Module,
        num_outputs: int,
        recipe: ChildRecipe | None = None,
        task: Task | None = None,
        seed: int = 0,
        card: dict[str, Any] | None = None,
        plan: TimePlan | None = None,
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=native.memory_order())  # type: ignore[call-overload]
        self.recipe, self.seed = recipe or ChildRecipe(), seed
        self.task: Task = task or Classification()
        self.card, self.plan = card or {}, plan
        self.meter, self.watch = CostMeter(), FiniteWatch()
        self.train_metrics = nn.ModuleDict(self.task.metrics(num_outputs))
        self.validation_metrics = nn.ModuleDict(self.task.metrics(num_outputs))
        self.test_metrics = nn.ModuleDict(self.task.metrics(num_outputs))
        names = ("train_loss", "lr", "validation_loss")
        self.means = nn.ModuleDict({name: MeanMetric(nan_strategy="disable") for name in names})
        self.confusion = self.task.confusion(num_outputs)
        self._drop_path: DropPath | None = None
        self._norms = batch_norms(network)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs of images (N, C, H, W), normalised."""
        out: Tensor = self.network(x)
        return out

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the training loss, smoothed and with the auxiliary head's, and the logits."""
        x, targets = batch
        share = self.recipe.label_smoothing
        smoothing = self.task.label_smoothing if share is None else share
        if hasattr(self.network, "auxiliary"):
            logits, auxiliary = self.network.forward_auxiliary(x, self._drop_path)
            extra = self.recipe.auxiliary_weight * self.task.loss(auxiliary, targets, smoothing)
            return self.task.loss(logits, targets, smoothing) + extra, logits
        more = {} if self._drop_path is None else {"drop_path": self._drop_path}
        logits = self.network(x, **more)
        return self.task.loss(logits, targets, smoothing), logits

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Returns SGD and its schedule, step by step."""
        recipe = self.recipe  # its epochs may change, its learning rates do not
        optimizer = torch.optim.SGD(
            self.network.parameters(),
            recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            foreach=True,
        )
        batches = self.trainer.estimated_stepping_batches / (self.trainer.max_epochs or 1)

        def share(step: int) -> float:
            return recipe.lr_share(step, round(batches * self.recipe.epochs))

        by_step = LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": by_step, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        """Clips the norm of all gradients together."""
        self.clip_gradients(optimizer, self.recipe.clip, "norm")

    def on_train_start(self) -> None:
        """Starts the clock of a plan."""
        if self.plan is not None:
            self.plan.start()

    def on_train_epoch_start(self) -> None:
        """Seeds what the epoch draws and sets its drop-path probability."""
        epoch = self.current_epoch
        self.watch.start_epoch()
        seed = keyed_seed(self.seed, "child", epoch, self.global_rank)
        torch.manual_seed(seed)
        probability = self.recipe.drop_path * epoch / self.recipe.epochs
        generator = torch.Generator(self.device).manual_seed(seed)
        self._drop_path = DropPath(probability, generator) if probability > 0 else None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Lets BatchNorm's statistics settle in the first steps."""
        if self.trainer.global_step <= SETTLED:
            settle(self._norms, self.trainer.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss (see `loss`)."""
        x, targets = batch
        self.watch.start_step({IMAGES["train"]: x})
        total, logits = self.loss(batch)
        self.watch.note(LOSS, total)
        self._average("train_loss", batch_idx, total.detach(), len(targets))
        self._average("lr", batch_idx, self.trainer.optimizers[0].param_groups[0]["lr"])
        self._measure("train", self.train_metrics, batch_idx, logits, targets)
        self.meter.training_samples += len(targets) * self.trainer.world_size
        self.meter.gradient_steps += 1
        return total

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Tells the plan that a step has ended."""
        if self.plan is not None:
            self.plan.note_step(batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the child on held-out images."""
        x, targets = batch
        logits = self.network(x)
        self._average("validation_loss", batch_idx, self.task.loss(logits, targets), len(targets))
        self._measure("validation", self.validation_metrics, batch_idx, logits, targets)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Measures the child on the test set; returns the logits, for callbacks."""
        x, targets = batch
        logits: Tensor = self.network(x)
        self._measure("test", self.test_metrics, batch_idx, logits, targets)
        if self.confusion is not None:
            self.task.update(self.confusion, logits, targets)
        return logits

    def on_train_epoch_end(self) -> None:
        """Plans the epochs by time; raises FloatingPointError where it met NaN or infinity."""
        if self.plan is not None and self.plan.follow(self.trainer):
            self._take_epochs(self.plan)
        average_statistics(self.network, mean_of(self.trainer))
        cure, epoch = f"lower child.lr ({self.recipe.lr})", self.current_epoch
        self.watch.check(epoch, {IMAGES["train"]: DATA_CURE, LOSS: cure})
        check_finite("the child's params", dict(self.network.named_parameters()), epoch, cure)

    def on_validation_epoch_start(self) -> None:
        """Has all processes validate one network."""
        average_statistics(self.network, mean_of(self.trainer))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the precision of the training, which Lightning does after loading the params."""
        self.trainer.precision_plugin.convert_module(self)
        if self.plan is not None:
            self.plan.load(checkpoint, self.trainer)
            self._take_epochs(self.plan)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the card, and the plan, to a checkpoint."""
        checkpoint["child"] = self.card
        if self.plan is not None:
            self.plan.save(checkpoint)

    def _take_epochs(self, plan: TimePlan) -> None:
        self.recipe = replace(self.recipe, epochs=plan.epochs or self.recipe.epochs)

    def _average(self, name: str, batch_idx: int, value: Tensor | float, samples: int = 1) -> None:
        """Adds a batch to a mean that is logged at the end of the epoch."""
        mean = self.means[name]
        assert isinstance(mean, MeanMetric)
        mean.update(value, samples)
        self._log(f"child/{name}", mean, batch_idx)

    def _measure(
        self, stage: str, metrics: nn.ModuleDict, batch_idx: int, out: Tensor, targets: Tensor
    ) -> None:
        """Adds a batch to metrics that are logged at the end of the epoch."""
        for name, metric in metrics.items():
            assert isinstance(metric, Metric)
            self.task.update(metric, out, targets)
            self._log(f"child/{stage}_{name}", metric, batch_idx)

    def _log(self, name: str, metric: Metric, batch_idx: int) -> None:
        if batch_idx == 0:  # Lightning then keeps the metric itself; each call costs it 1 ms
            self.log(name, metric, on_step=False, on_epoch=True)


def build_child(space: SearchSpace, genotype: Genotype, scale: Scale, seed: int) -> nn.Module:
    """Builds a child whose initial params depend on the seed alone."""
    return built(lambda: space.child(genotype, scale), seed)


def built(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Builds a network whose initial params depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(keyed_seed(seed, "initial params"))
        return build()
