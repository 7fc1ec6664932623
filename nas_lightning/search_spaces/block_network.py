"""A stack of cells that end in the states nobody reads: supernets and children of block spaces.

Sources: Zoph et al., NASNet, 2018 (arXiv:1707.07012), section 3, and Pham et al., ENAS, 2018
(arXiv:1802.03268), section 2.4: a cell's output is the concatenation of the states that no
operation reads. Which they are depends on the genotype, so the concatenation is never built: the
1x1 convolutions and linear layers that read it are sums of one such layer per state (`LooseEnds`).
"Nobody reads this state" is the product over its readers of one minus the weight of reading it.

Stem, places of the reductions and auxiliary head are DARTS's (`networks.cell_network`). As in both
papers' code a ReLU precedes the last global pooling.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Branch, Factor, Mixture
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell, DropPath, cell_weights
from nas_lightning.networks.cell_network import (
    GlobalMean,
    Stem,
    auxiliary_head,
    cell_kinds,
    check_auxiliary,
    two_thirds,
)
from nas_lightning.networks.operations import FactorizedReduction, Operation, relu_conv_norm
from nas_lightning.networks.state import State

__all__ = ["BlockNetwork", "LooseEnds", "unread"]


class LooseEnds(nn.Module):
    """The sum of one layer per state that is there, then the layer `after`.

    A state may come weighted by a mixture: the layers are linear, or linear behind a ReLU, so that
    their sum is weighted alike. `layers`, forward(State) -> Tensor, and the `factors` that weigh
    the states, for the cost, are keyed by the state's number.
    """

    def __init__(
        self,
        layers: Mapping[int, nn.Module],
        after: nn.Module,
        factors: Mapping[int, tuple[Factor, ...]],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(number): layer for number, layer in layers.items()})
        self.after, self.factors = after, factors

    def forward(self, states: Mapping[int, State]) -> Tensor:
        """Returns what comes out of `after`; `states` are those that are there, by number."""
        parts = [layer(states[int(n)]) for n, layer in self.layers.items() if int(n) in states]
        out: Tensor = self.after(sum(parts[1:], start=parts[0]))
        return out

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields each state's layer and the factors that weigh it (see `core.cost`)."""
        for number, layer in self.layers.items():
            yield layer, self.factors[int(number)]


def unread(readers: Iterable[tuple[int, int, int]]) -> tuple[Factor, ...]:
    """Returns the factors whose product is 1 where no reader takes a state, and 0 elsewhere.

    A reader is a triple: row of a choice of inputs, its number of options, the option that takes
    the state.

    >>> unread([(4, 3, 1)])
    (Factor(choice=4, coefficients=(1.0, 0.0, 1.0)),)
    """
    return tuple(
        Factor(row, tuple(float(option != taken) for option in range(number)))
        for row, number, taken in readers
    )


class _Output(NamedTuple):
    """What a cell or the stem gives, with the factors of its loose states by their number."""

    ends: Mapping[int, tuple[Factor, ...]]
    channels: int
    is_reduced: bool  # whether the cell halved the map


class BlockNetwork(nn.Module):
    """Stem, cells with two reductions at the thirds, global pooling, classifier.

    Args:
        make_cell: builds a cell of a kind and number of channels, with a flavour of BatchNorm.
        branches: by kind of cell, the tables whose weights the mixture gives.
        ends: by kind of cell, the branches whose targets make the cell's output.
        scale: sizes and flavours.

    Raises: ValueError: the image is too small for the reductions or the auxiliary head.
    """

    def __init__(
        self,
        make_cell: Callable[[str, int, Norm], Cell],
        branches: Mapping[str, Sequence[Branch]],
        ends: Mapping[str, Sequence[Branch]],
        scale: Scale,
    ) -> None:
        super().__init__()
        norm, channels = Norm.of(scale), scale.channels
        self.branches, self.ends = branches, ends
        self.kinds = cell_kinds(scale.cells)
        self.stem, self.first_reads = Stem(scale, norm), nn.ModuleList()
        self.second_reads, self.cells = nn.ModuleList(), nn.ModuleList()
        before = last = _Output({0: ()}, self.stem.width, scale.stem == "imagenet")
        for index, kind in enumerate(self.kinds):
            channels *= 2 if kind == "reduction" else 1
            self.first_reads.append(_read(before, channels, last.is_reduced, norm))
            self.second_reads.append(_read(last, channels, False, norm))
            self.cells.append(make_cell(kind, channels, norm))
            loose = {branch.target: branch.factors for branch in self.ends[kind]}
            before, last = last, _Output(loose, channels, kind == "reduction")
            if scale.auxiliary and index == two_thirds(scale.cells):
                self.auxiliary = _auxiliary(last, scale, norm)
        self.classifier = _classifier(last, scale)

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs) of images (N, C, H, W) or signals (N, C, L)."""
        logits: Tensor = self.classifier(self._outputs(x, mixture, drop_path)[-1])
        return logits

    def forward_auxiliary(
        self, x: Tensor, drop_path: DropPath | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns a child's logits (N, num_outputs) and those of its auxiliary head.

        Raises: ValueError: the network was built without an auxiliary head.
        """
        check_auxiliary(self)
        outputs = self._outputs(x, None, drop_path)
        return self.classifier(outputs[-1]), self.auxiliary(outputs[two_thirds(len(outputs))])

    def _outputs(
        self, x: Tensor, mixture: Mixture | None, drop_path: DropPath | None
    ) -> list[dict[int, State]]:
        """Returns by cell the loose states that are there, by their number."""
        weights = cell_weights(self.branches, self.kinds, mixture)
        before, last = ({0: state} for state in self.stem(x))
        outputs = []
        reads = self.first_reads, self.second_reads
        parts = zip(self.kinds, *reads, self.cells, weights, strict=True)
        for kind, first_read, second_read, cell, known in parts:
            assert isinstance(cell, Cell)
            inputs = (State(first_read(before)), State(second_read(last)))
            states = cell.states(inputs, known, drop_path)
            ends = [b.target for b in self.ends[kind] if known is None or b.key in known]
            before, last = last, {number: states[number] for number in ends}
            outputs.append(last)
        return outputs


def _read(output: _Output, channels: int, halve: bool, norm: Norm) -> LooseEnds:
    def make() -> Operation:
        if halve:
            return FactorizedReduction(output.channels, channels, None, norm.axes)
        return relu_conv_norm(output.channels, channels, None)

    layers = {number: make() for number in output.ends}
    return LooseEnds(layers, norm(channels), output.ends)


def _classifier(output: _Output, scale: Scale) -> LooseEnds:
    layers = {}
    for number in output.ends:
        linear = nn.Linear(output.channels, scale.outputs(), bias=False)
        layers[number] = _OfImages(nn.Sequential(nn.ReLU(), GlobalMean(), linear))
    return LooseEnds(layers, _Bias(scale.outputs()), output.ends)


def _auxiliary(output: _Output, scale: Scale, norm: Norm) -> LooseEnds:
    heads = {number: auxiliary_head(output.channels, scale, norm) for number in output.ends}
    layers = {number: _OfImages(head[:3]) for number, head in heads.items()}
    return LooseEnds(layers, next(iter(heads.values()))[3:], output.ends)


class _OfImages(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, state: State) -> Tensor:
        out: Tensor = self.layers(state.x)
        return out


class _Bias(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias
