"""A search space of the user's own: any module that holds `OneOf`, `Optional` and `Repeat`."""

import inspect
from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor, nn

from nas_lightning.core.choices import Choice, Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.graph import Edge, Graph
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.markers import OneOf, Optional, Repeat, marks, mixing
from nas_lightning.networks.unfit import tried

__all__ = ["CustomSpace", "example"]

GIVEN = ("input_shape", "num_outputs", "channels", "cells")  # what a network may take


def example(input_shape: tuple[int, ...], num_outputs: int, channels: int = 16) -> nn.Module:
    """Returns a small network for images that holds every kind of choice, one inside another."""

    def block(kernel: int) -> nn.Module:
        conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU())

    return nn.Sequential(
        nn.Conv2d(input_shape[0], channels, 3, padding=1),
        OneOf("first", {"small": block(3), "large": block(5), "pool": nn.AvgPool2d(3, 1, 1)}),
        OneOf("activation", {"relu": nn.ReLU(), "tanh": nn.Tanh()}),
        Repeat("depth", lambda: block(3), [1, 2, 3]),
        Optional("last", nn.Sequential(block(1), OneOf("inner", {"3": block(3), "5": block(5)}))),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, num_outputs),
    )


class CustomSpace(SearchSpace):
    """The networks that come of one module when each of its marks is decided.

    A mark inside an option of another one is decided where that option is taken. Marks of one
    name and the same options are one decision. What `network` does not take of `scale` is ignored,
    such as `flavour`: BatchNorm is what the module has. The space has cells (see `SearchSpace`) if
    `network` takes `cells`.

    Args:
        network: builds the module: a class or function that takes any of `input_shape`,
            `num_outputs`, `channels` and `cells`, by these names.
        name: name that genotypes carry.
        scale: what `network` takes.

    Raises:
        ValueError: `network` needs an argument that it is not given, or builds a module without a
            mark, with marks that disagree, or by reading tensors.

    >>> space = CustomSpace(example, scale=Scale(input_shape=(3, 8, 8), num_outputs=10))
    >>> space.count()
    54
    >>> space.sample(0).mapping["first"]
    'large'
    """

    needs_data = True

    def __init__(
        self, network: Callable[..., nn.Module], name: str = "custom", scale: Scale = Scale()
    ) -> None:
        self.network, self.arguments = network, _arguments(network)
        self.has_cells = "cells" in self.arguments
        self.ignored_scale = tuple(f.name for f in fields(Scale) if f.name not in self.arguments)
        choices, decisions = dict[str, Choice](), dict[str, Decision]()
        knows_data = scale.input_shape is not None and scale.num_outputs is not None
        for mark, given in marks(self._built_on_meta(scale)) if knows_data else ():
            decision = Decision(mark.name, mark.options, mark.kind, given)
            if decisions.setdefault(mark.name, decision) != decision:
                raise ValueError(
                    f"the marks named '{mark.name}' must have the same options and lie in the "
                    f"same choices, got {_place(decisions[mark.name])} and {_place(decision)}; "
                    "name them differently"
                )
            group = mark.name.rpartition("/")[0] or mark.name
            choices[mark.name] = Choice(mark.name, mark.options, mark.kind, group)
        if knows_data and not choices:
            cure = "put OneOf, Optional or Repeat of nas_lightning into it"
            raise ValueError(f"the module that search_space.network builds holds no choice; {cure}")
        super().__init__(name, scale, tuple(choices.values()), tuple(decisions.values()))

    def fitted(self, scale: Scale) -> "CustomSpace":
        """Returns the space at a scale that knows the data, and so its choices.

        Raises: ValueError: options or the rest of the network do not fit each other or the data.
        """
        space = CustomSpace(self.network, self.name, scale)
        space.cost(scale)  # runs every option once, without memory
        return space

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the module with all its options."""
        return CustomNetwork(self._numbered(scale), scale.outputs())

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the module with the chosen options alone."""
        chosen = self.validate(genotype).mapping
        network = self._numbered(scale)
        for mark, _ in list(marks(network)):
            if mark.name in chosen:
                mark.keep(chosen[mark.name])
        return CustomNetwork(network, scale.outputs())

    def graphs(self, genotype: Genotype) -> tuple[Graph, ...]:
        """Returns the decisions in the order in which the module holds them."""
        options = self.validate(genotype).mapping
        chosen = {d.name: options[d.name] for d in self.decisions if d.name in options}
        names, labels = ["input", *chosen, "output"], [*chosen.values(), ""]
        edges = [Edge(a, b, o) for a, b, o in zip(names, names[1:], labels, strict=False)]
        return (Graph(self.name, tuple(names), tuple(edges)),)

    def _numbered(self, scale: Scale) -> nn.Module:
        network = self._built(scale)
        for mark, _ in marks(network):
            mark.row = self.rows[mark.name]
        return network

    def _built_on_meta(self, scale: Scale) -> nn.Module:
        with torch.device("meta"):
            return self._built(scale)

    def _built(self, scale: Scale) -> nn.Module:
        shapes = {"input_shape": scale.sample_shape(), "num_outputs": scale.outputs()}
        values = shapes | {"channels": scale.channels, "cells": scale.cells}
        taken = {name: values[name] for name in GIVEN if name in self.arguments}
        try:
            network = self.network(**taken)
        except (RuntimeError, AssertionError) as error:
            if "meta" in str(error):
                raise ValueError(
                    "search_space.network must not read values of tensors while it is built, since "
                    f"it is looked at without memory too ({error}); compute them in plain Python, "
                    "or give their tensor device='cpu'"
                ) from error
            listed = ", ".join(f"{name}={value}" for name, value in taken.items())
            raise ValueError(
                f"search_space.network cannot be built with {listed}: {error}"
            ) from error
        if not isinstance(network, nn.Module):
            kind = type(network).__name__
            raise ValueError(f"search_space.network must build a torch.nn.Module, got {kind}")
        return network


def _arguments(network: Callable[..., nn.Module]) -> tuple[str, ...]:
    """Returns the names of a builder's arguments, all of which are given or have a default."""
    parameters = inspect.signature(network).parameters
    for name, parameter in parameters.items():
        is_any = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        is_given = name in GIVEN and parameter.kind is not parameter.POSITIONAL_ONLY
        if parameter.default is parameter.empty and not is_any and not is_given:
            raise ValueError(
                f"search_space.network needs an argument '{name}', but is given "
                f"{', '.join(GIVEN)} alone, by these names; rename it, give it a default, or set "
                f"search_space.network.{name}=..."
            )
    return tuple(parameters)


def _place(decision: Decision) -> str:
    outer = "".join(f" in {' or '.join(o)} of '{name}'" for name, o in reversed(decision.given))
    return f"{list(decision.options)}{outer or ' in no other choice'}"


class CustomNetwork(nn.Module):
    """A user's module as a supernet, or pruned as a child: forward(x) -> (N, num_outputs)."""

    def __init__(self, network: nn.Module, num_outputs: int) -> None:
        super().__init__()
        self.network, self.num_outputs = network, num_outputs

    def forward(
        self, x: Tensor, mixture: Mixture | None = None, drop_path: object = None
    ) -> Tensor:
        """Returns outputs (N, num_outputs); a user's module has dropout, so no drop path.

        Raises: ValueError: the module cannot take the images, or gives outputs of another shape.
        """
        with mixing(mixture):
            out = tried(self.network, x, "search_space.network")
        is_tensor = isinstance(out, Tensor)
        if not is_tensor or out.dim() != 2 or out.shape[1] != self.num_outputs:
            raise ValueError(
                f"search_space.network must give num_outputs ({self.num_outputs}) numbers for each "
                f"sample, shape {[len(x), self.num_outputs]}, got "
                f"{list(out.shape) if is_tensor else type(out).__name__}; end it with e.g. "
                "nn.Linear(..., num_outputs)"
            )
        return out
