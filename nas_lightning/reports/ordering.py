"""Second step of a drawing: the order of each row, with few crossings of edges."""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from random import Random

from nas_lightning.reports.lattice import Lattice

__all__ = ["Rows", "count_crossings", "orders"]

Rows = tuple[tuple[int, ...], ...]

_SMALL = 150
_STARTS = 16
_SWEEPS = 10


def orders(lattice: Lattice) -> tuple[Rows, ...]:
    """Returns the orders with the fewest crossings that were found, at least one.

    The first row, that of the inputs, stays as it is. The result is always the same.
    """
    neighbours = _Neighbours(lattice)
    is_small = len(lattice.items) <= _SMALL
    best: dict[Rows, int] = {}
    for start in range(_STARTS if is_small else 1):
        rows = [list(row) for row in lattice.rows]
        if start:
            draw = Random(start)
            for row in rows[1:]:
                draw.shuffle(row)
        for found in _sweep(rows, neighbours, is_small):
            best[found] = count_crossings(lattice, found)
    fewest = min(best.values())
    return tuple(rows for rows, crossings in best.items() if crossings == fewest)


def count_crossings(lattice: Lattice, rows: Rows) -> int:
    """Returns how often two links cross each other."""
    place = {item: position for row in rows for position, item in enumerate(row)}
    pairs: dict[int, list[tuple[int, int]]] = {}
    for link in lattice.links:
        row = lattice.items[link.upper].row
        pairs.setdefault(row, []).append((place[link.upper], place[link.lower]))
    total = 0
    for ends in pairs.values():
        seen: list[int] = []
        for _, lower in sorted(ends):
            total += len(seen) - bisect_right(seen, lower)
            insort(seen, lower)
    return total


class _Neighbours:
    def __init__(self, lattice: Lattice) -> None:
        self.above: list[list[int]] = [[] for _ in lattice.items]
        self.below: list[list[int]] = [[] for _ in lattice.items]
        for link in lattice.links:
            self.below[link.upper].append(link.lower)
            self.above[link.lower].append(link.upper)


def _sweep(rows: list[list[int]], neighbours: _Neighbours, is_small: bool) -> Iterator[Rows]:
    place = {item: position for row in rows for position, item in enumerate(row)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        sides = neighbours.above if down else neighbours.below
        for row in rows[1:] if down else rows[-2:0:-1]:
            row.sort(key=_barycentre(sides, place, row))
            place.update((item, position) for position, item in enumerate(row))
        if is_small:
            for row in rows[1:]:
                _transpose(row, neighbours, place)
        yield tuple(tuple(row) for row in rows)


def _barycentre(
    sides: Sequence[Sequence[int]], place: dict[int, int], row: Sequence[int]
) -> Callable[[int], float]:
    def key(item: int) -> float:
        places = [place[neighbour] for neighbour in sides[item]]
        return sum(places) / len(places) if places else float(place[item])

    return key


def _transpose(row: list[int], neighbours: _Neighbours, place: dict[int, int]) -> None:
    for left in range(len(row) - 1):
        first, second = row[left], row[left + 1]
        gain = sum(
            _inversions(side[first], side[second], place)
            - _inversions(side[second], side[first], place)
            for side in (neighbours.above, neighbours.below)
        )
        if gain > 0:
            row[left], row[left + 1] = second, first
            place[first], place[second] = left + 1, left


def _inversions(left: Sequence[int], right: Sequence[int], place: dict[int, int]) -> int:
    return sum(place[a] > place[b] for a in left for b in right)
