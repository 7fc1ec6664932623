"""Which params of a supernet belong to which of its operations."""

from collections.abc import Sequence

from torch import nn

from nas_lightning.core.choices import SKIP, Choice, Factor
from nas_lightning.core.cost import Weighted

__all__ = ["op_params"]


def op_params(network: nn.Module, choices: Sequence[Choice]) -> dict[str, tuple[str, ...]]:
    """Returns the names of each operation's params, by the name of its module.

    An operation is what a choice of kind "op" weighs, one per place in the network. A skip is none,
    although one of stride 2 has params, and neither is what has no params. Where operations lie in
    each other, a param belongs to the innermost one.
    """
    places = {module: name for name, module in network.named_modules()}
    weighted = (m.weighted_modules() for m in list(places) if isinstance(m, Weighted))
    names = {
        places[module]
        for pairs in weighted
        for module, factors in pairs
        if any(_takes_an_op(factor, choices) for factor in factors)
    }
    members: dict[str, list[str]] = {}
    for param, _ in network.named_parameters():
        parts = param.split(".")
        around = [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
        inner = next((name for name in around if name in names), None)
        if inner is not None:
            members.setdefault(inner, []).append(param)
    return {name: tuple(params) for name, params in members.items()}


def _takes_an_op(factor: Factor, choices: Sequence[Choice]) -> bool:
    choice = choices[factor.choice]
    pairs = zip(choice.options, factor.coefficients, strict=True)
    taken = [option for option, coefficient in pairs if coefficient]
    return choice.kind == "op" and taken != [SKIP]
