"""The bilevel updates of a one-shot search, in plain torch: no Trainer is needed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nas_lightning.core.choices import Mixture
from nas_lightning.core.limit_penalty import limit_penalty
from nas_lightning.core.op_params import op_params
from nas_lightning.core.optimizers import known_steps
from nas_lightning.core.search_context import Batch
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.networks import batch_norm, native
from nas_lightning.training import search_state
from nas_lightning.training.cost_meter import CostMeter
from nas_lightning.training.finite_watch import LOSSES, FiniteWatch, check_search
from nas_lightning.training.ranks import Mean, average_statistics, check_agreement, means
from nas_lightning.training.stand_ins import StandIns
from nas_lightning.training.task import Classification, Task

__all__ = ["SearchUpdates"]


class SearchUpdates:
    """The supernet of a search and the updates that a strategy asks for: a `SearchContext`.

    Each gradient is taken by `torch.autograd.grad` for just the tensors that a step moves, averaged
    over processes and assigned. `SupernetModule` runs it under a Trainer; your own loop needs none:

    >>> from nas_lightning.core.scale import Scale
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> from nas_lightning.strategies.darts import Darts
    >>> space = NasBench201Space(scale=Scale(channels=2, cells=3))
    >>> strategy = Darts(space, seed=0, epochs=2)
    >>> updates = SearchUpdates(space, strategy, input_shape=(1, 8, 8), num_outputs=10, steps=2)
    >>> train = val = torch.zeros(4, 1, 8, 8), torch.arange(4)
    >>> for epoch in range(strategy.epochs):
    ...     updates.start_epoch(epoch)
    ...     loss = strategy.search_step(train, val, updates)
    ...     strategy.finish_epoch(epoch, updates, [val])
    >>> strategy.derive(updates, [val]).space
    'nasbench201'

    Args:
        input_shape: shape of one input, e.g. an image's (channels, height, width).
        task: loss and metrics; None takes `Classification`.
        seed: seed of the supernet's initial params.
        steps: steps of the whole search; needed where `alpha_optimizer.lr` is None.

    Attributes:
        supernet: the network; it and the strategy may be moved to a device or another dtype.
        stage_steps: number of weight steps since this stage began.
        mean: returns a tensor's mean over processes; to be set where there are several.
        limits: what draws alphas towards children within the space's limits; None where none do.
        num_processes: number of processes, each of which sees a part of every batch.
        forward_context: what every forward runs in, e.g. a function that returns an autocast.

    Raises: ValueError: the space cannot be built for such inputs, or a stage has no such scale.
    """

    supernet: nn.Module
    params: Mapping[str, Tensor]

    def __init__(
        self,
        space: SearchSpace,
        strategy: OneShotStrategy,
        input_shape: Sequence[int],
        num_outputs: int,
        task: Task | None = None,
        seed: int = 0,
        steps: int | None = None,
    ) -> None:
        self.space, self.strategy, self.seed, self.steps = space, strategy, seed, steps
        self.task: Task = task or Classification()
        self.mean: Mean | None = None
        self.num_processes = 1
        self.forward_context: Callable[[], AbstractContextManager[object]] = nullcontext
        self._whole = replace(space.scale, input_shape=tuple(input_shape), num_outputs=num_outputs)
        scales = [strategy.stage(epoch).of(self._whole) for epoch in range(strategy.epochs)]
        self._stage, self.scale = strategy.stage(0), scales[0]
        self._norms: list[nn.modules.batchnorm._BatchNorm] = []
        self._build(keyed_seed(seed, "supernet"))
        self.meter, self.watch = CostMeter(), FiniteWatch()
        self.limits = limit_penalty(space, strategy.scores)
        self._have_alphas_moved = False  # in this epoch
        self.lr = strategy.params_optimizer.lr

    @property
    def device(self) -> torch.device:
        """The supernet's device."""
        return next(iter(self.params.values())).device

    @cached_property
    def op_params(self) -> dict[str, tuple[str, ...]]:
        """The names of each operation's params (see `SearchContext`)."""
        return op_params(self.supernet, self.space.choices)

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimisers of "params" and, if the strategy has parameters, of "alpha"."""
        return self.build_optimizers(partial(known_steps, self.steps))

    def build_optimizers(self, steps: Callable[[], float]) -> dict[str, Optimizer]:
        """Returns new `optimizers`; asks for the steps of the whole search only if needed."""
        settings = self.strategy.params_optimizer
        optimizers: dict[str, Optimizer] = {"params": settings.build(self.params.values())}
        if alphas := list(self.strategy.parameters()):
            optimizers["alpha"] = self.strategy.alpha_optimizer.build(alphas, steps)
        return optimizers

    def set_alpha_lr(self, steps: Callable[[], float]) -> None:
        """Sets the alphas' learning rate anew where it follows from the steps of the search."""
        settings, optimizer = self.strategy.alpha_optimizer, self.optimizers.get("alpha")
        if optimizer is not None and settings.lr is None:
            for group in optimizer.param_groups:
                group["lr"] = settings.lr_of(steps)

    def start_epoch(self, epoch: int) -> None:
        """Builds the epoch's (0-based) stage, sets its learning rate and tells the strategy."""
        self.rebuild(epoch)
        self.lr = self.strategy.lr_at(epoch)
        for group in self.optimizers["params"].param_groups:
            group["lr"], group["weight_decay"] = self.lr, self.strategy.weight_decay
        self.strategy.start_epoch(epoch)
        self.watch.start_epoch()

    def rebuild(self, epoch: int) -> bool:
        """Builds the supernet of an epoch's stage, if it is another one; returns whether it was."""
        stage = self.strategy.stage(epoch)
        if stage == self._stage:
            return False
        old, device, dtype = self.supernet, self.device, next(iter(self.params.values())).dtype
        self._stage, self.scale = stage, stage.of(self._whole)
        seed = keyed_seed(self.seed, "supernet", self.strategy.first_epoch(epoch))
        self._build(seed, device, dtype)
        if stage.keep_params:
            search_state.keep_params(self.supernet, old)
        for name in ("optimizers", "op_params"):  # built anew when they are next asked for
            self.__dict__.pop(name, None)
        return True

    def end_epoch(self, epoch: int) -> None:
        """Averages BatchNorm's statistics; raises where numbers are bad or processes differ.

        That is a FloatingPointError (see `check_search`) or an ArithmeticError (`check_agreement`).
        """
        if self.limits is not None and self._have_alphas_moved:  # else multipliers would wind up
            self.limits.update(self.strategy.scores())
        self._have_alphas_moved = False
        self.average_statistics()
        check_search(self.watch, self.strategy, self.params, epoch)
        if self.num_processes > 1:
            check_agreement(self.strategy, self.params.values(), epoch)

    def average_statistics(self) -> None:
        """Sets BatchNorm's statistics to their means over processes."""
        average_statistics(self.supernet, self.mean)

    def loss(
        self,
        batch: Batch,
        mixture: Mixture,
        params: Mapping[str, Tensor] | None = None,
        statistics: bool = False,
    ) -> Tensor:
        """Returns the mean loss of a batch under a mixture (see `SearchContext`)."""
        x, targets = batch
        self.meter.training_samples += len(targets) * self.num_processes
        still = nullcontext() if statistics else batch_norm.still_statistics(self._norms)
        with self.forward_context(), still:
            return self.task.loss(self.logits(x, mixture, params), targets.to(self.device))

    def logits(
        self, x: Tensor, mixture: Mixture, params: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Returns the outputs of x (N, ...), cast to the params' type; `params` replace its own."""
        like = next(iter(self.params.values()))
        x = x.to(like.device, like.dtype if x.is_floating_point() else x.dtype)
        if x.dim() == 4:  # images (N, C, H, W), in the memory order that is fastest
            x = x.contiguous(memory_format=native.memory_order())
        inputs = x, mixture.to(like)
        with self._stand_ins.replaced(params or {}):
            out: Tensor = self.supernet(*inputs)
        return out

    def gradient(self, loss: Tensor, wrt: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Returns a loss's gradient (see `SearchContext`), None on all processes or on none."""
        if not loss.requires_grad:
            return (None,) * len(wrt)
        grads = torch.autograd.grad(loss, list(wrt), allow_unused=True)
        present = [g for g in grads if g is not None]
        if self.mean is None or not present:
            return grads
        averages = iter(means(present, self.mean))
        return tuple(None if g is None else next(averages) for g in grads)

    def draws_again(self) -> AbstractContextManager[None]:
        """Lets what follows the block draw the same random numbers (see `SearchContext`)."""
        return search_state.draws_again(self.supernet, self.device)

    def lookahead(self, grads: Sequence[Tensor | None]) -> dict[str, Tensor]:
        """Returns the params after the next weight step, not taken (see `SearchContext`)."""
        settings, state = self.strategy.params_optimizer, self.optimizers["params"].state
        pairs = zip(self.params.items(), grads, strict=True)
        return {n: settings.ahead(w, g, state.get(w, {}), self.lr) for (n, w), g in pairs}

    def minimise(self, which: str, closure: Callable[[], Tensor]) -> Tensor:
        """Takes one optimiser step and leaves no gradient behind (see `SearchContext`)."""
        names = ("params", "alpha") if which == "both" else (which,)
        optimizers = [self.optimizers[name] for name in names]
        moved = [p for each in optimizers for group in each.param_groups for p in group["params"]]
        if "params" in names:
            if self.stage_steps <= batch_norm.SETTLED:  # until then statistics are plain means
                batch_norm.settle(self._norms, self.stage_steps)
            self.stage_steps += 1
        loss = closure()
        total = loss
        if self.limits is not None and which != "params":
            total = loss + self.limits(self.strategy.scores()).to(loss)
            self._have_alphas_moved = True
        for param, grad in zip(moved, self.gradient(total, moved), strict=True):
            param.grad = grad
        if "params" in names:  # alphas are not clipped
            clip = self.strategy.params_optimizer.clip
            nn.utils.clip_grad_norm_(self.params.values(), clip, foreach=True)
        for optimizer in optimizers:
            optimizer.step()
        for param in moved:
            param.grad = None
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

        def forward(x: Tensor) -> Tensor:
            with self.forward_context():
                return self.logits(x, mixture)

        still = recalibrate is None and (batch_statistics or self.num_processes == 1)
        with batch_norm.kept_state(self.supernet, self._norms if still else ()):
            if recalibrate is not None:
                batch_norm.recalibrated(self.supernet, (x for x, _ in recalibrate), forward)
            if not still:
                self.average_statistics()
            batch_norm.set_mode(self.supernet, batch_statistics)
            for x, targets in batches:
                self.task.update(metric, forward(x), targets.to(self.device))
        return float(metric.compute())

    def snapshot(self) -> dict[str, Any]:
        """Returns a copy of all that steps move (see `SearchContext`)."""
        return search_state.snapshot(self._moving(), self.optimizers)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Sets all that steps move to what a snapshot holds (see `SearchContext`)."""
        search_state.restore(self._moving(), self.optimizers, snapshot)

    def _moving(self) -> dict[str, Tensor]:
        return search_state.moving(self.supernet, self.strategy, self.limits)

    def reward(self, value: float) -> float:
        """Returns a figure of `validate` such that higher is better (see `SearchContext`)."""
        return self.task.reward(value)

    def cost(self, mixture: Mixture) -> dict[str, Tensor]:
        """Returns the expected cost of a mixture (see `SearchContext`)."""
        return self.space.cost(self.scale).of(mixture)

    def _build(
        self, seed: int, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            supernet = self.space.supernet(self.scale)
        supernet.to(device, dtype).to(memory_format=native.memory_order())  # type: ignore[call-overload]
        norms = batch_norm.batch_norms(supernet)
        batch_norm.synchronise(norms, batch_norm.is_synchronised(self._norms))
        self.supernet, self._norms, self.stage_steps = supernet, norms, 0
        self.params = dict(supernet.named_parameters())
        self._stand_ins = StandIns(supernet)
