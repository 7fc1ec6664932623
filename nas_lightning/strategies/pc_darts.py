"""PC-DARTS: operations run on a part of the channels, and edges are weighed against each other.

Source: Xu et al., PC-DARTS, 2020 (arXiv:1907.05737), equations 2 and 3, and the official code.
Deliberate differences: a space whose nodes do not sum edges only gets the warm-up. The sampled
channels are always the first ones, as in the official code; the shuffle after each node deals
them out anew.
"""

import torch
from torch import Tensor, nn

from nas_lightning.core.checks import in_range
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Stage
from nas_lightning.strategies.alphas import AlphaStrategy, share_of
from nas_lightning.strategies.relaxations import masked_softmax, normalised_edges, same_group

__all__ = ["PcDarts"]


class PcDarts(AlphaStrategy):
    """Partially connected differentiable architecture search.

    Args:
        epochs: length of the search; the paper has 50.
        partial: operations run on one of so many channels (the paper's K, 4); 1 turns it off.
        warmup: share of the epochs in which alphas stand still, in [0, 1); the paper has 0.3.

    Attributes:
        beta: logits of the edges (choices,), at first normal draws of deviation 1e-3.
        together: bool buffer (choices, choices): which choices are edges into one node.

    Raises:
        ValueError: a value is out of range, or the space has no partial channels.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> pc_darts = PcDarts(space, seed=0)
    >>> pc_darts.stage(epoch=0).of(space.scale).partial  # a supernet of another scale is refused
    4
    """

    together: Tensor

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
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        in_range("strategy.warmup", warmup, "[0, 1)", use=0.3)
        if partial > 1 and not space.has_partial_channels:
            raise ValueError(
                f"search space '{space.name}' has no partial channels, strategy.partial is "
                f"{partial}; set strategy.partial=1, which leaves the rest of it"
            )
        self.partial, self.warmup = partial, share_of(warmup, epochs)
        choices = space.choices
        together = same_group([c.group if space.has_edges else c.name for c in choices])
        self.register_buffer("together", together, persistent=False)
        noise = torch.randn(len(choices), generator=self.rng)
        self.beta = nn.Parameter(1e-3 * noise)

    def stage(self, epoch: int) -> Stage:
        """Returns the one stage, with partial channels (equation 2)."""
        return Stage({"partial": self.partial} if self.space.has_partial_channels else {})

    def start_epoch(self, epoch: int) -> None:
        """Ends the warm-up in time."""
        self.is_warm = epoch >= self.warmup

    def scores(self) -> Mixture:
        """Returns the softmax of alpha times that of beta over a node's edges (equation 3)."""
        edges = normalised_edges(self.beta, self.together)
        weights = masked_softmax(self.alpha, self.allowed) * edges[:, None]
        partial = self.partial if self.space.has_partial_channels else None
        return Mixture(weights, self.support(), partial=partial)
