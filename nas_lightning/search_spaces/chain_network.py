"""Chains of convolutions that read any earlier layers: Zoph & Le's networks.

Source: Zoph & Le, 2017 (arXiv:1611.01578), section 3.3. Source 0 is the image and source i layer
i. The convolution of a concatenation is the sum of one convolution per source.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Branch, Factor, Mixture, may_run
from nas_lightning.core.cost import Term
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath, branch_weights
from nas_lightning.networks.elastic import ElasticConv, ElasticNorm, Size, total_weight

__all__ = ["ChainLayer", "ChainNetwork"]


@dataclass(frozen=True)
class ChainLayer:
    """Height, width and number of the filters of one layer, and its strides along both."""

    height: Size
    width: Size
    filters: Size
    stride: tuple[int, int]
    present: tuple[Factor, ...] = ()  # their product is 1 where there is such a layer, else 0


@dataclass(frozen=True)
class _Maps:
    x: Tensor
    share: Tensor | None = None  # weights of the channels; None is 1


class ChainNetwork(nn.Module):
    """Layers, global pooling of what no layer reads, classifier.

    `layers` are numbered from 1 on. `branches` are what they read; those with a later target are
    the unread layers, once per depth. They have no factors in a child.
    """

    def __init__(
        self, layers: Mapping[int, ChainLayer], branches: Sequence[Branch], scale: Scale
    ) -> None:
        super().__init__()
        scale.check_extras("chain")
        self.branches, self.sizes, norm = branches, layers, Norm.of(scale)
        channels = {0: Size((scale.image()[0],))} | {i: layers[i].filters for i in layers}
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
        """Returns logits (N, num_outputs) of images (N, C, H, W)."""
        weights = None if mixture is None else branch_weights(self.branches, mixture)
        maps = {0: _Maps(x)}
        for i, layer in self.sizes.items():
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
        """Yields the layers and what weighs them (see `core.cost`)."""
        for i, layer in self.layers.items():
            yield layer, self.sizes[int(i)].present


class _Layer(nn.Module):
    """Convolutions of what it reads, their sum, BatchNorm and ReLU."""

    def __init__(
        self, sizes: ChainLayer, reads: Sequence[Branch], channels: Mapping[int, Size], norm: Norm
    ) -> None:
        super().__init__()
        self.sizes, self.reads = sizes, reads
        self.convs = nn.ModuleDict()
        for source in (branch.source for branch in reads):
            self.convs[str(source)] = ElasticConv(
                channels[source], sizes.filters, sizes.height, sizes.width, sizes.stride
            )
        self.norm = ElasticNorm(sizes.filters, norm)

    def forward(
        self,
        maps: Mapping[int, _Maps],
        weights: Mapping[str, Tensor] | None,
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
        share = self.sizes.filters.leading(mixture)
        total = total_weight(mixture, self.sizes.height, self.sizes.width)
        if share is None or total is None:
            return _Maps(x, total if share is None else share)
        return _Maps(x, share * total)

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields the convolutions and what weighs them (see `core.cost`)."""
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


def _running(branches: Sequence[Branch], weights: Mapping[str, Tensor] | None) -> list[Branch]:
    return [b for b in branches if weights is None or b.key in weights]


def _share(
    source: _Maps, branches: Sequence[Branch], weights: Mapping[str, Tensor] | None
) -> Tensor | None:
    """Returns the weights of a source's channels times the sum of some branches' weights."""
    if weights is None:
        return source.share
    first, *others = [weights[b.key] for b in branches]
    value = sum(others, start=first)
    return value if source.share is None else source.share * value


def _largest(maps: Sequence[Tensor]) -> tuple[int, int]:
    """Returns the largest height and width of some maps (N, C, H, W)."""
    return max(x.shape[2] for x in maps), max(x.shape[3] for x in maps)


def _padded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns maps (N, C, H, W) with zeros at the bottom and the right up to a size."""
    height, width = size[0] - x.shape[2], size[1] - x.shape[3]
    return F.pad(x, (0, width, 0, height)) if height or width else x
