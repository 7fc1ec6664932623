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
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import torch.nn.functional as F
from torch import Tensor, nn

from nas_lightning.core.checks import at_least
from nas_lightning.core.choices import NO, YES, Branch, Choice, Factor, Mixture
from nas_lightning.core.cost import Term
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.networks.batch_norm import Norm
from nas_lightning.networks.cell import DropPath, branch_weights
from nas_lightning.networks.kernels import DepthwiseConv, as_maps, padded_conv, weighted_sum
from nas_lightning.networks.operations import FactorizedReduction, Pool, ReluConvNorm, State
from nas_lightning.search_spaces.notation import shortened
from nas_lightning.search_spaces.wired_space import Chosen, WiredSpace, check_names

__all__ = ["MACRO_OPS", "EnasMacroSpace"]

MACRO_OPS = ("conv_3x3", "sep_conv_3x3", "conv_5x5", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
SKIP = "skip_connect"


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
        return _Network(self.running(self._branches(), chosen), scale)

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
        first, second = _thirds(self.layers)
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


class _Network(nn.Module):
    """Stem, layers with reductions after each third, global pooling, classifier.

    `branches` are for each layer its operations, then what skips in; without factors in a child.
    """

    def __init__(self, branches: Sequence[Branch], scale: Scale) -> None:
        super().__init__()
        scale.check_extras("enas_macro")
        norm, self.branches = Norm.of(scale), branches
        numbers = range(1, branches[-1].target + 1)
        self.incoming = {i: [b for b in branches if b.target == i] for i in numbers}
        growth = 2 if scale.flavour == "child" else 1
        self.widths = [scale.channels * growth**third for third in range(3)]
        ends = _thirds(len(numbers))
        self.third = [0] + [sum(layer > end for end in ends) for layer in numbers]
        conv = padded_conv(scale.maps()[0], scale.channels, 3, 1, norm.axes)
        self.stem = nn.Sequential(conv, norm.always_affine(scale.channels))
        self.layers = nn.ModuleDict(
            {str(i): _Layer(self.incoming[i], self.widths[self.third[i]], norm) for i in numbers}
        )
        self.reductions = nn.ModuleDict(self._reductions(norm))
        self.classifier = nn.Linear(self.widths[-1], scale.outputs())

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: DropPath | None = None
    ) -> Tensor:
        states = {(0, 0): State(self.stem(as_maps(x)))}
        weights = None if mixture is None else branch_weights(self.branches, mixture)
        for i, layer in enumerate(self.layers.values(), start=1):
            run = [b for b in self.incoming[i] if weights is None or b.key in weights]
            read = {b.source: self._read(b.source, self.third[i], states) for b in run}
            states[i, self.third[i]] = State(layer(run, read, weights, drop_path))
        logits: Tensor = self.classifier(states[i, self.third[i]].x.mean(dim=(2, 3)))
        return logits

    def _read(self, state: int, third: int, states: dict[tuple[int, int], State]) -> State:
        """Returns a state as a later third sees it, reduced once per third."""
        if (state, third) not in states:
            before = self._read(state, third - 1, states)
            states[state, third] = State(self.reductions[f"{third}_of_{state}"](before))
        return states[state, third]

    def _reductions(self, norm: Norm) -> dict[str, nn.Module]:
        reductions: dict[str, nn.Module] = {}
        for third, state in product((1, 2), range(len(self.incoming))):
            later = [b for b in self.branches if self.third[b.target] >= third]
            readers = [b for b in later if b.source == state]
            if self.third[state] < third and readers:
                is_input = any(reader.op != SKIP for reader in readers)
                factors = [] if is_input else [f for reader in readers for f in reader.factors]
                before, after = self.widths[third - 1 : third + 1]
                reductions[f"{third}_of_{state}"] = _Reduction(before, after, norm, factors)
        return reductions


class _Layer(nn.Module):
    """Operations on the state before, whose mixture is joined with what skips in.

    A concatenation's convolution is the sum of one per source. The first layer joins nothing.
    """

    def __init__(self, branches: Sequence[Branch], channels: int, norm: Norm) -> None:
        super().__init__()
        self.branches, self.is_first = branches, branches[0].target == 1
        ops, skips = _apart(branches)
        self.ops = nn.ModuleDict({b.op: _operation(b.op, channels, norm) for b in ops})
        self.skips = nn.ModuleDict({str(b.source): _conv(channels) for b in skips})
        if not self.is_first:
            self.own, self.norm = _conv(channels), norm(channels)

    def forward(
        self,
        run: Sequence[Branch],
        read: Mapping[int, State],
        weights: Mapping[str, Tensor] | None,
        drop_path: DropPath | None,
    ) -> Tensor:
        ops, skips = _apart(run)
        outs = [self.ops[b.op](read[b.source]) for b in ops]
        outs = outs if drop_path is None else [drop_path(out, self.training) for out in outs]
        out = _sum(ops, outs, weights)
        if self.is_first:
            return out
        joined = self.own(F.relu(out))
        if skips:
            terms = [self.skips[str(b.source)](read[b.source].relu()) for b in skips]
            joined = joined + _sum(skips, terms, weights)
        normed: Tensor = self.norm(joined)
        return normed

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        ops, skips = _apart(self.branches)
        yield from ((self.ops[b.op], b.factors) for b in ops)
        yield from ((self.skips[str(b.source)], b.factors) for b in skips)


class _ConvPool(nn.Module):
    """ReLU, 1x1 convolution, BatchNorm, 3x3 pooling."""

    def __init__(self, kind: str, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv = ReluConvNorm([[_conv(channels)]], norm)
        self.pool = Pool(kind, channels, 1, norm)

    def forward(self, state: State) -> Tensor:
        out: Tensor = self.pool(State(self.conv(state)))
        return out


class _Reduction(FactorizedReduction):
    """A reduction that is there unless nobody reads it; without `read` factors it always is."""

    def __init__(self, before: int, after: int, norm: Norm, read: Sequence[Factor]) -> None:
        super().__init__(before, after, norm)
        self.unread = [Factor(f.choice, tuple(1.0 - c for c in f.coefficients)) for f in read]

    def cost_terms(self, output: Tensor) -> Iterator[Term]:
        """Yields what one run costs (see `core.cost`)."""
        params = sum(p.numel() for p in self.parameters())
        adds = output.numel() * self.even.in_channels
        yield Term((params, adds), ())
        if self.unread:
            yield Term((-params, -adds), tuple(self.unread))


def _thirds(layers: int) -> tuple[int, int]:
    return layers // 3, 2 * (layers // 3)


def _operation(name: str, channels: int, norm: Norm) -> nn.Module:
    if name.endswith("pool_3x3"):
        return _ConvPool("max" if name.startswith("max") else "average", channels, norm)
    kernel = int(name[-1])
    stage: list[nn.Conv2d] = [padded_conv(channels, channels, kernel, 1, norm.axes)]
    if name.startswith("sep"):
        stage = [DepthwiseConv(channels, kernel, 1, 1, norm.axes), _conv(channels)]
    return ReluConvNorm([[_conv(channels)], stage], norm)


def _conv(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 1, bias=False)


def _apart(branches: Sequence[Branch]) -> tuple[list[Branch], list[Branch]]:
    return [b for b in branches if b.op != SKIP], [b for b in branches if b.op == SKIP]


def _sum(
    branches: Sequence[Branch], terms: Sequence[Tensor], weights: Mapping[str, Tensor] | None
) -> Tensor:
    """Returns the sum of what branches give, weighted unless there are no weights."""
    if weights is None:
        return sum(terms[1:], start=terms[0])
    return weighted_sum([weights[b.key] for b in branches], terms)


def _skip(layer: int, source: int) -> str:
    return f"layer_{layer}/skip_{source}"
