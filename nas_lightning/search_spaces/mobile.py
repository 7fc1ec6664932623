"""The mobile space: inverted residuals whose kernel, expansion and presence are chosen.

Sources: Tan et al., MnasNet, 2019 (arXiv:1807.11626) and Cai et al., ProxylessNAS, 2019
(arXiv:1812.00332) for stages and choices; Sandler et al., MobileNetV2, 2018 (arXiv:1801.04381)
for the blocks. ProxylessNAS mobile has its published 4,080,512 params.

Deliberate differences: the choices of a block share params, as in Single-Path NAS (see
`networks.elastic`), where ProxylessNAS has six separate operations; with scale.stem=cifar stem
and first stage keep the resolution, so that small images have maps left.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.choices import NO, YES, Choice, Factor, Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath
from nas_lightning.networks.elastic import (
    ElasticConv,
    ElasticDepthwise,
    ElasticNorm,
    Size,
    combinations,
    total_weight,
)
from nas_lightning.networks.units import Resized
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, check_sizes, listed

__all__ = ["MobileSpace"]

STAGES = ((32, 2), (40, 2), (80, 2), (96, 1), (192, 2), (320, 1))  # channels, stride
STEM, FIRST, HEAD = 32, 16, 1280
DEPTHS = (4, 4, 4, 4, 4, 1)


class _Block(NamedTuple):
    channels_in: int
    channels_out: int
    stride: int
    hidden: Size  # channels between expansion and projection
    kernel: Size
    is_residual: bool = False
    skip: int | None = None  # row of the choice whose first option keeps the block
    is_expanded: bool = True  # whether a 1x1 convolution makes the hidden channels


class MobileSpace(WiredSpace):
    """Inverted residuals in six stages; a block that is not its stage's first may be left out.

    scale.channels are those of the stem, 32 in the papers, and the other widths go with them;
    scale.cells is ignored, since depth is part of the genotype.

    Args:
        kernels: sides of the depthwise kernel, odd.
        expansions: times by which a block is wider than its input.
        depths: largest number of blocks per stage; the papers have 4, 4, 4, 4, 4 and 1.
        scale: size at which the space is searched.

    Raises: ValueError: a value is out of range.

    >>> space = MobileSpace(depths=(1, 1, 1, 1, 1, 2))
    >>> space.count()
    326592
    >>> [edge.label for edge in space.graphs(space.sample(0))[0].edges]
    ['5x5, expansion 6']
    """

    published = Scale(
        32, stem="imagenet", flavour="child", input_shape=(3, 224, 224), num_outputs=1000
    )
    ignored_scale = ("cells",)
    has_elastic_sizes = True

    def __init__(
        self,
        kernels: Sequence[int] = (3, 5, 7),
        expansions: Sequence[int] = (3, 6),
        depths: Sequence[int] = DEPTHS,
        scale: Scale = Scale(channels=8),
    ) -> None:
        check_sizes("search_space.kernels", kernels, use=(3, 5, 7), odd=True)
        check_sizes("search_space.expansions", expansions, use=(3, 6))
        if len(depths) != len(STAGES) or min(depths) < 1:
            rule = f"must be {len(STAGES)} numbers >= 1, one per stage; use e.g. {listed(DEPTHS)}"
            raise ValueError(f"search_space.depths ({listed(depths)}) {rule}")
        self.kernels, self.expansions = tuple(kernels), tuple(expansions)
        self.depths = tuple(depths)
        blocks = [(stage, block) for stage, depth in enumerate(depths) for block in range(depth)]
        decisions = [decision for place in blocks for decision in self._decide(*place)]
        choices = [Choice(d.name, d.options, d.kind, d.name.rpartition("/")[0]) for d in decisions]
        super().__init__("mobile", scale, choices, decisions)

    def network(self, chosen: Chosen, scale: Scale) -> nn.Module:
        """Builds the network of some choices, or the supernet."""
        plan, channels = dict[str, _Block](), _width(FIRST, scale)
        for stage, (wide, stride) in enumerate(STAGES):
            stride = 1 if scale.stem == "cifar" and stage == 0 else stride
            for name in self._present(stage, chosen):
                is_first = name == _name(stage, 0)
                plan[name] = _Block(
                    channels,
                    _width(wide, scale),
                    stride if is_first else 1,
                    self.size(f"{name}/expansion", chosen, channels),
                    self.size(f"{name}/kernel", chosen),
                    is_residual=not is_first,
                    skip=self.rows.get(f"{name}/skip") if chosen is None else None,
                    is_expanded=max(self.expansions) > 1,
                )
                channels = plan[name].channels_out
        return _MobileNetwork(plan, scale)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns each stage; nodes are the outputs of its blocks."""
        chosen = self.validate(genotype).mapping
        return tuple(self._graph(stage, chosen) for stage in range(len(STAGES)))

    def _graph(self, stage: int, chosen: Mapping[str, str]) -> Graph:
        names, edges = ["in"], list[Edge]()
        for name in self._present(stage, chosen):
            kernel, expansion = chosen[f"{name}/kernel"], chosen[f"{name}/expansion"]
            number = name.rpartition("_")[2]
            edges.append(Edge(names[-1], number, f"{kernel}x{kernel}, expansion {expansion}"))
            if name != _name(stage, 0):
                edges.append(Edge(names[-1], number, ""))
            names.append(number)
        return Graph(f"stage {stage + 1}", tuple(names), tuple(edges))

    def _decide(self, stage: int, block: int) -> Iterator[Decision]:
        """Yields whether a block is left out, unless it is its stage's first, then its sizes."""
        name = _name(stage, block)
        given = ((f"{name}/skip", (NO,)),) if block > 0 else ()
        if given:
            yield Decision(f"{name}/skip", (NO, YES), "skip")
        yield Decision(f"{name}/kernel", tuple(map(str, self.kernels)), "size", given)
        yield Decision(f"{name}/expansion", tuple(map(str, self.expansions)), "size", given)

    def _present(self, stage: int, chosen: Chosen) -> list[str]:
        names = [_name(stage, block) for block in range(self.depths[stage])]
        return [name for name in names if chosen is None or chosen.get(f"{name}/skip") != YES]


class _InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection, BatchNorm after each."""

    def __init__(self, block: _Block, norm: Norm) -> None:
        super().__init__()
        self.block, self.norm = block, norm
        point, hidden = Size((1,)), block.hidden
        if block.is_expanded:
            self.expand = ElasticConv(Size((block.channels_in,)), hidden, point)
            self.expand_norm = ElasticNorm(hidden, norm)
        self.depthwise = ElasticDepthwise(hidden, block.kernel, block.stride)
        self.depthwise_norm = ElasticNorm(hidden, norm)
        self.project = ElasticConv(hidden, Size((block.channels_out,)), point)
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
        return x + (out if drop_path is None else drop_path(out, self.training))

    def at_sizes(self, x: Tensor) -> Iterator[Resized]:
        """Yields it at every combination of its sizes (see `networks.units`)."""
        for factors, (hidden, kernel) in combinations(self.block.hidden, self.block.kernel):
            block = self.block._replace(hidden=hidden, kernel=kernel, skip=None)
            yield Resized(factors, _InvertedResidual(block, self.norm), x)

    def _weight(self, mixture: Mixture | None) -> Tensor | None:
        """Returns what the block's output is multiplied by, or None for a child."""
        total = total_weight(mixture, self.block.hidden, self.block.kernel)
        if total is None or mixture is None or self.block.skip is None:
            return total
        return total * mixture.weights[self.block.skip, 0]


class _MobileNetwork(nn.Module):
    """Stem, blocks, 1x1 convolution, global pooling, classifier."""

    def __init__(self, plan: Mapping[str, _Block], scale: Scale) -> None:
        super().__init__()
        scale.check_extras("mobile", ("cifar", "imagenet"))
        norm, stem = Norm.of(scale), _width(STEM, scale)
        first, head = _width(FIRST, scale), _width(HEAD, scale)
        stride = 2 if scale.stem == "imagenet" else 1
        self.stem = nn.Conv2d(scale.image()[0], stem, 3, stride, 1, bias=False)
        self.stem_norm = norm.always_affine(stem)
        opening = _Block(stem, first, 1, Size((stem,)), Size((3,)), is_expanded=False)
        self.first = _InvertedResidual(opening, norm)
        self.blocks = nn.ModuleDict(
            {n: _InvertedResidual(block, norm) for n, block in plan.items()}
        )
        self.skips = {n: block.skip for n, block in plan.items() if block.skip is not None}
        self.head = nn.Conv2d(_width(STAGES[-1][0], scale), head, 1, bias=False)
        self.head_norm = norm.always_affine(head)
        self.classifier = nn.Linear(head, scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        x = self.first(F.relu6(self.stem_norm(self.stem(x))))
        for block in self.blocks.values():
            x = block(x, mixture, drop_path)
        x = F.relu6(self.head_norm(self.head(x)))
        logits: Tensor = self.classifier(x.mean(dim=(2, 3)))
        return logits

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        for name, skip in self.skips.items():
            yield self.blocks[name], (Factor(skip, (1.0, 0.0)),)


def _name(stage: int, block: int) -> str:
    return f"stage_{stage + 1}/block_{block + 1}"


def _width(channels: int, scale: Scale) -> int:
    return max(1, round(channels * scale.channels / STEM))
