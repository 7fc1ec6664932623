"""How a run ends: genotype, drawing, report, result.json written last, and a short summary."""

from pathlib import Path
from typing import Any

import torch

from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.core.genotype import Genotype
from nas_lightning.files import write_text
from nas_lightning.reports.drawing import describe, draw
from nas_lightning.reports.page import write_report
from nas_lightning.reports.summary import summary
from nas_lightning.run.folder import versions
from nas_lightning.run.run import Run
from nas_lightning.training.child import ChildModule

__all__ = ["finish", "write_confusion", "write_genotype"]


def write_genotype(run: Run, genotype: Genotype) -> str:
    """Writes genotype.json and genotype.svg, in the first process only; returns the drawing."""
    drawing, folder = draw(run.parts.space.graphs(genotype)), run.folder
    if run.parts.hardware.is_first:
        provenance = {"command": folder.command_line, "seed": run.parts.seed}
        provenance["data"] = folder.choice("data")
        write_text(folder / "genotype.json", genotype.to_json(provenance))
        write_text(folder / "genotype.svg", drawing)
    return drawing


def write_confusion(run: Run, folder: Path, module: ChildModule) -> None:
    """Writes confusion.csv: how many test images of a class (row) were taken for which (column)."""
    if module.confusion is None:
        return
    counts = module.confusion.compute().tolist()  # of all processes
    if not run.parts.hardware.is_first:
        return
    names = run.parts.data.class_names
    rows = [
        {"class, taken for": name} | dict(zip(names, row, strict=True))
        for name, row in zip(names, counts, strict=True)
    ]
    write_text(folder / "confusion.csv", csv_text(rows))


def finish(run: Run, genotype: Genotype, **figures: Any) -> None:
    """Writes the report and, last of all, result.json, and prints the summary.

    The first process alone does so; `figures` are the parts of the result.
    """
    if not run.parts.hardware.is_first:
        return
    result = _facts(run, genotype) | figures
    write_report(run.folder.path, result)
    run.folder.write_result(result)
    print(summary(result, describe(run.parts.space.graphs(genotype)), run.folder.path))


def _facts(run: Run, genotype: Genotype) -> dict[str, Any]:
    parts, folder = run.parts, run.folder
    return {
        "space": genotype.space,
        "strategy": folder.choice("strategy"),
        "data": folder.choice("data"),
        "data_name": parts.data.name,
        "data_read": parts.data.facts,
        "data_identity": parts.data.identity,
        "objective": folder.choice("objective"),
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
        "command": folder.command_line,
    }
