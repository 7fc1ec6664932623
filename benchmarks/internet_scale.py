"""Simulates searches with 1 to 10,000 workers on NAS-Bench-201's table and its training times.

    python benchmarks/internet_scale.py [--seeds 11] [--first_seed 0] [--failures 0 0.05 0.2]
                                        [--workers 1 10 100 1000 10000] [--picture scale.svg]

The strategies are the package's own; they are asked and told as in a search with as many children
in flight as workers. A child takes the table's seconds of its training, times the luck of its
machine; a machine is lost with a probability per training, which is then repeated, three times in
all. Orders: results are told as they arrive; in virtual order by the package's prediction, which is
multiply-adds times epochs; or in virtual order by the table's seconds (`known`), which misses only
luck and losses. The picture and the large table are of the second probability of a loss.
"""

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from math import inf
from pathlib import Path
from random import Random

import altair as alt
import numpy as np

from nas_lightning.core.strategy import BlackBoxStrategy, Trial
from nas_lightning.evaluation.flight import Flight
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.trials import best_trial
from nas_lightning.reports.colours import CYCLE
from nas_lightning.reports.rendering import plot, styled
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.strategies.reinforce import Reinforce
from nas_lightning.strategies.successive_halving import Brackets

HOUR_S = 3600.0
TRIALS = 3000  # trainings of a search, or more where that is little:
LEAST = 2  # trainings for each worker
SPREAD = 0.2  # deviation of the logarithm of a machine's speed
SILENCE_S = 120.0  # until a lost machine is noticed, as in the package
ATTEMPTS = 3
ETA = 17  # 12 of the table's 200 epochs
DATA, EPOCHS = "cifar10", 200
GOOD = 15  # children of the table, the best by validation accuracy: to find one of them is the aim
ORDERS = ("arrival", "virtual", "known")
NAMES = ("reinforce", "evolution", "successive_halving", "random")
POINTS = 100  # of a curve
FLOOR = 0.90  # of the picture
AXES = {"hours": (0.01, 1000.0), "worker-hours of trainings begun": (0.1, 20000.0)}
Key = tuple[str, int, str, float]


def halving(space: NasBench201Space, seed: int, trials: int, workers: int) -> BlackBoxStrategy:
    """Returns successive halving whose brackets give every worker something to do."""
    brackets = [(max(ETA, workers), 2)]
    proposer = partial(RandomSearch, trials=trials)
    return Brackets(space, seed, proposer, trials, ETA, 2, brackets, None)


def strategies(
    space: NasBench201Space, workers: int
) -> dict[str, Callable[[int], BlackBoxStrategy]]:
    """Returns what makes each strategy for a seed."""
    trials = max(TRIALS, LEAST * workers)
    reinforce = partial(Reinforce, policy="independent", children=8, lr=0.2)
    return {
        "random": lambda seed: RandomSearch(space, seed, trials),
        "reinforce": lambda seed: reinforce(space, seed, trials),
        "evolution": lambda seed: Evolution(space, seed, trials, population=100, sample=25),
        "successive_halving": lambda seed: halving(space, seed, trials, workers),
    }


@dataclass
class Fleet:
    """Machines that train children, of different speed, and lost now and then."""

    evaluation: TabularEvaluation
    failures: float
    rng: Random

    def train(self, trial: Trial) -> tuple[float, Trial]:
        """Returns the seconds until there is a result, and the trial with its reward."""
        values, _ = self.evaluation.evaluate(trial, 0)
        seconds = 0.0
        for _ in range(ATTEMPTS):
            whole = values["train_time_s"] * self.rng.lognormvariate(0.0, SPREAD)
            if self.rng.random() >= self.failures:
                reward = values["validation_accuracy"]
                return seconds + whole, replace(trial, reward=reward, measurements=values)
            seconds += whole * self.rng.random() + SILENCE_S
        failure = "its machine was lost three times"
        return seconds, replace(trial, reward=0.0, measurements=values, failure=failure)


def work_of(told: Trial, seconds: float, order: str) -> float:
    """Returns the work by which a trial of so many seconds is put in order."""
    if order == "arrival":
        return seconds
    if order == "known":
        return told.measurements["train_time_s"]
    return told.measurements["multiply_adds"] * (told.budget - told.start)


@dataclass
class Search:
    """What became of a search.

    Attributes:
        gains: each time when a better child was found: seconds since the start, seconds of all
            trainings that were begun until then, the child.
    """

    gains: list[tuple[float, float, Trial]]

    def until(self, reward: float) -> tuple[float, float]:
        """Returns both seconds until a fully trained child was this good; infinite if none is."""
        good = ((w, c) for w, c, t in self.gains if t.budget == 1 and t.told_reward >= reward)
        return next(good, (inf, inf))


def searched(strategy: BlackBoxStrategy, fleet: Fleet, workers: int, order: str) -> Search:
    """Returns a search with as many children in flight as workers.

    In the order of arrival the flight's virtual clock is the real one.
    """
    flight, number, now, begun = Flight(workers), 0, 0.0, 0.0
    in_work: dict[int, tuple[float, Trial]] = {}
    gains: list[tuple[float, float, Trial]] = []
    while True:
        while number < strategy.trials and not flight.is_full and not strategy.is_waiting:
            asked = strategy.ask(number)
            seconds, told = fleet.train(asked)
            in_work[number] = now + seconds, told
            flight.add(asked, work_of(told, seconds, order))
            begun, number = begun + seconds, number + 1
        if not in_work:
            return Search(gains)
        finish, told = in_work.pop(flight.pop().number)
        now = max(now, finish)
        strategy.tell(told)
        if not gains or best_trial([gains[-1][2], told]) is told:
            gains.append((now, begun, told))


@dataclass
class Study:
    """All searches, by strategy, workers, order and failures; one per seed.

    The large ones, which vary little, have a quarter of the seeds.
    """

    evaluation: TabularEvaluation
    seeds: range
    searches: dict[Key, list[Search]] = field(default_factory=dict)

    def run(self, workers: int, order: str, failures: float) -> None:
        """Makes the searches of every strategy."""
        space = self.evaluation.table.space
        for name, make in strategies(space, workers).items():
            most = len(self.seeds) if LEAST * workers <= TRIALS else -(-len(self.seeds) // 4)
            fleets = ((s, Fleet(self.evaluation, failures, Random(s))) for s in self.seeds[:most])
            found = [searched(make(seed), fleet, workers, order) for seed, fleet in fleets]
            self.searches[name, workers, order, failures] = found

    def until(self, key: Key) -> tuple[float, float]:
        """Returns the median hours until one of the best children, and those of all workers."""
        column = self.evaluation.table.accuracies(f"{DATA}_val_{EPOCHS}")
        aim = sorted(column.tolist())[-GOOD]
        pairs = [search.until(aim) for search in self.searches[key]]
        wall, cost = (statistics.median(column) / HOUR_S for column in zip(*pairs, strict=True))
        return wall, cost

    def curve(self, key: Key, axis: int) -> Iterator[tuple[float, float]]:
        """Yields hours and the median test accuracy of the best child so far."""
        searches = [search.gains for search in self.searches[key]]
        start = max(gains[0][axis] for gains in searches)
        end = max(gains[-1][axis] for gains in searches)
        for second in np.geomspace(start, max(end, 1.01 * start), POINTS).tolist():
            latest = [[g for g in gains if g[axis] <= second * 1.0001][-1] for gains in searches]
            tests = [self.evaluation.final(t.genotype, DATA)["test_accuracy"] for _, _, t in latest]
            yield round(second / HOUR_S, 4), round(statistics.median(tests), 4)


def text(hours: float) -> str:
    """Returns hours as text, with three digits."""
    return "never" if hours == inf else f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def lines(study: Study, workers: Sequence[int], failures: float) -> Iterator[str]:
    """Yields a Markdown table: hours and cost until one of the best children."""
    yield f"| strategy | workers | {' | '.join(f'hours, {o}' for o in ORDERS)} |" + "".join(
        f" worker-hours, {o} |" for o in ORDERS
    )
    yield f"|{' --- |' * 8}"
    for name, number in product(NAMES, workers):
        untils = [study.until((name, number, order, failures)) for order in ORDERS]
        cells = [text(wall) for wall, _ in untils] + [text(cost) for _, cost in untils]
        yield f"| `{name}` | {number:,} | {' | '.join(cells)} |"


def losses(study: Study, number: int, failures: Sequence[float]) -> Iterator[str]:
    """Yields a Markdown table: hours until one of the best children by the rate of losses."""
    orders = ORDERS[:2]
    heads = [f"{share:.0%}, {order}" for order, share in product(orders, failures)]
    yield f"| strategy, {number:,} workers | {' | '.join(heads)} |"
    yield f"|{' --- |' * (1 + len(heads))}"
    for name in NAMES:
        keys = [(name, number, order, share) for order, share in product(orders, failures)]
        yield f"| `{name}` | {' | '.join(text(study.until(key)[0]) for key in keys)} |"


def drawn(study: Study, workers: Sequence[int], failures: float) -> alt.Chart:
    """Returns test accuracy over time and over cost, a column per strategy."""
    colour = alt.Color("workers:N", sort=None).scale(range=list(CYCLE))
    dash = alt.StrokeDash("order:N", sort=None).scale(range=[[1, 0], [4, 3]])
    panels = []
    for (axis, (words, ends)), name in product(enumerate(AXES.items()), NAMES):
        rows = [
            {"workers": f"{number:,}", "order": order, "hours": hours, "test": test}
            for number, order in product(workers, ORDERS[:2])
            for hours, test in study.curve((name, number, order, failures), axis)
            if test >= FLOOR
        ]
        time = alt.X("hours:Q", title=words).scale(type="log", domain=ends, clamp=True)
        time = time.axis(format="~g", values=[10**i for i in range(-1, 5)])
        test = alt.Y("test:Q", title=f"{name}: test accuracy").scale(domain=[FLOOR, 0.945])
        chart = plot(rows).mark_line(interpolate="step-after", strokeWidth=1.6)
        chart = chart.encode(x=time, y=test.axis(format=".0%", tickCount=5), color=colour)
        panels.append(chart.encode(strokeDash=dash).properties(width=230, height=190))
    whole = alt.concat(*panels, columns=len(NAMES), spacing=14)
    return styled(whole, "NAS-Bench-201, CIFAR-10: test accuracy of the best child, median")


def main() -> None:
    """Simulates, prints the tables and draws the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=11)
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 10, 100, 1000, 10000])
    parser.add_argument("--failures", nargs="+", type=float, default=[0.0, 0.05, 0.2])
    parser.add_argument("--picture", type=Path, default=Path("scale.svg"))
    options = parser.parse_args()
    evaluation = TabularEvaluation(NasBench201Space(), DATA, epochs=EPOCHS)
    study = Study(evaluation, range(options.first_seed, options.first_seed + options.seeds))
    rates, numbers = options.failures, options.workers
    usual, crowd = rates[len(rates) // 2], numbers[len(numbers) // 2]
    plan = [*product(numbers, ORDERS, [usual]), *product([crowd], ORDERS[:2], rates)]
    for number, order, rate in dict.fromkeys(plan):
        study.run(number, order, rate)
    print("\n".join(lines(study, numbers, usual)), end="\n\n")
    print("\n".join(losses(study, crowd, rates)))
    drawn(study, numbers, usual).save(options.picture)


if __name__ == "__main__":
    main()
