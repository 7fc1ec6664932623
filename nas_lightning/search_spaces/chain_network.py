"""The networks of the chain space: layers of one convolution that read any earlier layers.

Maps of different sizes are padded with zeros to the largest. Signals are maps of height 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Branch, Factor, Mixture, may_run
from nas_lightning.core.cost import Term
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath, branch_weights
from nas_lightning.networks.elastic import ElasticConv, ElasticNorm, Size, total_weight
from nas_lightning.networks.kernels import as_maps
from nas_lightning.networks.units import Resized

__all__ = ["ChainNetwork", "Filters"]

Weights = Mapping[str, Tensor] | None  # by key of a branch; None in a child


class Filters(NamedTuple):
    """One layer's convolution; the sizes may follow a mixture."""

    height: Size
    width: Size
    number: Size
    stride: tuple[int, int]  # vertical, horizontal
    present: tuple[Factor, ...] = ()  # their product is 1 where there is such a layer, else 0


class _Maps(NamedTuple):
    x: Tensor
    share: Tensor | None = None  # weights of the channels; None is 1


class ChainNetwork(nn.Module):
    """Layers, global pooling of what no layer reads, classifier.

    Layers are numbered from 1 on, 0 is the image. `branches` are what they read; those with a later
    target are the unread layers, once per depth. The convolution of a concatenation is the sum of
    one convolution per source, so that no module's width depends on what is concatenated.
    """

    def __init__(
        self, layers: Mapping[int, Filters], branches: Sequence[Branch], scale: Scale
    ) -> None:
        super().__init__()
        scale.check_extras("chain")
        self.branches, self.filters, norm = branches, layers, Norm.of(scale)
        channels = {0: Size((scale.maps()[0],))} | {i: layers[i].number for i in layers}
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
        """Returns logits (N, num_outputs) of images (N, C, H, W) or signals (N, C, L)."""
        weights = None if mixture is None else branch_weights(self.branches, mixture)
        maps = {0: _Maps(as_maps(x))}
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
        """Yields each layer and the factors of its presence (see `core.cost`)."""
        for i, layer in self.layers.items():
            yield layer, self.filters[int(i)].present


class _Layer(nn.Module):
    """Convolutions of what it reads, their sum, BatchNorm and ReLU."""

    def __init__(
        self, filters: Filters, reads: Sequence[Branch], channels: Mapping[int, Size], norm: Norm
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

    def at_sizes(self, x: Tensor) -> Iterator[Resized]:
        """Yields it at every size, where it is there (see `networks.units`)."""
        for resized in super().at_sizes(x):
            for branch in self.ends:
                yield resized._replace(factors=resized.factors + branch.factors)


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
