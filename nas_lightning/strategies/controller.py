"""The recurrent controller: an LSTM that emits a network token by token.

Source: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), sections 3.1 and 3.3: the LSTM makes one decision per step, and its choice is
its next input; at a layer's anchor point, P(layer j feeds layer i) = sigmoid(v^T tanh(W_prev h_j +
W_curr h_i)). A tanh constant and a temperature limit the logits as in Pham et al., ENAS, 2018
(arXiv:1802.03268). Deliberate choices where the papers are silent: decisions of the same role and
options share softmax and embedding in all layers (`shared_heads=False` parts the softmaxes, as in
Zoph et al., NASNet, 2018, arXiv:1707.07012, section 3); after an anchor point the next input is the
mean of the chosen layers' hidden states; a layer without skips has its anchor at its last token;
the first layer's input has a learned one. `enas_skips` decides skips as ENAS's code does: logits
[-q, q], so that tanh constant c lets the log-odds reach 2c instead of c, and a next input whose sum
is divided by one more than the number of chosen layers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random

import torch
from torch import Tensor, nn

from nas_lightning.core.checks import at_least, positive
from nas_lightning.core.decisions import Decision
from nas_lightning.strategies.policy import Allowed, Chosen, Decisions, SampledDecisions

__all__ = ["Controller", "skipping_layer"]

SKIP = re.compile(r"(.*?)(\d+)/skip_(\d+)\Z")
State = list[tuple[Tensor, Tensor]]
Anchors = dict[str, Tensor]  # hidden states (N, hidden) by layer
Taken = tuple[Tensor, Tensor, Tensor]  # what is picked or the next input, log-probability, entropy


@dataclass(frozen=True)
class _Step:
    """One step of the LSTM, in a layer: one token, or the skips into it from other layers."""

    decisions: tuple[Decision, ...]
    layer: str
    sources: tuple[str, ...] = ()  # of the skips


class Controller(nn.Module):
    """A policy with one token per decision, and attention to anchor points for skips.

    A decision is a skip into layer i from layer j where its kind is "skip", its name ends in
    "i/skip_j", and it has two options, the second of which is to skip. Every other one is a token.
    An inactive decision takes no step.

    Args:
        decisions: the decisions of the space, in the order of the steps.
        hidden: units of each of the LSTM's `layers`.
        init_range: first parameters are uniform in [-init_range, init_range].
        tanh_constant: logits become constant * tanh(logits / temperature); None leaves them.
        temperature: divisor of the logits, above 0.
        shared_heads: whether decisions of the same role and options share a softmax.
        enas_skips: whether skips are decided as in ENAS's code (see above), not by a sigmoid.
        op_tanh_constant: the tanh constant of operations; None takes `tanh_constant`.
    """

    def __init__(
        self,
        decisions: Sequence[Decision],
        seed: int,
        hidden: int = 35,
        layers: int = 2,
        init_range: float = 0.08,
        tanh_constant: float | None = None,
        temperature: float = 1.0,
        shared_heads: bool = True,
        enas_skips: bool = False,
        op_tanh_constant: float | None = None,
    ) -> None:
        super().__init__()
        at_least("strategy.hidden", hidden, 1, use=35)
        at_least("strategy.layers", layers, 1, use=2)
        positive("strategy.init_range", init_range, use=0.1)
        positive("strategy.tanh_constant", tanh_constant, use=2.5)
        positive("strategy.op_tanh_constant", op_tanh_constant, use=2.5)
        positive("strategy.temperature", temperature, use=1.0)
        self.tanh_constant, self.temperature = tanh_constant, temperature
        self.op_tanh_constant = tanh_constant if op_tanh_constant is None else op_tanh_constant
        self._head = _role if shared_heads else _name
        self.enas_skips = enas_skips
        self.steps = _steps(decisions)
        self.cells = nn.ModuleList(nn.LSTMCell(hidden, hidden) for _ in range(layers))
        self.start = nn.Parameter(torch.zeros(hidden))
        self.first_anchor = nn.Parameter(torch.zeros(hidden))
        tokens = [d for step in self.steps if not step.sources for d in step.decisions]
        heads = {self._head(d): len(d.options) for d in tokens}
        roles = {_role(d): len(d.options) for d in tokens}
        self.heads = nn.ModuleDict({h: nn.Linear(hidden, n) for h, n in heads.items()})
        self.embeddings = nn.ModuleDict({r: nn.Embedding(n, hidden) for r, n in roles.items()})
        self.previous = nn.Linear(hidden, hidden, bias=False)
        self.current = nn.Linear(hidden, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-init_range, init_range, generator=generator)

    @torch.no_grad()
    def sample(self, rng: Random, allowed: Allowed) -> dict[str, str]:
        """Returns the sampled choices of one genotype."""
        decisions = SampledDecisions(rng, allowed)
        self.forward(decisions)
        return decisions.sampled

    def log_prob(self, chosen: list[Chosen], allowed: list[Allowed]) -> tuple[Tensor, Tensor]:
        """Returns log-probability and total entropy (N,) of genotypes, given what was allowed."""
        return self.forward(Decisions(chosen, allowed))

    def forward(self, decisions: Decisions) -> tuple[Tensor, Tensor]:
        """Walks through the decisions; returns log-probability and entropy (N,)."""
        x = self.start.expand(decisions.size, -1)
        zero = torch.zeros_like(x)
        state: State = [(zero, zero) for _ in self.cells]
        anchors: Anchors = {}
        log_prob = entropy = x.new_zeros(decisions.size)
        for step in self.steps:
            active = torch.stack([decisions.active(d) for d in step.decisions], dim=1).to(x.device)
            moves = active.any(dim=1, keepdim=True)
            state = self._advanced(x, state, moves)
            top = anchors[step.layer] = state[-1][0]
            take = self._attend if step.sources else self._choose
            following, logs, entropies = take(step, top, anchors, decisions)
            x = torch.where(moves, following, x)
            log_prob = log_prob + (logs * active).sum(dim=1)
            entropy = entropy + (entropies * active).sum(dim=1)
        return log_prob, entropy

    def _advanced(self, x: Tensor, state: State, moves: Tensor) -> State:
        """Returns the next state of the LSTM; genotypes without the step keep theirs."""
        advanced: State = []
        for cell, old in zip(self.cells, state, strict=True):
            hidden, memory = cell(x, old)
            x = torch.where(moves, hidden, old[0])
            advanced.append((x, torch.where(moves, memory, old[1])))
        return advanced

    def _choose(self, step: _Step, top: Tensor, anchors: Anchors, decisions: Decisions) -> Taken:
        (decision,) = step.decisions
        logits = self.heads[self._head(decision)](top)
        picked, log, entropy = self._pick(decision, logits, decisions)
        return self.embeddings[_role(decision)](picked), log[:, None], entropy[:, None]

    def _attend(self, step: _Step, top: Tensor, anchors: Anchors, decisions: Decisions) -> Taken:
        """Makes the skip decisions of a layer by attention to the anchors of others."""
        first = self.first_anchor.expand_as(top)
        states = torch.stack([anchors.get(s, first) for s in step.sources], dim=1)
        hidden = torch.tanh(self.previous(states) + self.current(top)[:, None])
        scores = self.score(hidden)
        no = -scores if self.enas_skips else torch.zeros_like(scores)
        logits = torch.cat([no, scores], dim=2)
        picks = [self._pick(d, logits[:, i], decisions) for i, d in enumerate(step.decisions)]
        chosen, logs, entropies = (torch.stack(part, dim=1) for part in zip(*picks, strict=True))
        weights = chosen[..., None].to(states)
        number = weights.sum(dim=1)
        number = number + 1 if self.enas_skips else number.clamp(min=1)
        return (weights * states).sum(dim=1) / number, logs, entropies

    def _pick(self, decision: Decision, logits: Tensor, decisions: Decisions) -> Taken:
        """Returns index, log-probability and entropy (N,) of one decision."""
        logits = logits / self.temperature
        limit = self.op_tanh_constant if decision.kind == "op" else self.tanh_constant
        if limit is not None:
            logits = limit * torch.tanh(logits)
        if (is_open := decisions.open(decision)) is not None:
            logits = logits.masked_fill(~is_open.to(logits.device), -torch.inf)
        logs = logits.log_softmax(dim=1)
        picked = decisions.pick(decision, logs).to(logs.device)
        entropy = -(logs.exp() * logs.clamp(min=-1e4)).sum(dim=1)
        return picked, logs.gather(1, picked[:, None])[:, 0].clamp(min=-1e4), entropy


def _steps(decisions: Sequence[Decision]) -> tuple[_Step, ...]:
    """Returns the steps: consecutive skips into a layer share one."""
    steps: list[_Step] = []
    for layer, members in groupby(decisions, key=skipping_layer):
        together = tuple(members)
        if layer is None:
            steps += [_Step((d,), d.name.rpartition("/")[0]) for d in together]
        else:
            sources = tuple(SKIP.sub(r"\1\3", d.name) for d in together)
            steps.append(_Step(together, layer, sources))
    return tuple(steps)


def skipping_layer(decision: Decision) -> str | None:
    """Returns the layer that a skip decision leads into, or None for a token."""
    match = SKIP.match(decision.name)
    is_skip = decision.kind == "skip" and len(decision.options) == 2
    return f"{match[1]}{match[2]}" if is_skip and match is not None else None


def _name(decision: Decision) -> str:
    return re.sub(r"\W", "_", decision.name)


def _role(decision: Decision) -> str:
    name = re.sub(r"\d+", "", decision.name.rpartition("/")[2])
    return re.sub(r"\W", "_", "-".join([name, *decision.options]))
