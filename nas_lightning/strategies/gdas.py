"""GDAS: one option per choice is sampled, differentiably, and only that one runs.

Source: Dong & Yang, GDAS, 2019 (arXiv:1910.04465), equations 3 to 6, and the official code.
Deliberate differences: alphas move before params, as in DARTS; the fixed reduction cell carries
one named operation on every edge instead of the paper's hand-made cell.

The paper and the codes disagree on the gradient of a hard sample (`gradient`). An edge gives
sum_i h_i * op_i(x), h being one-hot in the sampled option c; the gradient of h goes straight to
the soft weights, and from there to all logits. "sampled": h has a gradient in c alone, g_c =
<dL/dout, op_c(x)>, as the paper's speed requires and as in the authors' code for the NASNet-like
space. "added": the authors' code for NAS-Bench-201 adds the other weights, zeros, to the edge as
plain numbers; each then has the gradient s = sum(dL/dout), and an edge's logits have (g_c - s) /
g_c times the gradient of "sampled": a sample is compared with ones everywhere instead of zeros.
This also moves the logits of an edge that drew "none".
"""

import torch
from torch import Tensor

from nas_lightning.core.checks import one_of, positive
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["Gdas"]


class Gdas(AlphaStrategy):
    """Gradient-based search using a differentiable architecture sampler.

    Args:
        epochs: length of the search; the paper has 250.
        tau_start: temperature of the first epoch, above 0.
        tau_end: temperature of the last epoch, above 0; a line leads to it.
        gradient: "sampled" or "added" (see above); the latter only for cells of edges.
        warmup: share of the epochs in which alphas stand still, in [0, 1); the paper has 0. With a
            small learning rate of params it tells good options from those that are easy to train.
        fixed_reduction: operation that every edge of reduction cells keeps (the paper's FRC);
            None searches them too.

    Raises: ValueError: a value is out of range, or there is no such operation.

    >>> import torch
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> gdas = Gdas(NasBench201Space(), seed=0)
    >>> noise = torch.zeros(6, 5)
    >>> noise[:, 3] = 9.0  # to check a sample by hand; by default it is drawn
    >>> gdas.mixture("alpha", noise).support
    ((3,), (3,), (3,), (3,), (3,), (3,))
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        tau_start: float = 10.0,
        tau_end: float = 0.1,
        gradient: str = "sampled",
        warmup: float = 0.0,
        fixed_reduction: str | None = None,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer, warmup)
        positive("strategy.tau_start", tau_start, use=10.0)
        positive("strategy.tau_end", tau_end, use=0.1)
        one_of("strategy.gradient", gradient, ("sampled", "added"))
        if gradient == "added" and not space.has_edges:
            raise ValueError(
                f"search space '{space.name}' has no cells of edges, on which "
                "strategy.gradient=added is defined; set strategy.gradient=sampled"
            )
        if fixed_reduction is not None:
            self._fix_reduction(fixed_reduction)
        self.tau_start, self.tau_end, self.tau = tau_start, tau_end, tau_start
        self.gradient = gradient

    def start_epoch(self, epoch: int) -> None:
        """Lowers the temperature on a line, and ends the warm-up in time."""
        super().start_epoch(epoch)
        change = self.tau_end - self.tau_start
        self.tau = self.tau_start + change * epoch / max(1, self.epochs - 1)

    def mixture(self, phase: str, noise: Tensor | None = None) -> Mixture:
        """Returns the one-hot mixture of a sample by the Gumbel-max trick (equations 3 and 4).

        In phase "alpha" its gradient reaches all logits (equation 6). `noise` is Gumbel noise
        (choices, options); None draws it.
        """
        mixture = self.draw_one_hot(phase, self.tau, noise)
        if self.gradient == "sampled" or phase == "params":
            return mixture
        weights, option = mixture.weights, torch.tensor(mixture.support)
        sampled = weights.gather(1, option.to(weights.device))
        added = (weights.sum(dim=1, keepdim=True) - sampled)[:, 0]
        return Mixture(weights, mixture.support, added=added)

    def _fix_reduction(self, op: str) -> None:
        """Leaves the named operation alone to each choice of reduction cells."""
        rows = [i for i, c in enumerate(self.space.choices) if c.name.startswith("reduction/")]
        if not rows:
            raise ValueError(
                f"search space '{self.space.name}' has no choices to hold at '{op}'; set "
                "strategy.fixed_reduction=null"
            )
        for row in rows:
            options = self.space.choices[row].options
            one_of("strategy.fixed_reduction", op, options)
            self.allowed[row] = False
            self.allowed[row, options.index(op)] = True
