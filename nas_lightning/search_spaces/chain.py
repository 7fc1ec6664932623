"""The first space of NAS with reinforcement learning: a chain of convolutions with skips.

Source: Zoph & Le, 2017 (arXiv:1611.01578), sections 3.3 and 4.1: every layer has a filter height
and width, a number of filters, perhaps strides, and reads any of the earlier layers, their maps
concatenated along depth; maps of different sizes are padded with zeros to the largest; a layer that
reads none reads the image; what no layer reads is concatenated for the classifier. The depth is a
decision as well, its options in growing order, so that a strategy can let it grow. Deliberate
difference: the maps are averaged before the classifier.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace

from torch import nn

from nas_lightning.core.choices import NO, YES, Branch, Choice, Factor
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.chain_network import ChainNetwork, Filters
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, check_sizes, listed

__all__ = ["ChainSpace"]


class ChainSpace(WiredSpace):
    """Layers of one convolution each, which read any earlier layers.

    scale.channels are the channels of the smallest number of filters, 24 in the paper, and the
    others go with them; scale.cells is ignored, since depth is part of the genotype. On signals
    (C, L) all heights are 1, and a space `fitted` to them has no other. With other
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
    ignored_scale = ("cells",)
    has_elastic_sizes = True

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
        sizes = {"filter_height": tuple(heights), "filter_width": tuple(widths)}
        if len(strides) > 1:
            sizes |= {"stride_height": self.strides, "stride_width": self.strides}
        self._declare(sizes | {"filters": self.filters}, scale)

    def _declare(self, sizes: dict[str, tuple[int, ...]], scale: Scale) -> None:
        self.sizes = sizes  # of every layer
        decisions = list(self._decide())
        choices = [Choice(d.name, d.options, d.kind, d.name.split("/")[0]) for d in decisions]
        super().__init__("chain", scale, choices, decisions)

    def fitted(self, scale: Scale) -> "ChainSpace":
        """Returns the space of these data: on signals every height is 1."""
        if scale.axes == 2:
            return self
        space = copy(self)
        flat = {key: (1,) for key in self.sizes if key.endswith("_height")}
        space._declare(self.sizes | flat, self.scale)
        return space

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
        return ChainNetwork(layers, self.running(self._branches(), chosen), scale)

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

    def _layer(self, i: int, scale: Scale, chosen: Chosen) -> Filters:
        stride = (self.strides[0], self.strides[0])
        if chosen is not None and "stride_height" in self.sizes:
            stride = int(chosen[f"layer_{i}/stride_height"]), int(chosen[f"layer_{i}/stride_width"])
        height = self.size(f"layer_{i}/filter_height", chosen)
        if scale.axes == 1:
            height = replace(height, options=(1,) * len(height.options))
        width = self.size(f"layer_{i}/filter_width", chosen)
        number = self.size(f"layer_{i}/filters", chosen, scale.channels / min(self.filters))
        present = self._at(self._deep(i)) if chosen is None else ()
        return Filters(height, width, number, stride, present)

    def _label(self, i: int, chosen: Mapping[str, str]) -> str:
        height, width, *strides, filters = (chosen[f"layer_{i}/{key}"] for key in self.sizes)
        stride = f" /{'x'.join(strides)}" if strides else ""
        return f"{i}: {height}x{width}x{filters}{stride}"


def _skip(layer: int, source: int) -> str:
    return f"layer_{layer}/skip_{source}"
