"""Lambda-DARTS: params are trained such that all cells of a kind want the same of their alphas.

Source: Movahedi et al., 2022 (arXiv:2210.07998), the correlation of the cells' gradients and its
finite-difference gradient, and the official code. Alphas are shared, and the cells nearest to the
output decide them; the weight step therefore minimises

    training loss - alignment * mean over pairs of cells of cosine(g_l, g_m)

where g_l is the gradient of the training loss for the mixing weights of cell l alone. As in the
code, alphas move as in first-order DARTS and the regulariser acts on the params only: its gradient
is the difference quotient of the params' gradient along the mixing weights, in the direction that
the cosines ask of each cell. `alignment` grows from 0 in the first epoch to its value in the last.
Deliberate differences:

- Reduction cells are aligned too where there are at least two; the code for DARTS's space, which
  has two, leaves them out. The two means then add up.
- A cell whose gradient is zero takes no part, where the code divides by its norm.
- The paper's second regulariser, which compares signs (the code's "signcorr"), is not there.
- Alphas step before params, as everywhere here, and by default learn as in `strategies.darts`.

From the second epoch on a weight step runs its batch three times.
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, positive
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.surrogate import surrogate
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["LambdaDarts", "aligning_direction", "alignment_of"]


class LambdaDarts(AlphaStrategy):
    """Differentiable architecture search whose cells agree about the alphas they share.

    Args:
        epochs: length of the search; the paper has 50, and 100 on NAS-Bench-201.
        alignment: weight of the cells' correlation in the last epoch (the paper's lambda), at
            least 0; the code has 0.125 by default and 0.25 in its scripts.
        radius: length of the finite difference over all cells together, above 0; the code has
            1e-4 to 1e-3.

    Raises: ValueError: a value is out of range, or no two cells of the space share alphas.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> strategy = LambdaDarts(NasBench201Space(), seed=0, epochs=5)
    >>> strategy.start_epoch(2)
    >>> strategy.weight
    0.0625
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        alignment: float = 0.125,
        radius: float = 0.001,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        at_least("strategy.alignment", alignment, 0, use=0.125)
        positive("strategy.radius", radius, use=0.001)
        self.alignment, self.radius, self.weight = alignment, radius, 0.0
        self.groups = _sharing(space)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Sets the regulariser's weight: it grows linearly over the epochs."""
        super().start_epoch(epoch)
        last = self.epochs - 1
        self.weight = self.alignment * (min(1.0, epoch / last) if last else 1.0)

    def search_step(self, train: Batch, val: Batch, context: SearchContext) -> Tensor:
        """Updates alphas as DARTS does, then params by the regularised loss."""
        if not self.weight:
            return super().search_step(train, val, context)
        self.alpha_step(train, val, context)
        return context.minimise("params", lambda: self._weight_loss(train, context))

    def regulariser(
        self, batch: Batch, table: Tensor, of_table: Tensor, context: SearchContext
    ) -> list[Tensor | None]:
        """Returns the gradient of the cells' correlation for each of the context's params.

        `table` are the mixing weights of each cell (cells, choices, options), and `of_table` is
        the gradient of the batch's loss for them.
        """
        direction = aligning_direction(of_table, self.groups)
        tiny = torch.finfo(direction.dtype).tiny
        step = self.radius / torch.linalg.vector_norm(direction).clamp_min(tiny)
        with context.draws_again():  # operations' noise is no part of the difference
            plus = self._gradient_at(table + step * direction, batch, context)
        minus = self._gradient_at(table - step * direction, batch, context)
        pairs = zip(plus, minus, strict=True)
        return [None if a is None or b is None else (a - b) / (2 * step) for a, b in pairs]

    def _weight_loss(self, batch: Batch, context: SearchContext) -> Tensor:
        """Returns the training loss, with the gradient of the regularised one."""
        shared, params = self.mixture("params").weights, list(context.params.values())
        cells = len(self.space.cell_rows(self.space.scale))
        table = shared.expand(cells, *shared.shape).clone().requires_grad_()
        loss = context.loss(batch, Mixture(table, self.support()), statistics=True)
        of_table, *grads = context.gradient(loss, [table, *params])
        if of_table is None:
            return surrogate(loss, params, grads)
        extra = self.regulariser(batch, table.detach(), of_table, context)
        pairs = zip(grads, extra, strict=True)
        total = [g if g is None or e is None else g - self.weight * e for g, e in pairs]
        return surrogate(loss, params, total)

    def _gradient_at(
        self, table: Tensor, batch: Batch, context: SearchContext
    ) -> tuple[Tensor | None, ...]:
        """Returns the gradient of the training loss for the params under a mixture per cell."""
        loss = context.loss(batch, Mixture(table, self.support()))
        return context.gradient(loss, list(context.params.values()))


def alignment_of(gradients: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Returns the correlation of cells (): the mean cosine over the pairs of each group, summed.

    `gradients` are those of a loss for each cell's mixing weights (cells, choices, options);
    `groups` are the cells that share alphas.
    """
    means = []
    for group in groups:
        units = _units(gradients[list(group)].flatten(1))[0]
        cosines = units @ units.T
        means.append(cosines.triu(diagonal=1).sum() / _num_pairs(group))
    return torch.stack(means).sum()


def aligning_direction(gradients: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Returns the gradient of `alignment_of` for the cells' gradients, of their shape.

    With u = g / |g| it is (I - u u') (sum of the group's u) / |g| for each cell, per pair.
    """
    direction = torch.zeros_like(gradients)
    for group in groups:
        rows = list(group)
        units, inverse = _units(gradients[rows].flatten(1))
        total = units.sum(dim=0)
        across = total - (units @ total)[:, None] * units
        own = across * inverse / _num_pairs(group)
        direction[rows] = own.view(len(rows), *gradients.shape[1:])
    return direction


def _units(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Returns rows of length 1, and 1 / the rows' lengths; both are 0 where a row is."""
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    inverse = torch.where(norms > 0, 1.0 / norms, 0.0)
    return rows * inverse, inverse


def _num_pairs(group: Sequence[int]) -> int:
    return len(group) * (len(group) - 1) // 2


def _sharing(space: SearchSpace) -> tuple[tuple[int, ...], ...]:
    """Returns the groups of at least two cells that mix the same choices."""
    by_rows = defaultdict[tuple[int, ...], list[int]](list)
    for cell, rows in enumerate(space.cell_rows(space.scale)):
        by_rows[rows].append(cell)
    groups = tuple(tuple(cells) for cells in by_rows.values() if len(cells) > 1)
    if groups:
        return groups
    if by_rows:
        cure = f"set search_space.scale.cells to 4 or more, it is {space.scale.cells}"
    else:
        cure = "choose e.g. search_space=darts or nasbench201, or strategy=darts"
    raise ValueError(
        "strategy=lambda_darts aligns cells that share their alphas, of which there must be at "
        f"least two, but search space '{space.name}' has none such; {cure}"
    )
