"""GDAS: one operation an edge is sampled, differentiably, and only that one runs.

Source: Dong & Yang, GDAS, 2019 (arXiv:1910.04465), equations 3 to 6, and the official code.
Deliberate differences: alphas move before params, as in DARTS; the fixed reduction cell carries
one named operation on every edge instead of the paper's hand-made cell.

What the gradient of a hard sample is, paper and codes see differently (`gradient`). An edge gives
sum_i h_i * op_i(x), h being one-hot in the sampled option c, and the gradient of h goes straight
to the soft weights p, and from there to all logits. Where only what ran takes part, on which the
paper's speed rests, and in the authors' code for the NASNet-like space, h has a gradient in c
alone, g_c = <dL/dout, op_c(x)>: "sampled". The authors' code for NAS-Bench-201 adds the weights
of the other options, zeros, to the edge as plain numbers, so that each of them has the gradient
s = sum(dL/dout): "added". Since the softmax takes no notice of a constant, the logits' gradient
becomes (g_c - s) / g_c times the other one, edge by edge: a sample is compared with one that
gives ones everywhere, instead of zeros. It also moves the logits of an edge that drew "none".
"""

from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy, linear, restricted
from nas_lightning.strategies.relaxations import hard_weights

__all__ = ["Gdas"]

GRADIENTS = ("sampled", "added")


class Gdas(AlphaStrategy):
    """Gradient-based search using a differentiable architecture sampler.

    Args:
        space: the search space.
        seed: seed of the initial alphas and of every sample.
        epochs: length of the search; the paper has 250.
        tau_start: temperature of the first epoch.
        tau_end: temperature of the last epoch, above 0; a line leads to it.
        gradient: "sampled" or "added" (see above); the latter for cells of edges alone.
        fixed_reduction: operation that every edge of reduction cells keeps (the paper's FRC);
            None searches them too.
        params_optimizer: how the supernet's params are moved.
        alpha_optimizer: how alphas are moved.

    Raises:
        ValueError: a value is out of its range, or there is no such operation.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        tau_start: float = 10.0,
        tau_end: float = 0.1,
        gradient: str = "sampled",
        fixed_reduction: str | None = None,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        if not (tau_start > 0 and tau_end > 0):
            raise ValueError(
                f"strategy.tau_start ({tau_start}) and tau_end ({tau_end}) must be > 0; the "
                "paper has 10 and 0.1"
            )
        if gradient not in GRADIENTS:
            raise ValueError(
                f"unknown strategy.gradient '{gradient}'; choose from: {', '.join(GRADIENTS)}"
            )
        if gradient == "added" and not space.has_edges:
            raise ValueError(
                f"search space '{space.name}' has no cells of edges, on which "
                "strategy.gradient=added is defined; set strategy.gradient=sampled"
            )
        if fixed_reduction is not None:
            key = "strategy.fixed_reduction"
            restricted(self, lambda name: name.startswith("reduction/"), fixed_reduction, key)
        self.tau_start, self.tau_end, self.tau = tau_start, tau_end, tau_start
        self.gradient = gradient

    def start_epoch(self, epoch: int) -> None:
        """Lowers the temperature."""
        self.tau = linear(self.tau_start, self.tau_end, epoch, self.epochs)

    def mixture(self, phase: str) -> Mixture:
        """Samples one option a choice; the gradient reaches all its logits (equation 6)."""
        soft = self.draw_concrete(phase, self.tau)
        index = soft.argmax(dim=-1)
        weights = hard_weights(soft, index).to(self.alpha.device)
        support = tuple((option,) for option in index.tolist())
        if self.gradient == "sampled" or phase == "params":
            return Mixture(weights, support)
        sampled = weights.gather(1, index[:, None].to(weights.device))
        return Mixture(weights, support, added=(weights.sum(dim=1, keepdim=True) - sampled)[:, 0])
