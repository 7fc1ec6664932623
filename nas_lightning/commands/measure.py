"""nas-measure: measures something about a search space on these data, or on this machine."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nas_lightning.config.making import make
from nas_lightning.core.checks import at_least, one_of
from nas_lightning.deployment.export import check_export
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.proxy_study import correlations, study
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.reports.terminal import tenths
from nas_lightning.run.fidelity_study import fidelity_result, fidelity_text
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.initial_params import check_no_init
from nas_lightning.run.latency_study import study_latency
from nas_lightning.run.run import Run
from nas_lightning.run.versions import versions

__all__ = ["job"]

OWN = ("what", "children", "batch_size", "export")  # keys that a search has not, or differently


def job(cfg: DictConfig, folder: Path) -> None:
    """Measures what `what` names, or resumes it in the run's folder.

    Raises: ValueError: there is nothing of that name, or a value is impossible.
    """
    kinds = {"proxies": _proxies, "latency": _latency, "fidelity": _fidelity}
    one_of("what", cfg.what, kinds)
    if cfg.tau is not None and cfg.what != "fidelity":
        raise ValueError(f"tau ({cfg.tau:g}) has no effect on what={cfg.what}; leave it out")
    if cfg.hardware.latency is not None:
        raise ValueError(
            f"hardware.latency ({cfg.hardware.latency}) has no effect: nas-measure predicts "
            "nothing; leave it null"
        )
    if not RunFolder(folder).finished():
        kinds[cfg.what](cfg, folder)


def _latency(cfg: DictConfig, folder: Path) -> None:
    at_least("children", cfg.children, 2, use=30)
    for name in cfg.export:
        one_of("export", name, ["onnx"])
    check_export(cfg.export)
    run = Run.of(cfg, folder)
    run.announce()
    result = study_latency(run, cfg.children or 30)
    run.folder.write_result(result | {"command": run.folder.command_line})
    print(
        f"{result['children']} random children, measured against the sum of their operations:\n"
        f"  {'Spearman':22} {result['spearman']:6.3f}\n"
        f"  {'median error':22} {result['median_error']:6.1%}\n"
        f"  {'largest error':22} {result['largest_error']:6.1%}\n"
        f"profile of {result['operations']} operations; to search by it:\n"
        f"  {_searching(run, result)}"
    )
    if cfg.export:
        models = shlex.quote(str(folder / "onnx"))
        print(
            "ONNX files of operations and children; where there are numpy, onnxruntime and this "
            f"folder:\n  python profile_onnx.py {models}/*.onnx --out latency.json"
        )


def _searching(run: Run, result: Mapping[str, Any]) -> str:
    """Returns the line that searches the same space and sizes by the profile."""
    typed = [each for each in run.folder.overrides if each.partition("=")[0] not in OWN]
    return shlex.join(["nas-search", *typed, f"hardware.latency={result['profile']}"])


def _fidelity(cfg: DictConfig, folder: Path) -> None:
    _check_no_export(cfg)
    run = Run.of(cfg, folder)
    check_no_init(run)
    result = fidelity_result(run)
    run.folder.write_result(result)
    print(fidelity_text(result))


def _check_no_export(cfg: DictConfig) -> None:
    if cfg.export:
        listed = ",".join(cfg.export)
        raise ValueError(f"export=[{listed}] has no effect: what={cfg.what} writes no models")


def _proxies(cfg: DictConfig, folder: Path) -> None:
    _check_no_export(cfg)
    run = Run.of(cfg, folder)
    check_no_init(run)
    children = cfg.children or 200
    parts, home = run.parts, run.folder
    runtime = {"space": parts.space, "data_name": home.choice("data")}
    table = make(cfg.evaluation, "evaluation", kind=TabularEvaluation, **runtime)
    candidates = Candidates(
        parts.space, parts.data, parts.recipe, parts.task, parts.hardware.trainer
    )
    run.announce()
    path = folder / "proxies.csv"
    rows = study(candidates, table, path, children, cfg.batch_size, cfg.seed, tenths(children))
    spearman = correlations(rows)
    result = {
        "space": parts.space.name,
        "data": table.data,
        "children": len(rows),
        "batch_size": cfg.batch_size,
        "epochs": table.epochs,
        "spearman": spearman,
        "versions": versions(),
        "command": home.command_line,
    }
    home.write_result(result)
    print(f"Spearman with validation accuracy after {table.epochs} epochs, {len(rows)} children:")
    for name, value in spearman.items():
        print(f"  {name:22} {value:6.3f}")
