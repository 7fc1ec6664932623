"""Loose ends: the states that a genotype leaves unread, concatenated and projected.

Sources: Zoph et al., NASNet, 2018 (arXiv:1707.07012), section 3, and Pham et al., ENAS, 2018
(arXiv:1802.03268), section 2.4: states that no operation reads are concatenated. How many they
are depends on the genotype, so the concatenation is never built: a 1x1 convolution (or a linear
layer) of a concatenation is the sum of one such layer a state. "Nobody reads this state" is the
product over its possible readers of one minus the weight with which they read it.
"""

from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor, nn

from nas_lightning.core.choices import Factor
from nas_lightning.networks.operations import State

__all__ = ["LooseEnds", "unread"]


class LooseEnds(nn.Module):
    """The sum of one layer a state that is there, then a layer of the sum.

    A state may come weighted by a mixture: the sum is then weighted alike, as the layers are
    linear, or linear behind a ReLU.

    Args:
        layers: by the number of a state the layer that reads it: forward(State) -> Tensor.
        after: what the sum goes through.
        factors: by the number of a state what weighs it, for the cost; () where nothing does.
    """

    def __init__(
        self,
        layers: Mapping[int, nn.Module],
        after: nn.Module,
        factors: Mapping[int, tuple[Factor, ...]],
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({str(number): layer for number, layer in layers.items()})
        self.after, self.factors = after, dict(factors)

    def forward(self, states: Mapping[int, State]) -> Tensor:
        """Returns what comes out of `after`.

        Args:
            states: by number the states that are there, at least one; the layers of others do
                not run.
        """
        parts = [layer(states[int(n)]) for n, layer in self.layers.items() if int(n) in states]
        out: Tensor = self.after(sum(parts[1:], start=parts[0]))
        return out

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields each state's layer and the factors that weigh it (see `core.cost`)."""
        for number, layer in self.layers.items():
            yield layer, self.factors[int(number)]


def unread(readers: Iterable[tuple[int, int, int]]) -> tuple[Factor, ...]:
    """Returns the factors whose product is 1 where no reader takes a state, and 0 elsewhere.

    Args:
        readers: triples (index of a choice of inputs, its number of options, the option that
            takes the state).

    >>> unread([(4, 3, 1)])
    (Factor(choice=4, coefficients=(1.0, 0.0, 1.0)),)
    """
    return tuple(
        Factor(choice, tuple(float(option != taken) for option in range(number)))
        for choice, number, taken in readers
    )
