"""Which evaluation ranks children well enough on these data: `nas-measure what=fidelity`."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

from nas_lightning.config.making import make
from nas_lightning.core.checks import in_range
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.fidelity import agreements, cheapest, study_fidelity
from nas_lightning.reports.terminal import columns_of, tenths
from nas_lightning.reports.text_table import text_table
from nas_lightning.run.run import Run
from nas_lightning.run.versions import versions

__all__ = ["fidelity_result", "fidelity_text"]

CHILDREN, TAU = 20, 0.6
FOLDER = "rungs"  # what evaluations keep while they measure
HEADS = ("rung", "Kendall's tau", "95 % interval", "Spearman", "samples per child", "s per child")


def fidelity_result(run: Run) -> dict[str, Any]:
    """Writes fidelity.csv, a row per random child; returns how each rung ranks them.

    Raises: ValueError: a value is impossible or has no effect, or a rung cannot be made.
    """
    cfg, parts, folder = run.cfg, run.parts, run.folder
    tau = TAU if cfg.tau is None else cfg.tau
    in_range("tau", tau, "(0, 1]", use=TAU)
    _check_typed(folder.overrides)
    children = CHILDREN if cfg.children is None else cfg.children
    candidates = Candidates(
        parts.space, parts.data, parts.recipe, parts.task, parts.hardware.trainer
    )
    rungs = {str(name): _rung(run, str(name), candidates) for name in cfg.rungs or ()}
    run.announce()
    path = folder / "fidelity.csv"
    rows = study_fidelity(
        candidates, rungs, path, children, cfg.batch_size, cfg.seed, tenths(children)
    )
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    found = agreements(rows, cfg.seed)
    return {
        "space": parts.space.name,
        "data": folder.choice("data"),
        "children": len(rows),
        "epochs": parts.recipe.epochs,
        "ranked_by": f"validation_{parts.task.metric}",
        "tau": tau,
        "cheapest": cheapest(found, tau),
        "rungs": found,
        "versions": versions(),
        "command": folder.command_line,
    }


def fidelity_text(result: Mapping[str, Any]) -> str:
    """Returns the table of a result, and the cheapest rung above the wanted tau."""
    rows = [
        [
            name,
            _number(each["kendall"]),
            "-" if isnan(each["low"]) else f"{each['low']:.3f} to {each['high']:.3f}",
            _number(each["spearman"]),
            f"{each['samples']:.0f}",
            f"{each['seconds_s']:.3g}",
        ]
        for name, each in result["rungs"].items()
    ]
    epochs = "1 epoch" if result["epochs"] == 1 else f"{result['epochs']} epochs"
    return (
        f"How {result['children']} random children rank, beside {result['ranked_by']} after full "
        f"training ({epochs}):\n"
        + text_table(HEADS, rows, columns_of(sys.stdout))
        + f"\n{_answer(result)}"
    )


def _number(correlation: float) -> str:
    return "-" if isnan(correlation) else f"{correlation:.3f}"  # of values that are all the same


def _answer(result: Mapping[str, Any]) -> str:
    name, tau = result["cheapest"], result["tau"]
    if isnan(result["rungs"]["full"]["kendall"]):
        return (
            "full training makes all children alike, so that nothing can rank them: train longer "
            f"(child.epochs, now {result['epochs']}), or take more children"
        )
    if name is None:
        return f"no rung has a tau of {tau:g}: train children in full, or longer"
    best = result["rungs"][name]
    words = f"the cheapest rung with a tau of {tau:g}: {name} ({best['kendall']:.3f})"
    if best["low"] < tau:
        words += f"; its interval begins at {best['low']:.3f}, more children would tell more"
    return words


def _rung(run: Run, name: str, candidates: Candidates) -> Evaluation:
    own = replace(candidates, folder=run.folder / FOLDER / name)
    runtime = {"run": own, "space": own.space, "data_name": run.folder.choice("data")}
    evaluation = make(run.cfg.rungs[name], f"rungs.{name}", kind=Evaluation, **runtime)
    assert isinstance(evaluation, Evaluation)
    return evaluation


def _check_typed(overrides: Sequence[str]) -> None:
    """Raises ValueError for a typed evaluation, which is of what=proxies."""
    for typed in overrides:
        if typed.startswith(("evaluation=", "evaluation.")):
            raise ValueError(
                f"{typed} has no effect: what=fidelity compares rungs; set e.g. "
                "rungs.low_fidelity.epochs=2, or add one: +evaluation@rungs.mine=low_fidelity"
            )
