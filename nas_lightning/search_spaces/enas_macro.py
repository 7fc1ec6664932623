"""ENAS's macro space: every layer's operation, and which earlier layers skip into it.

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2.3, and the official code
(melodyguan/enas). State 0 is the stem's output and state i layer i's. Layer i works on state
i - 1, and any state before that one may skip in, the stem too, as in the official code. After
each third all states are halved by a factorized reduction of their own.

Deliberate differences: search and final network join skips in one way, that of the final network
(concatenation, ReLU, 1x1 convolution, BatchNorm), where ENAS's search adds them; a separable
convolution is one in the final network too, where the official code builds a full one there;
pools have BatchNorm after them in search networks only (see `Norm`); reductions begin with ReLU,
and those that nobody reads are not built. The paper's network of 24 layers has 30,947,434 params
here; with the official code's full convolutions it would have 42,559,402.
"""

import re
from collections.abc import Iterator, Sequence

from torch import nn

from nas_lightning.core.checks import at_least
from nas_lightning.core.choices import NO, SKIP, YES, Branch, Choice, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.enas_macro_network import MacroNetwork, thirds
from nas_lightning.search_spaces.notation import shortened
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, check_names

__all__ = ["MACRO_OPS", "EnasMacroSpace"]

MACRO_OPS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")


class EnasMacroSpace(WiredSpace):
    """A chain of layers, each with an operation of its own and skips from earlier states.

    scale.channels are those of the first third; children double them after each third, the
    search network keeps them, as in the paper. scale.cells is ignored: the depth is `layers`.

    Args:
        layers: number of layers, at least 3; the paper searches 12 and trains 24.
        ops: operations of every layer.
        scale: size at which the space is searched; the paper has 36 channels.

    Raises: ValueError: a value is out of range, or an operation is unknown.

    >>> space = EnasMacroSpace(layers=4)
    >>> space.write_text(space.sample(0))
    '3 / 3 0 / 2 1 1 / 2 1 1 0'
    """

    published = Scale(96, flavour="child", input_shape=(3, 32, 32), num_outputs=10)
    ignored_scale = ("cells",)

    def __init__(
        self, layers: int = 12, ops: Sequence[str] = MACRO_OPS, scale: Scale = Scale(channels=8)
    ) -> None:
        at_least("search_space.layers", layers, 3, use=12)
        check_names("search_space.ops", ops, MACRO_OPS)
        self.layers, self.ops = layers, tuple(ops)
        self._numbers = range(1, layers + 1)
        choices = list[Choice]()
        for layer in self._numbers:
            skips, group = [_skip(layer, source) for source in range(layer - 1)], f"layer_{layer}"
            choices.append(Choice(f"{group}/op", self.ops, "op", group))
            choices += [Choice(skip, (NO, YES), "skip", group) for skip in skips]
        super().__init__("enas_macro", scale, choices)

    def network(self, chosen: Chosen, scale: Scale) -> nn.Module:
        """Builds layers of all operations and skips, or of a genotype's."""
        return MacroNetwork(self.running(self._branches(), chosen), scale)

    def validate(self, genotype: Genotype) -> Genotype:
        """Returns the genotype if it is one of this space.

        Raises: ValueError: it is of another space or number of layers, or impossible here.
        """
        layers = sum(name.endswith("/op") for name, _ in genotype.choices)
        if genotype.space == self.name and layers not in (0, self.layers):
            rule = f"the genotype has {layers} layers, the search space {self.layers}"
            raise ValueError(f"{rule}; set search_space.layers={layers}")
        return super().validate(genotype)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the network; nodes are its states, of which 0 is the stem's output."""
        states = tuple(str(state) for state in range(self.layers + 1))
        branches = self.running(self._branches(), self.validate(genotype).mapping)
        edges = [Edge(str(b.source), str(b.target), b.op.replace(SKIP, "")) for b in branches]
        first, second = thirds(self.layers)
        title = f"{self.layers} layers, halved after {first} and {second}"
        return (Graph(title, states, tuple(edges)),)

    def read_text(self, text: str) -> Genotype:
        """Reads ENAS's notation: a layer's operation by number, then a bit for each skip.

        Layers may be parted by "/", lines or brackets. The numbers are positions in `MACRO_OPS`.

        Raises: ValueError: the text is anything but such numbers, or not a genotype of this space.
        """
        words = re.sub(r"[/\[\],]", " ", text).split()
        if not set(words) <= set("0123456789") or len(words) != len(self.choices):
            raise ValueError(
                f"ENAS's notation of {self.layers} layers is {len(self.choices)} digits, for "
                f"each layer its operation and a bit for each skip; got {shortened(text)}"
            )
        chosen = {}
        for choice, number in zip(self.choices, map(int, words), strict=True):
            options = MACRO_OPS if choice.kind == "op" else choice.options
            if number >= len(options):
                limit = f"'{choice.name}' must be below {len(options)}"
                raise ValueError(f"{limit}, the text has {number}")
            chosen[choice.name] = options[number]
        return self.genotype(chosen)

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str:
        """Returns a genotype in ENAS's notation, layers parted by "/"."""
        chosen, lines = self.validate(genotype).mapping, list[str]()
        for layer in self._numbers:
            bits = [chosen[_skip(layer, source)] == YES for source in range(layer - 1)]
            numbers = [MACRO_OPS.index(chosen[f"layer_{layer}/op"]), *map(int, bits)]
            lines.append(" ".join(map(str, numbers)))
        return " / ".join(lines)

    def _branches(self) -> Iterator[Branch]:
        """Yields for each layer its operations, then what may skip into it."""
        for layer in self._numbers:
            for op in self.ops:
                yield Branch(layer - 1, layer, op, (self.factor(f"layer_{layer}/op", op),))
            for source in range(layer - 1):
                yield Branch(source, layer, SKIP, (self.factor(_skip(layer, source), YES),))


def _skip(layer: int, source: int) -> str:
    return f"layer_{layer}/skip_{source}"
