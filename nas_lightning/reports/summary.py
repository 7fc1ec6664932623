"""The short summary at the end of a run, as text for a terminal."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nas_lightning.core.quantities import quantity_name, value_words
from nas_lightning.reports.conclusion import verdict_words
from nas_lightning.reports.lineage import fork_words
from nas_lightning.reports.metric import (
    PATH_REMARK,
    input_word,
    metric_of,
    network_name,
    rewards_differ,
    space_words,
)
from nas_lightning.reports.numbers import duration
from nas_lightning.reports.usage import uses

__all__ = ["summary"]

_THREADS = re.compile(r"one thread|\d+ threads")


def summary(result: Mapping[str, Any], cells: str, folder: Path) -> str:
    """Returns the verdict, what was found, how good it is, what it cost, and where the files are.

    Args:
        result: the content of result.json.
        cells: the genotype as text.
        folder: the run's folder.
    """
    search, child, metric = result.get("search"), result.get("child"), metric_of(result)
    validation, test = f"validation_{metric.name}", f"test_{metric.name}"
    verdict = [verdict_words(result["verdict"]), ""] if result.get("verdict") else []
    space = space_words(result["space"], result.get("own_space"))
    lines = ["", *verdict, f"genotype {result['genotype_id']} of space {space}", cells, ""]
    for name, value in result.get("within_limits", {}).items():
        most = f"of at most {value_words(name, result['limits'][name])}"
        how = "predicted " if name == "latency_ms" else ""
        row = f"{how}{value_words(name, value)} {most}"
        lines.append(_row(f"limit of {quantity_name(name)}", row))
    if search:
        lines.append(_row(f"search validation {metric.words}", metric.text(search[validation])))
        if (path := f"discretized_{validation}") in search:
            alone = f"{metric.text(search[path])}, {PATH_REMARK}"
            lines.append(_row("  of the found path alone", alone))
        if rewards_differ(result):
            lines.append(_row(f"search reward ({result['objective']})", f"{search['reward']:,.4g}"))
    if child:
        lines.append(_row(f"child test {metric.words}", metric.text(child[test])))
        for key, figures in (result.get("baselines") or {}).items():
            size = f", {figures['parameters']:,} parameters" if "parameters" in figures else ""
            lines.append(_row(f"  {network_name(key)}", metric.text(figures[test]) + size))
        others = [name for name in child if name.startswith("test_") and name != test]
        lines += [_row(f"child {n.replace('_', ' ')}", metric.text(child[n])) for n in others]
        lines.append(_row("parameters", f"{child['parameters']:,}"))
        work = f"multiply-adds per {input_word(result)}"
        lines.append(_row(work, f"{child['multiply_adds']:,}"))
        if "memory_mb" in child:
            memory = f"{child['memory_mb']:,.3g} MB, params and activations in 32 bit"
            lines.append(_row(f"memory per {input_word(result)}", memory))
        if "latency_ms" in child:
            lines += _latency(child, input_word(result))
    if search:
        cost = search["cost"]
        work = f"{cost['training_samples']:,} training samples, {cost['gradient_steps']:,}"
        lines.append(
            _row("cost of the search", f"{duration(cost['wall_s'])}, {work} gradient steps")
        )
    lines += [f"note: {fork_words(result['fork'])}"] if result.get("fork") else []
    lines += [f"note: {note}" for note in result.get("notes") or ()]
    lines += ["", _row("files", str(folder)), _row("report", str(folder / "report.html"))]
    lines += [_row(path.suffix[1:], str(path)) for path in _exported(folder)]
    if search and not child:
        lines += [_row("train it", line) for _, line in uses(folder, result)]
    return "\n".join(lines)


def _latency(child: Mapping[str, Any], word: str) -> Iterator[str]:
    threads = _THREADS.search(child.get("latency_measured", "")) or ["one thread"]
    how = f"on this CPU, {threads[0]}, batch of 1"
    yield _row(f"latency per {word}", f"{child['latency_ms']:.2f} ms {how}")
    if "onnx_latency_ms" in child:
        yield _row("  of its ONNX file", f"{child['onnx_latency_ms']:.2f} ms by ONNX Runtime")
    if "predicted_latency_ms" in child:
        predicted = f"{child['predicted_latency_ms']:.2f} ms ({child['predicted_latency_of']})"
        yield _row("  as predicted", predicted)


def _exported(folder: Path) -> list[Path]:
    """Returns the files of the trained child that `export` asked for."""
    return sorted((folder / "child").glob("model.*"))


def _row(name: str, value: str) -> str:
    return f"{name:34} {value}"
