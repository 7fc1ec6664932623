"""The limits of a run: read from its configuration, and what measures them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from random import Random

from omegaconf import DictConfig

from nas_lightning.core.cost import QUANTITIES
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limited import cost_measure, limited
from nas_lightning.core.limits import Expect, Measure
from nas_lightning.core.memory import child_memory_mb, least_memory_mb
from nas_lightning.core.quantities import bound_words
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, child_cost
from nas_lightning.core.units import read_bounds
from nas_lightning.evaluation.latency import QUANTITY, Latency

__all__ = ["bounds_of", "check_before_data", "within_limits"]

IMAGE, SIGNAL = (1, 1024, 1024), (1, 1024)  # that no number of reductions makes too small


def bounds_of(cfg: DictConfig) -> dict[str, float]:
    """Returns the upper bounds that a configuration sets, by quantity.

    Raises: ValueError: a bound is impossible whatever the space, or nothing tells latencies.
    """
    bounds = read_bounds(cfg.limits if "limits" in cfg else None)
    if QUANTITY in bounds and cfg.hardware.get("latency") is None:
        raise ValueError(
            f"limits.latency_ms ({bound_words(QUANTITY, bounds[QUANTITY])}) needs latencies to go "
            "by; add hardware.latency=here, or =FILE of nas-measure what=latency"
        )
    return bounds


def within_limits(
    bounds: Mapping[str, float], space: SearchSpace, scale: Scale, latency: Latency | None = None
) -> SearchSpace:
    """Returns a space whose draws keep the bounds of a configuration; see `limited`.

    `scale` is that of the child, `latency` predicts its milliseconds.
    """
    if not bounds:
        return space
    measures: dict[str, Measure] = {}
    expected: list[Expect] = []
    if latency is not None:
        measures[QUANTITY] = lambda genotype: {QUANTITY: latency(genotype)}
        expected += [] if latency.uses is None else [latency.cost.of]
    measures["memory_mb"] = lambda genotype: {"memory_mb": child_memory_mb(space, genotype, scale)}
    least = {"memory_mb": partial(_least_memory, cost_measure(space, scale), scale)}
    return limited(space, scale, bounds, measures, expected, least)


def _least_memory(count: Measure, scale: Scale, genotype: Genotype) -> dict[str, float]:
    params = int(count(genotype)["parameters"])
    return {"memory_mb": least_memory_mb(params, scale)}


def check_before_data(bounds: Mapping[str, float], space: SearchSpace, scale: Scale) -> None:
    """Refuses limits that are impossible whatever the data are.

    Where `scale` does not know their shape, these are limits of the parameters below those of
    every child, for images and for signals of one channel; where it does not know their outputs,
    there is one. The message then tells what every child has at least.
    """
    is_known = scale.input_shape is not None
    counted = QUANTITIES if is_known else ("parameters",)
    bounds = {name: bound for name, bound in bounds.items() if name in counted}
    if not bounds:
        return
    is_exact = is_known and scale.num_outputs is not None
    scale = replace(scale, num_outputs=scale.num_outputs or 1)
    shapes = (scale.input_shape,) if is_known else (IMAGE, SIGNAL)
    faults = []
    for each in [replace(scale, input_shape=shape) for shape in shapes]:
        if _is_sure(space, each, is_known):
            faults.append(_fault(space, each, bounds, is_exact))
            if not faults[-1]:
                return
    if faults:
        raise ValueError(faults[0])


def _is_sure(space: SearchSpace, scale: Scale, is_known: bool) -> bool:
    """Returns whether a space has children of a scale, and as small ones for no smaller inputs."""
    genotype, (channels, *sides) = space.sample(Random(0)), scale.sample_shape()
    half = replace(scale, input_shape=(channels, *(side // 2 for side in sides)))
    try:
        size = child_cost(space, genotype, scale)
        return is_known or size["parameters"] == child_cost(space, genotype, half)["parameters"]
    except ValueError:  # e.g. no children for signals
        return False


def _fault(space: SearchSpace, scale: Scale, bounds: Mapping[str, float], is_exact: bool) -> str:
    """Returns why limits are impossible, "" where they are not."""
    try:
        limited(space, scale, bounds, is_exact=is_exact)
    except ValueError as error:
        return str(error)
    return ""
