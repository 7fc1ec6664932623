"""The first space of NAS with reinforcement learning: a chain of convolutions with skips.

Source: Zoph & Le, 2017 (arXiv:1611.01578), sections 3.3 and 4.1: every layer has a filter height
and width, a number of filters, perhaps strides, and reads any of the earlier layers, their maps
concatenated along depth; maps of different sizes are padded with zeros to the largest; a layer that
reads none reads the image; what no layer reads is concatenated for the classifier. The depth is a
decision as well, its options in growing order, so that a strategy can let it grow. Deliberate
difference: the maps are averaged before the classifier.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import NO, YES, Branch, Choice, Factor, Mixture, may_run
from nas_lightning.core.cost import Term
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath, branch_weights
from nas_lightning.networks.elastic import ElasticConv, ElasticNorm, Size, total_weight
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, check_sizes, listed

__all__ = ["ChainSpace"]

Weights = Mapping[str, Tensor] | None  # by key of a branch; None in a child


class _Filters(NamedTuple):
    height: Size
    width: Size
    number: Size
    stride: tuple[int, int]  # vertical, horizontal
    present: tuple[Factor, ...] = ()  # their product is 1 where there is such a layer, else 0


class ChainSpace(WiredSpace):
    """Layers of one convolution each, which read any earlier layers.

    scale.channels are the channels of the smallest number of filters, 24 in the paper, and the
    others go with them; scale.cells is ignored, since depth is part of the genotype. With other
    strides than 1 there is no supernet: the size of maps would follow the mixture.

    Args:
        depths: numbers of layers, growing; the paper has 6, and 2 more every 1,600 children.
        heights: filter heights, odd.
        widths: filter widths, odd.
        filters: numbers of filters, at the paper's 24 channels.
        strides: strides of height and of width; the paper has 1 alone, or 1, 2 and 3.
        scale: size at which the space is searched.

    Raises: ValueError: a value is out of range.

    >>> space = ChainSpace(depths=(2,))
    >>> space.count()
    8192
    >>> space.graphs(space.sample(0))[0].nodes
    ('image', '1: 7x7x24', '2: 5x7x64', 'classifier')
    """

    published = Scale(24, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def __init__(
        self,
        depths: Sequence[int] = (4, 6, 8),
        heights: Sequence[int] = (1, 3, 5, 7),
        widths: Sequence[int] = (1, 3, 5, 7),
        filters: Sequence[int] = (24, 36, 48, 64),
        strides: Sequence[int] = (1,),
        scale: Scale = Scale(channels=4),
    ) -> None:
        check_sizes("search_space.depths", depths, use=(4, 6, 8))
        check_sizes("search_space.heights", heights, use=(1, 3, 5, 7), odd=True)
        check_sizes("search_space.widths", widths, use=(1, 3, 5, 7), odd=True)
        check_sizes("search_space.filters", filters, use=(24, 36, 48, 64))
        check_sizes("search_space.strides", strides, use=(1, 2, 3))
        if list(depths) != sorted(depths):
            use = listed(sorted(depths))
            raise ValueError(f"search_space.depths ({listed(depths)}) must grow; use e.g. {use}")
        self.depths, self.filters, self.strides = tuple(depths), tuple(filters), tuple(strides)
        self.sizes = {"filter_height": tuple(heights), "filter_width": tuple(widths)}
        if len(strides) > 1:
            self.sizes |= {"stride_height": self.strides, "stride_width": self.strides}
        self.sizes["filters"] = self.filters
        decisions = list(self._decide())
        choices = [Choice(d.name, d.options, d.kind, d.name.split("/")[0]) for d in decisions]
        super().__init__("chain", scale, choices, decisions)

    def network(self, chosen: Chosen, scale: Scale) -> nn.Module:
        """Builds the network of some choices, or the supernet.

        Raises: ValueError: a supernet is wanted, and there are other strides than 1.
        """
        if chosen is None and self.strides != (1,):
            rule = f"search space 'chain' with strides {listed(self.strides)} has no supernet"
            reason = "since the size of maps would follow the mixture"
            cure = "set search_space.strides=[1], or choose a black-box strategy such as"
            raise ValueError(f"{rule}, {reason}; {cure} strategy=random")
        depth = self.depths[-1] if chosen is None else int(chosen.get("depth", self.depths[0]))
        layers = {i: self._layer(i, scale, chosen) for i in range(1, depth + 1)}
        return _Network(layers, self.running(self._branches(), chosen), scale)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the network of layers, e.g. "2: 3x5x36 /2x1".

        That is layer 2 with 36 filters of height 3 and width 5, and strides if they are chosen.
        """
        chosen = self.validate(genotype).mapping
        depth = int(chosen.get("depth", self.depths[0]))
        names = ["image"] + [self._label(i, chosen) for i in range(1, depth + 1)] + ["classifier"]
        branches = self.running(self._branches(), chosen)
        edges = [Edge(names[b.source], names[min(b.target, depth + 1)], "") for b in branches]
        return (Graph(f"{depth} layers", tuple(names), tuple(edges)),)

    def _decide(self) -> Iterator[Decision]:
        if len(self.depths) > 1:
            yield Decision("depth", tuple(map(str, self.depths)), "size")
        for i in range(1, self.depths[-1] + 1):
            given = (("depth", tuple(self._deep(i))),) if i > self.depths[0] else ()
            for key, sizes in self.sizes.items():
                yield Decision(f"layer_{i}/{key}", tuple(map(str, sizes)), "size", given)
            for j in range(1, i):
                yield Decision(_skip(i, j), (NO, YES), "skip", given)

    def _branches(self) -> Iterator[Branch]:
        """Yields what layers read, the image if no layer, then those that no layer reads."""
        last = self.depths[-1]
        for i in range(1, last + 1):
            yield Branch(0, i, "read", tuple(self.factor(_skip(i, j), NO) for j in range(1, i)))
            for j in range(1, i):
                yield Branch(j, i, "read", (self.factor(_skip(i, j), YES),))
        for i in range(1, last + 1):
            for depth in self._deep(i):
                unread = tuple(self.factor(_skip(k, i), NO) for k in range(i + 1, int(depth) + 1))
                yield Branch(i, last + 1, f"unread_of_{depth}", self._at([depth]) + unread)

    def _deep(self, i: int) -> list[str]:
        return [str(depth) for depth in self.depths if depth >= i]

    def _at(self, depths: Sequence[str]) -> tuple[Factor, ...]:
        """Returns the factor that is 1 at some depths."""
        return (self.factor("depth", *depths),) if "depth" in self.rows else ()

    def _layer(self, i: int, scale: Scale, chosen: Chosen) -> _Filters:
        stride = (self.strides[0], self.strides[0])
        if chosen is not None and "stride_height" in self.sizes:
            stride = int(chosen[f"layer_{i}/stride_height"]), int(chosen[f"layer_{i}/stride_width"])
        height = self.size(f"layer_{i}/filter_height", chosen)
        width = self.size(f"layer_{i}/filter_width", chosen)
        number = self.size(f"layer_{i}/filters", chosen, scale.channels / min(self.filters))
        present = self._at(self._deep(i)) if chosen is None else ()
        return _Filters(height, width, number, stride, present)

    def _label(self, i: int, chosen: Mapping[str, str]) -> str:
        height, width, *strides, filters = (chosen[f"layer_{i}/{key}"] for key in self.sizes)
        stride = f" /{'x'.join(strides)}" if strides else ""
        return f"{i}: {height}x{width}x{filters}{stride}"


class _Maps(NamedTuple):
    x: Tensor
    share: Tensor | None = None  # weights of the channels; None is 1


class _Network(nn.Module):
    """Layers, global pooling of what no layer reads, classifier.

    Layers are numbered from 1 on, 0 is the image. `branches` are what they read; those with a later
    target are the unread layers, once per depth. The convolution of a concatenation is the sum of
    one convolution per source, so that no module's width depends on what is concatenated.
    """

    def __init__(
        self, layers: Mapping[int, _Filters], branches: Sequence[Branch], scale: Scale
    ) -> None:
        super().__init__()
        scale.check_extras("chain")
        self.branches, self.filters, norm = branches, layers, Norm.of(scale)
        channels = {0: Size((scale.image()[0],))} | {i: layers[i].number for i in layers}
        reads = {i: [b for b in branches if b.target == i] for i in layers}
        self.layers = nn.ModuleDict(
            {str(i): _Layer(layer, reads[i], channels, norm) for i, layer in layers.items()}
        )
        self.unread: dict[int, list[Branch]] = {}
        for branch in (b for b in branches if b.target not in layers):
            self.unread.setdefault(branch.source, []).append(branch)
        self.heads = nn.ModuleDict(
            {str(i): _Head(channels[i], scale.outputs(), ends) for i, ends in self.unread.items()}
        )
        self.bias = nn.Parameter(torch.zeros(scale.outputs()))

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        weights = None if mixture is None else branch_weights(self.branches, mixture)
        maps = {0: _Maps(x)}
        for i, layer in self.filters.items():
            if mixture is None or may_run(layer.present, mixture.support):
                maps[i] = self.layers[str(i)](maps, weights, mixture, drop_path)
        unread = {i: _running(ends, weights) for i, ends in self.unread.items() if i in maps}
        height, width = _largest([maps[i].x for i, ends in unread.items() if ends])
        logits = self.bias
        for i, ends in unread.items():
            if ends:
                pooled = maps[i].x.sum(dim=(2, 3), keepdim=True) / (height * width)
                share = _share(maps[i], ends, weights)
                logits = logits + self.heads[str(i)](pooled, mixture, share).flatten(1)
        return logits

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        for i, layer in self.layers.items():
            yield layer, self.filters[int(i)].present


class _Layer(nn.Module):
    """Convolutions of what it reads, their sum, BatchNorm and ReLU."""

    def __init__(
        self, filters: _Filters, reads: Sequence[Branch], channels: Mapping[int, Size], norm: Norm
    ) -> None:
        super().__init__()
        self.filters, self.reads, self.convs = filters, reads, nn.ModuleDict()
        number, height, width = filters.number, filters.height, filters.width
        for i in (branch.source for branch in reads):
            self.convs[str(i)] = ElasticConv(channels[i], number, height, width, filters.stride)
        self.norm = ElasticNorm(number, norm)

    def forward(
        self,
        maps: Mapping[int, _Maps],
        weights: Weights,
        mixture: Mixture | None,
        drop_path: DropPath | None,
    ) -> _Maps:
        reads = _running(self.reads, weights)
        size, terms = _largest([maps[b.source].x for b in reads]), list[Tensor]()
        for branch in reads:
            source = maps[branch.source]
            conv, share = self.convs[str(branch.source)], _share(source, [branch], weights)
            term = conv(_padded(source.x, size), mixture, share)
            if drop_path is not None and len(reads) > 1:
                term = drop_path(term, self.training)
            terms.append(term)
        x = F.relu(self.norm(sum(terms[1:], start=terms[0])))
        share = self.filters.number.leading(mixture)
        total = total_weight(mixture, self.filters.height, self.filters.width)
        if share is None or total is None:
            return _Maps(x, total if share is None else share)
        return _Maps(x, share * total)

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        for branch in self.reads:
            yield self.convs[str(branch.source)], branch.factors


class _Head(ElasticConv):
    """The classifier's part that reads one layer, where no other layer does."""

    def __init__(self, channels: Size, num_outputs: int, ends: Sequence[Branch]) -> None:
        super().__init__(channels, Size((num_outputs,)), Size((1,)))
        self.ends = ends

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        for term in super().cost_terms(output):
            for branch in self.ends:
                yield Term(term.amount, term.factors + branch.factors)


def _running(branches: Sequence[Branch], weights: Weights) -> list[Branch]:
    return [b for b in branches if weights is None or b.key in weights]


def _share(source: _Maps, branches: Sequence[Branch], weights: Weights) -> Tensor | None:
    """Returns the weights of a source's channels times the sum of some branches' weights."""
    if weights is None:
        return source.share
    first, *others = [weights[b.key] for b in branches]
    value = sum(others, start=first)
    return value if source.share is None else source.share * value


def _largest(maps: Sequence[Tensor]) -> tuple[int, int]:
    return max(x.shape[2] for x in maps), max(x.shape[3] for x in maps)


def _padded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns maps (N, C, H, W) with zeros at the bottom and the right up to a size."""
    height, width = size[0] - x.shape[2], size[1] - x.shape[3]
    return F.pad(x, (0, width, 0, height)) if height or width else x


def _skip(layer: int, source: int) -> str:
    return f"layer_{layer}/skip_{source}"
