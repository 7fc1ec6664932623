"""The cell space of NASNet, in which AmoebaNet was found as well.

Sources: Zoph et al., NASNet, 2018 (arXiv:1707.07012), section 3, and Real et al., AmoebaNet, 2019
(arXiv:1802.01548), section 3.1. Each of a cell's five blocks chooses two earlier states, one of 13
operations for each, and addition or concatenation. See `search_spaces.blocks` for choices,
decisions and ids.

Deliberate differences: the 3x3 dilated convolution is depthwise separable, as in DARTS and NNI; a
concatenation of two halves comes back to the cell's channels by one ReLU, 1x1 convolution and
BatchNorm per half, which drop path drops like an operation; stem, places of the reductions and
auxiliary head are DARTS's.

Params at 36 channels and 20 cells, as in DARTS's own code: AmoebaNet-A 3,145,078 (published: 3.2
M), NASNet-A 3,830,950. NASNet-A's published 3.3 M are those of 32 filters (6 @ 768), where it has
3,061,738 here and 3,346,538 in the published code (tensorflow/models, slim), without the auxiliary
head: there cells also concatenate the output of the cell before the previous one (normal cells,
225,536 params further on) or the second block (reduction cells, 40,960), and the first cell reads
the stem at its width (18,304).
"""

from collections.abc import Sequence

from nas_lightning.core.choices import Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.blocks import BlockSpace
from nas_lightning.search_spaces.notation import CellText, read_darts_text, write_darts_text
from nas_lightning.search_spaces.wired_space import KINDS

__all__ = ["NASNET_OPS", "NasnetSpace"]

POOLS = ("avg_pool_3x3", "max_pool_3x3", "max_pool_5x5", "max_pool_7x7")
CONVOLUTIONS = ("conv_1x1", "conv_3x3", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7")
NASNET_OPS = ("skip_connect", "conv_3x1_1x3", "conv_7x1_1x7", "dil_conv_3x3", *POOLS, *CONVOLUTIONS)


class NasnetSpace(BlockSpace):
    """NASNet's cells: blocks of two operations on two earlier states, added or concatenated.

    Args:
        blocks: blocks of a cell, at least 1; the papers have 5.
        ops: operations of a block, in their canonical order.
        combines: how a block may combine its halves: "add" (AmoebaNet), "concat" or both (NASNet).
        output: what a cell concatenates: the "unread" states, or all "blocks", as PNASNet's
            published cell does (Liu et al., 2018, arXiv:1712.00559).
        scale: size at which the space is searched; the papers search with 24 to 32 channels.

    Raises: ValueError: a value is out of range, or an operation is unknown.

    >>> space = NasnetSpace(blocks=1, combines=["add"])
    >>> normal, reduction = space.graphs(space.sample(0))
    >>> [(edge.source, edge.target, edge.label) for edge in normal.edges]
    [('c_{k-2}', '2', 'conv_1x1'), ('c_{k-1}', '2', 'skip_connect'), ('2', 'c_{k}', '')]
    """

    published = Scale(36, 20, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def __init__(
        self,
        blocks: int = 5,
        ops: Sequence[str] = NASNET_OPS,
        combines: Sequence[str] = ("add", "concat"),
        output: str = "unread",
        scale: Scale = Scale(channels=8, cells=3),
    ) -> None:
        super().__init__("nasnet", blocks, ops, combines, scale, output)

    def read_text(self, text: str) -> Genotype:
        """Reads DARTS's notation (see `notation`), where a block is two edges, and adds.

        Raises: ValueError: the text is no such genotype, or not one of this space.
        """
        cells = read_darts_text(text).items()
        normal, reduction = (self._read_cell(kind, cell) for kind, cell in cells)
        return self.genotype(normal | reduction)

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str | None:
        """Returns the text that `read_text` reads; None where a block concatenates."""
        chosen, cells = self.validate(genotype).mapping, dict[str, CellText]()
        if "concat" in chosen.values() or "add" not in self.combines:
            return None
        for kind in KINDS:
            blocks = self.halves(chosen, kind).values()
            edges = tuple((op, source) for halves in blocks for source, op in halves)
            cells[kind] = CellText(edges, tuple(self.ends(chosen, kind)))
        return write_darts_text(cells)

    def _read_cell(self, kind: str, cell: CellText) -> dict[str, str]:
        if "add" not in self.combines:
            cure = "set search_space.combines=[add]"
            raise ValueError(f"blocks of DARTS's notation add, those of this space cannot; {cure}")
        combine = "add" if len(self.combines) > 1 else ""
        chosen = self.cell(kind, cell.nodes(kind, "blocks", self.blocks), combine)
        if sorted(cell.concat) != (ends := self.ends(chosen, kind)):
            what = "all blocks" if self.output == "blocks" else "the states that nothing reads"
            raise ValueError(
                f"this space concatenates {what}, here {ends}, the text's {kind} cell "
                f"{list(cell.concat)}; see search_space.output"
            )
        return chosen
