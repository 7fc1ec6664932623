"""Marks that make a search space of any module: one of several, optional, or repeated modules.

Inside `mixing` a mark weighs its options by the mixture; outside it runs the only one left.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import NO, YES, Factor, Mixture
from nas_lightning.networks.unfit import UnfitError, tried

__all__ = ["Mark", "OneOf", "Optional", "Repeat", "marks", "mixing"]

Given = tuple[tuple[str, tuple[str, ...]], ...]
Rows = tuple[tuple[tuple[Tensor, ...], ...], tuple[tuple[int, ...], ...]]
_current: ContextVar[Rows | None] = ContextVar("mixture", default=None)


@contextmanager
def mixing(mixture: Mixture | None) -> Iterator[None]:
    """Lets marks inside the block weigh their options by a mixture; None as outside the block."""
    table = () if mixture is None else tuple(row.unbind() for row in mixture.weights.unbind())
    token = _current.set(None if mixture is None else (table, mixture.support))
    try:
        yield
    finally:
        _current.reset(token)


class Mark(nn.Module, ABC):
    """A choice inside a module; marks of one name and the same options are decided together.

    `kind` is "op", "skip" or "size".

    Raises: ValueError: there is no name, no option, or two options of one name.
    """

    def __init__(self, name: str, options: Sequence[str], kind: str) -> None:
        super().__init__()
        if not name or not options or len(set(options)) < len(options):
            raise ValueError(
                f"choice '{name}' must have a name and different options, got {list(options)}"
            )
        self.name, self.options, self.kind = name, tuple(options), kind
        self.plain_name = name  # as the user gave it, without the positions in repetitions
        self.row = 0  # of the choice in the mixture; the space sets it
        self.parts = nn.ModuleDict()

    def forward(self, x: Tensor) -> Tensor:
        """Returns the weighted sum of the options' outputs, or the only option's.

        Raises: ValueError: the outputs differ in shape, or the choice is undecided.
        """
        current = _current.get()
        if current is None:
            return self._alone(x)
        rows, support = current
        chosen = support[self.row]
        terms = self._outputs(x, chosen)
        if len({terms[i].shape for i in chosen}) > 1:
            shapes = ", ".join(f"{self.options[i]}: {list(terms[i].shape)}" for i in chosen)
            raise UnfitError(f"options of choice '{self.name}' must give one shape, got {shapes}")
        weights = rows[self.row]
        weighted = [weights[i].to(terms[i].dtype) * terms[i] for i in chosen]
        return sum(weighted[1:], start=weighted[0])

    @abstractmethod
    def _outputs(self, x: Tensor, chosen: Sequence[int]) -> dict[int, Tensor]:
        """Returns the output of each chosen option by its index."""

    @abstractmethod
    def _users(self, part: str) -> tuple[str, ...]:
        """Returns the options that use a part."""

    def _alone(self, x: Tensor) -> Tensor:
        """Returns the output of the only option that is left."""
        for part in self.parts:
            x = self._output(part, x)
        return x

    def _output(self, part: str, x: Tensor) -> Tensor:
        option = self._users(part)[0]
        return tried(self.parts[part], x, f"option '{option}' of choice '{self.name}'")

    def keep(self, option: str) -> None:
        """Removes the parts that an option does not use, as in its child; called once."""
        for name in [name for name in self.parts if option not in self._users(name)]:
            del self.parts[name]

    def weighted_modules(self) -> Iterator[tuple[nn.Module, tuple[Factor, ...]]]:
        """Yields each part with its factor (see `core.cost`)."""
        for part, users in self.scopes():
            yield part, (Factor.taking(self.row, self.options, *users),)

    def scopes(self) -> Iterator[tuple[nn.Module, tuple[str, ...]]]:
        """Yields each part and the options that use it."""
        for name, part in self.parts.items():
            yield part, self._users(name)


class OneOf(Mark):
    """One of several modules, by name, that take the same input and give the same shape.

    Raises: ValueError: torch's ModuleDict cannot hold a name, or a module is given twice.

    >>> block = OneOf("activation", {"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> block.options
    ('relu', 'tanh')
    """

    def __init__(self, name: str, options: Mapping[str, nn.Module]) -> None:
        super().__init__(name, tuple(options), "op")
        for option, module in options.items():
            if not isinstance(option, str) or "." in option or hasattr(self.parts, option):
                raise ValueError(
                    f"option {option!r} of '{name}' must be a text without a dot that "
                    "torch.nn.ModuleDict has no use for; name it e.g. 'conv_3'"
                )
            if any(module is other for other in self.parts.values()):
                raise ValueError(
                    f"option '{option}' of '{name}' must be a module of its own, got one that "
                    "another option is; give it a copy.deepcopy"
                )
            self.parts[option] = module

    def _outputs(self, x: Tensor, chosen: Sequence[int]) -> dict[int, Tensor]:
        return {index: self._output(self.options[index], x) for index in chosen}

    def _alone(self, x: Tensor) -> Tensor:
        if len(self.parts) > 1:
            raise ValueError(
                f"choice '{self.name}' must be decided before it runs, got the options "
                f"{list(self.parts)}; build a supernet or child by nas_lightning's CustomSpace"
            )
        return super()._alone(x)

    def _users(self, part: str) -> tuple[str, ...]:
        return (part,)


class _Counted(Mark):
    """A chain of modules of which each option runs the first ones, as many as its count."""

    def __init__(self, name: str, options: Sequence[str], kind: str, counts: Sequence[int]) -> None:
        super().__init__(name, options, kind)
        self.counts = dict(zip(options, counts, strict=True))

    def _outputs(self, x: Tensor, chosen: Sequence[int]) -> dict[int, Tensor]:
        counts = {index: self.counts[self.options[index]] for index in chosen}
        after = [x]
        for part in list(self.parts)[: max(counts.values())]:
            after.append(self._output(part, after[-1]))
        return {index: after[count] for index, count in counts.items()}

    def _users(self, part: str) -> tuple[str, ...]:
        return tuple(option for option in self.options if self.counts[option] > int(part))


class Optional(_Counted):
    """A module, of one shape in and out, that may be left out ("no") or runs ("yes")."""

    def __init__(self, name: str, module: nn.Module) -> None:
        super().__init__(name, (NO, YES), "skip", (0, 1))
        self.parts["0"] = module


class Repeat(_Counted):
    """A module repeated, each time with params of its own; 0 times passes the input unchanged.

    The module, of one shape in and out, is copied, with new params where its parts have
    `reset_parameters`; or a function builds one per repetition. Choices inside it are made anew in
    each repetition that runs, and get their names from its position.

    Raises: ValueError: a count is negative or listed twice, or repetitions hold the same mark.

    >>> layers = Repeat("layers", OneOf("act", {"relu": nn.ReLU(), "tanh": nn.Tanh()}), [1, 2])
    >>> [mark.name for mark, given in marks(layers)]
    ['layers', 'layers.0.act', 'layers.1.act']
    """

    def __init__(
        self, name: str, module: nn.Module | Callable[[], nn.Module], counts: Sequence[int]
    ) -> None:
        super().__init__(name, [str(count) for count in counts], "size", counts)
        if min(counts) < 0:
            raise ValueError(f"counts of '{name}' ({list(counts)}) must be at least 0")
        renamed = set[Mark]()
        for number in range(max(counts)):
            self.parts[str(number)] = part = _copy(module)
            inner = {mark for mark in part.modules() if isinstance(mark, Mark)}
            if shared := sorted(mark.plain_name for mark in inner & renamed):
                raise ValueError(
                    f"each repetition of '{name}' must have choices of its own, but '{shared[0]}' "
                    "is in two of them; build it inside the function that builds a repetition"
                )
            for mark in inner:
                mark.name = f"{name}.{number}.{mark.name}"
            renamed |= inner


def marks(module: nn.Module, given: Given = ()) -> Iterator[tuple[Mark, Given]]:
    """Yields the marks of a module, outer ones first, each with its conditions.

    `given` are the module's own: pairs (name of a choice, options) under which it runs at all.
    """
    if not isinstance(module, Mark):
        for child in module.children():
            yield from marks(child, given)
        return
    yield module, given
    for part, options in module.scopes():
        yield from marks(part, (*given, (module.name, options)))


def _copy(module: nn.Module | Callable[[], nn.Module]) -> nn.Module:
    if not isinstance(module, nn.Module):
        return module()
    copied = copy.deepcopy(module)
    for name in ("reset_parameters", "_reset_parameters"):  # the latter is MultiheadAttention's
        for part in copied.modules():
            if callable(reset := getattr(part, name, None)):
                with torch.no_grad():
                    reset()
    return copied
