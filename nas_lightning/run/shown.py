"""A genotype shown: its drawing, its text, the size of its child."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.memory import child_memory_mb
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.reports.drawing import COLUMNS, describe, draw
from nas_lightning.reports.terminal import columns_of, wrapped
from nas_lightning.zoo.reader import read_genotype

__all__ = ["ShownGenotype", "shown"]

DEFAULT: dict[str, Any] = {"input_shape": (3, 32, 32), "num_outputs": 10}


@dataclass(frozen=True)
class ShownGenotype:
    """A genotype of a space at the size of a child; a notebook draws it, `print` describes it."""

    genotype: Genotype
    space: SearchSpace
    scale: Scale

    @cached_property
    def size(self) -> dict[str, int]:
        """Parameters and multiply-adds of the child."""
        return child_cost(self.space, self.genotype, self.scale)

    @cached_property
    def memory_mb(self) -> float:
        """MB (10^6 bytes) that one inference of the child needs (see `core.memory`)."""
        return child_memory_mb(self.space, self.genotype, self.scale)

    @property
    def text(self) -> str | None:
        """The genotype in its space's text notation, None without one."""
        return self.space.write_text(self.genotype)

    @property
    def drawing(self) -> str:
        """The genotype as SVG."""
        return draw(self.space.graphs(self.genotype), self.space.option_names)

    def _repr_svg_(self) -> str:
        return self.drawing

    def __str__(self) -> str:
        """Returns what nas-show prints; but for the notation it fits the terminal."""
        shape, columns = self.scale.sample_shape(), columns_of(sys.stdout)
        text = "" if self.text is None else f"{self.text}\n\n"
        size = f"at {self.scale.channels} channels, "
        size += f"{self.scale.cells} cells, " if self.space.has_cells else ""
        size += f"{'images' if len(shape) == 3 else 'inputs'} {shape}, "
        size += f"{self.scale.num_outputs} classes:"
        return (
            f"genotype {self.genotype.id} of space {self.genotype.space}\n"
            f"{describe(self.space.graphs(self.genotype), columns or COLUMNS)}\n\n{text}"
            f"{wrapped(size, columns)}\n"
            f"{'parameters':24} {self.size['parameters']:,}\n"
            f"{'multiply-adds':24} {self.size['multiply_adds']:,}\n"
            f"{'memory':24} {self.memory_mb:,.3g} MB"
        )


def shown(
    genotype: str | Genotype,
    space: SearchSpace,
    changes: Mapping[str, Any],
    scale: Scale | None = None,
) -> ShownGenotype:
    """Returns a genotype at a scale, by default its published child's, but for what is changed.

    `genotype` may be what `read_genotype` takes; `changes` are values of `Scale`, None for none.

    Raises: ValueError: there is no such genotype in the space, or the size is impossible.
    """
    scale = scale or space.published_scale()
    unset = {key: value for key, value in DEFAULT.items() if getattr(scale, key) is None}
    scale = replace(scale, **unset | {k: v for k, v in changes.items() if v is not None})
    space = space.fitted(scale)
    if isinstance(genotype, str):
        return ShownGenotype(read_genotype(genotype, space), space, scale)
    return ShownGenotype(space.validate(genotype), space, scale)
