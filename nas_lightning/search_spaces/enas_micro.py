"""The cell space of ENAS (micro).

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2.4, and the official code. A cell has
five nodes; each adds two operations, out of five, on two earlier states. See
`search_spaces.blocks` for choices, decisions and ids.

Params are shared as in the official code: each node, half (x or y), operation and input of each
stacked cell has its own. Networks are wired as the official code's final ones: operations on inputs
of a reduction cell have stride 2, outputs are concatenations of what nothing reads (an unread input
of a reduction cell is halved first), and the previous cell's output passes two 1x1 convolutions.

Deliberate differences: the search network is wired alike, where the official one halves both
inputs before a reduction cell and projects each cell's output to its channels; a factorized
reduction begins with a ReLU; the classifier has a bias. The paper counts 1.3e11 networks with one
operation per cell; with one per node they are 2.6e25, or 4.4e22 (`count`) without the order of a
node's halves.

The paper's cell has 3,894,382 params at 36 channels and 17 cells (15 and two reductions): the
official code's final network (3,894,372) and the classifier's bias. The published 4.6 M are not
those of the cell in the official script, which has 4,389,220 with its auxiliary head.
"""

import re
from collections.abc import Sequence

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.operations import Operation, Skip, relu_conv_norm
from nas_lightning.search_spaces.blocks import BlockSpace
from nas_lightning.search_spaces.wired_space import KINDS

__all__ = ["ENAS_OPS", "EnasMicroSpace"]

ENAS_OPS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "skip_connect")
NUMBERS_PER_NODE = 4


class EnasMicroSpace(BlockSpace):
    """ENAS's cells: nodes that add two operations on two earlier states.

    Args:
        blocks: nodes of a cell, at least 1; the paper has 5.
        ops: operations of a node, in the order in which arcs number them.
        scale: size at which the space is searched; the paper has 20 channels and 8 cells.

    Raises: ValueError: a value is out of range, or an operation is unknown.

    >>> space = EnasMicroSpace(blocks=2)
    >>> space.write_text(space.sample(0))
    '1 1 1 2 1 2 2 0 | 0 3 1 3 0 1 2 3'
    """

    published = Scale(36, 17, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def __init__(
        self,
        blocks: int = 5,
        ops: Sequence[str] = ENAS_OPS,
        scale: Scale = Scale(channels=8, cells=4),
    ) -> None:
        super().__init__("enas_micro", blocks, ops, ("add",), scale)

    def preprocess(self, channels: int, norm: Norm) -> list[Operation]:
        """Returns nothing for the first input, a further 1x1 convolution for the second."""
        return [Skip(), relu_conv_norm(channels, channels, norm)]

    def read_text(self, text: str) -> Genotype:
        """Reads ENAS's arcs: the normal cell's numbers, a bar, the reduction cell's.

        A node has the numbers of x's input and operation, then y's, e.g. "0 2 1 0 | 1 3 0 4".

        Raises: ValueError: the text is no such pair of arcs.
        """
        arcs, chosen = text.split("|"), dict[str, str]()
        if len(arcs) != len(KINDS):
            raise ValueError(f"ENAS's notation is two arcs with a bar between, got {len(arcs)}")
        for kind, arc in zip(KINDS, arcs, strict=True):
            chosen |= self._read_arc(kind, re.sub(r"[\[\],]", " ", arc).split())
        return self.genotype(chosen)

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str:
        """Returns the arcs that `read_text` reads."""
        chosen, arcs = self.validate(genotype).mapping, list[str]()
        for kind in KINDS:
            halves = [half for block in self.halves(chosen, kind).values() for half in block]
            arcs.append(" ".join(f"{source} {self.ops.index(op)}" for source, op in halves))
        return " | ".join(arcs)

    def _read_arc(self, kind: str, words: list[str]) -> dict[str, str]:
        wanted = NUMBERS_PER_NODE * self.blocks
        if len(words) != wanted or not all(w.isascii() and w.isdigit() for w in words):
            rule = f"the {kind} arc of {self.blocks} nodes has {wanted} numbers"
            raise ValueError(f"{rule}, got {len(words)} words: {' '.join(words)[:60]}")
        numbers = [int(word[:9]) for word in words]
        if (largest := max(numbers[1::2])) >= len(self.ops):
            raise ValueError(f"operation {largest} of the {kind} arc must be below {len(self.ops)}")
        halves = list(zip(numbers[::2], (self.ops[n] for n in numbers[1::2]), strict=True))
        return self.cell(kind, list(zip(halves[::2], halves[1::2], strict=True)))
