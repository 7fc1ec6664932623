"""A search space: the networks that can be found, and the supernet that holds them all."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from random import Random
from typing import Any, Self

import torch
from torch import Tensor, nn

from nas_lightning.core import decisions as rules
from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.core.cost import Cost, count_cost, trace_cost
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Graph
from nas_lightning.core.limits import Limits
from nas_lightning.core.mixture_check import checked
from nas_lightning.core.scale import Scale
from nas_lightning.core.shrinking import walked

__all__ = ["SearchSpace", "child_cost", "crop", "inherit", "one_hot", "uniform_mixture"]


class SearchSpace(ABC):
    """What can be chosen and how it is wired; it knows networks, not algorithms.

    Methods marked "a hook" may be overridden; wherever an `rng` is taken, a seed will do.

    Args:
        name: name that genotypes carry, e.g. "darts".
        scale: the size at which the space is searched by default.
        choices: what the supernet mixes.
        decisions: what a genotype must decide; None takes one decision per choice.
    """

    has_partial_channels = False  # whether its networks use `Scale.partial`
    has_edges = False  # whether the choices of one group are edges, summed in one node
    needs_data = False  # whether nothing of it can be built before the data's shape is known
    has_elastic_sizes = False  # whether options of its sizes are parts of one tensor, and so mixed
    has_cells = False  # whether its networks have `Scale.cells` cells
    limits: Limits | None = None  # what all drawn genotypes keep; see `within`
    small: Genotype  # which keeps the limits
    ignored_scale: tuple[str, ...] = ()  # values of `Scale` on which its networks do not depend

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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Makes the supernets of a subclass check the mixtures that they are called with."""
        super().__init_subclass__(**kwargs)
        if "supernet" in vars(cls):
            cls.supernet = checked(cls.supernet)  # type: ignore[method-assign, assignment]

    @property
    def option_names(self) -> tuple[str, ...]:
        """The names of all options, each once, in the order of the choices and decisions."""
        every: tuple[Choice | Decision, ...] = (*self.choices, *self.decisions)
        return tuple(dict.fromkeys(option for one in every for option in one.options))

    def fitted(self, scale: Scale) -> "SearchSpace":
        """Returns the space of these data, where its choices depend on the data; a hook."""
        return self

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes: forward(x, mixture) -> logits; a hook.

        `scale` includes the data's shapes, e.g. space.scale.of_data((3, 32, 32), 10). What is no
        mixture of this space is refused (see `MixtureCheck`).

        Raises: ValueError: the space has no supernet, as by default.
        """
        raise ValueError(
            f"search space '{self.name}' has no supernet, which a one-shot strategy needs; choose "
            "a black-box strategy such as strategy=random"
        )

    def cell_rows(self, scale: Scale) -> tuple[tuple[int, ...], ...]:
        """Returns the rows of the choices that each cell of a supernet mixes; a hook.

        It is () where mixtures cannot differ from cell to cell, as by default.
        """
        return ()

    @abstractmethod
    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of one genotype: forward(x) -> logits."""

    @abstractmethod
    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the graphs that draw a genotype."""

    def mixture(self, genotype: Genotype) -> Mixture:
        """Returns the one-hot weights with which the supernet is the genotype's child; a hook.

        A choice without an active decision of its name gets no support.
        """
        return one_hot(self.choices, self.validate(genotype).mapping)

    def discretize(self, scores: Mixture) -> Genotype:
        """Returns the genotype of the best option of every choice; a hook."""
        rows = zip(self.choices, scores.weights.tolist(), scores.support, strict=True)
        best = ((c, max(support, key=row.__getitem__)) for c, row, support in rows if support)
        chosen = {choice.name: choice.options[index] for choice, index in best}
        return self.genotype(rules.active_choices(self.decisions, chosen))

    def read_text(self, text: str) -> Genotype:
        """Reads the space's own text notation, if it has one; a hook.

        Raises: ValueError: the text is not in that notation.
        """
        raise ValueError(f"search space '{self.name}' has no text notation; give a JSON file")

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str | None:
        """Returns the text that `read_text` reads, or None without a notation; a hook.

        `scores`, higher is better, are for a notation that writes the stronger of two edges first.
        """
        return None

    def published_scale(self) -> Scale:
        """Returns the scale at which the space's papers report children; a hook."""
        return self.scale

    def validate(self, genotype: Genotype) -> Genotype:
        """Returns the genotype if it is one of this space.

        Raises: ValueError: it is of another space, or its choices are impossible here.
        """
        if genotype.space != self.name:
            raise ValueError(
                f"the genotype is of space '{genotype.space}', the search space is "
                f"'{self.name}'; choose search_space={genotype.space}"
            )
        rules.canonical(self.decisions, genotype.mapping)
        return genotype

    def genotype(self, chosen: dict[str, str]) -> Genotype:
        """Returns the genotype of these choices.

        Raises: ValueError: the choices are incomplete or impossible.
        """
        return Genotype.of(self.name, rules.canonical(self.decisions, chosen))

    def count(self) -> int | float:
        """Returns the exact number of genotypes, or infinity."""
        return rules.count(self.decisions)

    def within(self, limits: Limits, small: Genotype) -> Self:
        """Returns this space with limits that all it draws keeps; `small` keeps them: `limited`."""
        assert limits.keeps(small), f"the small genotype has {limits.values(small)}: {limits}"
        space = copy(self)
        space.limits, space.small = limits, small
        return space

    def sample(self, rng: Random | int) -> Genotype:
        """Draws a genotype uniformly over all of them, or those within the limits (see `kept`)."""
        rng = _random(rng)
        return self.kept(lambda: rules.sample(self.decisions, rng), rng)

    def mutate(self, genotype: Genotype, rng: Random | int) -> Genotype:
        """Returns a genotype that differs in one decision; what this activates is drawn.

        One beyond the limits is mutated once more, so that one decision can make room for another.
        """
        rng = _random(rng)
        first = rules.mutate(self.decisions, genotype.mapping, rng)
        if self.limits is None or self.limits.keeps(Genotype.of(self.name, first)):
            return Genotype.of(self.name, first)
        return self.kept(lambda: rules.mutate(self.decisions, first, rng), rng)

    def neighbours(self, genotype: Genotype, rng: Random | int) -> list[Genotype]:
        """Returns all genotypes that differ in one decision; what this activates is drawn."""
        around = rules.neighbours(self.decisions, genotype.mapping, _random(rng))
        genotypes = [Genotype.of(self.name, chosen) for chosen in around]
        return [each for each in genotypes if self.limits is None or self.limits.keeps(each)]

    def crossover(self, first: Genotype, second: Genotype, rng: Random | int) -> Genotype:
        """Returns a genotype that takes each decision from a random one of two parents."""
        rng, parents = _random(rng), [first.mapping, second.mapping]
        return self.kept(lambda: rules.complete(self.decisions, parents, rng), rng)

    def kept(self, draw: Callable[[], Mapping[str, str]], rng: Random, draws: int = 64) -> Genotype:
        """Returns the first of some draws within the limits, if any; else the last one `shrunk`."""
        genotype = Genotype.of(self.name, draw())
        if self.limits is None:
            return genotype
        for _ in range(draws - 1):
            if self.limits.keeps(genotype):
                return genotype
            genotype = Genotype.of(self.name, draw())
        return self.shrunk(genotype, rng)

    def shrunk(self, genotype: Genotype, rng: Random | int) -> Genotype:
        """Returns a genotype within the limits on a way from this one to `small` (see `walked`)."""
        if (limits := self.limits) is None:
            return genotype
        excess = lambda chosen: limits.excess(Genotype.of(self.name, chosen))  # noqa: E731
        parts = genotype.mapping, self.small.mapping, excess, _random(rng)
        return Genotype.of(self.name, walked(self.decisions, *parts))

    def grown(self, steps: int) -> dict[str, tuple[str, ...]]:
        """Returns by growing decision the options that are open after some steps; a hook.

        By default a decision "depth" begins with its first option and gains the next in each step.
        """
        sizes = {d.name: d.options for d in self.decisions if d.name == "depth"}
        return {name: options[: steps + 1] for name, options in sizes.items()}

    def encode(self, genotype: Genotype) -> tuple[int, ...]:
        """Returns one option index per decision, -1 where the decision is inactive."""
        return rules.encode(self.decisions, genotype.mapping)

    def decode(self, code: Sequence[int]) -> Genotype:
        """Returns the genotype of an encoding."""
        return Genotype.of(self.name, rules.decode(self.decisions, code))

    def cost(self, scale: Scale) -> Cost:
        """Returns the cost of the space's children at a scale, traced on the meta device."""
        if scale not in self._costs:
            with torch.device("meta"):
                network = self.supernet(scale)
            shape = scale.sample_shape()
            self._costs[scale] = trace_cost(network, shape, uniform_mixture(self.choices))
        return self._costs[scale]


def _random(rng: Random | int) -> Random:
    return rng if isinstance(rng, Random) else Random(rng)


def uniform_mixture(choices: Sequence[Choice]) -> Mixture:
    """Returns the mixture in which all options of a choice weigh the same."""
    return _even(choices, [choice.options for choice in choices])


def _even(choices: Sequence[Choice], options: Sequence[Sequence[str]]) -> Mixture:
    """Returns the mixture in which each choice's listed options weigh the same."""
    pairs = zip(choices, options, strict=True)
    support = tuple(tuple(choice.options.index(o) for o in listed) for choice, listed in pairs)
    weights = torch.zeros(len(choices), max(len(c.options) for c in choices))
    for row, indices in zip(weights, support, strict=True):
        row[list(indices)] = 1.0 / max(1, len(indices))
    return Mixture(weights, support)


def one_hot(choices: Sequence[Choice], chosen: dict[str, str]) -> Mixture:
    """Returns the mixture of one chosen option per choice; a choice not named has no support."""
    return _even(choices, [[chosen[c.name]] if c.name in chosen else [] for c in choices])


def child_cost(space: SearchSpace, genotype: Genotype, scale: Scale) -> dict[str, int]:
    """Returns the cost of a genotype's child by quantity, counted on the meta device."""
    with torch.device("meta"):
        network = space.child(genotype, scale)
    return count_cost(network, scale.sample_shape())


def inherit(child: nn.Module, supernet: nn.Module | Mapping[str, Tensor]) -> None:
    """Copies a supernet's params and buffers into a child by name, cropped (see `crop`).

    `supernet` is the module or its `state_dict`.

    Raises: KeyError: the supernet lacks a tensor of the child.
    """
    source = supernet.state_dict() if isinstance(supernet, nn.Module) else supernet
    with torch.no_grad():
        for name, tensor in child.state_dict().items():
            tensor.copy_(crop(source[name], tensor.shape))


def crop(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Returns a view of the part of a supernet's tensor that a child's tensor of a shape inherits.

    It is the leading slice, and the centre of the last two axes of kernels.
    """
    for axis, size in enumerate(shape):
        is_kernel = tensor.dim() == 4 and axis >= 2
        start = (tensor.shape[axis] - size) // 2 if is_kernel else 0
        tensor = tensor.narrow(axis, start, size)
    return tensor
