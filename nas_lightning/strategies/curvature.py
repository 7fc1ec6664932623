"""The dominant eigenvalue of a loss's Hessian with respect to alphas: how sharp a minimum is.

Source: Zela et al., Understanding and Robustifying DARTS, 2020 (arXiv:1909.09656), section 4: where
the largest eigenvalue of the validation loss's Hessian grows during a search, alphas approach a
minimum so sharp that to discretize them costs much of the accuracy, and the genotype generalises
badly. Deliberate differences from the authors' code: eigenvalues come from exact Hessian-vector
products and Lanczos' algorithm (there the whole matrix is formed, row by row), and the L2 decay of
alphas, which would add its factor to each of them, is left out.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nas_lightning.core.search_context import Batch, SearchContext, averaged
from nas_lightning.core.strategy import OneShotStrategy

__all__ = ["alpha_eigenvalue", "dominant_eigenvalue", "largest_eigenvalue"]

Product = Callable[[Tensor], Tensor]  # returns a symmetric matrix times a vector (n,)


def alpha_eigenvalue(
    strategy: OneShotStrategy, batch: Batch, context: SearchContext, rng: torch.Generator
) -> float:
    """Returns the dominant eigenvalue of a batch's loss in a strategy's parameters.

    The mixture is the strategy's scores, which never draw; buffers stay, and `rng` alone is drawn
    from. The supernet normalises by the batch where it is in training mode. The context counts the
    batch once in its meter.

    Raises: ValueError: the scores do not depend on parameters of the strategy.
    """
    alphas, scores = list(strategy.parameters()), strategy.scores()
    if not scores.weights.requires_grad:
        raise ValueError(
            f"the scores of {type(strategy).__name__} must depend on parameters of its own to have "
            "a curvature; use a strategy with alphas such as strategy=darts"
        )
    still = {name: param.detach() for name, param in context.params.items()}
    return dominant_eigenvalue(context.loss(batch, scores, still), alphas, context, rng)


def dominant_eigenvalue(
    loss: Tensor,
    wrt: Sequence[Tensor],
    context: SearchContext,
    rng: torch.Generator,
    tolerance: float = 1e-3,
) -> float:
    """Returns the largest eigenvalue of a loss's Hessian in `wrt`, the same on all processes.

    The Hessian is that of the loss's mean over processes; `rng`, on the CPU and in the same state
    on all of them, draws the vector to begin with. `tolerance`: see `largest_eigenvalue`.
    """
    gradient = _flat(torch.autograd.grad(loss, wrt, create_graph=True, allow_unused=True), wrt)

    def product(vector: Tensor) -> Tensor:
        if not gradient.requires_grad:  # the loss is linear
            return torch.zeros_like(vector)
        rows = torch.autograd.grad(
            gradient, wrt, vector.to(gradient), retain_graph=True, allow_unused=True
        )
        return averaged(_flat(rows, wrt), context).to(vector)

    start = torch.randn(gradient.numel(), generator=rng, dtype=torch.float64)
    return largest_eigenvalue(product, start, tolerance)


def largest_eigenvalue(product: Product, start: Tensor, tolerance: float = 1e-3) -> float:
    """Returns the largest eigenvalue of a symmetric matrix, given as its products with vectors.

    Source: Lanczos, 1950, with full reorthogonalisation (Golub & Van Loan, Matrix Computations,
    section 10.3). It ends where the residual, which bounds the distance to an eigenvalue, is at
    most `tolerance` times the largest magnitude of those estimated so far, and at the latest after
    as many steps as `start` (n,) has entries.

    >>> matrix = torch.diag(torch.tensor([3.0, -5.0, 2.0], dtype=torch.float64))
    >>> round(largest_eigenvalue(matrix.matmul, torch.ones(3, dtype=torch.float64)), 6)
    3.0
    """
    basis = [start / start.norm()]
    diagonal, beside = list[Tensor](), list[Tensor]()
    while True:
        image = product(basis[-1])
        diagonal.append(basis[-1] @ image)
        for _ in range(2):  # once is not enough: rounding leaves parts of what was taken out
            known = torch.stack(basis)
            image = image - known.T @ (known @ image)
        length = image.norm()
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        residual = float(length * vectors[-1, -1].abs())
        is_found = residual <= tolerance * float(values.abs().max())
        if is_found or len(basis) == len(start) or not length > 0:
            return float(values[-1])
        beside.append(length)
        basis.append(image / length)


def _tridiagonal(diagonal: Sequence[Tensor], beside: Sequence[Tensor]) -> Tensor:
    matrix = torch.diag(torch.stack(list(diagonal)))
    if beside:
        side = torch.stack(list(beside))
        matrix = matrix + torch.diag(side, 1) + torch.diag(side, -1)
    return matrix


def _flat(parts: Sequence[Tensor | None], like: Sequence[Tensor]) -> Tensor:
    """Returns tensors as one vector (n,); a missing one is zero."""
    pairs = zip(parts, like, strict=True)
    filled = [torch.zeros_like(other) if part is None else part for part, other in pairs]
    return torch.cat([part.reshape(-1) for part in filled])
