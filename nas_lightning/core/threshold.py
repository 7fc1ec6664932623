"""Discretization by a threshold: edges that no operation deserves are left out.

Source: Chu et al., Fair DARTS, 2020 (arXiv:1911.12126), section 4.3, and the official code's rule
"threshold_sparse".
"""

from collections.abc import Sequence

from nas_lightning.core.best_within import best_genotype
from nas_lightning.core.choices import NONE, Mixture
from nas_lightning.core.decisions import is_active
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace

__all__ = ["above_threshold", "can_leave_edges_out", "threshold_genotype"]


def threshold_genotype(space: SearchSpace, scores: Mixture, threshold: float) -> Genotype:
    """Returns the genotype of the best options whose scores reach a threshold.

    It is the space's own discretization, or the best genotype within its limits, without the edges
    of which no operation reaches the threshold. An edge is left out where the space allows it: a
    node of DARTS's cells keeps its two best edges at most and `min_edges` at least, and an edge of
    NAS-Bench-201 becomes "none". A choice that cannot be left out takes its best option, whatever
    its score: all choices of spaces that are not of edges, and of spaces of edges that always have
    them. The threshold may cut every path: see `cuts_every_path`.

    >>> import torch
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> weights = torch.full((6, 5), 0.4)
    >>> weights[0, 3] = 0.9
    >>> scores = Mixture(weights, (tuple(range(5)),) * 6)
    >>> space.write_text(threshold_genotype(space, scores, 0.85))
    '|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|'
    """
    return best_genotype(space, above_threshold(space, scores, threshold))


def above_threshold(space: SearchSpace, scores: Mixture, threshold: float) -> Mixture:
    """Returns scores without the operations below a threshold, where an edge can be left out.

    There "none", which needs no score, has 0.
    """
    if not space.has_edges:
        return scores
    weights, support = scores.weights.detach().clone(), list(scores.support)
    for rows in _nodes(space):
        best = {row: _best(space, scores, row) for row in rows}
        ranked = sorted(rows, key=lambda row: -best[row])
        for row in ranked[_fewest(space, rows) :]:
            options, values = space.choices[row].options, scores.weights[row].tolist()
            support[row] = tuple(
                i for i in scores.support[row] if values[i] >= threshold or options[i] == NONE
            )
            if NONE in options:
                weights[row, options.index(NONE)] = 0.0
    return Mixture(weights, tuple(support))


def can_leave_edges_out(space: SearchSpace) -> bool:
    """Returns whether a genotype of a space may be without some edge."""
    return space.has_edges and any(_fewest(space, rows) < len(rows) for rows in _nodes(space))


def _nodes(space: SearchSpace) -> list[list[int]]:
    """Returns the rows of the edges into each node."""
    nodes = dict[str, list[int]]()
    for row, choice in enumerate(space.choices):
        nodes.setdefault(choice.group, []).append(row)
    return list(nodes.values())


def _fewest(space: SearchSpace, rows: Sequence[int]) -> int:
    """Returns how many of a node's edges always stay: all where their number is fixed."""
    decisions = {decision.name: decision for decision in space.decisions}
    edges = [decisions[space.choices[row].name] for row in rows]
    if all(NONE in edge.options for edge in edges):
        return 0
    asked = {name for edge in edges for name, _ in edge.given}
    numbers = {
        sum(is_active(edge, {name: option}) for edge in edges)
        for name in asked
        for option in decisions[name].options
    }
    return min(numbers) if len(numbers) > 1 else len(rows)


def _best(space: SearchSpace, scores: Mixture, row: int) -> float:
    options, values = space.choices[row].options, scores.weights[row].tolist()
    return max((values[i] for i in scores.support[row] if options[i] != NONE), default=-1.0)
