"""nas-derive: derives genotypes again from a search's trained supernet, by another rule."""

import shlex
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nas_lightning.core.checks import at_least, in_range, one_of
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import child_cost
from nas_lightning.core.threshold import can_leave_edges_out
from nas_lightning.files import write_json, write_text
from nas_lightning.reports.metric import MainMetric
from nas_lightning.reports.terminal import columns_of, say
from nas_lightning.reports.text_table import text_table
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.origin import as_searched
from nas_lightning.run.outcome import write_genotype
from nas_lightning.run.run import Run
from nas_lightning.run.trained import final_checkpoint, restored, trained
from nas_lightning.run.versions import versions
from nas_lightning.strategies.derivation import RULES, SETTINGS
from nas_lightning.strategies.relaxations import is_even
from nas_lightning.training.supernet import SupernetModule

__all__ = ["job"]

THRESHOLD = "threshold"
OF_SCORES = ("space", "argmax", THRESHOLD)  # rules that go by the scores alone


def job(cfg: DictConfig, folder: Path) -> None:
    """Derives, measures and writes candidates; the run that it takes them from stays as it is.

    Raises: ValueError: there is no such rule, it does not use a key that was typed, a value is out
        of range, the data have changed since the search, or its scores tell nothing.
    """
    home = RunFolder(folder)
    _check_settings(cfg, home)
    if home.finished():
        return
    run = Run.of(as_searched(cfg), folder)
    RunFolder(Path(cfg.run)).keep_data(run.parts.data.identity)  # which must be the search's
    module, view = restored(run, final_checkpoint(RunFolder(Path(cfg.run))))
    _check_scores(cfg.rule, module)
    run.announce()
    source, figure = trained(module, view, cfg)
    genotypes = RULES[cfg.rule](source, cfg.candidates)
    rows = [_row(run, each, figure(each)) for each in genotypes]
    for number, (row, genotype) in enumerate(zip(rows, genotypes, strict=True), 1):
        row["file"] = f"candidate_{number}.json"
        provenance = {"command": home.command_line, "run": cfg.run, "rule": cfg.rule}
        write_text(home / row["file"], genotype.to_json(provenance | {"seed": cfg.seed}))
    write_genotype(run, genotypes[0])
    facts = {"space": run.parts.space.name, "run": cfg.run, "rule": cfg.rule, "seed": cfg.seed}
    write_json(home / "derived.json", {**facts, "candidates": rows})
    facts |= {"genotype_id": genotypes[0].id, "command": home.command_line}
    home.write_result({**facts, "versions": versions()})
    _tell(run, rows)


def _check_settings(cfg: DictConfig, home: RunFolder) -> None:
    """Refuses a value that is out of range, and a typed one that the rule does not use."""
    one_of("rule", cfg.rule, RULES)
    typed = {each.lstrip("+").partition("=")[0]: each for each in home.overrides}
    for key, rules in SETTINGS.items():
        if key in typed and cfg.rule not in rules and not home.is_of_sweep:
            raise ValueError(
                f"{typed[key]} has no effect with rule={cfg.rule}; leave it out, or use "
                f"{' or '.join(f'rule={rule}' for rule in rules)}"
            )
    at_least("candidates", cfg.candidates, 1, use=3)
    if cfg.rule in SETTINGS["samples"]:
        at_least("samples", cfg.samples, max(2, cfg.candidates), use=max(30, cfg.candidates))
    at_least("generations", cfg.generations, 0, use=5)
    in_range("threshold", cfg.threshold, "[0, 1]", use=0.85)
    at_least("recalibration", cfg.recalibration, 1, use=16)


def _check_scores(rule: str, module: SupernetModule) -> None:
    """Refuses a rule that would find nothing in the scores of this search."""
    if rule in OF_SCORES and is_even(module.strategy.scores()):
        raise ValueError(
            f"rule ({rule}) goes by scores, and those of strategy "
            f"{type(module.strategy).__name__} prefer nothing; use rule=rank, evolution or "
            "perturbation"
        )
    if rule == THRESHOLD and not can_leave_edges_out(module.space):
        raise ValueError(
            f"rule (threshold) leaves edges out, which search space '{module.space.name}' always "
            "has here; search with search_space.min_edges=0 in cells of darts, or use rule=space"
        )


def _row(run: Run, genotype: Genotype, value: float) -> dict[str, Any]:
    """Returns what the table tells of a candidate; its cost is that of the delivered child."""
    parts = run.parts
    cost = child_cost(parts.space, genotype, parts.recipe.scale)
    limits = {} if parts.space.limits is None else parts.space.limits.values(genotype)
    figures = {f"supernet_validation_{parts.task.metric}": value}
    return {"genotype_id": genotype.id, **figures, **cost, **limits}


def _tell(run: Run, rows: list[dict[str, Any]]) -> None:
    task, folder = run.parts.task, run.folder.path
    metric = MainMetric(task.metric, task.higher_is_better, task.targets != "values")
    heads = ["candidate", "rule", "genotype", f"supernet {metric.words}"]
    heads += ["parameters", "multiply-adds"]
    cells = [
        [
            str(number),
            run.cfg.rule,
            row["genotype_id"],
            metric.text(row[f"supernet_validation_{task.metric}"]),
            f"{row['parameters']:,}",
            f"{row['multiply_adds']:,}",
        ]
        for number, row in enumerate(rows, 1)
    ]
    print(text_table(heads, cells, columns_of(sys.stdout)))
    first = shlex.quote(str(folder / "candidate_1.json"))
    say(
        "the accuracy is that of each path in the supernet on the validation part, BatchNorm "
        "recalibrated\n"
        f"files  {folder}\n"
        f"train the first: nas-train genotype={first}",
        sys.stdout,
    )
