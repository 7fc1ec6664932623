"""How a run ends: genotype, drawing, report, result.json written last, and a short summary."""

import sys
from pathlib import Path
from typing import Any

import torch

from nas_lightning.callbacks.epoch_logs import csv_text
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.files import write_text
from nas_lightning.networks import native
from nas_lightning.reports.drawing import COLUMNS, choice_name, describe, draw
from nas_lightning.reports.page import write_report
from nas_lightning.reports.summary import summary
from nas_lightning.reports.terminal import columns_of, wrapped
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.latency import latency_notes
from nas_lightning.run.run import Run, own_space
from nas_lightning.run.versions import versions
from nas_lightning.training.child import ChildModule

__all__ = ["finish", "write_confusion", "write_genotype"]


def write_genotype(run: Run, genotype: Genotype) -> str:
    """Writes genotype.json and genotype.svg, in the first process only; returns the drawing."""
    space, folder = run.parts.space, run.folder
    drawing = draw(space.graphs(genotype), space.option_names)
    if run.parts.hardware.is_first:
        provenance = {"command": folder.command_line, "seed": run.parts.seed}
        provenance |= {"data": folder.choice("data")}
        scale = run.parts.recipe.scale
        provenance |= {"input_shape": scale.input_shape, "num_outputs": scale.num_outputs}
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
    limit_ms = result.get("limits", {}).get("latency_ms")
    result["notes"] = [*figures["notes"], *latency_notes(figures["child"] or {}, limit_ms)]
    if (run.folder / "alphas.csv").is_file():
        result["options"] = list(run.parts.space.option_names)
        result["choices"] = _choices(run.parts.space, genotype)
    write_report(run.folder.path, result)
    run.folder.write_result(result)
    columns = columns_of(sys.stdout)
    cells = describe(run.parts.space.graphs(genotype), columns or COLUMNS)
    print(wrapped(summary(result, cells, run.folder.path), columns))


def _facts(run: Run, genotype: Genotype) -> dict[str, Any]:
    parts, folder = run.parts, run.folder
    return {
        "space": genotype.space,
        "own_space": own_space(parts.space),
        "strategy": folder.choice("strategy"),
        "data": folder.choice("data"),
        "data_name": parts.data.name,
        "data_read": parts.data.facts,
        "data_identity": parts.data.identity,
        "input_shape": list(parts.data.input_shape),
        "targets": parts.task.targets,
        "objective": folder.choice("objective"),
        "seed": parts.seed,
        "metric": {
            "name": parts.task.metric,
            "higher_is_better": parts.task.higher_is_better,
            "is_share": parts.task.targets != "values",
        },
        "genotype_id": genotype.id,
        **_limits(parts.space, genotype),
        **_lineage(folder),
        "split": parts.data.split_hash,
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "kernels": native.chosen(),
        "hardware": f"{parts.hardware.accelerator} {parts.hardware.actual_precision}",
        "processes": parts.hardware.num_processes,
        "command": folder.command_line,
    }


def _limits(space: SearchSpace, genotype: Genotype) -> dict[str, dict[str, float]]:
    """Returns the limits of a run and what its child has of each; nothing without limits."""
    if space.limits is None:
        return {}
    return {"limits": space.limits.bounds, "within_limits": space.limits.values(genotype)}


def _lineage(folder: RunFolder) -> dict[str, Any]:
    """Returns from which run and epoch a fork started, and what was changed; nothing of others."""
    shown = ("run", "epoch", "changed")
    return {"fork": {key: folder.lineage[key] for key in shown}} if folder.lineage else {}


def _choices(space: SearchSpace, genotype: Genotype) -> dict[str, dict[str, str]]:
    """Returns of each choice its readable name, and the option that was taken, if any.

    An option is taken where the genotype's child runs it: of an edge that was left out, none is.
    """
    graphs, support = space.graphs(genotype), space.mixture(genotype).support
    named = {}
    for choice, options in zip(space.choices, support, strict=True):
        named[choice.name] = {"name": choice_name(choice.name, graphs)}
        if len(options) == 1:
            named[choice.name]["taken"] = choice.options[options[0]]
    return named
