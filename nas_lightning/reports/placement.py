"""From the left to the right: an order of nodes and edges with few crossings, then their places.

Source of the order: Matuszewski, Schoenfeld and Molitor, 1999, "Using sifting for k-layer
straightline crossing minimization". Different here: an item may stand in several rows, so that
there is one order for all rows.
"""

from collections.abc import Sequence
from itertools import combinations
from math import inf
from random import Random

__all__ = ["Placement"]

STARTS, ROUNDS, RELAXATIONS = 16, 6, 30
LARGE = 2000  # so many items all starts together may have

Places = list[float]


class Placement:
    """Items that stand in rows, and the lines between them.

    Args:
        reaches: for each item the room that it needs to either side, by row.
        lines: pieces of lines (row, upper item, lower item) from a row to the next; an item that
            stands in both rows is joined to itself.
        num_fixed: number of items, the first ones, that keep their order.
    """

    def __init__(
        self,
        reaches: Sequence[dict[int, float]],
        lines: Sequence[tuple[int, int, int]],
        num_fixed: int,
    ) -> None:
        self.reaches, self.lines, self.num_fixed = reaches, lines, num_fixed
        self.above: list[list[tuple[int, int]]] = [[] for _ in reaches]
        self.below: list[list[tuple[int, int]]] = [[] for _ in reaches]
        for row, upper, lower in lines:
            self.below[upper].append((row, lower))
            self.above[lower].append((row, upper))

    def places(self) -> Places:
        """Returns the x of every item: few crossings come first, then short lines."""
        num_starts = min(STARTS, 1 + LARGE // (len(self.reaches) + 1))
        orders = [self._order(start) for start in range(num_starts)]
        crossings = [self._crossings(order) for order in orders]
        fewest = [o for o, n in zip(orders, crossings, strict=True) if n == min(crossings)]
        return min((self._relaxed(order) for order in fewest), key=self._length)

    def _order(self, start: int) -> list[int]:
        """Returns a random order after each item has moved to where it crosses least."""
        order = list(range(len(self.reaches)))
        Random(start).shuffle(order)
        for _ in range(ROUNDS):
            before = list(order)
            for item in range(len(order)):
                self._sift(order, item)
            if order == before:
                break
        return order

    def _sift(self, order: list[int], item: int) -> None:
        order.remove(item)
        place = {other: number for number, other in enumerate(order)}
        change = least = best = 0
        for number, other in enumerate(order):
            place[item] = number
            change += self._gain(item, other, place)
            if change < least:
                least, best = change, number + 1
        order.insert(best, item)

    def _gain(self, item: int, other: int, place: dict[int, int]) -> int:
        """Returns how many crossings more there are once `item` stands right of `other`."""
        gain = 0
        if max(item, other) < self.num_fixed:
            gain = len(self.lines) ** 2 * (1 if item < other else -1)
        for side in (self.above, self.below):
            for row, end in side[item]:
                for other_row, other_end in side[other]:
                    if row == other_row and (end, other_end) != (item, other):
                        gain += (place[end] < place[other_end]) - (place[end] > place[other_end])
        return gain

    def _crossings(self, order: list[int]) -> int:
        place = {item: number for number, item in enumerate(order)}
        return sum(
            row == other_row and (place[a] - place[c]) * (place[b] - place[d]) < 0
            for (row, a, b), (other_row, c, d) in combinations(self.lines, 2)
        )

    def _relaxed(self, order: list[int]) -> Places:
        """Returns places in an order, each item near the middle of those that it is joined to."""
        ends = [[e for _, e in up + down] for up, down in zip(self.above, self.below, strict=True)]
        joined = [[e for e in all_ends if e != item] for item, all_ends in enumerate(ends)]
        x = self._spaced(order, [0.0] * len(order))
        for _ in range(RELAXATIONS):
            means = [
                sum(x[end] for end in ends) / len(ends) if ends else x[item]
                for item, ends in enumerate(joined)
            ]
            x = self._spaced(order, means)
        return x

    def _spaced(self, order: list[int], wanted: Places) -> Places:
        """Returns places near the wanted ones with room between neighbours.

        It is the mean of two: pushed to the right as far as needed, and to the left.
        """
        right = self._pushed(order, wanted)
        left = self._pushed(order[::-1], [-x for x in wanted])
        return [(a - b) / 2 for a, b in zip(right, left, strict=True)]

    def _pushed(self, order: list[int], wanted: Places) -> Places:
        x, borders = list(wanted), dict[int, float]()
        for item in order:
            reach = self.reaches[item]
            x[item] = max(x[item], *(borders.get(row, -inf) + reach[row] for row in reach))
            borders |= {row: x[item] + room for row, room in reach.items()}
        return x

    def _length(self, x: Places) -> float:
        return sum(abs(x[upper] - x[lower]) for _, upper, lower in self.lines)
