"""PC-DARTS: operations run on a part of the channels, and edges are weighed against each other.

Source: Xu et al., PC-DARTS, 2020 (arXiv:1907.05737), equations 2 and 3, and the official code.
Deliberate differences: a space whose nodes do not sum edges only gets the warm-up. The sampled
channels are always the first ones, as in the official code; the shuffle after each node deals
them out anew.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Stage
from nas_lightning.strategies.alphas import AlphaStrategy

__all__ = ["PcDarts", "normalised_edges", "same_group"]


class PcDarts(AlphaStrategy):
    """Partially connected differentiable architecture search.

    Args:
        epochs: length of the search; the paper has 50.
        partial: operations run on one of so many channels (the paper's K, 4); 1 turns it off.
        warmup: share of the epochs in which alphas stand still, in [0, 1); the paper has 0.3.

    Raises: ValueError: a value is out of range, or the space has no partial channels.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> pc_darts = PcDarts(space, seed=0)
    >>> pc_darts.stage(epoch=0).of(space.scale).partial  # a supernet of another scale is refused
    4
    """

    beta: nn.Parameter  # logits of the edges (choices,), at first normal draws of deviation 1e-3
    together: Tensor  # bool (choices, choices): which choices are edges into one node

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        partial: int = 4,
        warmup: float = 0.3,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(lr=None),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer, warmup)
        if partial > 1 and not space.has_partial_channels:
            raise ValueError(
                f"search space '{space.name}' has no partial channels, strategy.partial is "
                f"{partial}; set strategy.partial=1, which leaves the rest of it"
            )
        self.partial = partial
        together = same_group([c.group if space.has_edges else c.name for c in space.choices])
        self.register_buffer("together", together, persistent=False)
        self.beta = nn.Parameter(1e-3 * torch.randn(len(space.choices), generator=self.rng))

    def stage(self, epoch: int) -> Stage:
        """Returns the one stage, with partial channels (equation 2)."""
        return Stage({"partial": self.partial} if self.space.has_partial_channels else {})

    def scores(self) -> Mixture:
        """Returns the softmax of alpha times that of beta over a node's edges (equation 3)."""
        edges = normalised_edges(self.beta, self.together)
        weights = super().scores().weights * edges[:, None]
        partial = self.partial if self.space.has_partial_channels else None
        return Mixture(weights, self.support(), partial=partial)


def same_group(groups: Sequence[str]) -> Tensor:
    """Returns which choices are of one group, bool (choices, choices)."""
    return torch.tensor([[one == other for other in groups] for one in groups])


def normalised_edges(beta: Tensor, together: Tensor) -> Tensor:
    """Returns the softmax of logits beta (choices,) within each group of choices (equation 3)."""
    return (beta - beta[None, :].masked_fill(~together, float("-inf")).logsumexp(dim=-1)).exp()
