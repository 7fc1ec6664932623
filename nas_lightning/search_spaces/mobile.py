"""The mobile space: inverted residuals whose kernel, expansion and presence are chosen.

Sources: Tan et al., MnasNet, 2019 (arXiv:1807.11626) and Cai et al., ProxylessNAS, 2019
(arXiv:1812.00332) for stages and choices; Sandler et al., MobileNetV2, 2018 (arXiv:1801.04381)
for the blocks. Deliberate differences: the choices of a block share params, as in Single-Path NAS
(see `networks.elastic`), where ProxylessNAS holds each of the six operations apart; and with
scale.stem=cifar stem and first stage keep the resolution, so that small images have maps left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import NO, YES, Choice, Factor, Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath
from nas_lightning.networks.elastic import (
    ElasticConv,
    ElasticDepthwise,
    ElasticNorm,
    Size,
    total_weight,
)

__all__ = ["MobileSpace"]

STAGES = ((32, 2), (40, 2), (80, 2), (96, 1), (192, 2), (320, 1))  # channels, stride
STEM, FIRST, HEAD = 32, 16, 1280


@dataclass(frozen=True)
class Block:
    """One block of a network, its sizes chosen by a mixture or fixed.

    Attributes:
        name: e.g. "stage_2/block_1".
        channels_in: channels of its input.
        channels_out: channels of its output.
        stride: 1 or 2.
        hidden: channels between expansion and projection.
        kernel: side of the depthwise kernel.
        is_residual: whether its input is added to its output.
        skip: index of the choice whose first option keeps it; None where it is always there.
        is_expanded: whether a 1x1 convolution makes the hidden channels.
    """

    name: str
    channels_in: int
    channels_out: int
    stride: int
    hidden: Size
    kernel: Size
    is_residual: bool
    skip: int | None = None
    is_expanded: bool = True


class MobileSpace(SearchSpace):
    """Inverted residuals in six stages; a block that is not its stage's first may be left out.

    scale.channels are those of stem and first stage, 32 in the papers, and the other widths go
    with them; scale.cells is taken no notice of, since depth is part of the genotype.

    Args:
        kernels: sides of the depthwise kernel, odd.
        expansions: by how much a block is wider than its input.
        depths: the largest number of blocks of each stage; the papers have 4, 4, 4, 4, 4 and 1.
        scale: size at which the space is searched.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(
        self,
        kernels: Sequence[int] = (3, 5, 7),
        expansions: Sequence[int] = (3, 6),
        depths: Sequence[int] = (4, 4, 4, 4, 4, 1),
        scale: Scale = Scale(channels=8),
    ) -> None:
        _check(kernels, expansions, depths)
        self.kernels, self.expansions = tuple(kernels), tuple(expansions)
        self.depths = tuple(depths)
        choices, decisions = list[Choice](), list[Decision]()
        for name, may_skip in self._blocks():
            given: tuple[tuple[str, tuple[str, ...]], ...] = ()
            if may_skip:
                choices.append(Choice(f"{name}/skip", (NO, YES), "skip", name))
                decisions.append(Decision(f"{name}/skip", (NO, YES), "skip"))
                given = ((f"{name}/skip", (NO,)),)
            for key, sizes in (("kernel", self.kernels), ("expansion", self.expansions)):
                options = tuple(map(str, sizes))
                choices.append(Choice(f"{name}/{key}", options, "size", name))
                decisions.append(Decision(f"{name}/{key}", options, "size", given))
        super().__init__("mobile", scale, choices, decisions)
        self._index = {choice.name: index for index, choice in enumerate(self.choices)}

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes."""
        return _MobileNetwork(self._plan(scale, None), scale)

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds a genotype's network; ProxylessNAS mobile: 4,080,512 params."""
        return _MobileNetwork(self._plan(scale, self.validate(genotype).mapping), scale)

    def published_scale(self) -> Scale:
        """Returns the scale of ProxylessNAS's ImageNet children: 224 pixels, 1,000 classes."""
        return Scale(
            32, stem="imagenet", flavour="child", input_shape=(3, 224, 224), num_outputs=1000
        )

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns each stage; nodes are the outputs of its blocks."""
        chosen = self.validate(genotype).mapping
        return tuple(self._graph(stage, chosen) for stage in range(len(STAGES)))

    def _graph(self, stage: int, chosen: Mapping[str, str]) -> Graph:
        names, edges = ["in"], list[Edge]()
        for block in range(self.depths[stage]):
            name = _name(stage, block)
            if chosen.get(f"{name}/skip") == YES:
                continue
            kernel, expansion = chosen[f"{name}/kernel"], chosen[f"{name}/expansion"]
            label = f"{kernel}x{kernel}, expansion {expansion}"
            edges.append(Edge(names[-1], str(block + 1), label))
            if block > 0:
                edges.append(Edge(names[-1], str(block + 1), ""))
            names.append(str(block + 1))
        return Graph(f"stage {stage + 1}", tuple(names), tuple(edges))

    def _blocks(self) -> Iterator[tuple[str, bool]]:
        """Yields the name of every block, and whether it may be left out."""
        for stage, depth in enumerate(self.depths):
            for block in range(depth):
                yield _name(stage, block), block > 0

    def _plan(self, scale: Scale, chosen: Mapping[str, str] | None) -> list[Block]:
        """Returns the blocks of the supernet, or of the child of these choices."""
        plan, before = [], _width(FIRST, scale)
        for stage, (channels, stride) in enumerate(STAGES):
            if scale.stem == "cifar" and stage == 0:
                stride = 1
            for block in range(self.depths[stage]):
                name = _name(stage, block)
                if chosen is not None and chosen.get(f"{name}/skip") == YES:
                    continue
                first, after = block == 0, _width(channels, scale)
                plan.append(
                    Block(
                        name,
                        before,
                        after,
                        stride if first else 1,
                        self._size(name, "expansion", self.expansions, chosen, before),
                        self._size(name, "kernel", self.kernels, chosen),
                        not first,
                        None if first or chosen else self._index[f"{name}/skip"],
                        max(self.expansions) > 1,
                    )
                )
                before = after
        return plan

    def _size(
        self,
        name: str,
        key: str,
        options: tuple[int, ...],
        chosen: Mapping[str, str] | None,
        unit: int = 1,
    ) -> Size:
        if chosen is not None:
            return Size((int(chosen[f"{name}/{key}"]) * unit,))
        return Size(tuple(option * unit for option in options), self._index[f"{name}/{key}"])


class _InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection, BatchNorm after each."""

    def __init__(self, block: Block, norm: Norm) -> None:
        super().__init__()
        self.block = block
        point, hidden = Size((1,)), block.hidden
        before, after = Size((block.channels_in,)), Size((block.channels_out,))
        if block.is_expanded:
            self.expand = ElasticConv(before, hidden, point)
            self.expand_norm = ElasticNorm(hidden, norm)
        self.depthwise = ElasticDepthwise(hidden, block.kernel, block.stride)
        self.depthwise_norm = ElasticNorm(hidden, norm)
        self.project = ElasticConv(hidden, after, point)
        self.project_norm = norm(block.channels_out)

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        skip = self.block.skip
        if mixture is not None and skip is not None and 0 not in mixture.support[skip]:
            return x
        out: Tensor = x
        if self.block.is_expanded:
            out = F.relu6(self.expand_norm(self.expand(out, mixture)))
        out = F.relu6(self.depthwise_norm(self.depthwise(out, mixture)))
        out = self.project_norm(self.project(out, mixture, self.block.hidden.leading(mixture)))
        if (weight := self._weight(mixture)) is not None:
            out = out * weight
        if not self.block.is_residual:
            return out
        return x + (out if drop_path is None else drop_path(out))

    def _weight(self, mixture: Mixture | None) -> Tensor | None:
        """Returns what the block's output is multiplied by, or None for a child."""
        total = total_weight(mixture, self.block.hidden, self.block.kernel)
        if total is None or mixture is None or self.block.skip is None:
            return total
        return total * mixture.weights[self.block.skip, 0]


class _MobileNetwork(nn.Module):
    """Stem, blocks, 1x1 convolution, global pooling, classifier."""

    def __init__(self, plan: Sequence[Block], scale: Scale) -> None:
        super().__init__()
        scale.check_extras("mobile", ("cifar", "imagenet"))
        norm, stem = Norm.of(scale), _width(STEM, scale)
        first, head = _width(FIRST, scale), _width(HEAD, scale)
        stride = 2 if scale.stem == "imagenet" else 1
        self.stem = nn.Conv2d(scale.image()[0], stem, 3, stride, 1, bias=False)
        self.stem_norm = norm.always_affine(stem)
        self.first = _InvertedResidual(
            Block("first", stem, first, 1, Size((stem,)), Size((3,)), False, is_expanded=False),
            norm,
        )
        self.blocks = nn.ModuleDict({block.name: _InvertedResidual(block, norm) for block in plan})
        self.head = nn.Conv2d(plan[-1].channels_out, head, 1, bias=False)
        self.head_norm = norm.always_affine(head)
        self.classifier = nn.Linear(head, scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs).

        Args:
            x: images (N, C, H, W), normalised.
            mixture: the mixing weights of a supernet; None for a child.
            drop_path: drops residual blocks of a child while it trains.
        """
        x = self.first(F.relu6(self.stem_norm(self.stem(x))))
        for block in self.blocks.values():
            x = block(x, mixture, drop_path)
        x = F.relu6(self.head_norm(self.head(x)))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields the blocks that may be left out and what weighs them (see `core.cost`)."""
        for block in self.blocks.values():
            assert isinstance(block, _InvertedResidual)
            if block.block.skip is not None:
                yield block, (Factor(block.block.skip, (1.0, 0.0)),)


def _name(stage: int, block: int) -> str:
    return f"stage_{stage + 1}/block_{block + 1}"


def _width(channels: int, scale: Scale) -> int:
    return max(1, round(channels * scale.channels / STEM))


def _check(kernels: Sequence[int], expansions: Sequence[int], depths: Sequence[int]) -> None:
    if not kernels or any(side < 1 or side % 2 == 0 for side in kernels):
        raise ValueError(f"kernels ({_listing(kernels)}) must be odd; the papers have 3, 5, 7")
    if not expansions or min(expansions) < 1:
        raise ValueError(f"expansions ({_listing(expansions)}) must be >= 1; the papers have 3, 6")
    for name, sizes in (("kernels", kernels), ("expansions", expansions)):
        if len(set(sizes)) < len(sizes):
            raise ValueError(f"{name} ({_listing(sizes)}) must be different")
    if len(depths) != len(STAGES) or min(depths) < 1:
        raise ValueError(
            f"depths ({_listing(depths)}) must be {len(STAGES)} numbers >= 1, one a stage; the "
            "papers have 4, 4, 4, 4, 4, 1"
        )


def _listing(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))
