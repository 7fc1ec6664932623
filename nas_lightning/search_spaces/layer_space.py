"""What all spaces of layers have in common: sizes and skips that are chosen layer by layer."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from torch import nn

from nas_lightning.core.choices import YES
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.networks.elastic import Size

__all__ = ["Chosen", "LayerSpace", "skip_name", "skips_into"]

Chosen = Mapping[str, str] | None  # option by decision; None leaves every choice to a mixture


class LayerSpace(SearchSpace, ABC):
    """A space of layers: the supernet's are of all sizes, a child's of the chosen ones."""

    @abstractmethod
    def network(self, chosen: Chosen, scale: Scale) -> nn.Module:
        """Builds the network of some choices, or the supernet."""

    def supernet(self, scale: Scale) -> nn.Module:
        """Builds the network of all genotypes."""
        return self.network(None, scale)

    def child(self, genotype: Genotype, scale: Scale) -> nn.Module:
        """Builds the network of one genotype."""
        return self.network(self.validate(genotype).mapping, scale)

    def size(self, name: str, chosen: Chosen, unit: float = 1) -> Size:
        """Returns the size that a decision is about.

        Args:
            name: name of the decision, whose options are numbers.
            chosen: choices of a child, or of a supernet.
            unit: what the numbers are multiplied by.
        """
        row = self.rows[name]
        options = self.choices[row].options if chosen is None else (chosen[name],)
        sizes = tuple(max(1, round(int(option) * unit)) for option in options)
        return Size(sizes, row if chosen is None else None)


def skip_name(layer: int, source: int) -> str:
    """Returns the name of the choice whether a source skips into a layer."""
    return f"layer_{layer}/skip_{source}"


def skips_into(layer: int, sources: Iterable[int], chosen: Chosen) -> list[int]:
    """Returns the sources that skip into a layer, or may do so."""
    return [s for s in sources if chosen is None or chosen[skip_name(layer, s)] == YES]
