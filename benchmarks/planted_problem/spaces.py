"""Two spaces for the planted problem, whose best genotype is known by construction.

Both look at each plane of an image by one of four operations (see `planted_problem.problem`).
In the cell space, cells of two kinds look at three planes each, and all cells of a kind share
their choices. In the macro space, every layer looks at one plane, and a skip may hand on what it
found. With `benchmarks` on PYTHONPATH, `hydra.searchpath=[file://.../planted_problem/conf]` finds
both.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from planted_problem.problem import BRIGHTNESS, PLANES, VIEWS, right_view, view_order
from torch import Tensor, nn

from nas_lightning.core.choices import NO, YES, Branch, Choice, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell, DropPath, cell_weights
from nas_lightning.networks.operations import Operation, Skip, State
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, drawn

__all__ = ["PlantedCells", "PlantedLayers"]

OPS = (*VIEWS, BRIGHTNESS)
KINDS, EDGES = ("first", "second"), 3
SKIP = "skip_connect"
OUTPUT = "output"


class Look(Operation):
    """Looks at a plane in a view, or at its brightness: then convolution, ReLU, BatchNorm.

    So what is found is zero on average, and a classifier of sums does not miss what is left out.

    Args:
        op: a view of what differs from the plane's mean, or "brightness", the mean itself.
        channels: channels out.
        num_pixels: pixels of a plane.
        norm: flavour of BatchNorm.
    """

    order: Tensor

    def __init__(self, op: str, channels: int, num_pixels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm = norm(channels)
        self.is_view = op != BRIGHTNESS
        order = view_order(op, num_pixels) if self.is_view else ()
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, state: State) -> Tensor:
        """Returns features (N, channels, H, W) of a plane (N, 1, H, W)."""
        x = state.x
        mean = x.mean(dim=(2, 3), keepdim=True)
        if self.is_view:
            seen = (x - mean).flatten(1)[:, self.order].view(x.shape)
        else:
            seen = mean.expand_as(x)
        out: Tensor = self.norm(F.relu(self.conv(seen)))
        return out


def in_turn(kinds: Sequence[str], cells: int) -> list[str]:
    """Returns the kind of each cell."""
    return [kinds[index % len(kinds)] for index in range(cells)]


class PlantedNetwork(nn.Module):
    """Cells that look at planes, their sum, global pooling, classifier.

    Args:
        tables: by kind of cell, its branches; the mixture's weights are theirs.
        planes: by kind of cell, the planes that it reads.
        cells: number of cells; kinds take turns.
        scale: sizes and flavours.
    """

    def __init__(
        self,
        tables: Mapping[str, Sequence[Branch]],
        planes: Mapping[str, Sequence[int]],
        cells: int,
        scale: Scale,
    ) -> None:
        super().__init__()
        self.tables, self.planes = dict(tables), dict(planes)
        colours, height, width = scale.image()
        self.colours, norm = colours, Norm.of(scale)
        self.kinds = in_turn(tuple(tables), cells)

        def build(branch: Branch) -> Operation:
            return Look(branch.op, scale.channels, height * width, norm)

        self.cells = nn.ModuleList()
        for kind in self.kinds:
            reads = [Skip() for _ in planes[kind]]
            node = len(reads)
            cell = Cell(tables[kind], build, reads, node + 1, [node], scale.channels, 1)
            self.cells.append(cell)
        self.classifier = nn.Linear(scale.channels, scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs) of images (N, planes, H, W)."""
        weights = cell_weights(self.tables, self.kinds, mixture)
        planes = [State(x[:, index : index + 1]) for index in range(self.colours)]
        seen = []
        for kind, cell, own in zip(self.kinds, self.cells, weights, strict=True):
            reads = [planes[index % self.colours] for index in self.planes[kind]]
            seen.append(cell(reads, own, drop_path).x.mean(dim=(2, 3)))
        out: Tensor = self.classifier(sum(seen[1:], start=seen[0]))
        return out


class Planted(WiredSpace):
    """What both spaces share; abstract."""

    @abstractmethod
    def best(self) -> Genotype:
        """Returns the best genotype."""


class PlantedCells(Planted):
    """Cells of two kinds in turn, each looking at three planes: 4^6 genotypes.

    Args:
        scale: size at which the space is searched.
    """

    has_edges = has_cells = True

    def __init__(self, scale: Scale = Scale(channels=8, cells=3)) -> None:
        choices = [
            Choice(f"{kind}/edge_{edge}", OPS, "op", f"{kind}/node")
            for kind in KINDS
            for edge in range(EDGES)
        ]
        super().__init__("planted_cells", scale, choices)

    def network(self, chosen: Chosen, scale: Scale) -> PlantedNetwork:
        """Builds cells of all operations, or of a genotype's."""
        tables = {kind: self.running(self._branches(kind), chosen) for kind in KINDS}
        return PlantedNetwork(tables, self._planes(), scale.cells, scale)

    def cell_rows(self, scale: Scale) -> tuple[tuple[int, ...], ...]:
        """Returns by cell the rows of its kind's choices."""
        return tuple(self.rows_of(kind) for kind in in_turn(KINDS, scale.cells))

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns each kind of cell: planes, and what looks at them."""
        chosen, graphs = self.validate(genotype).mapping, []
        for kind in KINDS:
            names = (*(f"plane {plane}" for plane in self._planes()[kind]), OUTPUT)
            edges = drawn(self.running(self._branches(kind), chosen), names)
            graphs.append(Graph(kind, names, tuple(edges)))
        return tuple(graphs)

    def best(self) -> Genotype:
        """Returns the genotype that undoes each plane's scrambling."""
        views = {c.name: right_view(index) for index, c in enumerate(self.choices)}
        return self.genotype(views)

    def _branches(self, kind: str) -> Iterator[Branch]:
        for edge in range(EDGES):
            yield from self.edge(f"{kind}/edge_{edge}", edge, EDGES, Scale())

    def _planes(self) -> dict[str, tuple[int, ...]]:
        return {kind: tuple(range(k * EDGES, (k + 1) * EDGES)) for k, kind in enumerate(KINDS)}


class PlantedLayers(Planted):
    """Six layers, each looking at one plane; skips to the output hand on five: 4^6 * 2^5.

    What the first layer found always reaches the output. scale.cells is ignored: the depth
    is the number of planes.

    Args:
        scale: size at which the space is searched.
    """

    def __init__(self, scale: Scale = Scale(channels=8)) -> None:
        choices = []
        for layer in range(PLANES):
            choices.append(Choice(f"layer_{layer}/op", OPS, "op", f"layer_{layer}"))
            if layer:
                choices.append(Choice(f"layer_{layer}/skip", (NO, YES), "skip", f"layer_{layer}"))
        super().__init__("planted_layers", scale, choices)

    def network(self, chosen: Chosen, scale: Scale) -> PlantedNetwork:
        """Builds layers of all operations, or of a genotype's."""
        tables = {"layers": self.running(self._branches(), chosen)}
        return PlantedNetwork(tables, {"layers": range(PLANES)}, 1, scale)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the layers, and what reaches the output."""
        chosen = self.validate(genotype).mapping
        layers = [f"layer {layer}" for layer in range(PLANES)]
        planes = [f"plane {layer}" for layer in range(PLANES)]
        looks = [Edge(planes[n], layers[n], chosen[f"layer_{n}/op"]) for n in range(PLANES)]
        skips = [
            Edge(layers[n], OUTPUT, SKIP)
            for n in range(PLANES)
            if chosen.get(f"layer_{n}/skip") != NO
        ]
        return (Graph("layers", (*planes, *layers, OUTPUT), (*looks, *skips)),)

    def best(self) -> Genotype:
        """Returns the genotype that undoes each plane's scrambling and hands every layer on."""
        views = {f"layer_{layer}/op": right_view(layer) for layer in range(PLANES)}
        return self.genotype(views | {f"layer_{n}/skip": YES for n in range(1, PLANES)})

    def _branches(self) -> Iterator[Branch]:
        """Yields the operations of the layers: each weighs as much as its skip."""
        for layer in range(PLANES):
            skip = (self.factor(f"layer_{layer}/skip", YES),) if layer else ()
            for op in OPS:
                yield Branch(layer, PLANES, op, (self.factor(f"layer_{layer}/op", op), *skip))
