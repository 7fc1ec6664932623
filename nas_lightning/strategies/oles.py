"""OLES: an operation whose params begin to overfit the training data is trained no further.

Source: Jiang et al., Operation-Level Early Stopping, NeurIPS 2023, section 4.2 and algorithm 1, and
the official code for what an operation is (one per edge of each cell; skips are none) and for the
means, which begin anew after each check. DARTS's first-order search does the rest.
Deliberate differences:

- The cosine is that of an operation's two whole gradients, as in the paper's equation; the code
  takes one per kernel along the output channels and averages them.
- Both gradients are those of one search step, at the same params; the code compares the validation
  gradient with the training gradient of the step before.
- A mean is over `every` steps; the code divides the sum of 21 cosines by 20.
- A frozen operation stands still wholly: neither momentum nor decay moves its params, and the
  norm that is clipped is that of the others. In the code that depends on the version of torch.
  As there, its BatchNorm statistics move on.
- By default alphas learn as in `strategies.darts`, by the length of the search.

It costs no further forward: the alpha step's backward reaches the operations' params as well.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.surrogate import surrogate
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["Oles", "agreement"]

log = logging.getLogger(__name__)

Grads = Mapping[str, Tensor | None]  # of params, by their name
NEVER = -1
STATE = ("steps", "total", "seen", "frozen_at")


class Oles(AlphaStrategy):
    """Differentiable architecture search with operation-level early stopping.

    Args:
        epochs: length of the search; the paper has 50.
        every: steps between two checks of an operation, at least 1; the paper has 20.
        threshold: mean cosine, in [-1, 1], below which an operation is frozen; the paper has 0.4,
            and -1 freezes none.

    Attributes:
        frozen_at: step of the search (1-based) at which each operation was frozen, -1 where it was
            not, in the order of `SearchContext.op_params`; empty before the first step.

    Raises: ValueError: a value is out of range, or no choice of the space is an operation.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> oles = Oles(NasBench201Space(), seed=0, every=10)
    >>> oles.frozen_at.tolist()
    []
    """

    steps: Tensor  # int (): steps of the search so far
    total: Tensor  # float64 (operations,): sum of cosines since the last check
    seen: Tensor  # int (operations,): their number
    frozen_at: Tensor  # int (operations,)

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        every: int = 20,
        threshold: float = 0.4,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        at_least("strategy.every", every, 1, use=20)
        in_range("strategy.threshold", threshold, "[-1, 1]", use=0.4)
        if all(choice.kind != "op" for choice in space.choices):
            raise ValueError(
                f"strategy=oles freezes operations, but search space '{space.name}' chooses none: "
                "its options share their params; choose e.g. strategy=darts"
            )
        self.every, self.threshold = every, threshold
        self._begin(0)

    def search_step(self, train: Batch, val: Batch, context: SearchContext) -> Tensor:
        """Updates alphas, then the params that are not frozen; returns the training loss."""
        if len(self.frozen_at) != len(context.op_params):  # the first step
            self._begin(len(context.op_params))
        loss = context.loss(val, self.mixture("alpha"))
        names = [name for params in self._trained(context).values() for name in params]
        of_alpha, *of_val = context.gradient(
            loss, [self.alpha, *(context.params[n] for n in names)]
        )
        context.minimise("alpha", lambda: surrogate(loss, [self.alpha], [of_alpha]))
        grads = dict(zip(names, of_val, strict=True))
        return context.minimise("params", lambda: self._weight_loss(train, grads, context))

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the genotype of the best scores; reports what was frozen."""
        if int(self.steps):
            self._report([] if context is None else list(context.op_params))
        return super().derive(context, val)

    def get_extra_state(self) -> dict[str, Tensor]:
        """Returns the state of the generator, the running means and what is frozen."""
        return super().get_extra_state() | {name: getattr(self, name) for name in STATE}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Restores them."""
        super().set_extra_state(state)
        self._hold({name: state[name] for name in STATE})

    def _begin(self, number: int) -> None:
        """Sets the state before the first step, of a number of operations."""
        total = torch.zeros(number, dtype=torch.float64)
        seen, frozen_at = torch.zeros(number, dtype=torch.int64), torch.full((number,), NEVER)
        self._hold(dict(zip(STATE, (torch.tensor(0), total, seen, frozen_at), strict=True)))

    def _hold(self, state: Mapping[str, Tensor]) -> None:
        for name, value in state.items():
            self.register_buffer(name, value.to(self.alpha.device, copy=True), persistent=False)

    def _trained(self, context: SearchContext) -> dict[int, Sequence[str]]:
        """Returns the names of the params of each operation that is not frozen, by its number."""
        rows = zip(context.op_params.values(), self.frozen_at.tolist(), strict=True)
        return {n: names for n, (names, step) in enumerate(rows) if step == NEVER}

    def _weight_loss(self, batch: Batch, of_val: Grads, context: SearchContext) -> Tensor:
        """Returns the training loss, with a gradient to the params that are not frozen.

        Before that it compares the gradients and freezes what no longer agrees.
        """
        loss = context.loss(batch, self.mixture("params"), statistics=True)
        still = self._frozen(context)
        names = [name for name in context.params if name not in still]
        found = context.gradient(loss, [context.params[name] for name in names])
        grads = dict(zip(names, found, strict=True))
        self._compare(grads, of_val, context)
        still = self._frozen(context)
        names = [name for name in names if name not in still]
        return surrogate(loss, [context.params[n] for n in names], [grads[n] for n in names])

    def _frozen(self, context: SearchContext) -> set[str]:
        trained = self._trained(context)
        rows = enumerate(context.op_params.values())
        return {name for number, names in rows if number not in trained for name in names}

    @torch.no_grad()
    def _compare(self, of_train: Grads, of_val: Grads, context: SearchContext) -> None:
        """Adds to the means, and freezes the operations whose mean is due and too low."""
        self.steps += 1
        for number, names in self._trained(context).items():
            cosine = agreement([of_train[n] for n in names], [of_val[n] for n in names])
            if cosine is not None:
                self.total[number] += cosine
                self.seen[number] += 1
        is_due = self.seen >= self.every
        is_low = is_due & (self.total < self.threshold * self.seen)
        self.frozen_at[is_low] = self.steps
        self.total[is_due] = 0.0
        self.seen[is_due] = 0

    def notes(self) -> list[str]:
        """Returns why nothing could be frozen, where that is so: no operations, or no check."""
        if int(self.steps) and not len(self.frozen_at):
            return [
                f"strategy oles froze nothing: no operation of search space '{self.space.name}' "
                "has params that it could freeze, so that the search was that of strategy=darts"
            ]
        if int(self.steps) >= self.every:
            return []
        return [
            f"strategy oles froze nothing: the search ended after {int(self.steps)} weight steps, "
            f"before its first check (strategy.every={self.every}); let it process more samples, "
            f"or set strategy.every={max(1, int(self.steps) // 3)}"
        ]

    def _report(self, names: Sequence[str]) -> None:
        """Logs how many operations were frozen, and the first of them by name."""
        steps, number = self.frozen_at.tolist(), len(self.frozen_at)
        if notes := self.notes():
            log.warning(notes[0])
            return
        order = sorted((step, row) for row, step in enumerate(steps) if step != NEVER)
        first = ", ".join(f"{names[row]} at step {step}" for step, row in order[:3] if names)
        shown = f" (first {first})" if first else ""
        log.info("strategy oles froze %d of %d operations%s", len(order), number, shown)


def agreement(first: Sequence[Tensor | None], second: Sequence[Tensor | None]) -> Tensor | None:
    """Returns the cosine () of two gradients of the same params, where both have one.

    >>> agreement([torch.tensor([3.0]), None], [torch.tensor([-2.0]), torch.ones(4)])
    tensor(-1.)
    """
    pairs = zip(first, second, strict=True)
    both = [(a.flatten(), b.flatten()) for a, b in pairs if a is not None and b is not None]
    if not both:
        return None
    one, other = (torch.cat(parts) for parts in zip(*both, strict=True))
    return F.cosine_similarity(one, other, dim=0).clamp(-1.0, 1.0)
