"""Updates of a search whose losses are CUDA graphs: the host launches a pass as one."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_context import Batch
from nas_lightning.networks import batch_norm
from nas_lightning.networks.draws import NormalDraws
from nas_lightning.training.updates import SearchUpdates

__all__ = ["GraphedUpdates"]

SIGHTS, MOST = 3, 8  # runs before a loss is captured, and captured losses of a stage
GIVEN = 3  # inputs before the params: images, targets, weights


class GraphedUpdates(SearchUpdates):
    """`SearchUpdates` that replay CUDA graphs of what a search repeats (hardware.graphs=true).

    A loss that is minimised with the same shapes, options, params' places and momentum of
    BatchNorm is captured with its gradients when it comes the fourth time. From then on the host
    launches it as one, and its gradients as one. What differs from step to step runs as ever: other
    params (a look-ahead), single paths that are drawn, drawn noise, and a second loss before the
    gradient of the first is taken. Each graph keeps the activations of its pass.

    The numbers are those of `SearchUpdates`: the same operators run, in the same order.

    Raises: ValueError: a loss cannot be captured, e.g. since an operation waits for the device.
    """

    _which = ""  # optimiser that a loss is now computed for

    def minimise(self, which: str, closure: Callable[[], Tensor]) -> Tensor:
        """Takes one optimiser step (see `SearchContext`); its losses may be graphs."""

        def graphed() -> Tensor:
            self._which, self._is_pending = which, False
            try:
                return closure()
            finally:
                self._which = ""

        return super().minimise(which, graphed)

    def gradient(self, loss: Tensor, wrt: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
        """Returns a loss's gradient (see `SearchContext`), which later replays leave alone."""
        grads = super().gradient(loss, wrt)
        present = [grad for grad in grads if grad is not None]
        if not self._which or not present:  # a step itself takes its gradient before any replay
            return grads
        copies = iter(torch._foreach_mul(present, 1.0))  # in few launches
        return tuple(None if grad is None else next(copies) for grad in grads)

    def loss(
        self,
        batch: Batch,
        mixture: Mixture,
        params: Mapping[str, Tensor] | None = None,
        statistics: bool = False,
    ) -> Tensor:
        """Returns the mean loss of a batch under a mixture (see `SearchContext`)."""
        if not self._repeats(batch, mixture, params):
            return super().loss(batch, mixture, params, statistics)
        inputs = *batch, mixture.weights, *(params or self.params).values()
        key = self._key(inputs, mixture, statistics)
        self._sights[key] += 1
        is_full = len(self._graphs) == MOST and key not in self._graphs
        if self._is_pending or is_full or self._sights[key] <= SIGHTS:
            return super().loss(batch, mixture, params, statistics)
        if key not in self._graphs:
            self._graphs[key] = self._captured(inputs, mixture, statistics)
        self.meter.training_samples += len(batch[1]) * self.num_processes
        loss: Tensor = self._graphs[key](*inputs).clone()  # the next replay writes over it
        self._is_pending = loss.requires_grad
        if loss.requires_grad:
            loss.register_hook(self._end_pass)  # type: ignore[no-untyped-call]
        return loss

    def _build(self, *stage: Any) -> None:
        super()._build(*stage)
        self._graphs: dict[Hashable, Callable[..., Tensor]] = {}
        self._sights, self._is_pending = Counter[Hashable](), False
        self._has_noise = any(isinstance(m, NormalDraws) for m in self.supernet.modules())

    def _repeats(self, batch: Batch, mixture: Mixture, params: Mapping[str, Tensor] | None) -> bool:
        """Returns whether a loss is one that may run again with nothing but other numbers."""
        is_there = all(tensor.device == self.device for tensor in (*batch, mixture.weights))
        is_plain = is_there and mixture.added is None and not self._has_noise
        return bool(self._which) and is_plain and (params is None or self._are_own(params))

    def _are_own(self, params: Mapping[str, Tensor]) -> bool:
        """Returns whether params are the supernet's, detached or not."""
        pairs = zip(params.values(), self.params.values(), strict=False)
        return [*params] == [*self.params] and all(p.data_ptr() == q.data_ptr() for p, q in pairs)

    def _key(self, inputs: Sequence[Tensor], mixture: Mixture, statistics: bool) -> Hashable:
        """Returns all that a graph holds fast."""
        kinds = tuple((t.shape, t.stride(), t.dtype, t.requires_grad) for t in inputs[:GIVEN])
        params = tuple((p.data_ptr(), p.requires_grad) for p in inputs[GIVEN:])
        momenta = tuple(norm.momentum for norm in self._norms)
        options = mixture.support, mixture.partial
        return kinds, params, options, statistics, self.supernet.training, momenta

    def _captured(
        self, inputs: Sequence[Tensor], mixture: Mixture, statistics: bool
    ) -> Callable[..., Tensor]:
        """Captures a loss; what running it to warm up moves is set back."""
        names, counted = list(self.params), self.meter.training_samples

        def loss(x: Tensor, targets: Tensor, weights: Tensor, *params: Tensor) -> Tensor:
            mixed = Mixture(weights, mixture.support, None, mixture.partial)
            named = dict(zip(names, params, strict=True))
            return SearchUpdates.loss(self, (x, targets), mixed, named, statistics)

        kept = [t.detach().clone().requires_grad_(t.requires_grad) for t in inputs[:GIVEN]]
        # a graph must cast params anew, not take what a cast of an earlier step left
        no_cache = torch.autocast(self.device.type, enabled=False, cache_enabled=False)
        try:
            with batch_norm.kept_state(self.supernet), no_cache:
                samples = *kept, *inputs[GIVEN:]
                run = torch.cuda.make_graphed_callables(loss, samples, allow_unused_input=True)
        except RuntimeError as error:
            raise ValueError(
                f"hardware.graphs (true) needs losses that CUDA can capture, and those of strategy "
                f"{type(self.strategy).__name__} are not ({error}); leave it out"
            ) from error
        finally:
            self.meter.training_samples = counted
        return run  # type: ignore[return-value]

    def _end_pass(self, _: Tensor) -> None:
        self._is_pending = False
