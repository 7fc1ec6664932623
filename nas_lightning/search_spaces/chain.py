"""The first space of NAS with reinforcement learning: a chain of convolutions with skips.

Source: Zoph & Le, Neural Architecture Search with Reinforcement Learning, 2017
(arXiv:1611.01578), sections 3.3 and 4.1: every layer has a filter height and width, a number of
filters, perhaps strides, and reads any of the earlier layers, their maps concatenated along
depth; maps of different sizes are padded with zeros to the largest; a layer that reads none reads
the image; what no layer reads is concatenated for the classifier. The depth is a decision as
well, so that a strategy can let it grow: the options of "depth" are in growing order.

Deliberate difference: the maps are averaged before the classifier.
"""

from collections.abc import Mapping, Sequence

from torch import nn

from nas_lightning.core.choices import NO, YES, Choice
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.elastic import Size
from nas_lightning.search_spaces.chain_network import ChainLayer, ChainNetwork, ChainWiring

__all__ = ["ChainSpace"]


class ChainSpace(SearchSpace):
    """Layers of one convolution each, which read any earlier layers.

    scale.channels are the channels of the smallest number of filters, 24 in the paper, and the
    others go with them; scale.cells is taken no notice of, since depth is part of the genotype.
    With other strides than 1 there is no supernet: the size of maps would follow the mixture.

    Args:
        depths: the possible numbers of layers, growing; the paper starts with 6 and adds 2 every
            1,600 children.
        heights: filter heights, odd.
        widths: filter widths, odd.
        filters: numbers of filters, at the paper's 24 channels.
        strides: strides of height and of width; the paper has 1 alone, or 1, 2 and 3.
        scale: size at which the space is searched.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        depths: Sequence[int] = (4, 6, 8),
        heights: Sequence[int] = (1, 3, 5, 7),
        widths: Sequence[int] = (1, 3, 5, 7),
        filters: Sequence[int] = (24, 36, 48, 64),
        strides: Sequence[int] = (1,),
        scale: Scale = Scale(channels=4),
    ) -> None:
        for name, sizes in (("heights", heights), ("widths", widths)):
            _check(name, sizes)
            if any(side % 2 == 0 for side in sizes):
                raise ValueError(f"{name} ({_listing(sizes)}) must be odd; the paper has 1 to 7")
        for name, sizes in (("depths", depths), ("filters", filters), ("strides", strides)):
            _check(name, sizes)
        if list(depths) != sorted(depths):
            grown = _listing(sorted(depths))
            raise ValueError(f"depths ({_listing(depths)}) must grow, e.g. {grown}")
        self.depths, self.filters = tuple(depths), tuple(filters)
        self.sizes = {"filter_height": tuple(heights), "filter_width": tuple(widths)}
        if len(strides) > 1:
            self.sizes |= {"stride_height": tuple(strides), "stride_width": tuple(strides)}
        self.sizes["filters"] = self.filters
        self.strides = tuple(strides)
        decisions = self._decisions()
        groups = [d.name.split("/")[0] for d in decisions]
        choices = [
            Choice(d.name, d.options, d.kind, g) for d, g in zip(decisions, groups, strict=True)
        ]
        super().__init__("chain", scale, choices, decisions)
        self._index = {choice.name: index for index, choice in enumerate(self.choices)}

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes.

        Raises:
            ValueError: there are other strides than 1.
        """
        if self.strides != (1,):
            raise ValueError(
                f"search space 'chain' with strides {_listing(self.strides)} has no supernet, "
                "since the size of maps would follow the mixture; set search_space.strides=[1], "
                "or choose a black-box strategy such as strategy=random"
            )
        layers = {i: self._layer(i, scale, None) for i in range(1, self.depths[-1] + 1)}
        sources = {i: range(i) for i in layers}
        skips = {(i, j): self._index[_skip(i, j)] for i in layers for j in sources[i] if j > 0}
        return ChainNetwork(
            layers, sources, scale, ChainWiring(skips, self.depths, self._index.get("depth"))
        )

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of a genotype."""
        chosen = self.validate(genotype).mapping
        sources = self._sources(chosen)
        layers = {i: self._layer(i, scale, chosen) for i in sources}
        return ChainNetwork(layers, sources, scale, None)

    def published_scale(self) -> Scale:
        """Returns the scale of the paper's CIFAR-10 children: 24 to 64 filters."""
        return Scale(24, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the network; its nodes are layers.

        "2: 3x5x36" is layer 2 with 36 filters of height 3 and width 5; strides that are chosen
        follow, e.g. "2: 3x5x36 /2x1".
        """
        chosen = self.validate(genotype).mapping
        sources = self._sources(chosen)
        names = ["image"] + [self._label(i, chosen) for i in sources] + ["classifier"]
        edges = [Edge(names[j], names[i], "") for i in sources for j in sources[i]]
        read = {j for i in sources for j in sources[i]}
        edges += [Edge(names[i], names[-1], "") for i in sources if i not in read]
        return (Graph(f"{len(sources)} layers", tuple(names), tuple(edges)),)

    def _decisions(self) -> list[Decision]:
        found = []
        if len(self.depths) > 1:
            found.append(Decision("depth", tuple(map(str, self.depths)), "size"))
        for i in range(1, self.depths[-1] + 1):
            given: tuple[tuple[str, tuple[str, ...]], ...] = ()
            if i > self.depths[0]:
                given = (("depth", tuple(str(d) for d in self.depths if d >= i)),)
            for key, sizes in self.sizes.items():
                found.append(Decision(f"layer_{i}/{key}", tuple(map(str, sizes)), "size", given))
            for j in range(1, i):
                found.append(Decision(_skip(i, j), (NO, YES), "skip", given))
        return found

    def _sources(self, chosen: Mapping[str, str]) -> dict[int, list[int]]:
        """Returns for every layer of a genotype what it reads; 0 is the image."""
        depth = int(chosen.get("depth", self.depths[0]))
        return {
            i: [j for j in range(1, i) if chosen[_skip(i, j)] == YES] or [0]
            for i in range(1, depth + 1)
        }

    def _layer(self, i: int, scale: Scale, chosen: Mapping[str, str] | None) -> ChainLayer:
        """Returns the sizes of a layer of the supernet, or of the child of these choices."""
        unit = scale.channels / min(self.filters)

        def size(key: str, scaled: float = 1.0) -> Size:
            name = f"layer_{i}/{key}"
            options = self.sizes[key] if chosen is None else (int(chosen[name]),)
            index = self._index[name] if chosen is None else None
            return Size(tuple(max(1, round(option * scaled)) for option in options), index)

        stride = (self.strides[0], self.strides[0])
        if chosen is not None and "stride_height" in self.sizes:
            stride = (size("stride_height").largest, size("stride_width").largest)
        height, width = size("filter_height"), size("filter_width")
        return ChainLayer(height, width, size("filters", unit), stride)

    def _label(self, i: int, chosen: Mapping[str, str]) -> str:
        height, width, *strides, filters = (chosen[f"layer_{i}/{key}"] for key in self.sizes)
        stride = f" /{'x'.join(strides)}" if strides else ""
        return f"{i}: {height}x{width}x{filters}{stride}"


def _skip(layer: int, source: int) -> str:
    return f"layer_{layer}/skip_{source}"


def _check(name: str, sizes: Sequence[int]) -> None:
    if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
        raise ValueError(
            f"{name} ({_listing(sizes)}) must be different numbers >= 1, and at least one"
        )


def _listing(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))
