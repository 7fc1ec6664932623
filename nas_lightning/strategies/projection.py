"""Projection: options and edges are judged by what their removal costs the supernet.

Source: Wang et al., Rethinking Architecture Selection in Differentiable NAS (DARTS-PT), 2021
(arXiv:2108.04392), section 4 and algorithm 1, and the official code. In random order, each choice
keeps the option without which the mixture validates worst; the options that are left weigh what
they weighed, and the kept one all of its choice's weight. Then each node keeps as many edges as a
genotype has there, those without which it validates worst. The supernet is the same throughout:
what is removed leaves the mixture's support.

Deliberate differences from the code: of options whose removal costs the same, the one of the
larger weight is kept (there the first); options that no genotype can take, such as DARTS' "none",
are not measured; a choice that the kept options leave without effect keeps its largest weight
unmeasured; all choices are in one random order (there both kinds of cells take turns).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from nas_lightning.core.best_within import best_genotype
from nas_lightning.core.choices import Mixture
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_context import Batch, SearchContext
from nas_lightning.core.search_space import SearchSpace

__all__ = ["Measure", "num_open", "projected", "projected_genotype", "validation_measure"]

Measure = Callable[[Mixture], float]  # of a mixture on validation data; higher is better
Support = Sequence[Sequence[int]]


def projected(
    space: SearchSpace,
    mixture: Mixture,
    measure: Measure,
    rng: Random,
    decisions: int | None = None,
) -> Mixture:
    """Returns a mixture after some decisions, None takes all: one option or few edges are left.

    It works on the mixture of any strategy. Processes agree if `measure` and `rng` do.

    Args:
        space: the search space, whose limits are not looked at.
        mixture: weights of the trained supernet, which need no gradient.
        measure: what a mixture is worth, higher is better.
        rng: draws which choice, and then which node, is decided next.
        decisions: how many are made; those that are made in `mixture` stay.

    >>> from nas_lightning.core.search_space import uniform_mixture
    >>> from nas_lightning.search_spaces.nasbench201 import NasBench201Space
    >>> space = NasBench201Space()
    >>> likes_skips = lambda mixture: float(mixture.weights[:, 1].sum())
    >>> found = projected(space, uniform_mixture(space.choices), likes_skips, Random(0))
    >>> set(space.discretize(found).mapping.values())
    {'skip_connect'}
    """
    made = 0
    while decisions is None or made < decisions:
        if rows := _open_choices(mixture.support):
            mixture = _with_best_option(space, mixture, rng.choice(rows), measure)
        elif nodes := _open_nodes(space, mixture.support):
            mixture = _with_best_edges(mixture, *rng.choice(nodes), measure)
        else:
            break
        made += 1
    return mixture


def num_open(space: SearchSpace, support: Support) -> int:
    """Returns how many decisions a support leaves: choices, and nodes with too many edges."""
    return len(_open_choices(support)) + len(_open_nodes(space, support))


def projected_genotype(space: SearchSpace, mixture: Mixture, scores: Mixture) -> Genotype:
    """Returns the genotype of a projected mixture.

    Where it is beyond the space's limits, the scores before the projection say what stands in the
    place of what is given up.
    """
    genotype = space.discretize(mixture)
    if space.limits is None or space.limits.keeps(genotype):
        return genotype
    weights = mixture.weights.detach() + scores.weights.detach()
    return best_genotype(space, Mixture(weights, scores.support))


def validation_measure(context: SearchContext, batches: Sequence[Batch]) -> Measure:
    """Returns the reward of a mixture on validation batches, each with its own statistics.

    As in the official code, BatchNorm normalises by the batch: running statistics are those of
    the mixture before anything was removed.
    """

    def measure(mixture: Mixture) -> float:
        return context.reward(context.validate(mixture, batches, batch_statistics=True))

    return measure


def _open_choices(support: Support) -> list[int]:
    return [row for row, options in enumerate(support) if len(options) > 1]


def _open_nodes(space: SearchSpace, support: Support) -> list[tuple[list[int], int]]:
    """Returns the edges (rows) into each node that are too many, and how many may stay.

    Edges into a node are choices whose decisions depend on one that is no choice: which edges the
    node takes.
    """
    by_name = {d.name: d for d in space.decisions if d.name in space.rows}
    nodes = []
    for inputs in space.decisions:
        fed = {n: dict(d.given)[inputs.name] for n, d in by_name.items() if _asks(d, inputs.name)}
        if inputs.name in space.rows or not fed:
            continue
        most = max(sum(option in taking for taking in fed.values()) for option in inputs.options)
        edges = [space.rows[name] for name in fed if support[space.rows[name]]]
        if len(edges) > most:
            nodes.append((edges, most))
    return nodes


def _asks(decision: Decision, name: str) -> bool:
    return any(earlier == name for earlier, _ in decision.given)


def _with_best_option(space: SearchSpace, mixture: Mixture, row: int, measure: Measure) -> Mixture:
    """Returns the mixture in which a choice keeps the option whose removal costs the most."""
    choice, options = space.choices[row], mixture.support[row]
    decisions = {decision.name: decision for decision in space.decisions}
    takes = decisions[choice.name].options if choice.name in decisions else choice.options
    takes_some = [o for o in options if choice.options[o] in takes] or list(options)
    weights: list[float] = mixture.weights[row].tolist()
    takes_some.sort(key=lambda option: -weights[option])  # the first of equal ones is kept
    best = takes_some[0]
    if len(takes_some) > 1 and _has_effect(space, choice.name, mixture.support, decisions):
        best = min(takes_some, key=lambda option: measure(_without(mixture, row, [option])))
    whole = float(mixture.weights[row].sum().clamp(max=1.0))
    kept = _without(mixture, row, [option for option in options if option != best])
    kept.weights[row, best] = whole
    return kept


def _with_best_edges(
    mixture: Mixture, edges: Sequence[int], most: int, measure: Measure
) -> Mixture:
    """Returns the mixture in which a node keeps the edges whose removal costs the most."""
    costly = sorted(edges, key=lambda row: measure(_without(mixture, row, mixture.support[row])))
    for row in costly[most:]:
        mixture = _without(mixture, row, mixture.support[row])
    return mixture


def _without(mixture: Mixture, row: int, options: Sequence[int]) -> Mixture:
    """Returns the mixture without some options of a choice; the others weigh what they did."""
    weights, support = mixture.weights.detach().clone(), list(mixture.support)
    weights[row, list(options)] = 0.0
    support[row] = tuple(option for option in support[row] if option not in options)
    return replace(mixture, weights=weights, support=tuple(support))


def _has_effect(
    space: SearchSpace, name: str, support: Support, decisions: dict[str, Decision]
) -> bool:
    """Returns whether a choice may still be active beside the options that are left of others."""
    for earlier, options in decisions[name].given if name in decisions else ():
        if earlier not in space.rows:
            continue
        row = space.rows[earlier]
        left = {space.choices[row].options[option] for option in support[row]}
        if left.isdisjoint(options) or not _has_effect(space, earlier, support, decisions):
            return False
    return True
