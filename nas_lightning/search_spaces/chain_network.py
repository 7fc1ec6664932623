"""Chains of convolutions that read any earlier layers: Zoph & Le's networks.

Source: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), section 3.3. Source 0 is the image and source i layer i. The convolution of a
concatenation is the sum of one convolution a source, so that no module's width depends on what
is concatenated.
"""

from collections.abc import Iterator, Mapping, Sequence
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
        skips: by layer and source, index of the choice whose second option lets it read it.
        depths: the possible numbers of layers.
        depth: index of the choice among them; None where there is one.
    """

    skips: Mapping[tuple[int, int], int]
    depths: Sequence[int]
    depth: int | None

    def present(self, layer: int) -> Factors:
        """Returns the factors of a layer's presence."""
        return self._deep(tuple(float(depth >= layer) for depth in self.depths))

    def reads(self, layer: int, source: int) -> Factors:
        """Returns the factors of a layer's reading a source, the image if none other."""
        if source > 0:
            return (Factor(self.skips[layer, source], (0.0, 1.0)),)
        return tuple(Factor(self.skips[layer, other], (1.0, 0.0)) for other in range(1, layer))

    def unread(self, layer: int) -> list[Factors]:
        """Returns a product of factors for each depth at which nobody may read a layer."""
        found = []
        for depth in self.depths:
            if depth >= layer:
                readers = range(layer + 1, depth + 1)
                ignored = tuple(Factor(self.skips[i, layer], (1.0, 0.0)) for i in readers)
                found.append(self._deep(tuple(float(d == depth) for d in self.depths)) + ignored)
        return found

    def _deep(self, coefficients: tuple[float, ...]) -> Factors:
        return () if self.depth is None else (Factor(self.depth, coefficients),)


@dataclass(frozen=True)
class _Maps:
    """What a source gives: its maps, and the weights of their channels (None: one)."""

    x: Tensor
    share: Tensor | None = None


class _Weights:
    """What a mixture makes of factors; without a mixture all runs and weighs one."""

    def __init__(self, mixture: Mixture | None) -> None:
        self.mixture = mixture
        self.rows = [] if mixture is None else [row.unbind() for row in mixture.weights.unbind()]

    def running(self, products: Sequence[Factors]) -> list[Tensor]:
        """Returns the values of those products of factors that may run."""
        if self.mixture is None:
            return []
        values = [factors_value(product, self.rows, self.mixture.support) for product in products]
        like = self.mixture.weights
        return [value.to(like) for value in values if value is not None]

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
            factors = {j: wiring.reads(i, j) for j in sources[i]} if wiring else {}
            inputs = {j: channels[j] for j in sources[i]}
            self.layers[str(i)] = _Layer(layer, inputs, factors, norm)
        read = set[int]() if wiring else {j for i in layers for j in sources[i]}
        self.heads = nn.ModuleDict()
        for i in sorted(layers.keys() - read):
            unread = wiring.unread(i) if wiring else [()]
            self.heads[str(i)] = _Head(channels[i], scale.outputs(), unread)
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
        logits = self.bias
        ends = {i: head for i, head in self._heads() if i in maps and weights.let_run(head.unread)}
        height, width = _largest([maps[i].x for i in ends])
        for i, head in ends.items():
            pooled = maps[i].x.sum(dim=(2, 3), keepdim=True) / (height * width)
            share = weights.times(maps[i].share, head.unread)
            logits = logits + head(pooled, mixture, share).flatten(1)
        return logits

    def weighted_modules(self) -> Iterator[tuple[nn.Module, Factors]]:
        """Yields the layers and what weighs them (see `core.cost`)."""
        if self.wiring is not None:
            for i, layer in self.layers.items():
                yield layer, self.wiring.present(int(i))

    def _heads(self) -> Iterator[tuple[int, "_Head"]]:
        for i, head in self.heads.items():
            assert isinstance(head, _Head)
            yield int(i), head


class _Layer(nn.Module):
    """Convolutions of what it reads, their sum, BatchNorm and ReLU.

    Args:
        sizes: its sizes.
        inputs: channels of each source.
        factors: what weighs each source; {} for a child.
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
        self.sizes, self.factors = sizes, dict(factors)
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
        products = {int(j): [self.factors.get(int(j), ())] for j in self.convs}
        read = [j for j, product in products.items() if weights.let_run(product)]
        size, terms = _largest([maps[j].x for j in read]), list[Tensor]()
        for j in read:
            share = weights.times(maps[j].share, products[j])
            term = self.convs[str(j)](_padded(maps[j].x, size), mixture, share)
            if drop_path is not None and len(read) > 1:
                term = drop_path(term, self.training)
            terms.append(term)
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
        self.unread = list(unread)

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
