"""nas-benchmark: runs a strategy for many seeds on a benchmark table; means and regret curves."""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from nas_lightning.benchmark.comparison import compare
from nas_lightning.benchmark.files import (
    benchmark_text,
    read_benchmark,
    read_published,
    write_front,
    write_regret,
    write_runs,
)
from nas_lightning.benchmark.hypervolume import ReferenceFront
from nas_lightning.benchmark.simulation import (
    Benchmark,
    SimulatedSearch,
    final_figures,
    means_by_data,
    regret_curve,
    reported_data,
    simulate,
)
from nas_lightning.config.making import make
from nas_lightning.core.checks import at_least, positive
from nas_lightning.core.objective import Objective
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import BlackBoxStrategy
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import check_fit
from nas_lightning.run.folder import RunFolder
from nas_lightning.run.versions import versions

__all__ = ["job"]


def job(cfg: DictConfig, folder: Path) -> float:
    """Runs one benchmark in a folder; returns the mean validation accuracy of the best children."""
    home = RunFolder(folder)
    if done := home.finished():
        return float(done["validation_accuracy"]["mean"])
    torch.set_num_threads(1)  # a policy's tensors are tiny: more threads only wait for each other
    _check(cfg, home)
    bench = _benchmark(cfg, home)
    reference = _reference_front(cfg, bench)
    others = _earlier(cfg, bench)
    print(_announcement(bench), flush=True)
    started = time.perf_counter()
    searches = _searches(bench)
    figures = final_figures(searches, bench.evaluation)
    tests = figures[bench.evaluation.data]["test_accuracy"]
    comparisons = [compare(bench.strategy, tests, o["strategy"], o["test_figures"]) for o in others]
    write_runs(folder, searches, figures)
    curves = {bench.strategy: regret_curve(searches, bench.evaluation)}
    curves |= {other["strategy"]: other["regret"] for other in others}
    write_regret(folder, curves, bench.evaluation.data, len(searches))
    result = {
        **_facts(bench),
        "trials": sum(search.num_trials for search in searches) / len(searches),
        "spent_s": sum(search.spent_s for search in searches) / len(searches),
        "wall_s": time.perf_counter() - started,
        "versions": versions(),
        "command": home.command_line,
        **means_by_data(figures, bench.evaluation),
    }
    if reference is not None:
        result["hypervolume"] = write_front(folder, searches, bench.objective, reference)
    result["comparisons"] = [vars(comparison) for comparison in comparisons]
    home.write_result(result)
    print(benchmark_text(result, _published(bench), [c.words() for c in comparisons], folder))
    return float(result["validation_accuracy"]["mean"])


def _check(cfg: DictConfig, home: RunFolder) -> None:
    at_least("seeds", cfg.seeds, 1, use=500)
    if cfg.compare:
        at_least("seeds beside compare", cfg.seeds, 2, use=500)
    positive("budget_s", cfg.budget_s, use="12000 simulated seconds, or null")
    for override in home.overrides:
        if override.lstrip("+~").startswith("data."):
            raise ValueError(
                f"{override} has no effect: a benchmark loads no data, data=NAME only names the "
                "table's columns; leave it out"
            )


def _benchmark(cfg: DictConfig, home: RunFolder) -> Benchmark:
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    objective = make(cfg.objective, "objective", kind=Objective, space=space)
    table = {"space": space, "data_name": home.choice("data")}
    evaluation = make(cfg.evaluation, "evaluation", kind=TabularEvaluation, **table)

    def make_strategy(seed: int) -> BlackBoxStrategy:
        runtime = {"space": space, "seed": seed, "objective": objective}
        strategy = make(cfg.strategy, "strategy", kind=BlackBoxStrategy, **runtime)
        assert isinstance(strategy, BlackBoxStrategy)
        return strategy

    check_fit(make_strategy(cfg.seed), evaluation, objective)
    for data in reported_data(evaluation):
        evaluation.optimum(data)  # refuses a table without its final figures
    seeds = range(cfg.seed, cfg.seed + cfg.seeds)
    name = str(home.choice("strategy"))
    return Benchmark(name, make_strategy, evaluation, objective, seeds, cfg.budget_s)


def _reference_front(cfg: DictConfig, bench: Benchmark) -> ReferenceFront | None:
    """Returns the table's front where the objective keeps two values apart."""
    if len(bench.objective.names) > 1:
        return ReferenceFront(bench.evaluation, bench.objective, cfg.reference)
    if cfg.reference:
        raise ValueError(
            f"reference ({list(cfg.reference)}) has no effect: objective "
            f"{type(bench.objective).__name__} keeps no values apart; leave it out, or choose e.g. "
            "objective=accuracy_latency"
        )
    return None


def _earlier(cfg: DictConfig, bench: Benchmark) -> list[dict[str, Any]]:
    """Returns the results of the earlier benchmarks to compare with, which must be run alike."""
    others = [read_benchmark(Path(folder)) for folder in cfg.compare]
    facts = _facts(bench)
    protocol = {key: facts[key] for key in ("data", "budget_s", "first_seed", "seeds", "table")}
    for other in others:
        if differing := [key for key in protocol if protocol[key] != other[key]]:
            raise ValueError(
                f"compare: {other['folder']} has {differing[0]} {other[differing[0]]}, this "
                f"benchmark {protocol[differing[0]]}; run both alike"
            )
    return others


def _searches(bench: Benchmark) -> list[SimulatedSearch]:
    searches, total = list[SimulatedSearch](), len(bench.seeds)
    for number, seed in enumerate(bench.seeds, 1):
        strategy = bench.make_strategy(seed)
        searches.append(simulate(strategy, bench.evaluation, bench.objective, bench.budget_s))
        if number % max(total // 10, 1) == 0:
            print(f"{number}/{total} searches", file=sys.stderr, flush=True)
    return searches


def _facts(bench: Benchmark) -> dict[str, Any]:
    return {
        "space": bench.evaluation.table.space.name,
        "strategy": bench.strategy,
        "data": bench.evaluation.data,
        "table": bench.evaluation.table.name,
        "epochs": bench.evaluation.epochs,
        "first_seed": bench.seeds.start,
        "seeds": len(bench.seeds),
        "budget_s": bench.budget_s,
    }


def _announcement(bench: Benchmark) -> str:
    facts = _facts(bench)
    names = ", ".join(f"{key} {facts[key]}" for key in ("data", "space", "strategy", "table"))
    return f"{names}, {len(bench.seeds)} seeds"


def _published(bench: Benchmark) -> dict[str, Any] | None:
    """Returns the strategy's published figures where this is the published protocol."""
    if not isinstance(bench.objective, Accuracy):
        return None
    evaluation = bench.evaluation
    return read_published(
        evaluation.table.name, bench.strategy, evaluation.data, bench.budget_s, evaluation.epochs
    )
