"""ENAS's macro space: every layer's operation, and which earlier layers skip into it.

Source: Pham et al., ENAS, 2018 (arXiv:1802.03268), section 2.3, and the official code
(melodyguan/enas). State 0 is the stem's output and state i layer i's. Layer i works on state
i - 1, and any state before that one may skip in; as in the official code, skip 0 is therefore the
stem. After each third all states are halved by a factorized reduction of their own.

Deliberate differences: search and final network join skips in one way, that of the final network
(concatenation, ReLU, 1x1 convolution, BatchNorm), where ENAS's search adds them; a separable
convolution is one in the final network too, where the official code builds a full one there;
pools have BatchNorm after them in search networks only (see `Norm`); reductions begin with ReLU,
and those that nobody reads are not built. The paper's network of 24 layers has 30,947,434 params
here; with the official code's full convolutions it would have 42,559,402.
"""

from collections.abc import Mapping, Sequence

from torch import nn

from nas_lightning.core.choices import NO, YES, Choice, Mixture
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.search_spaces.macro_network import LayerChoices, MacroNetwork, thirds

__all__ = ["MACRO_OPS", "EnasMacroSpace"]

MACRO_OPS = (
    "conv_3x3",
    "sep_conv_3x3",
    "conv_5x5",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
)


class EnasMacroSpace(SearchSpace):
    """A chain of layers, each with an operation of its own and skips from earlier states.

    scale.channels are those of the first third; children double them after each third, the
    search network keeps them, as in the paper. scale.cells is taken no notice of: the depth is
    `layers`.

    Args:
        layers: number of layers, at least 3; the paper searches 12 and trains 24.
        ops: operations of every layer.
        scale: size at which the space is searched; the paper has 36 channels.

    Raises:
        ValueError: a value is out of its range, or an operation is unknown.
    """

    def __init__(
        self,
        layers: int = 12,
        ops: Sequence[str] = MACRO_OPS,
        scale: Scale = Scale(channels=8),
    ) -> None:
        if layers < 3:
            raise ValueError(f"layers ({layers}) must be at least 3: one a third; use e.g. 12")
        if unknown := [op for op in ops if op not in MACRO_OPS]:
            raise ValueError(f"unknown op '{unknown[0]}'; choose from: {', '.join(MACRO_OPS)}")
        if not ops or len(set(ops)) < len(ops):
            raise ValueError(f"ops ({', '.join(ops)}) must be different, and at least one")
        self.layers, self.ops = layers, tuple(ops)
        choices = []
        for layer in range(1, layers + 1):
            group = f"layer_{layer}"
            choices.append(Choice(_op(layer), self.ops, "op", group))
            for source in range(layer - 1):
                choices.append(Choice(_skip(layer, source), (NO, YES), "skip", group))
        super().__init__("enas_macro", scale, choices)

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes."""
        ops = dict.fromkeys(range(1, self.layers + 1), self.ops)
        skips = {layer: range(layer - 1) for layer in ops}
        index = {choice.name: index for index, choice in enumerate(self.choices)}
        choices = {
            layer: LayerChoices(
                index[_op(layer)], {s: index[_skip(layer, s)] for s in skips[layer]}
            )
            for layer in ops
        }
        return MacroNetwork(ops, skips, choices, scale)

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of a genotype."""
        chosen = self.validate(genotype).mapping
        ops = {layer: (chosen[_op(layer)],) for layer in range(1, self.layers + 1)}
        return MacroNetwork(ops, self._skips(chosen), None, scale)

    def published_scale(self) -> Scale:
        """Returns the scale of ENAS's final CIFAR-10 network: 96 channels in the first third."""
        return Scale(96, flavour="child", input_shape=(3, 32, 32), num_outputs=10)

    def validate(self, genotype: Genotype) -> Genotype:
        """Returns the genotype if it is one of this space.

        Raises:
            ValueError: it belongs to another space, has another number of layers, or its choices
                are not possible here.
        """
        layers = sum(name.endswith("/op") for name, _ in genotype.choices)
        if genotype.space == self.name and layers not in (0, self.layers):
            raise ValueError(
                f"the genotype has {layers} layers, the search space {self.layers}; set "
                f"search_space.layers={layers}"
            )
        return super().validate(genotype)

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the network; nodes are its states, of which 0 is the stem's output."""
        chosen = self.validate(genotype).mapping
        edges = list[Edge]()
        for layer, sources in self._skips(chosen).items():
            edges.append(Edge(str(layer - 1), str(layer), chosen[_op(layer)]))
            edges += [Edge(str(source), str(layer), "") for source in sources]
        ends = thirds(self.layers)
        title = f"{self.layers} layers, halved after {ends[0]} and {ends[1]}"
        return (Graph(title, tuple(map(str, range(self.layers + 1))), tuple(edges)),)

    def read_text(self, text: str) -> Genotype:
        """Reads ENAS's notation: a layer's operation by number, then a bit for each skip.

        Layers may be parted by "/" or lines. The numbers are positions in `MACRO_OPS`.

        Raises:
            ValueError: the text is anything but such numbers, or not of a genotype of this space.
        """
        words = text.replace("/", " ").split()
        wanted = self.layers * (self.layers + 1) // 2
        if not all(word in set("0123456789") for word in words) or len(words) != wanted:
            raise ValueError(
                f"ENAS's notation of {self.layers} layers is {wanted} digits, for each layer its "
                f"operation and a bit for each skip; got {_short(text)}"
            )
        numbers, chosen = iter(map(int, words)), dict[str, str]()
        for layer in range(1, self.layers + 1):
            chosen[_op(layer)] = _pick(MACRO_OPS, next(numbers), _op(layer))
            for source in range(layer - 1):
                name = _skip(layer, source)
                chosen[name] = _pick((NO, YES), next(numbers), name)
        return self.genotype(chosen)

    def write_text(self, genotype: Genotype, scores: Mixture | None = None) -> str:
        """Returns a genotype in ENAS's notation, layers parted by "/"."""
        chosen, lines = self.validate(genotype).mapping, list[str]()
        for layer in range(1, self.layers + 1):
            bits = [chosen[_skip(layer, source)] == YES for source in range(layer - 1)]
            numbers = [MACRO_OPS.index(chosen[_op(layer)]), *map(int, bits)]
            lines.append(" ".join(map(str, numbers)))
        return " / ".join(lines)

    def _skips(self, chosen: Mapping[str, str]) -> dict[int, list[int]]:
        return {
            layer: [s for s in range(layer - 1) if chosen[_skip(layer, s)] == YES]
            for layer in range(1, self.layers + 1)
        }


def _op(layer: int) -> str:
    return f"layer_{layer}/op"


def _skip(layer: int, source: int) -> str:
    return f"layer_{layer}/skip_{source}"


def _pick(options: Sequence[str], number: int, name: str) -> str:
    if number >= len(options):
        raise ValueError(f"'{name}' must be below {len(options)}, the text has {number}")
    return options[number]


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
