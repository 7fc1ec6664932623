"""Predictor-guided search: an ensemble learns rewards, and what it likes best is evaluated.

Source: White et al., BANANAS, 2021 (arXiv:1910.11858): path encoding, an ensemble of small
networks, independent Thompson sampling, candidates that mutate the best children so far.
Deliberate differences: where the drawing of a genotype has more paths than `MAX_PATHS`, its edges
are encoded instead; the ensemble is fitted on standardised rewards by the squared error.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from random import Random

import torch
from torch import Tensor, nn

from nas_lightning.core.checks import at_least
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Graph
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import BlackBoxStrategy, Trial

__all__ = ["Predictor", "features"]

MAX_PATHS = 512
BEST = 10  # children that candidates mutate


class Predictor(BlackBoxStrategy):
    """Bayesian optimisation with an ensemble of networks over path encodings.

    Args:
        start: random children that the ensemble first learns from, at least 2.
        batch: children chosen between two fits, at least 1.
        candidates: mutated genotypes to choose from, at least 1.
        ensemble: networks, at least 2; the paper has 5.
        hidden: units of each of their two hidden layers.
        fit_steps: steps of Adam per fit, on all children so far.

    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> genotype = Predictor(space, seed=0).ask(0).genotype
    >>> len(features(space.graphs(genotype)))  # paths through the cell that are not cut
    3
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        trials: int = 8,
        start: int = 4,
        batch: int = 2,
        candidates: int = 100,
        ensemble: int = 5,
        hidden: int = 32,
        fit_steps: int = 100,
    ) -> None:
        super().__init__(space, seed, trials)
        at_least("strategy.start", start, 2, use=4)
        at_least("strategy.batch", batch, 1, use=2)
        at_least("strategy.candidates", candidates, 1, use=100)
        at_least("strategy.ensemble", ensemble, 2, use=5)
        at_least("strategy.hidden", hidden, 1, use=32)
        at_least("strategy.fit_steps", fit_steps, 1, use=100)
        self.start, self.batch, self.candidates = start, batch, candidates
        self.ensemble, self.hidden, self.fit_steps = ensemble, hidden, fit_steps
        self.told: list[Trial] = []
        self.queue: list[Genotype] = []
        self._asked: dict[int, Genotype] = {}  # and not told yet
        self._features = cache(lambda genotype: features(space.graphs(genotype)))

    def ask(self, number: int) -> Trial:
        """Returns a random genotype at the start, then the next of the chosen ones."""
        if number not in self._asked:
            self._asked[number] = self._next(number)
        return Trial(number, self._asked[number])

    def tell(self, trial: Trial) -> None:
        """Notes a child's reward."""
        del self._asked[trial.number]
        self.told.append(trial)

    def _next(self, number: int) -> Genotype:
        if len(self.told) < self.start:
            return self.space.sample(Random(self._key("start", number)))
        if not self.queue:
            self.queue = self._chosen(number)
        return self.queue.pop()

    def _chosen(self, number: int) -> list[Genotype]:
        """Returns the candidates with the highest drawn predictions, the best one last."""
        rng = Random(self._key("candidates", number))
        best = sorted(self.told, key=lambda trial: trial.told_reward)[-BEST:]
        seen = {*(trial.genotype for trial in self.told), *self._asked.values()}
        mutated = [self._moved(rng.choice(best).genotype, rng) for _ in range(self.candidates)]
        fresh = list(dict.fromkeys(g for g in mutated if g not in seen)) or mutated[:1]
        mean, std = self.predict(fresh, number)
        generator = torch.Generator().manual_seed(self._key("thompson", number))
        drawn = mean + std * torch.randn(mean.shape, generator=generator)
        return [fresh[index] for index in drawn.argsort(stable=True)[-self.batch :].tolist()]

    def predict(self, genotypes: Sequence[Genotype], number: int) -> tuple[Tensor, Tensor]:
        """Returns mean and deviation (N,) of standardised rewards by the ensemble of a trial."""
        every = [*(trial.genotype for trial in self.told), *genotypes]
        encodings = [self._features(genotype) for genotype in every]
        names = sorted(set().union(*encodings))
        table = torch.tensor([[float(name in each) for name in names] for each in encodings])
        x, judged = table[: len(self.told)], table[len(self.told) :]
        rewards = torch.tensor([trial.told_reward for trial in self.told])
        y = (rewards - rewards.mean()) / rewards.std().clamp_min(1e-6)
        generator = torch.Generator().manual_seed(self._key("ensemble", number))
        networks = _Ensemble(self.ensemble, len(names), self.hidden, generator)
        networks.fit(x, y, self.fit_steps)
        predictions = networks(judged).detach()
        return predictions.mean(dim=0), predictions.std(dim=0)

    def _moved(self, genotype: Genotype, rng: Random) -> Genotype:
        """Returns a genotype one to three mutations away."""
        for _ in range(rng.choice((1, 1, 2, 3))):
            genotype = self.space.mutate(genotype, rng)
        return genotype

    def _key(self, purpose: str, number: int) -> int:
        return keyed_seed(self.seed, "predictor", purpose, number)


def features(graphs: Sequence[Graph]) -> frozenset[str]:
    """Returns the path encoding of a genotype's graphs: the labels along each path."""
    encoding: set[str] = set()
    for graph in graphs:
        paths = _paths(graph)
        edges = (f"{e.source}>{e.label}>{e.target}" for e in graph.edges)
        encoding |= {f"{graph.title}:{text}" for text in (edges if paths is None else paths)}
    return frozenset(encoding)


def _paths(graph: Graph) -> set[str] | None:
    """Returns the paths of a graph from sources to sinks, or None where there are too many."""
    targets = {edge.target for edge in graph.edges}
    ways: dict[str, set[str]] = {n: {n} if n not in targets else set() for n in graph.nodes}
    for node in graph.nodes:
        for edge in (e for e in graph.edges if e.target == node):
            ways[node] |= {f"{way}>{edge.label}" for way in ways[edge.source]}
        if sum(map(len, ways.values())) > MAX_PATHS:
            return None
    sources = {edge.source for edge in graph.edges}
    return set().union(*(ways[node] for node in graph.nodes if node not in sources))


class _Ensemble(nn.Module):
    """Networks of two hidden layers that run together; first params are drawn as nn.Linear's."""

    def __init__(self, number: int, width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in pairwise((width, hidden, hidden, 1)):
            bound = max(1, inputs) ** -0.5
            for shape, table in (((inputs, outputs), self.weights), ((1, outputs), self.biases)):
                drawn = torch.rand(number, *shape, generator=generator)
                table.append(nn.Parameter(bound * (2 * drawn - 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs (networks, N) for features (N, width)."""
        out = x.expand(len(self.weights[0]), *x.shape)
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = torch.baddbmm(bias, out if index == 0 else out.relu(), weight)
        return out[..., 0]

    def fit(self, x: Tensor, y: Tensor, steps: int) -> None:
        """Takes steps of Adam on every network's mean squared error from targets (N,)."""
        optimizer = torch.optim.Adam(self.parameters(), lr=0.01, foreach=True)
        for _ in range(steps):
            loss = ((self(x) - y) ** 2).mean(dim=1).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
