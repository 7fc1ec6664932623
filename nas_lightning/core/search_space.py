"""A search space: the networks that can be found, and the supernet that holds them all."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor, nn

from nas_lightning.core import decisions as rules
from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.core.cost import Cost, count_cost, trace_cost
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Graph
from nas_lightning.core.scale import Scale

__all__ = ["SearchSpace", "child_cost", "crop", "inherit", "one_hot", "uniform_mixture"]


class SearchSpace(ABC):
    """What can be chosen and how it is wired; it knows networks, not algorithms.

    Args:
        name: name that genotypes carry, e.g. "darts".
        scale: the size at which it is searched, unless told otherwise.
        choices: the categorical choices that the supernet mixes.
        decisions: what a genotype has to decide; None takes one a choice.

    Attributes:
        rows: row of the mixture's table by name of a choice.
        has_partial_channels: whether its networks take notice of `Scale.partial`.
        has_edges: whether the choices of one group are edges, summed in one node.
        has_cells: whether its networks have `Scale.cells` cells; else their depth is their own.
    """

    has_partial_channels = False
    has_edges = False
    has_cells = False

    def __init__(
        self,
        name: str,
        scale: Scale,
        choices: Sequence[Choice],
        decisions: Sequence[Decision] | None = None,
    ) -> None:
        self.name, self.scale, self.choices = name, scale, tuple(choices)
        self.rows = {choice.name: row for row, choice in enumerate(self.choices)}
        if decisions is None:
            decisions = [Decision(c.name, c.options, c.kind) for c in choices]
        self.decisions = tuple(decisions)
        self._costs: dict[Scale, Cost] = {}

    def fitted(self, scale: Scale) -> "SearchSpace":
        """Returns the space at a scale that knows input shape and outputs; a hook.

        A space whose choices depend on neither is itself.
        """
        return self

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes: forward(x, mixture) -> logits; a hook.

        Raises:
            ValueError: the space has none, as by default.
        """
        raise ValueError(
            f"search space '{self.name}' has no supernet, which a one-shot strategy needs; choose "
            "a black-box strategy such as strategy=random"
        )

    @abstractmethod
    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of one genotype: forward(x) -> logits."""

    @abstractmethod
    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the genotype as graphs to draw."""

    def mixture(self, genotype: Genotype) -> Mixture:
        """Returns the one-hot weights with which the supernet is the genotype's child; a hook.

        A choice that has no decision of its name, or an inactive one, gets no support.
        """
        return one_hot(self.choices, self.validate(genotype).mapping)

    def discretize(self, scores: Mixture) -> Genotype:
        """Returns the genotype of the best option of every choice; a hook.

        A choice that has no effect beside the earlier ones is left out.
        """
        chosen = {}
        rows = zip(self.choices, scores.weights.tolist(), scores.support, strict=True)
        for choice, row, support in rows:
            if support:
                chosen[choice.name] = choice.options[max(support, key=row.__getitem__)]
        return self.genotype(rules.active_choices(self.decisions, chosen))

    def read_text(self, text: str) -> Genotype:
        """Reads the space's own text notation; a hook, none by default.

        Raises:
            ValueError: the text is not in that notation.
        """
        raise ValueError(f"search space '{self.name}' has no text notation; give a JSON file")

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str | None:
        """Returns the text that `read_text` reads; a hook, None where there is no notation.

        Args:
            genotype: a genotype of this space.
            scores: preference per option, higher is better, for a notation that writes the
                stronger of two edges first; None where it is not known.
        """
        return None

    def published_scale(self) -> Scale:
        """Returns the scale at which the space's papers report children; a hook."""
        return self.scale

    def validate(self, genotype: Genotype) -> Genotype:
        """Returns the genotype if it is one of this space.

        Raises:
            ValueError: it belongs to another space, or its choices are not possible here.
        """
        if genotype.space != self.name:
            raise ValueError(
                f"the genotype is of space '{genotype.space}', the search space is "
                f"'{self.name}'; choose search_space={genotype.space}"
            )
        rules.canonical(self.decisions, genotype.mapping)
        return genotype

    def genotype(self, chosen: dict[str, str]) -> Genotype:
        """Returns the genotype that makes these choices.

        Raises:
            ValueError: the choices are incomplete or impossible.
        """
        return Genotype.of(self.name, rules.canonical(self.decisions, chosen))

    def count(self) -> int | float:
        """Returns the exact number of genotypes, or infinity."""
        return rules.count(self.decisions)

    def sample(self, rng: Random) -> Genotype:
        """Draws a genotype uniformly over all of them."""
        return Genotype.of(self.name, rules.sample(self.decisions, rng))

    def mutate(self, genotype: Genotype, rng: Random) -> Genotype:
        """Returns a genotype that differs in one decision; what hangs on it follows."""
        return Genotype.of(self.name, rules.mutate(self.decisions, genotype.mapping, rng))

    def neighbours(self, genotype: Genotype, rng: Random) -> list[Genotype]:
        """Returns the genotypes that differ in one decision; what hangs on it follows."""
        around = rules.neighbours(self.decisions, genotype.mapping, rng)
        return [Genotype.of(self.name, chosen) for chosen in around]

    def crossover(self, first: Genotype, second: Genotype, rng: Random) -> Genotype:
        """Returns a genotype that inherits each decision from one of two parents."""
        chosen = rules.crossover(self.decisions, first.mapping, second.mapping, rng)
        return Genotype.of(self.name, chosen)

    def grown(self, steps: int) -> dict[str, tuple[str, ...]]:
        """Returns the options that are open after so many steps of growth; a hook.

        By default a decision "depth", if there is one, gets one option more a step, in its order.

        Args:
            steps: steps of growth, 0 at the start of a search.

        Returns:
            Open options by decision; those of the other decisions are all open.
        """
        sizes = {d.name: d.options for d in self.decisions if d.name == "depth"}
        return {name: options[: steps + 1] for name, options in sizes.items()}

    def encode(self, genotype: Genotype) -> tuple[int, ...]:
        """Returns one option index a decision, -1 where a decision is inactive."""
        return rules.encode(self.decisions, genotype.mapping)

    def decode(self, code: Sequence[int]) -> Genotype:
        """Returns the genotype that `encode` turned into `code`."""
        return Genotype.of(self.name, rules.decode(self.decisions, code))

    def cost(self, scale: Scale) -> Cost:
        """Returns what the children of this space cost at a scale, traced on no real memory."""
        if scale not in self._costs:
            with torch.device("meta"):
                network = self.supernet(scale)
            shape = scale.sample_shape()
            self._costs[scale] = trace_cost(network, shape, uniform_mixture(self.choices))
        return self._costs[scale]


def uniform_mixture(choices: Sequence[Choice]) -> Mixture:
    """Returns the mixture in which every option of a choice weighs the same."""
    support = tuple(tuple(range(len(choice.options))) for choice in choices)
    weights = torch.zeros(len(choices), max(len(c.options) for c in choices))
    for row, options in zip(weights, support, strict=True):
        row[: len(options)] = 1.0 / len(options)
    return Mixture(weights, support)


def one_hot(choices: Sequence[Choice], chosen: dict[str, str]) -> Mixture:
    """Returns the mixture that gives each named choice its option, and the others nothing.

    Args:
        choices: the space's choices.
        chosen: option by name of a choice; a choice that is not named has no support.
    """
    weights = torch.zeros(len(choices), max(len(c.options) for c in choices))
    support: list[tuple[int, ...]] = []
    for row, choice in zip(weights, choices, strict=True):
        picked = [choice.options.index(chosen[choice.name])] if choice.name in chosen else []
        row[picked] = 1.0
        support.append(tuple(picked))
    return Mixture(weights, tuple(support))


def child_cost(space: SearchSpace, genotype: Genotype, scale: Scale) -> dict[str, int]:
    """Returns the cost of one child by quantity, counted on the meta device."""
    with torch.device("meta"):
        network = space.child(genotype, scale)
    return count_cost(network, scale.sample_shape())


def inherit(child: nn.Module, supernet: nn.Module) -> None:
    """Copies a supernet's params and buffers into a child.

    The child's state_dict keys are the supernet's restricted to its genotype; its tensors are
    leading slices (channels) and centred crops (the last two axes of kernels).

    Raises:
        KeyError: the supernet lacks a tensor of the child.
    """
    source = supernet.state_dict()
    with torch.no_grad():
        for name, tensor in child.state_dict().items():
            tensor.copy_(crop(source[name], tensor.shape))


def crop(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Returns the part of a supernet's tensor that a child's of some shape inherits, as a view."""
    for axis, size in enumerate(shape):
        is_kernel = tensor.dim() == 4 and axis >= 2
        start = (tensor.shape[axis] - size) // 2 if is_kernel else 0
        tensor = tensor.narrow(axis, start, size)
    return tensor
