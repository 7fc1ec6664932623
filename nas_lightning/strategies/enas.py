"""ENAS: a controller samples subgraphs of one supernet, which all share its params.

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2, and the official code for what the
paper leaves open: the entropy is added to the reward, the baseline moves before it is used, a
divergence draws skips towards a share (its sum over a layer, its mean over layers), the reward is
the accuracy on one validation batch with that batch's statistics.

Deliberate differences from the code: softmaxes start even (there they lean towards the first two
operations); an earlier state is chosen by a plain softmax (there cells attend to anchors); the
baseline begins at the first reward, not at 0; the macro space too has the entropy of each whole
softmax (there the term of the drawn option); the divergence is that of the skip's own probability,
as in the paper (there of the sigmoid of q where the policy is the softmax of [-q, q]); samples of
one update share a validation batch, in a fixed order in which every epoch continues where the last
one stopped (there each draws one from a shuffled queue); the final ranking takes the whole
validation part, not one batch; by default the controller takes fewer steps.

Within limits, of which the paper has none, an update takes samples that keep them, with the mean
of their own rewards as the baseline: so its gradient is that of the policy's reward given that
the limits are kept, and size counts for nothing in itself, which a moving baseline that lags would
change. Only where fewer than one in four draws keep them, samples beyond them fill the update, with
the worst reward within them less the excess.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import cycle, islice
from random import Random

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range
from nas_lightning.core.choices import Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.optimizers import Adam, Sgd
from nas_lightning.core.search_context import Batch, SearchContext, listed
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.core.strategy import OneShotStrategy
from nas_lightning.strategies.controller import Controller, skipping_layer
from nas_lightning.strategies.policy import Decisions
from nas_lightning.strategies.random_sharing import ranking_data

__all__ = ["Enas"]

DRAWS = 4  # per sample of an update that is to keep the limits


class Enas(OneShotStrategy):
    """Efficient neural architecture search.

    Arguments that are not listed are those of `Controller`. NAS-Bench-201's code has 2 layers, the
    code for cells the constants 1.1 and 0.44; heads that are not shared, as they are in the code,
    part sooner.

    Args:
        epochs: length of the search; the paper has 150 on cells, 310 on the macro space.
        steps: updates of the controller after each epoch, at least 1; the paper has 30 and 50.
        aggregate: samples per update, at least 1; the paper has 10 and 20.
        entropy_weight: weight of the entropy in the reward, at least 0.
        baseline_decay: share of the moving baseline that is kept, in [0, 1).
        skip_target: wanted share of skips from earlier layers, in (0, 1), if the space has any.
        skip_weight: weight of the divergence from it, at least 0.
        samples: genotypes drawn and measured at the end, at least 1; the best one counts.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> enas = Enas(NasBench201Space(), seed=0)
    >>> [len(options) for options in enas.mixture("params").support]  # one subgraph
    [1, 1, 1, 1, 1, 1]
    """

    baseline: Tensor  # moving mean of the rewards, double (); NaN before the first one
    policy: Tensor  # share of each option among the last samples (choices, options)

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        epochs: int = 6,
        steps: int = 20,
        aggregate: int = 10,
        hidden: int = 64,
        layers: int = 1,
        temperature: float = 5.0,
        tanh_constant: float | None = 2.5,
        op_tanh_constant: float | None = None,
        shared_heads: bool = True,
        entropy_weight: float = 1e-4,
        baseline_decay: float = 0.99,
        skip_target: float = 0.4,
        skip_weight: float = 0.8,
        samples: int = 50,
        params_optimizer: Sgd = Sgd(),
        alpha_optimizer: Adam = Adam(0.0035, (0.0, 0.999), 0.0, 1e-3),
    ) -> None:
        super().__init__(space, seed, epochs, params_optimizer, alpha_optimizer)
        at_least("strategy.steps", steps, 1, use=30)
        at_least("strategy.aggregate", aggregate, 1, use=10)
        at_least("strategy.samples", samples, 1, use=50)
        in_range("strategy.baseline_decay", baseline_decay, "[0, 1)", use=0.99)
        in_range("strategy.skip_target", skip_target, "(0, 1)", use=0.4)
        at_least("strategy.entropy_weight", entropy_weight, 0, use=1e-4)
        at_least("strategy.skip_weight", skip_weight, 0, use=0.8)
        self.controller = Controller(
            space.decisions, seed, hidden, layers, init_range=0.1, tanh_constant=tanh_constant,
            temperature=temperature, shared_heads=shared_heads, enas_skips=True,
            op_tanh_constant=op_tanh_constant,
        )  # fmt: skip
        self.steps, self.aggregate, self.samples = steps, aggregate, samples
        self.entropy_weight, self.baseline_decay = entropy_weight, baseline_decay
        self.skip_target, self.skip_weight = skip_target, skip_weight
        self.register_buffer("baseline", torch.full((), torch.nan, dtype=torch.double))
        self.register_buffer("policy", uniform_mixture(space.choices).weights)

    def mixture(self, phase: str) -> Mixture:
        """Returns the one-hot mixture of a genotype that the controller draws."""
        return self.space.mixture(self._draw()).to(self.policy)

    def scores(self) -> Mixture:
        """Returns the share of each option among the samples of the last epoch."""
        return Mixture(self.policy, self.support())

    def alpha_step(self, train: Batch, val: Batch, context: SearchContext) -> None:
        """Does nothing: a step only moves the params of one sample (section 2.2, first phase)."""

    def finish_epoch(self, epoch: int, context: SearchContext, val: Iterable[Batch]) -> None:
        """Moves the controller (section 2.2, second phase); needs validation batches."""
        batches = listed(val, "enas")
        first = epoch * self.steps % len(batches)
        shares, worst = list[Tensor](), self._worst(context, batches[first])
        for batch in islice(cycle(batches), first, first + self.steps):
            kept, beyond = self._drawn()
            rewards = [self._reward(context, genotype, [batch]) for genotype in kept]
            worst = min([worst, *rewards])
            rewards += [worst - self._excess(genotype) for genotype in beyond]
            context.minimise("alpha", partial(self.loss, [*kept, *beyond], rewards))
            shares += [self.space.mixture(genotype).weights for genotype in [*kept, *beyond]]
        self.policy.copy_(torch.stack(shares).mean(dim=0))

    def loss(self, drawn: Sequence[Genotype], rewards: Sequence[float]) -> Tensor:
        """Returns the surrogate loss of samples; those within limits move the baseline.

        Without limits it is the mean of -log p * (reward + weight * entropy - baseline), plus the
        weighted divergence of the skips' shares from their target (official code).
        """
        decisions = _RecordedSkips([genotype.mapping for genotype in drawn])
        log_prob, entropy = self.controller.forward(decisions)
        gains, wholes = torch.zeros_like(log_prob), torch.zeros_like(log_prob)
        for index, reward in enumerate(rewards):
            whole = reward + self.entropy_weight * float(entropy[index].detach())
            if torch.isnan(self.baseline):
                self.baseline.fill_(whole)
            if self._excess(drawn[index]) == 0:
                self.baseline -= (1.0 - self.baseline_decay) * (self.baseline - whole)
            wholes[index], gains[index] = whole, whole - float(self.baseline)
        if self.space.limits is not None:
            is_kept = torch.tensor([self._excess(genotype) == 0 for genotype in drawn])
            gains[is_kept] = wholes[is_kept] - wholes[is_kept].mean()
        return -(log_prob * gains).mean() + self.skip_weight * self._divergence(decisions)

    def derive(self, context: SearchContext | None = None, val: Iterable[Batch] = ()) -> Genotype:
        """Returns the best of many samples on the validation part, the first of equal ones."""
        context, batches = ranking_data("enas", context, val)
        drawn = dict.fromkeys(self._draw() for _ in range(self.samples))
        return max(drawn, key=lambda genotype: self._reward(context, genotype, batches))

    def _divergence(self, decisions: "_RecordedSkips") -> Tensor:
        """Returns the skips' divergence: summed in a layer, mean over layers and samples."""
        wanted = torch.tensor([1.0 - self.skip_target, self.skip_target]).log()
        total = number = self.policy.new_zeros(decisions.size)
        for skips in decisions.skips.values():
            for logs, is_made in skips:
                terms = (logs.exp() * (logs - wanted.to(logs))).sum(dim=1)
                total = total + terms * is_made.to(logs)
            number = number + torch.stack([is_made for _, is_made in skips]).any(dim=0)
        return (total / number.clamp(min=1)).mean()

    def _worst(self, context: SearchContext, batch: Batch) -> float:
        """Returns the reward, 0 at most, of a small child within the limits, if there are any.

        The baseline begins at it, since there may be no sample within them yet.
        """
        if self.space.limits is None:
            return 0.0
        small = self._reward(context, self.space.small, [batch])
        if torch.isnan(self.baseline):
            self.baseline.fill_(small)
        return min(0.0, small)

    def _drawn(self) -> tuple[list[Genotype], list[Genotype]]:
        """Returns the samples of an update: within the limits and, where these are few, beyond."""
        kept, beyond = list[Genotype](), list[Genotype]()
        for _ in range(DRAWS * self.aggregate):
            genotype = self._sample(self.random())
            (beyond if self._excess(genotype) else kept).append(genotype)
            if len(kept) == self.aggregate:
                break
        return kept, beyond[: self.aggregate - len(kept)]

    def _excess(self, genotype: Genotype) -> float:
        return 0.0 if self.space.limits is None else self.space.limits.excess(genotype)

    def _reward(self, context: SearchContext, genotype: Genotype, batches: list[Batch]) -> float:
        mixture = self.space.mixture(genotype)
        return context.reward(context.validate(mixture, batches, batch_statistics=True))

    def _draw(self) -> Genotype:
        """Returns a genotype that the controller draws, within the limits where there are any."""
        rng = self.random()
        return self.space.kept(lambda: self._sample(rng).mapping, rng)

    def _sample(self, rng: Random) -> Genotype:
        return self.space.genotype(self.controller.sample(rng, {}))


class _RecordedSkips(Decisions):
    """The decisions of sampled genotypes; notes the log-probabilities of their skips by layer."""

    def __init__(self, chosen: Sequence[dict[str, str]]) -> None:
        super().__init__(chosen, [{}] * len(chosen))
        self.skips: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def pick(self, decision: Decision, log_probs: Tensor) -> Tensor:
        """Returns the index (N,) of the chosen option."""
        if (layer := skipping_layer(decision)) is not None:
            self.skips.setdefault(layer, []).append((log_probs, self.active(decision)))
        return super().pick(decision, log_probs)
