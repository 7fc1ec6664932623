"""What a supernet refuses as its mixture: none, or one of another space, scale or precision."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.core.scale import Scale

__all__ = ["MixtureCheck", "checked"]


class MixtureCheck:
    """A forward pre-hook of a supernet, forward(x, mixture); it looks at shapes and types alone."""

    def __init__(
        self, space: str, choices: Sequence[Choice], partial: int = 1, cells: int = 0
    ) -> None:
        self.space, self.partial, self.cells = space, partial, cells
        self.numbers = tuple(len(choice.options) for choice in choices)
        self.shape = len(choices), max(self.numbers, default=0)

    def __call__(
        self, network: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Checks the mixture that the supernet is called with.

        Raises:
            TypeError: there is no mixture, or its weights are less precise than the params.
            ValueError: it is a mixture of other choices, or for other partial channels.
        """
        mixture = args[1] if len(args) > 1 else kwargs.get("mixture")
        if not isinstance(mixture, Mixture):
            raise TypeError(
                f"a supernet of search space '{self.space}' must be called as supernet(x, mixture) "
                f"with a Mixture, got {type(mixture).__name__}; use e.g. space.mixture(genotype)"
            )
        if mixture.partial not in (None, self.partial):
            raise ValueError(
                f"the mixture is for a supernet of scale.partial={mixture.partial}, got one of "
                f"{self.partial}; build it with space.supernet(strategy.stage(epoch).of(scale))"
            )
        self._check_choices(mixture)
        self._check_precision(mixture, network)

    def _check_choices(self, mixture: Mixture) -> None:
        shape, support = tuple(mixture.weights.shape), mixture.support
        wanted = (self.cells, *self.shape) if self.cells and len(shape) == 3 else self.shape
        if shape != wanted or len(support) != self.shape[0]:
            raise ValueError(
                f"a mixture of search space '{self.space}' must have weights {wanted} and a "
                f"support of {self.shape[0]} choices, got {shape} and {len(support)}; use a "
                "mixture of this space, e.g. space.mixture(genotype)"
            )
        for choice, (allowed, number) in enumerate(zip(support, self.numbers, strict=True)):
            if allowed and max(allowed) >= number:
                raise ValueError(
                    f"choice {choice} of search space '{self.space}' has {number} options, but "
                    f"the mixture's support has option {max(allowed)} there; use a mixture of "
                    "this space, e.g. space.mixture(genotype)"
                )

    def _check_precision(self, mixture: Mixture, network: nn.Module) -> None:
        own = mixture.weights.dtype
        param = next(network.parameters(), mixture.weights)
        is_exact = torch.promote_types(own, param.dtype) == own
        if not is_exact and not torch.is_autocast_enabled(param.device.type):
            raise TypeError(
                f"the mixture's weights ({own}) must be as precise as the supernet's params "
                f"({param.dtype}); use mixture.to(x) with images x of that type"
            )


class _Space(Protocol):
    name: str
    choices: tuple[Choice, ...]

    def cell_rows(self, scale: Scale) -> tuple[tuple[int, ...], ...]: ...


_OfSpace = TypeVar("_OfSpace", bound=_Space)


def checked(
    build: Callable[[_OfSpace, Scale], nn.Module],
) -> Callable[[_OfSpace, Scale], nn.Module]:
    """Returns a space's method that builds supernets, whose supernets check their mixtures."""

    @wraps(build)
    def supernet(space: _OfSpace, scale: Scale) -> nn.Module:
        network, cells = build(space, scale), len(space.cell_rows(scale))
        check = MixtureCheck(space.name, space.choices, scale.partial, cells)
        network.register_forward_pre_hook(check, with_kwargs=True)
        return network

    return supernet
