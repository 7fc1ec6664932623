"""Policies: distributions over the genotypes of a space, to sample from and to differentiate."""

from collections.abc import Mapping, Sequence
from random import Random

import torch
from torch import Tensor, nn

from nas_lightning.core.decisions import Decision, encode, is_active

__all__ = ["Allowed", "Chosen", "Decisions", "IndependentPolicy", "SampledDecisions"]

Allowed = Mapping[str, tuple[str, ...]]  # options by decision; others may take any of theirs
Chosen = Mapping[str, str]  # chosen option by decision


class Decisions:
    """What N genotypes have decided, and the options that were allowed for each."""

    def __init__(self, chosen: Sequence[Chosen], allowed: Sequence[Allowed]) -> None:
        self.chosen, self.allowed, self.size = chosen, allowed, len(chosen)

    def active(self, decision: Decision) -> Tensor:
        """Returns which genotypes make a decision, bool (N,)."""
        return torch.tensor([decision.name in each for each in self.chosen])

    def open(self, decision: Decision) -> Tensor | None:
        """Returns which options are allowed, bool (N, options), or None where all are."""
        if not any(decision.name in each for each in self.allowed):
            return None
        rows = [each.get(decision.name, decision.options) for each in self.allowed]
        return torch.tensor([[option in row for option in decision.options] for row in rows])

    def pick(self, decision: Decision, log_probs: Tensor) -> Tensor:
        """Returns the index (N,) of the chosen option; 0 where the decision is inactive."""
        options = decision.options
        return torch.tensor([options.index(c.get(decision.name, options[0])) for c in self.chosen])


class SampledDecisions(Decisions):
    """The decisions of one genotype, sampled one after the other; `sampled` collects them."""

    def __init__(self, rng: Random, allowed: Allowed) -> None:
        self.rng = rng
        self.sampled: dict[str, str] = {}
        super().__init__([self.sampled], [allowed])

    def active(self, decision: Decision) -> Tensor:
        """Returns whether a decision has to be made after the ones so far, bool (1,)."""
        return torch.tensor([is_active(decision, self.sampled)])

    def pick(self, decision: Decision, log_probs: Tensor) -> Tensor:
        """Returns the index (1,) of an option that is sampled; 0 if the decision is inactive."""
        if not is_active(decision, self.sampled):
            return torch.zeros(1, dtype=torch.long)
        weights = log_probs[0].exp().tolist()
        index = self.rng.choices(range(len(weights)), weights)[0]
        self.sampled[decision.name] = decision.options[index]
        return torch.tensor([index])


class IndependentPolicy(nn.Module):
    """One softmax per decision, independent of the others.

    Source: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), the policy of its REINFORCE;
    logits begin at normal draws of deviation 1e-3, as in the official code.
    """

    exists: Tensor

    def __init__(self, decisions: Sequence[Decision], seed: int) -> None:
        super().__init__()
        self.decisions = tuple(decisions)
        widths = torch.tensor([len(decision.options) for decision in decisions])
        self.register_buffer("exists", torch.arange(int(widths.max())) < widths[:, None])
        generator = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(1e-3 * torch.randn(self.exists.shape, generator=generator))

    def sample(self, rng: Random, allowed: Allowed) -> dict[str, str]:
        """Returns the sampled choices of one genotype."""
        chosen: dict[str, str] = {}
        rows = self._log_probs().detach().exp().tolist()
        for decision, row in zip(self.decisions, rows, strict=True):
            if is_active(decision, chosen):
                options = allowed.get(decision.name, decision.options)
                weights = [row[i] if o in options else 0.0 for i, o in enumerate(decision.options)]
                chosen[decision.name] = rng.choices(decision.options, weights)[0]
        return chosen

    def log_prob(self, chosen: list[Chosen], allowed: list[Allowed]) -> tuple[Tensor, Tensor]:
        """Returns log-probability and total entropy (N,) of genotypes, given what was allowed."""
        code = torch.tensor([encode(self.decisions, each) for each in chosen])
        active, picked = code >= 0, code.clamp(min=0)
        logs = self._log_probs()[None].expand(len(chosen), -1, -1)
        if any(allowed):
            logs = self._restricted(logs, Decisions(chosen, allowed))
        own = logs.gather(2, picked[..., None])[..., 0]
        entropies = -(logs.exp() * logs.clamp(min=-1e4)).sum(dim=2)
        return torch.where(active, own, 0.0).sum(1), torch.where(active, entropies, 0.0).sum(1)

    def _log_probs(self) -> Tensor:
        return self.logits.masked_fill(~self.exists, -torch.inf).log_softmax(dim=1)

    def _restricted(self, logs: Tensor, fixed: Decisions) -> Tensor:
        """Returns the log-probabilities (N, decisions, options) of the allowed options."""
        rows = []
        for index, decision in enumerate(self.decisions):
            row = logs[:, index]
            if (is_open := fixed.open(decision)) is not None:
                is_open = nn.functional.pad(is_open, (0, row.shape[1] - is_open.shape[1]))
                row = row.masked_fill(~is_open, -torch.inf).log_softmax(dim=1)
            rows.append(row)
        return torch.stack(rows, dim=1)
