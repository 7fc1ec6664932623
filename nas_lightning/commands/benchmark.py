"""nas-benchmark: runs a strategy for many seeds on a benchmark table; means and regret curves."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

if TYPE_CHECKING:
    from nas_lightning.benchmark.comparison import Comparison
    from nas_lightning.benchmark.hypervolume import Yardstick
    from nas_lightning.benchmark.simulation import Simulated
    from nas_lightning.core.objective import Objective
    from nas_lightning.core.strategy import BlackBoxStrategy
    from nas_lightning.evaluation.tabular import TabularEvaluation

__all__ = ["job"]


def job(cfg: DictConfig, folder: Path) -> float:
    """Runs one benchmark from its configuration to its result.

    Args:
        cfg: the composed configuration.
        folder: the run's folder.

    Returns:
        The mean validation accuracy of what was found, for sweepers.
    """
    import torch

    from nas_lightning.benchmark.figures import final_figures, runs_csv
    from nas_lightning.benchmark.summary import benchmark_text
    from nas_lightning.files import write_text
    from nas_lightning.run.outcome import finished

    if done := finished(folder):
        return float(done["validation_accuracy"]["mean"])
    torch.set_num_threads(1)  # a policy's tensors are tiny: more threads only wait for each other
    bench = _prepare(cfg, folder)
    others = _others(cfg, bench)
    started = time.perf_counter()
    searches = _searched(bench)
    figures = final_figures(searches, bench.evaluation)
    comparisons = _compared(bench, figures[bench.data]["test_accuracy"], others)
    write_text(folder / "runs.csv", runs_csv(searches, figures))
    _write_regret(folder, bench, searches, others)
    front = _write_front(folder, bench, searches) if bench.yardstick else {}
    facts = _facts(folder, bench, searches, time.perf_counter() - started)
    result = (
        facts | _summary(bench, figures) | front | {"comparisons": [vars(c) for c in comparisons]}
    )
    write_text(folder / "result.json", json.dumps(result, indent=2) + "\n")
    print(benchmark_text(result, _published(bench), [c.words() for c in comparisons], folder))
    return float(result["validation_accuracy"]["mean"])


@dataclass(frozen=True)
class _Benchmark:
    """What is run.

    Attributes:
        strategy: name of the strategy.
        data: data set whose columns are searched.
        seeds: one a search.
        budget_s: simulated seconds of each search; None sets no limit.
        make: makes the strategy of a seed.
        evaluation: looks genotypes up.
        objective: makes rewards.
        yardstick: the table's front where the objective keeps two values apart.
    """

    strategy: str
    data: str
    seeds: range
    budget_s: float | None
    make: "Callable[[int], BlackBoxStrategy]"
    evaluation: "TabularEvaluation"
    objective: "Objective"
    yardstick: "Yardstick | None"


def _prepare(cfg: DictConfig, folder: Path) -> _Benchmark:
    """Returns what is run, everything about it checked.

    Raises:
        ValueError: a value is impossible, or parts do not fit each other.
    """
    from nas_lightning.benchmark.figures import reported_data
    from nas_lightning.benchmark.hypervolume import Yardstick
    from nas_lightning.config.making import make
    from nas_lightning.core.objective import Objective
    from nas_lightning.core.search_space import SearchSpace
    from nas_lightning.core.strategy import BlackBoxStrategy
    from nas_lightning.evaluation.tabular import TabularEvaluation
    from nas_lightning.evaluation.trials import check_fit
    from nas_lightning.run.outcome import choice_of

    _check(cfg, folder)
    space = make(cfg.search_space, "search_space", kind=SearchSpace)
    objective = make(cfg.objective, "objective", kind=Objective, space=space)
    name = choice_of(folder, "data")
    evaluation = make(
        cfg.evaluation, "evaluation", kind=TabularEvaluation, space=space, data_name=name
    )

    def strategy_of(seed: int) -> BlackBoxStrategy:
        runtime = {"space": space, "seed": seed, "objective": objective}
        strategy = make(cfg.strategy, "strategy", kind=BlackBoxStrategy, **runtime)
        assert isinstance(strategy, BlackBoxStrategy)
        return strategy

    check_fit(strategy_of(cfg.seed), evaluation, objective)
    for data in reported_data(evaluation):
        evaluation.optimum(data)  # refuses a table without its final figures
    if cfg.reference and len(objective.names) == 1:
        raise ValueError(
            f"reference ({list(cfg.reference)}) has no effect: objective "
            f"{type(objective).__name__} keeps no values apart; leave it out, or choose e.g. "
            "objective=accuracy_latency"
        )
    return _Benchmark(
        str(choice_of(folder, "strategy")),
        evaluation.data,
        range(cfg.seed, cfg.seed + cfg.seeds),
        cfg.budget_s,
        strategy_of,
        evaluation,
        objective,
        Yardstick(evaluation, objective, cfg.reference) if len(objective.names) > 1 else None,
    )


def _check(cfg: DictConfig, folder: Path) -> None:
    from nas_lightning.run.outcome import kept_overrides

    if cfg.seeds < 1:
        raise ValueError(f"seeds ({cfg.seeds}) must be at least 1; use e.g. 500")
    if cfg.budget_s is not None and not cfg.budget_s > 0:
        raise ValueError(f"budget_s ({cfg.budget_s}) must be above 0 seconds, or null")
    for override in kept_overrides(folder):
        if override.lstrip("+~").startswith("data."):
            raise ValueError(
                f"{override} has no effect: a benchmark loads no data, data=NAME only names the "
                "table's columns; leave it out"
            )


def _searched(bench: _Benchmark) -> "list[Simulated]":
    """Runs all searches, and says every tenth of them how far they are."""
    from nas_lightning.benchmark.simulation import simulate

    searches: list[Simulated] = []
    for number, seed in enumerate(bench.seeds, 1):
        strategy = bench.make(seed)
        searches.append(simulate(strategy, bench.evaluation, bench.objective, bench.budget_s))
        if number % max(len(bench.seeds) // 10, 1) == 0:
            print(f"{number}/{len(bench.seeds)} searches", file=sys.stderr, flush=True)
    return searches


def _others(cfg: DictConfig, bench: _Benchmark) -> list[dict[str, Any]]:
    """Returns the results of the earlier benchmarks that are compared with.

    Raises:
        ValueError: there is no such benchmark, or it was run otherwise.
    """
    from nas_lightning.benchmark.figures import read_benchmark

    others = [read_benchmark(Path(folder)) for folder in cfg.compare]
    own = {"data": bench.data, "budget_s": bench.budget_s, "first_seed": bench.seeds.start}
    own |= {"seeds": len(bench.seeds), "table": bench.evaluation.table.name}
    for other in others:
        if differing := [key for key in own if own[key] != other[key]]:
            raise ValueError(
                f"compare: {other['folder']} has {differing[0]} {other[differing[0]]}, this "
                f"benchmark {own[differing[0]]}; run both alike"
            )
    if others and len(bench.seeds) < 2:
        raise ValueError(f"seeds ({len(bench.seeds)}) must be at least 2 to compare; use e.g. 500")
    return others


def _compared(
    bench: _Benchmark, figures: list[float], others: list[dict[str, Any]]
) -> "list[Comparison]":
    from nas_lightning.benchmark.comparison import compare

    return [compare(bench.strategy, figures, o["strategy"], o["test_figures"]) for o in others]


def _write_regret(
    folder: Path, bench: _Benchmark, searches: "list[Simulated]", others: list[dict[str, Any]]
) -> None:
    from nas_lightning.benchmark.figures import regret_csv, regret_curve
    from nas_lightning.benchmark.regret import draw_regret
    from nas_lightning.files import replacing, write_text
    from nas_lightning.reports.rendering import chart_png

    curve = regret_curve(searches, bench.evaluation)
    write_text(folder / "regret.csv", regret_csv(curve))
    curves = {bench.strategy: curve} | {o["strategy"]: o["regret"] for o in others}
    with replacing(folder / "regret.png") as path:
        path.write_bytes(chart_png(draw_regret(curves, bench.data, len(searches))))


def _write_front(folder: Path, bench: _Benchmark, searches: "list[Simulated]") -> dict[str, Any]:
    """Writes the first seed's Pareto front and the hypervolume; returns the latter's figures."""
    from nas_lightning.benchmark.figures import regret_csv, summarised
    from nas_lightning.benchmark.front import draw_front
    from nas_lightning.benchmark.hypervolume import hypervolume_curve
    from nas_lightning.evaluation.pareto import pareto_front
    from nas_lightning.files import replacing, write_text
    from nas_lightning.reports.rendering import chart_png

    assert bench.yardstick is not None
    front = pareto_front(searches[0].kept, bench.objective)
    write_text(folder / "pareto.json", json.dumps(front, indent=2) + "\n")
    curve, shares = hypervolume_curve(searches, bench.yardstick)
    write_text(folder / "hypervolume.csv", regret_csv(curve))
    found = [tuple(child["values"].values()) for child in front["front"]]
    with replacing(folder / "front.png") as path:
        mine, best = (bench.yardstick.counted(each) for each in (found, bench.yardstick.front))
        chart = draw_front(bench.objective.names, mine, best, curve, len(searches))
        path.write_bytes(chart_png(chart))
    figures = summarised({"share": shares})["share"]
    median = statistics.median(shares)
    reference = list(bench.yardstick.reference)
    return {"hypervolume": {"median": median, **figures, "reference": reference}}


def _facts(
    folder: Path, bench: _Benchmark, searches: "list[Simulated]", wall_s: float
) -> dict[str, Any]:
    from nas_lightning.run.outcome import command_of, versions

    return {
        "space": bench.evaluation.table.space.name,
        "strategy": bench.strategy,
        "data": bench.data,
        "table": bench.evaluation.table.name,
        "epochs": bench.evaluation.epochs,
        "first_seed": bench.seeds.start,
        "seeds": len(bench.seeds),
        "budget_s": bench.budget_s,
        "trials": sum(search.trials for search in searches) / len(searches),
        "spent_s": sum(search.spent_s for search in searches) / len(searches),
        "wall_s": wall_s,
        "versions": versions(),
        "command": command_of(folder),
    }


def _summary(bench: _Benchmark, figures: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Returns means and deviations, of the searched data set and of those transferred to."""
    from nas_lightning.benchmark.figures import summarised

    every = {data: summarised(columns) for data, columns in figures.items()}
    best = bench.evaluation.optimum(bench.data)
    own = every.pop(bench.data)
    return {**own, "best_in_table": best, "transfer": every}


def _published(bench: _Benchmark) -> dict[str, Any] | None:
    """Returns the published rows of the strategy where this is the published protocol."""
    from nas_lightning.benchmark.figures import published_rows
    from nas_lightning.evaluation.objectives import Accuracy

    if not isinstance(bench.objective, Accuracy):
        return None
    kind = (bench.data, bench.budget_s, bench.evaluation.epochs)
    return published_rows(bench.evaluation.table.name, bench.strategy, *kind)
