"""Updates of a search whose losses are CUDA graphs: the host launches a pass as one."""

import gc
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nas_lightning.core.choices import Mixture
from nas_lightning.core.search_context import Batch
from nas_lightning.networks import batch_norm
from nas_lightning.networks.draws import NormalDraws
from nas_lightning.training.updates import SearchUpdates

__all__ = ["GraphedUpdates"]

SIGHTS = 3  # runs of a loss, one like the other, before it is captured
GIVEN = 3  # inputs before the params: images, targets, weights

Graph = Callable[..., Tensor]
Slot = tuple[str, bool, bool]  # which loss of a step: optimiser, statistics, gradient to weights


class GraphedUpdates(SearchUpdates):
    """`SearchUpdates` that replay CUDA graphs of what a search repeats (hardware.graphs=true).

    A loss that is minimised with the same shapes, options, params' places and momentum of
    BatchNorm is captured with its gradients when it comes the fourth time in a row. From then on
    the host launches it as one, and its gradients as one. What differs from step to step runs as
    ever: other params (a look-ahead), single paths that are drawn, drawn noise, and a second loss
    before the gradient of the first is taken. Each graph keeps the activations of its pass; a new
    one takes the place of the last one of its kind.

    The numbers are those of `SearchUpdates`: the same operators run, in the same order.

    Raises: ValueError: a loss cannot be captured, e.g. since an operation waits for the device.
    """

    _which = ""  # optimiser that a loss is now computed for
    _is_pending = False  # whether the gradient of a graph's loss is still to be taken

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
        if self._is_pending or not self._repeats(batch, mixture, params):
            return super().loss(batch, mixture, params, statistics)
        inputs = *batch, mixture.weights, *(params or self.params).values()
        graph = self._graph(inputs, mixture, statistics)
        if graph is None:
            return super().loss(batch, mixture, params, statistics)
        self.meter.training_samples += len(batch[1]) * self.num_processes
        loss = graph(*inputs).clone()  # the next replay writes over it
        self._is_pending = loss.requires_grad
        if loss.requires_grad:
            loss.register_hook(self._end_pass)  # type: ignore[no-untyped-call]
        return loss

    def release(self) -> None:
        """Frees the memory of all graphs."""
        self._graphs: dict[Slot, tuple[Hashable, Graph]] = {}
        self._seen: dict[Slot, tuple[Hashable, int]] = {}
        gc.collect()  # a graph refers to itself

    def _build(self, *stage: Any) -> None:
        self.release()
        super()._build(*stage)
        self._has_noise = any(isinstance(m, NormalDraws) for m in self.supernet.modules())

    def _repeats(self, batch: Batch, mixture: Mixture, params: Mapping[str, Tensor] | None) -> bool:
        """Returns whether a loss is one that may run again with nothing but other numbers."""
        if not self._which or not torch.is_grad_enabled():
            return False
        is_there = all(tensor.device == self.device for tensor in (*batch, mixture.weights))
        is_plain = is_there and mixture.added is None and not self._has_noise
        return is_plain and (params is None or self._are_own(params))

    def _are_own(self, params: Mapping[str, Tensor]) -> bool:
        """Returns whether params are the supernet's, detached or not."""
        own = self.params
        return [*params] == [*own] and _places(params.values()) == _places(own.values())

    def _graph(self, inputs: Sequence[Tensor], mixture: Mixture, statistics: bool) -> Graph | None:
        """Returns the graph of a loss, captured now if it is time; None lets it run as ever."""
        slot = self._which, statistics, mixture.weights.requires_grad
        key = self._key(inputs, mixture)
        last, times = self._seen.get(slot, (None, 0))
        self._seen[slot] = key, times + 1 if key == last else 1
        if slot in self._graphs and self._graphs[slot][0] == key:
            return self._graphs[slot][1]
        if self._seen[slot][1] <= SIGHTS:
            return None
        self._graphs.pop(slot, None)
        gc.collect()  # a graph that is freed during a capture ends it
        self._graphs[slot] = key, self._captured(inputs, mixture, statistics)
        return self._graphs[slot][1]

    def _key(self, inputs: Sequence[Tensor], mixture: Mixture) -> Hashable:
        """Returns all that a graph holds fast."""
        given, params = inputs[:GIVEN], inputs[GIVEN:]
        kinds = tuple((t.shape, t.stride(), t.dtype, t.requires_grad) for t in given)
        own = _places(params), tuple(param.requires_grad for param in params)
        momentum = min(self.stage_steps, batch_norm.SETTLED + 1)  # follows from it
        return kinds, own, mixture.support, mixture.partial, self.supernet.training, momentum

    def _captured(self, inputs: Sequence[Tensor], mixture: Mixture, statistics: bool) -> Graph:
        """Captures a loss; what running it to warm up moves and draws is set back."""
        names, counted, device = list(self.params), self.meter.training_samples, self.device.type

        def loss(x: Tensor, targets: Tensor, weights: Tensor, *params: Tensor) -> Tensor:
            mixed = Mixture(weights, mixture.support, None, mixture.partial)
            named = dict(zip(names, params, strict=True))
            return SearchUpdates.loss(self, (x, targets), mixed, named, statistics)

        copies = [tensor.detach().clone() for tensor in inputs[:GIVEN]]
        # params in their places, which the graph keeps, but apart from what other passes recorded
        leaves = *copies, *(param.detach() for param in inputs[GIVEN:])
        samples = tuple(
            leaf.requires_grad_(tensor.requires_grad)
            for leaf, tensor in zip(leaves, inputs, strict=True)
        )
        # a graph must cast params anew, not take what a cast of an earlier step left
        is_cast, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        no_cache = torch.autocast(device, dtype, is_cast, cache_enabled=False)
        try:
            with batch_norm.kept_state(self.supernet), self.draws_again(), no_cache:
                run = torch.cuda.make_graphed_callables(loss, samples, allow_unused_input=True)
        except RuntimeError as error:
            reason = str(error.__context__ or error).partition("\n")[0]  # not that it then failed
            raise ValueError(
                f"hardware.graphs (true) needs losses that CUDA can capture, and those of strategy "
                f"{type(self.strategy).__name__} are not ({reason}); leave it out"
            ) from error
        finally:
            self.meter.training_samples = counted
        return run  # type: ignore[return-value]

    def _end_pass(self, _: Tensor) -> None:
        self._is_pending = False


def _places(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    return tuple(map(Tensor.data_ptr, tensors))
