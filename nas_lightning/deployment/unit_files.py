"""Units and children as ONNX files, which `profile_onnx.py` measures on another device."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.export import quiet_exporter
from nas_lightning.evaluation.latency import network_id, use_counts
from nas_lightning.networks.units import Unit, Use

__all__ = ["METADATA", "write_children", "write_units"]

METADATA = "nas_lightning_latency"  # under which profile_onnx.py finds what a file is
NOTHING = "nothing"  # whose run is what any run takes, not the operation


def write_units(units: Iterable[Unit], folder: Path) -> None:
    """Writes each unit as an ONNX file, with random params, and one that computes nothing."""
    _write(nn.Identity(), [[1]], {"id": NOTHING, "operation": NOTHING}, folder)
    for unit in units:
        facts = {"id": unit.id, "operation": unit.name, "steps": list(unit.steps)}
        _write(_Called(unit), unit.shapes, facts, folder)


def write_children(
    space: SearchSpace, scale: Scale, uses: list[Use], genotypes: Iterable[Genotype], folder: Path
) -> None:
    """Writes the children of genotypes as ONNX files; with them the overhead is fitted."""
    for genotype in genotypes:
        shape = list(scale.sample_shape())
        facts = {"id": genotype.id, "operation": "child", "space": space.name}
        facts |= {"network": network_id(uses)}
        counts = {"units": use_counts(space, genotype, scale)}
        network = space.child(genotype, scale).eval()
        _write(network, [[1, *shape]], facts | counts, folder)


class _Called(nn.Module):
    """A call of a unit, as a module of its tensors."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.unit, self.module = unit, unit.on_cpu()

    def forward(self, *tensors: Tensor) -> list[Tensor]:
        return self.unit.run(self.module, tensors)


def _write(
    network: nn.Module, shapes: list[list[int]], facts: dict[str, Any], folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with quiet_exporter(), torch.no_grad():
        inputs = tuple(torch.randn(shape) for shape in shapes)
        program = torch.onnx.export(network, inputs, dynamo=True, verbose=False)
    assert program is not None
    facts |= {"input": shapes, "torch": str(torch.__version__)}
    program.model.metadata_props[METADATA] = json.dumps(facts)
    program.save(folder / f"{facts['id']}.onnx", external_data=False)
