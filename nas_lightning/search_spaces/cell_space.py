"""What all spaces of cells have in common: their networks are made of branches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from nas_lightning.core.choices import Branch, Factor, may_run
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell
from nas_lightning.networks.operations import Operation, build_operation
from nas_lightning.networks.partial import BYPASS, Bypass, partial_channels

__all__ = ["KINDS", "NUM_INPUTS", "Branches", "CellSpace", "build_cell", "drawn", "stride_of"]

KINDS, NUM_INPUTS = ("normal", "reduction"), 2  # of the cells that read the two before them
Branches = Mapping[str, Sequence[Branch]]  # by kind of cell


class CellSpace(SearchSpace, ABC):
    """A space of cells: the supernet has all branches, a child those that its genotype lets run."""

    has_cells = True

    @abstractmethod
    def branches(self, scale: Scale) -> Branches:
        """Returns the branches of all genotypes."""

    @abstractmethod
    def network(self, branches: Branches, scale: Scale) -> nn.Module:
        """Builds the network of these branches."""

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes."""
        return self.network(self.branches(scale), scale)

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of one genotype; with scale.flavour "child" the published one."""
        return self.network(self.chosen_branches(genotype, scale), scale)

    def chosen_branches(self, genotype: Genotype, scale: Scale = Scale()) -> Branches:
        """Returns the branches of a genotype."""
        support = self.mixture(genotype).support
        return {
            kind: tuple(branch for branch in table if may_run(branch.factors, support))
            for kind, table in self.branches(scale).items()
        }

    def factor(self, choice: str, *options: str) -> Factor:
        """Returns the factor that is 1 where one of some options is chosen, by name of choice."""
        row = self.rows[choice]
        return Factor.taking(row, self.choices[row].options, *options)

    def edge(
        self, choice: str, source: int, target: int, scale: Scale, stride: int = 1
    ) -> Iterator[Branch]:
        """Yields a branch per operation of an edge, and the way around partial channels.

        "none" is no branch. The way around is weighted by the sum of the edge's row.
        """
        options = self.choices[self.rows[choice]].options
        for op in options:
            if op != "none":
                yield Branch(source, target, op, (self.factor(choice, op),), stride)
        if scale.partial > 1:
            yield Branch(source, target, BYPASS, (self.factor(choice, *options),), stride)


def build_cell(
    branches: Sequence[Branch],
    preprocess: Sequence[Operation],
    output: Sequence[int],
    channels: int,
    stride: int,
    partial: int,
    norm: Norm,
) -> Cell:
    """Builds a cell whose operations are those of `networks.operations`.

    Args:
        branches: its branches.
        preprocess: one operation per input.
        output: the states whose concatenation is its output, the last one among them.
        channels: channels of every state.
        stride: by how much nodes are smaller than the inputs, 1 or 2.
        partial: operations run on one of so many channels (see `Scale.partial`).
        norm: flavour of BatchNorm.
    """
    channels_read, _ = partial_channels(channels, partial)

    def build(branch: Branch) -> Operation:
        if branch.op == BYPASS:
            return Bypass(branch.stride)
        return build_operation(branch.op, channels_read, branch.stride, norm)

    num_states = max(output) + 1
    return Cell(branches, build, preprocess, num_states, output, channels, stride, partial)


def drawn(branches: Sequence[Branch], names: Sequence[str]) -> list[Edge]:
    """Returns branches as edges of a drawing between named states."""
    return [Edge(names[b.source], names[b.target], b.op) for b in branches]


def stride_of(kind: str, source: int) -> int:
    """Returns the stride of operations on a state: 2 on the inputs of a reduction cell."""
    return 2 if kind == "reduction" and source < NUM_INPUTS else 1
