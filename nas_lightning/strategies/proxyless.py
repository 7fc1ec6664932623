"""ProxylessNAS: one path trains the params, two paths at a time train the alphas.

Source: Cai, Zhu & Han, ProxylessNAS, 2019 (arXiv:1812.00332), sections 3.2 and 3.3.1 and the
official code's two-path mode. Deliberate differences: the latency term is not part of it; warm-up
and search share one cosine of the params' learning rate, by default that of short searches.
"""

import torch
from torch import Tensor, nn

from nas_lightning.core.checks import at_least
from nas_lightning.core.choices import Mixture
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.strategies.alphas import AlphaStrategy
from nas_lightning.strategies.relaxations import hard_weights, masked_softmax

__all__ = ["Proxyless"]


class Proxyless(AlphaStrategy):
    """Binarised paths: memory for one path, or for two while alphas move.

    Args:
        epochs: length of the search; the paper has 40 of warm-up and 120 more.
        warmup: share of epochs, in [0, 1), of uniform paths and still alphas; the paper has 0.25.
        interval: weight steps per alpha step, at least 1; the paper has 5.
        alpha_optimizer: its first beta and its decay must be 0: alphas not sampled stand still.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> proxyless = Proxyless(NasBench201Space(), seed=0)
    >>> [len(proxyless.mixture(phase).support[0]) for phase in ("params", "alpha")]
    [1, 2]
    """

    steps: Tensor  # int (): weight steps taken

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        warmup: float = 0.25,
        interval: int = 1,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(None, (0.0, 0.999), 0.0),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer, warmup)
        at_least("strategy.interval", interval, 1)
        if alpha_optimizer.betas[0] or alpha_optimizer.weight_decay:
            raise ValueError(
                f"strategy.alpha_optimizer.betas[0] ({alpha_optimizer.betas[0]}) and weight_decay "
                f"({alpha_optimizer.weight_decay}) must be 0: alphas that were not sampled must "
                "stand still"
            )
        self.interval = interval
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def mixture(self, phase: str) -> Mixture:
        """Returns one sampled path, or for alphas two, of which one weighs 1 and the other 0."""
        return self._pairs()[0] if phase == "alpha" else self._path()

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Moves the alphas of two options per choice; their total probability stays (eq. 4)."""
        self.steps += 1
        if not self.is_warm or (self.interval > 1 and int(self.steps) % self.interval):
            return
        mixture, pairs = self._pairs()
        before = self.alpha.detach().gather(1, pairs).logsumexp(dim=1)
        context.minimise("alpha", lambda: self.alpha_loss(val, mixture, context))
        with torch.no_grad():
            moved = self.alpha.gather(1, pairs)
            shift = moved.logsumexp(dim=1) - before
            is_alone = pairs[:, :1] == pairs[:, 1:]
            self.alpha.scatter_(1, pairs, moved.where(is_alone, moved - shift[:, None]))

    def _path(self) -> Mixture:
        """Returns one sampled option per choice, uniformly during the warm-up."""
        shares = self.allowed.cpu().float()
        if self.is_warm:
            shares = masked_softmax(self.alpha.detach().cpu(), shares > 0).float()
        index = torch.multinomial(shares, 1, generator=self.rng).squeeze(1)
        weights = nn.functional.one_hot(index, shares.shape[1]).to(self.alpha)
        return Mixture(weights, tuple((option,) for option in index.tolist()))

    def _pairs(self) -> tuple[Mixture, Tensor]:
        """Returns the binarised mixture of two options per choice, and the options (choices, 2).

        A choice with one allowed option gets it twice, at half the weight each time.
        """
        alpha = self.alpha.cpu()  # one copy, since everything is drawn on the CPU
        shares = masked_softmax(alpha.detach(), self.allowed.cpu()).float()
        first = torch.multinomial(shares, 1, generator=self.rng)
        others = shares.scatter(1, first, 0.0)
        is_alone = others.sum(dim=1, keepdim=True) <= 0
        second = torch.multinomial(torch.where(is_alone, shares, others), 1, generator=self.rng)
        pairs = torch.cat([first, second], dim=1).sort(dim=1).values
        soft = alpha.gather(1, pairs).softmax(dim=1)
        drawn = torch.multinomial(soft.detach().float(), 1, generator=self.rng).squeeze(1)
        gates = torch.where(is_alone, 0.5, hard_weights(soft, drawn))
        weights = torch.zeros_like(alpha).scatter_add(1, pairs, gates)
        support = tuple(tuple(sorted(set(pair))) for pair in pairs.tolist())
        return Mixture(weights.to(self.alpha.device), support), pairs.to(self.alpha.device)
