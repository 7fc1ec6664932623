"""Chains of convolutions that read any earlier layers: Zoph & Le's networks.

Source: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), section 3.3. Source 0 is the image and source i layer i. The convolution of a
concatenation is the sum of one convolution per source, so that no module's width depends on what
is concatenated.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import Factor, Mixture, factors_value
from nas_lightning.core.cost import Term
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath
from nas_lightning.networks.elastic import ElasticConv, ElasticNorm, Size, total_weight

__all__ = ["ChainLayer", "ChainNetwork", "ChainWiring"]

Factors = tuple[Factor, ...]


@dataclass(frozen=True)
class ChainLayer:
    """The sizes of one layer, chosen by a mixture or fixed.

    Attributes:
        height: height of its filters.
        width: width of its filters.
        filters: number of its filters.
        stride: vertical and horizontal stride.
    """

    height: Size
    width: Size
    filters: Size
    stride: tuple[int, int]


@dataclass(frozen=True)
class ChainWiring:
    """Which choices of a mixture wire the layers.

    Attributes:
        skips: by layer and source, row of the choice whose second option lets it read it.
        depths: the possible numbers of layers.
        depth: row of the choice among them; None where there is one.
    """

    skips: Mapping[tuple[int, int], int]
    depths: Sequence[int]
    depth: int | None

    def present(self, layer: int) -> Factors:
        """Returns the factors whose product is 1 where there is such a layer, else 0."""
        return self._deep(depth >= layer for depth in self.depths)

    def reads(self, layer: int, source: int) -> Factors:
        """Returns the factors of a layer's reading a source; it reads the image if no other."""
        if source > 0:
            return (Factor(self.skips[layer, source], (0.0, 1.0)),)
        return tuple(Factor(self.skips[layer, other], (1.0, 0.0)) for other in range(1, layer))

    def unread(self, layer: int) -> list[Factors]:
        """Returns a product of factors for each depth at which nobody may read a layer."""
        products = []
        for depth in self.depths:
            if depth >= layer:
                skips = [self.skips[i, layer] for i in range(layer + 1, depth + 1)]
                ignored = tuple(Factor(skip, (1.0, 0.0)) for skip in skips)
                products.append(self._deep(other == depth for other in self.depths) + ignored)
        return products

    def _deep(self, depths: Iterable[bool]) -> Factors:
        return () if self.depth is None else (Factor(self.depth, tuple(map(float, depths))),)


@dataclass(frozen=True)
class _Maps:
    """The maps of a source, and the weights of their channels (None: one)."""

    x: Tensor
    share: Tensor | None = None


class _Weights:
    """The values of factors under a mixture; without a mixture all runs and weighs one."""

    def __init__(self, mixture: Mixture | None) -> None:
        self.mixture = mixture
        self.rows = [] if mixture is None else [row.unbind() for row in mixture.weights.unbind()]

    def running(self, products: Sequence[Factors]) -> list[Tensor]:
        """Returns the values of those products of factors that may run."""
        if self.mixture is None:
            return []
        values = [factors_value(product, self.rows, self.mixture.support) for product in products]
        return [value.to(self.mixture.weights) for value in values if value is not None]

    def let_run(self, products: Sequence[Factors]) -> bool:
        """Returns whether one of some products of factors may run."""
        return self.mixture is None or bool(self.running(products))

    def times(self, share: Tensor | None, products: Sequence[Factors]) -> Tensor | None:
        """Returns a share times the sum of products of factors."""
        values = self.running(products)
        if not values:
            return share
        value = sum(values[1:], start=values[0])
        return value if share is None else share * value


class ChainNetwork(nn.Module):
    """Layers, global pooling of what no layer reads, classifier.

    Args:
        layers: sizes of each layer, from 1 on.
        sources: what each layer reads, or may read.
        scale: sizes and flavours.
        wiring: the choices that weigh it; None for a child.
    """

    def __init__(
        self,
        layers: Mapping[int, ChainLayer],
        sources: Mapping[int, Sequence[int]],
        scale: Scale,
        wiring: ChainWiring | None,
    ) -> None:
        super().__init__()
        scale.check_extras("chain")
        self.wiring, norm = wiring, Norm.of(scale)
        channels = {0: Size((scale.image()[0],))} | {i: layers[i].filters for i in layers}
        self.layers = nn.ModuleDict()
        for i, layer in layers.items():
            inputs = {j: channels[j] for j in sources[i]}
            factors = {j: wiring.reads(i, j) if wiring else () for j in inputs}
            self.layers[str(i)] = _Layer(layer, inputs, factors, norm)
        read = set[int]() if wiring else {j for i in layers for j in sources[i]}
        self.unread = {
            i: wiring.unread(i) if wiring else [()] for i in sorted(layers.keys() - read)
        }
        self.heads = nn.ModuleDict(
            {str(i): _Head(channels[i], scale.outputs(), self.unread[i]) for i in self.unread}
        )
        self.bias = nn.Parameter(torch.zeros(scale.outputs()))

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs).

        Args:
            x: images (N, C, H, W), normalised.
            mixture: the mixing weights of a supernet; None for a child.
            drop_path: drops sources of a child's layer that has several while it trains.
        """
        weights, maps = _Weights(mixture), {0: _Maps(x)}
        for i, layer in enumerate(self.layers.values(), start=1):
            if self.wiring is None or weights.let_run([self.wiring.present(i)]):
                maps[i] = layer(maps, weights, drop_path)
        ends = {
            i: unread for i, unread in self.unread.items() if i in maps and weights.let_run(unread)
        }
        logits, (height, width) = self.bias, _largest([maps[i].x for i in ends])
        for i, unread in ends.items():
            pooled = maps[i].x.sum(dim=(2, 3), keepdim=True) / (height * width)
            share = weights.times(maps[i].share, unread)
            logits = logits + self.heads[str(i)](pooled, mixture, share).flatten(1)
        return logits

    def weighted_modules(self) -> Iterator[tuple[nn.Module, Factors]]:
        """Yields the layers and what weighs them (see `core.cost`)."""
        if self.wiring is not None:
            for i, layer in self.layers.items():
                yield layer, self.wiring.present(int(i))


class _Layer(nn.Module):
    """Convolutions of what it reads, their sum, BatchNorm and ReLU.

    Args:
        sizes: its sizes.
        inputs: channels of each source.
        factors: what weighs each source.
        norm: flavour of BatchNorm.
    """

    def __init__(
        self,
        sizes: ChainLayer,
        inputs: Mapping[int, Size],
        factors: Mapping[int, Factors],
        norm: Norm,
    ) -> None:
        super().__init__()
        self.sizes, self.factors = sizes, factors
        self.convs = nn.ModuleDict(
            {
                str(j): ElasticConv(size, sizes.filters, sizes.height, sizes.width, sizes.stride)
                for j, size in inputs.items()
            }
        )
        self.norm = ElasticNorm(sizes.filters, norm)

    def forward(
        self, maps: Mapping[int, _Maps], weights: _Weights, drop_path: DropPath | None
    ) -> _Maps:
        mixture = weights.mixture
        read = [j for j, product in self.factors.items() if weights.let_run([product])]
        size, terms = _largest([maps[j].x for j in read]), list[Tensor]()
        for j in read:
            share = weights.times(maps[j].share, [self.factors[j]])
            term = self.convs[str(j)](_padded(maps[j].x, size), mixture, share)
            terms.append(term if drop_path is None or len(read) == 1 else drop_path(term))
        x = F.relu(self.norm(sum(terms[1:], start=terms[0])))
        share = self.sizes.filters.leading(mixture)
        total = total_weight(mixture, self.sizes.height, self.sizes.width)
        if share is None or total is None:
            return _Maps(x, total if share is None else share)
        return _Maps(x, share * total)

    def weighted_modules(self) -> Iterator[tuple[nn.Module, Factors]]:
        """Yields the convolutions and what weighs them (see `core.cost`)."""
        for j, factors in self.factors.items():
            yield self.convs[str(j)], factors


class _Head(ElasticConv):
    """The classifier's part that reads one layer, where no other layer does.

    Args:
        channels: channels of the layer.
        num_outputs: number of classes.
        unread: products of factors whose sum weighs it.
    """

    def __init__(self, channels: Size, num_outputs: int, unread: Sequence[Factors]) -> None:
        super().__init__(channels, Size((num_outputs,)), Size((1,)))
        self.unread = unread

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        for term in super().cost_terms(output):
            for product in self.unread:
                yield Term(term.amount, term.factors + product)


def _largest(maps: Sequence[Tensor]) -> tuple[int, int]:
    """Returns the largest height and width of some maps (N, C, H, W)."""
    return max(x.shape[2] for x in maps), max(x.shape[3] for x in maps)


def _padded(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Returns maps (N, C, H, W) with zeros at the bottom and the right up to a size."""
    height, width = size[0] - x.shape[2], size[1] - x.shape[3]
    return F.pad(x, (0, width, 0, height)) if height or width else x
