"""How a run ends: genotype, drawing, report, result.json written last, and a short summary."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from nas_lightning import __version__

if TYPE_CHECKING:
    from nas_lightning.core.genotype import Genotype
    from nas_lightning.run.parts import Parts
    from nas_lightning.training.child import ChildModule

__all__ = [
    "choice_of",
    "command_of",
    "finish",
    "finished",
    "is_of_sweep",
    "kept_overrides",
    "sweep_of",
    "versions",
    "write_confusion",
    "write_genotype",
]

PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy")


def finished(folder: Path) -> dict[str, Any] | None:
    """Returns the result of a run that is complete, after saying so; else None."""
    if not (folder / ".hydra" / "hydra.yaml").is_file():
        raise ValueError("a run keeps its configuration in .hydra: leave out hydra.output_subdir")
    path = folder / "result.json"
    if not path.is_file():
        return None
    result = json.loads(path.read_text())
    print(f"this run is complete; its result is in {path}")
    assert isinstance(result, dict)
    return result


def kept_overrides(folder: Path) -> list[str]:
    """Returns the overrides that a run was started with."""
    return list(_setting(folder, "overrides.task") or [])


def is_of_sweep(folder: Path) -> bool:
    """Returns whether a run was started as a job of a sweep."""
    return str(_setting(folder, "mode")) == "MULTIRUN"


def sweep_of(folder: Path) -> Path | None:
    """Returns the folder of the sweep that a run was started in, if it was."""
    return Path(str(_setting(folder, "sweep.dir"))) if is_of_sweep(folder) else None


def write_genotype(folder: Path, parts: "Parts", genotype: "Genotype") -> None:
    """Writes genotype.json and its drawing; of several processes, only the first does."""
    if not parts.hardware.is_first:
        return
    from nas_lightning.files import write_text
    from nas_lightning.reports.drawing import draw

    provenance = {
        "command": command_of(folder),
        "seed": parts.seed,
        "data": choice_of(folder, "data"),
    }
    write_text(folder / "genotype.json", genotype.to_json(provenance))
    write_text(folder / "genotype.svg", draw(parts.space.graphs(genotype)))


def write_confusion(folder: Path, parts: "Parts", module: "ChildModule") -> None:
    """Writes confusion.csv: how many test images of a class (row) were taken for which (column)."""
    from nas_lightning.callbacks.epoch_logs import csv_text
    from nas_lightning.files import write_text

    if module.confusion is None:
        return
    names, counts = parts.data.class_names, module.confusion.compute().tolist()  # all processes
    if not parts.hardware.is_first:
        return
    rows = [
        {"class, taken for": name} | dict(zip(names, row, strict=True))
        for name, row in zip(names, counts, strict=True)
    ]
    write_text(folder / "confusion.csv", csv_text(rows))


def finish(
    folder: Path, parts: "Parts", genotype: "Genotype", figures: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the report and, last of all, result.json; prints the summary.

    Of several processes, only the first does so.

    Args:
        folder: the run's folder.
        parts: what was trained on and with.
        genotype: what was found or trained.
        figures: "search", "child", "baselines" and "notes" of the result.

    Returns:
        The content of result.json.
    """
    if not parts.hardware.is_first:
        return dict(figures)
    from nas_lightning.files import write_text
    from nas_lightning.reports.drawing import describe
    from nas_lightning.reports.page import write_report
    from nas_lightning.reports.summary import summary

    write_genotype(folder, parts, genotype)
    result = _facts(folder, parts, genotype) | dict(figures)
    write_report(folder, result)
    write_text(folder / "result.json", json.dumps(result, indent=2) + "\n")
    print(summary(result, describe(parts.space.graphs(genotype)), folder))
    return result


def _facts(folder: Path, parts: "Parts", genotype: "Genotype") -> dict[str, Any]:
    import torch

    return {
        "space": genotype.space,
        "strategy": choice_of(folder, "strategy"),
        "data": choice_of(folder, "data"),
        "data_name": parts.data.name,
        "objective": choice_of(folder, "objective"),
        "seed": parts.seed,
        "metric": {
            "name": parts.task.metric,
            "higher_is_better": parts.task.higher_is_better,
            "is_share": parts.task.targets != "values",
        },
        "genotype_id": genotype.id,
        "split": parts.data.split_hash,
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "hardware": f"{parts.hardware.accelerator} {parts.hardware.actual_precision}",
        "processes": parts.hardware.num_processes,
        "command": command_of(folder),
    }


def versions() -> dict[str, str]:
    """Returns the version of this package, Python, and what results may depend on."""
    return {
        "nas_lightning": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def choice_of(folder: Path, group: str) -> str | None:
    """Returns the option of a group that a run was started with."""
    choice = _setting(folder, f"runtime.choices.{group}")
    return None if choice is None else str(choice)


def command_of(folder: Path) -> str:
    """Returns the command line that a run was started with."""
    return " ".join([f"nas-{_setting(folder, 'job.config_name')}", *kept_overrides(folder)])


def _setting(folder: Path, key: str) -> Any:
    """Returns what a run was started with by Hydra."""
    settings = OmegaConf.load(folder / ".hydra" / "hydra.yaml")
    return OmegaConf.select(settings, f"hydra.{key}")
