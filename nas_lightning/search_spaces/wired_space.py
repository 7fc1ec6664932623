"""What published spaces share: one plan builds the supernet and every child."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from torch import nn

from nas_lightning.core.checks import one_of
from nas_lightning.core.choices import Branch, Factor, may_run
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.elastic import Size
from nas_lightning.networks.operations import Operation, build_operation
from nas_lightning.networks.partial import BYPASS, Bypass, partial_channels

__all__ = [
    "KINDS",
    "NUM_INPUTS",
    "Chosen",
    "WiredSpace",
    "build_cell",
    "check_names",
    "check_sizes",
    "drawn",
    "listed",
    "stride_of",
]

KINDS, NUM_INPUTS = ("normal", "reduction"), 2  # of cells that read the two cells before them
Chosen = Mapping[str, str] | None  # option by decision; None leaves every choice to a mixture


class WiredSpace(SearchSpace, ABC):
    """A space that builds a network of some choices, or with none of them the supernet."""

    published: Scale | None = None  # see `published_scale`

    @abstractmethod
    def network(self, chosen: Chosen, scale: Scale) -> nn.Module:
        """Builds the network of a genotype's choices, or the supernet."""

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes."""
        return self.network(None, scale)

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of one genotype; with scale.flavour "child" the published one."""
        return self.network(self.validate(genotype).mapping, scale)

    def published_scale(self) -> Scale:
        """Returns the scale at which the space's papers report children."""
        return self.published or self.scale

    def running(self, branches: Iterable[Branch], chosen: Chosen) -> list[Branch]:
        """Returns those branches that run in a child, without factors; all in the supernet."""
        if chosen is None:
            return list(branches)
        support = self.mixture(Genotype.of(self.name, chosen)).support
        return [replace(b, factors=()) for b in branches if may_run(b.factors, support)]

    def rows_of(self, kind: str) -> tuple[int, ...]:
        """Returns the rows of the choices of a kind of cell."""
        return tuple(row for name, row in self.rows.items() if name.startswith(f"{kind}/"))

    def factor(self, choice: str, *options: str) -> Factor:
        """Returns the factor that is 1 where a choice, by name, takes one of some options."""
        row = self.rows[choice]
        return Factor.taking(row, self.choices[row].options, *options)

    def edge(
        self, choice: str, source: int, target: int, scale: Scale, stride: int = 1
    ) -> Iterator[Branch]:
        """Yields a branch per operation of a choice, "none" apart.

        With partial channels the way around them follows, weighted by the sum of the row.
        """
        options = self.choices[self.rows[choice]].options
        for op in options:
            if op != "none":
                yield Branch(source, target, op, (self.factor(choice, op),), stride)
        if scale.partial > 1:
            yield Branch(source, target, BYPASS, (self.factor(choice, *options),), stride)

    def size(self, name: str, chosen: Chosen, unit: float = 1) -> Size:
        """Returns the size that a choice, by name, is about, times a unit."""
        row = self.rows[name]
        options = self.choices[row].options if chosen is None else (chosen[name],)
        sizes = tuple(max(1, round(int(option) * unit)) for option in options)
        return Size(sizes, row if chosen is None else None)


def build_cell(
    branches: Sequence[Branch],
    preprocess: Sequence[Operation],
    output: Sequence[int],
    channels: int,
    stride: int,
    partial: int,
    norm: Norm,
) -> Cell:
    """Builds a cell of operations by name; its arguments are those of `Cell`, and BatchNorm's."""
    channels_read, _ = partial_channels(channels, partial)

    def build(branch: Branch) -> Operation:
        if branch.op == BYPASS:
            return Bypass(branch.stride)
        return build_operation(branch.op, channels_read, branch.stride, norm)

    return Cell(branches, build, preprocess, max(output) + 1, output, channels, stride, partial)


def drawn(branches: Iterable[Branch], names: Sequence[str]) -> list[Edge]:
    """Returns branches as edges of a drawing between named states."""
    return [Edge(names[b.source], names[b.target], b.op) for b in branches]


def stride_of(kind: str, source: int) -> int:
    """Returns the stride of operations on a state: 2 on the inputs of a reduction cell."""
    return 2 if kind == "reduction" and source < NUM_INPUTS else 1


def check_names(key: str, names: Sequence[str], known: Collection[str]) -> None:
    """Refuses an empty list, a repeated name and one that is not among the `known` ones.

    >>> check_names("search_space.ops", ["skip", "skip"], ["skip", "conv"])
    Traceback (most recent call last):
    ValueError: search_space.ops ([skip, skip]) must be different, and at least one; use e.g. [skip]
    """
    for name in names:
        one_of(key, name, known)
    if not names or len(set(names)) < len(names):
        use = listed(dict.fromkeys(names or known))
        rule = "must be different, and at least one"
        raise ValueError(f"{key} ({listed(names)}) {rule}; use e.g. {use}")


def check_sizes(key: str, sizes: Sequence[int], use: Sequence[int], odd: bool = False) -> None:
    """Refuses an empty list, a repeated size, and one below 1 or even where it must be odd.

    >>> check_sizes("search_space.kernels", [3, 4], use=[3, 5], odd=True)
    Traceback (most recent call last):
    ValueError: search_space.kernels ([3, 4]) must be different odd numbers >= 1; use e.g. [3, 5]
    """
    are_right = all(size >= 1 and (size % 2 or not odd) for size in sizes)
    if not sizes or not are_right or len(set(sizes)) < len(sizes):
        rule = f"different {'odd ' if odd else ''}numbers >= 1"
        raise ValueError(f"{key} ({listed(sizes)}) must be {rule}; use e.g. {listed(use)}")


def listed(values: Iterable[object]) -> str:
    """Returns values as a command line has them, e.g. [3, 5]."""
    return f"[{', '.join(map(str, values))}]"
