"""The cell space of NAS-Bench-201.

Source: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), section 2, and the official code.
A cell has one input and three nodes; each of its six edges carries one of five operations, and
all cells of a network are the same. Three stages of cells lie between two residual reductions.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources

import numpy as np
from torch import Tensor, nn

from nas_lightning.core.choices import Branch, Choice, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Graph
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import Cell, DropPath, cell_weights
from nas_lightning.networks.kernels import as_maps, padded_conv, spatial_mean
from nas_lightning.networks.operations import Skip
from nas_lightning.networks.state import State
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, build_cell, drawn

__all__ = ["NASBENCH201_OPS", "NasBench201Space"]

NASBENCH201_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the text notation
NODES = ("input", "1", "2", "output")
OUTPUT = len(NODES) - 1
CELL = "cell"  # the one kind of cell
ZERO = "#"  # sorts before every other summand, on which the benchmark's classes depend
TEXT = r"(?<!\+)\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|(?![|+])"
PAIR = r"\(\s*'(\w+)'\s*,\s*(\d)\s*(?:,[^()]*)?\)"  # of GDAS and the like, with a score or not
TABLE = "tables/nasbench201.npz"  # its rows are in the order of the benchmark's index


class NasBench201Space(WiredSpace):
    """NAS-Bench-201's cells: six edges of five operations, 15,625 genotypes.

    As everywhere, `scale.cells` counts the reductions, which stand at the thirds: the published
    networks, of 16 channels and five cells per stage, have 17. Convolutions of a cell have a bias
    exactly where their BatchNorm is not affine (flavour "search"), in supernets and children alike.

    >>> space = NasBench201Space()
    >>> space.write_text(space.sample(0))
    '|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|'
    """

    has_partial_channels = has_edges = has_cells = True
    published = Scale(16, 17, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def __init__(self, scale: Scale = Scale(channels=8, cells=5)) -> None:
        choices = [Choice(_name(*edge), NASBENCH201_OPS, "op", f"node_{edge[1]}") for edge in EDGES]
        super().__init__("nasbench201", scale, choices)

    def network(self, chosen: Chosen, scale: Scale) -> nn.Module:
        """Stacks cells that mix operations on every edge, or have a genotype's.

        Raises: ValueError: the scale asks for a stem or an auxiliary head that the space lacks.
        """
        return _Network(self.running(self._cell(scale), chosen), scale)

    def cell_rows(self, scale: Scale) -> tuple[tuple[int, ...], ...]:
        """Returns the rows of all choices for each cell, reductions apart."""
        reductions = len(_reductions(scale.cells))
        return (tuple(self.rows.values()),) * (scale.cells - reductions)

    def discretize(self, scores: Mixture) -> Genotype:
        """Keeps every edge's best operation, or the earlier; "none" where it has no support."""
        support = tuple(row or (0,) for row in scores.support)
        return super().discretize(Mixture(scores.weights, support))

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the cell, without its edges of "none"; a node that nothing enters is 0."""
        branches = self.running(self._cell(Scale()), self.validate(genotype).mapping)
        entered = {0, OUTPUT, *(branch.target for branch in branches)}
        names = [name if n in entered else f"{name} = 0" for n, name in enumerate(NODES)]
        return (Graph("cell", tuple(names), tuple(drawn(branches, names))),)

    def read_text(self, text: str) -> Genotype:
        """Reads `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, whatever stands around it, or other forms.

        These are the benchmark's index, 0 to 15624; six numbers of operations, of edges 0-1, 0-2,
        1-2, 0-3, 1-3, 2-3, positions in `NASBENCH201_OPS`; and pairs ('op', input) of these edges,
        as the official code nests them.

        Raises: ValueError: the text is not of these forms, or an operation is unknown.
        """
        texts = set(re.findall(TEXT, text))
        if len(texts) > 1:
            listed = " ".join("|".join(ops) for ops in sorted(texts)[:2])
            raise ValueError(f"the text holds {len(texts)} genotypes ({listed} ...); leave one")
        numbers = re.sub(r"[\[\](),]", " ", text).split()
        if all(number.isascii() and number.isdigit() for number in numbers) and numbers:
            ops: Sequence[str] = _ops_of_numbers([int(number[:9]) for number in numbers])
        elif texts:
            (ops,) = texts
        else:
            pairs = re.findall(PAIR, text)
            ops = [op for op, _ in pairs]
            if [int(source) for _, source in pairs] != [source for source, _ in EDGES]:
                form = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
                raise ValueError(
                    f"NAS-Bench-201's notation is {form}, an index from 0 to 15624 or six numbers "
                    f"of operations, got {text[:100]!r}"
                )
        return self.genotype(dict(zip(self.rows, ops, strict=True)))

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str:
        """Returns the text that `read_text` reads."""
        parts: dict[int, str] = {}
        for (source, target), op in zip(EDGES, self._ops(genotype), strict=True):
            parts[target] = f"{parts.get(target, '|')}{op}~{source}|"
        return "+".join(parts.values())

    def isomorphism_id(self, genotype: Genotype) -> str:
        """Returns 12 hex digits that graphs of the same function share; there are 6,466 ids.

        The equivalence is the benchmark's own (section 2.1 and official code): a node is written
        as the sum of its edges, a skip as the sum that it reads, nothing as zero, an operation on
        a lone zero as zero, and the summands are sorted as texts. Sums that differ in an added
        zero or in their nesting have different ids although they are the same function;
        params that two operations share are ignored.
        """
        sums = ["x"]
        for node in range(1, len(NODES)):
            edges = zip(EDGES, self._ops(genotype), strict=True)
            terms = [_term(op, sums[source]) for (source, target), op in edges if target == node]
            sums.append("+".join(sorted(terms)))
        return hashlib.sha256(sums[-1].encode()).hexdigest()[:12]

    def _cell(self, scale: Scale) -> list[Branch]:
        return [branch for edge in EDGES for branch in self.edge(_name(*edge), *edge, scale)]

    def _ops(self, genotype: Genotype) -> list[str]:
        chosen = self.validate(genotype).mapping
        return [chosen[_name(*edge)] for edge in EDGES]


class _Network(nn.Module):
    """Stem, three stages of cells with residual reductions between them, classifier."""

    def __init__(self, branches: Sequence[Branch], scale: Scale) -> None:
        super().__init__()
        replace(scale, partial=1).check_extras("nasbench201")  # partial channels it does have
        self.branches, norm, channels = tuple(branches), Norm.of(scale), scale.channels
        reductions = _reductions(scale.cells)
        conv = padded_conv(scale.maps()[0], channels, 3, 1, norm.axes)
        self.stem = nn.Sequential(conv, norm.always_affine(channels))
        self.cells, inner = nn.ModuleList(), replace(norm, after_pools=False)
        for index in range(scale.cells):
            if index in reductions:
                self.cells.append(_Reduction(channels, norm))
                channels *= 2
            else:
                self.cells.append(
                    build_cell(branches, [Skip()], [OUTPUT], channels, 1, scale.partial, inner)
                )
        self.last = nn.Sequential(norm.always_affine(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        """Returns logits (N, num_outputs) of images (N, C, H, W) or signals (N, C, L)."""
        kinds = [CELL for cell in self.cells if isinstance(cell, Cell)]
        weights = iter(cell_weights({CELL: self.branches}, kinds, mixture))
        state = State(self.stem(as_maps(x)))
        for cell in self.cells:
            if isinstance(cell, Cell):
                state = cell((state,), next(weights), drop_path)
            else:
                state = State(cell(state.x))
        out: Tensor = self.classifier(spatial_mean(self.last(state.x)))
        return out


class _Reduction(nn.Module):
    """A residual block that halves height and width and doubles the channels."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        wide = 2 * channels
        self.path = nn.Sequential(
            nn.ReLU(),
            padded_conv(channels, wide, 3, 2, norm.axes),
            norm.always_affine(wide),
            nn.ReLU(),
            padded_conv(wide, wide, 3, 1, norm.axes),
            norm.always_affine(wide),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),  # odd sizes round up, as in the path
            nn.Conv2d(channels, wide, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns images (N, 2 C, ceil(H / 2), ceil(W / 2)) of images (N, C, H, W)."""
        out: Tensor = self.path(x) + self.shortcut(x)
        return out


def _reductions(cells: int) -> set[int]:
    return {cells // 3, 2 * cells // 3}


def _name(source: int, target: int) -> str:
    return f"edge_{source}_{target}"


def _ops_of_numbers(numbers: Sequence[int]) -> list[str]:
    """Returns the operations of an index of the benchmark, or of six numbers of operations."""
    if len(numbers) == 1:
        with np.load(str(resources.files("nas_lightning") / TABLE)) as table:
            texts = table["arch"]
        if numbers[0] >= len(texts):
            raise ValueError(
                f"an index of NAS-Bench-201 is 0 to {len(texts) - 1}, got {numbers[0]}; numbers of "
                "operations stand apart, e.g. 3 1 0 2 4 3"
            )
        return re.findall(r"(\w+)~", texts[numbers[0]].decode())
    if len(numbers) != len(EDGES) or max(numbers) >= len(NASBENCH201_OPS):
        listed = ", ".join(f"{number} {op}" for number, op in enumerate(NASBENCH201_OPS))
        raise ValueError(f"NAS-Bench-201 has six numbers of operations, {listed}; got {numbers}")
    return [NASBENCH201_OPS[number] for number in numbers]


def _term(op: str, source: str) -> str:
    if op == "none" or source == ZERO:
        return ZERO
    return source if op == "skip_connect" else f"({source}){op}"
