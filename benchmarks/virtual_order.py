"""What the virtual order of results costs, against telling them as they arrive: a simulation.

    python benchmarks/virtual_order.py

Children of random size are trained by workers of equal speed. A child takes its predicted seconds
times a log-normal error; as many children are in flight as there are workers, or twice as many.
The price is the time that the search takes in virtual order (`evaluation.flight`) over the time
in the order of arrival, with the same children. A minute at most, and no images.
"""

import argparse
from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random
from statistics import fmean

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.flight import Flight

WORKERS, ERRORS = (2, 4, 8), (0.05, 0.1, 0.2, 0.4)
CHILDREN, SEARCHES = 400, 10
SPREAD = 0.5  # of the predicted seconds, as the standard deviation of their logarithm
NONE = Genotype.of("none", {})


def durations(rng: Random, error: float) -> list[tuple[float, float]]:
    """Returns the predicted and the actual seconds of the children of one search."""
    predicted = [rng.lognormvariate(0.0, SPREAD) for _ in range(CHILDREN)]
    return [(seconds, seconds * rng.lognormvariate(0.0, error)) for seconds in predicted]


def seconds_on_arrival(children: Iterable[tuple[float, float]], workers: int) -> float:
    """Returns the seconds of a search whose workers always have a child."""
    free = [0.0] * workers
    for _, actual in children:
        heappush(free, heappop(free) + actual)
    return max(free)


def seconds_in_virtual_order(
    children: list[tuple[float, float]], workers: int, in_flight: int
) -> float:
    """Returns the seconds of a search in which a child is asked when the next one is told.

    A child that is asked waits for a worker; told is the first one on the virtual clock, once it
    has finished.
    """
    flight, free, finish, now = Flight(in_flight), [0.0] * workers, dict[int, float](), 0.0
    for number, (predicted, actual) in enumerate(children):
        if flight.is_full:
            now = max(now, finish.pop(flight.pop().number))
        flight.add(Trial(number, NONE), predicted)
        finish[number] = max(now, heappop(free)) + actual
        heappush(free, finish[number])
    return max(free)


def price(workers: int, error: float, ahead: int, searches: int = SEARCHES) -> float:
    """Returns the mean ratio of both orders, with `ahead` times the workers in flight."""
    ratios = []
    for seed in range(searches):
        children = durations(Random(seed), error)
        virtual = seconds_in_virtual_order(children, workers, ahead * workers)
        ratios.append(virtual / seconds_on_arrival(children, workers))
    return fmean(ratios)


def main() -> None:
    """Prints a table."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    heads = [f"error {error:.0%}" for error in ERRORS]
    print(f"| workers | in flight | {' | '.join(heads)} |")
    print(f"| --- | --- |{' --- |' * len(ERRORS)}")
    for workers in WORKERS:
        for ahead in (1, 2):
            cells = [f"{price(workers, error, ahead):.2f}" for error in ERRORS]
            print(f"| {workers} | {ahead * workers} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
