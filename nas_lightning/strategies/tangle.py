"""TangleNAS: a single-stage search whose sizes are mixed in the weight that their options share.

Source: Sukthanker, Krishnakumar, Safari & Hutter, 2023 (arXiv:2312.10440), and a public copy of
the authors' code. Where the options of a choice are slices of one superset weight W (kernel sizes,
widths, expansions), a layer runs once, with the weight sum_o w_o * pad(slice_o(W)), padded with
zeros, in place of a sum of one output per option; where two choices slice one weight, each pair of
options weighs the product of both. This is what our elastic spaces do with any mixture (see
`networks.elastic`); here is the search: w is that of DrNAS by default, or of DARTS or GDAS, alphas
and params move in turn, first order, and nothing is pretrained before or searched after. What is
no slice, such as a skip or a depth, is mixed by its outputs, as in the paper.

Deliberate differences:

- A width is weighed once, in the layer that reads its channels, since BatchNorm would hide it
  before. The code for MobileNetV3 weighs every tensor of that width, also BatchNorm's scale and
  shift, so that a channel's weight enters more than once.
- A small kernel is the centre of the large one; that code has the learned matrices of
  Once-for-All between them. Alphas are moved on validation batches; its default moves both in one
  step.
- A single option (GDAS) has a gradient through its layer's output (`total_weight`); the code's
  has none in these layers.
- What is validated is the mean of DrNAS's Dirichlet; there, the softmax of alpha. Both lead to the
  same genotype.
- By default the learning rate of alpha is set by the length of the search; the code's is 3e-4.
"""

from torch import Tensor

from nas_lightning.core.checks import one_of, positive
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy
from nas_lightning.strategies.drnas import concentration_of, dirichlet

__all__ = ["Tangle"]

TAUS = 10.0, 0.1  # of the first and the last epoch


class Tangle(AlphaStrategy):
    """Gradient-based search of a space with elastic sizes, whose weights are entangled.

    Args:
        epochs: length of the search; the code has 100 for cells, 500 for MobileNetV3.
        sampler: "drnas" (weights drawn from a learned Dirichlet), "darts" (softmax of alpha) or
            "gdas" (one sampled option per choice).
        tau_start: temperature of sampler "gdas" in the first epoch, above 0.
        tau_end: its temperature in the last epoch, above 0; a line leads to it.

    Raises: ValueError: a value is out of range, or the space has no elastic sizes.

    >>> from nas_lightning.search_spaces.chain import ChainSpace
    >>> tangle = Tangle(ChainSpace(depths=(2,)), seed=0, sampler="darts")
    >>> round(tangle.preferences()["layer_1/filter_height"]["3"], 2)
    0.25
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        sampler: str = "drnas",
        tau_start: float = TAUS[0],
        tau_end: float = TAUS[1],
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        if not space.has_elastic_sizes:
            raise ValueError(
                f"strategy=tangle needs sizes whose options share one weight, of which search "
                f"space '{space.name}' has none; choose search_space=mobile or search_space=chain, "
                "or another strategy such as strategy=drnas"
            )
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        one_of("strategy.sampler", sampler, ("drnas", "darts", "gdas"))
        positive("strategy.tau_start", tau_start, use=TAUS[0])
        positive("strategy.tau_end", tau_end, use=TAUS[1])
        if sampler != "gdas" and (tau_start, tau_end) != TAUS:
            raise ValueError(
                f"strategy.tau_start and tau_end ({tau_start}, {tau_end}) have no effect with "
                f"strategy.sampler={sampler}; use strategy.sampler=gdas, or leave them out"
            )
        self.sampler = sampler
        self.tau_start, self.tau_end, self.tau = tau_start, tau_end, tau_start

    def start_epoch(self, epoch: int) -> None:
        """Lowers the temperature on a line."""
        change = self.tau_end - self.tau_start
        self.tau = self.tau_start + change * epoch / max(1, self.epochs - 1)

    def mixture(self, phase: str) -> Mixture:
        """Returns the weights w_o of the sampler."""
        if self.sampler == "darts":
            return super().mixture(phase)
        if self.sampler == "gdas":
            return self.draw_one_hot(phase, self.tau)
        weights = dirichlet(self._concentration(phase), self.allowed.cpu(), self.rng)
        return Mixture(weights.to(self.alpha.device), self.support())

    def scores(self) -> Mixture:
        """Returns the mean of the weights that "drnas" draws; else the softmax of alpha."""
        if self.sampler != "drnas":
            return super().scores()
        concentration = concentration_of(self.alpha) * self.allowed
        return Mixture(concentration / concentration.sum(dim=-1, keepdim=True), self.support())

    def _concentration(self, phase: str) -> Tensor:
        concentration = concentration_of(self.alpha).cpu()
        return concentration.detach() if phase == "params" else concentration
