"""The limits of a run: read from its configuration, and what measures them."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from omegaconf import DictConfig

from nas_lightning.core.cost import QUANTITIES
from nas_lightning.core.limited import limited
from nas_lightning.core.limits import Measure, read_bounds
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, child_cost

__all__ = ["bounds_of", "check_before_data", "measures_of", "within_limits"]

IMAGE, SIGNAL = (1, 1024, 1024), (1, 1024)  # that no number of reductions makes too small
MISSING = {  # quantities that nothing measures yet
    "latency_ms": "the latency of an operation is not measured yet",
    "memory_mb": "the memory of a child is not measured yet",
}


def bounds_of(cfg: DictConfig) -> dict[str, float]:
    """Returns the upper bounds that a configuration sets, by quantity.

    Raises: ValueError: a bound is impossible whatever the space, or nothing measures its quantity.
    """
    limits = cfg.limits if "limits" in cfg else None
    bounds = read_bounds(limits and {str(name): limits[name] for name in limits})
    for name in [each for each in bounds if each in MISSING]:
        raise ValueError(
            f"limits.{name} ({bounds[name]:,}) cannot be kept: {MISSING[name]}; leave it out, or "
            "limit limits.parameters or limits.multiply_adds"
        )
    return bounds


def measures_of(cfg: DictConfig, space: SearchSpace, scale: Scale) -> Mapping[str, Measure]:
    """Returns what measures a genotype's child, beside its parameters and multiply-adds."""
    return {}


def within_limits(cfg: DictConfig, space: SearchSpace, scale: Scale) -> SearchSpace:
    """Returns a space whose draws keep the limits of a configuration; see `limited`.

    `scale` is that of the child.
    """
    bounds = bounds_of(cfg)
    return limited(space, scale, bounds, measures_of(cfg, space, scale) if bounds else {})


def check_before_data(cfg: DictConfig, space: SearchSpace, scale: Scale) -> None:
    """Refuses limits that are impossible whatever the data are.

    Where `scale` does not know their shape, these are limits of the parameters below those of
    every child, for images and for signals of one channel.
    """
    is_known = scale.input_shape is not None
    counted = QUANTITIES if is_known else ("parameters",)
    bounds = {name: bound for name, bound in bounds_of(cfg).items() if name in counted}
    if not bounds:
        return
    scale = replace(scale, num_outputs=scale.num_outputs or 1)
    shapes = (scale.input_shape,) if is_known else (IMAGE, SIGNAL)
    faults = []
    for each in [replace(scale, input_shape=shape) for shape in shapes]:
        if _is_sure(space, each, is_known):
            faults.append(_fault(space, each, bounds))
            if not faults[-1]:
                return
    if faults:
        least = f"; with one input channel and {scale.num_outputs} outputs, more with more"
        raise ValueError(faults[0] + ("" if is_known else least))


def _is_sure(space: SearchSpace, scale: Scale, is_known: bool) -> bool:
    """Returns whether a space has children of a scale, and as small ones for no smaller inputs."""
    genotype, (channels, *sides) = space.sample(Random(0)), scale.sample_shape()
    half = replace(scale, input_shape=(channels, *(side // 2 for side in sides)))
    try:
        size = child_cost(space, genotype, scale)
        return is_known or size["parameters"] == child_cost(space, genotype, half)["parameters"]
    except ValueError:  # e.g. no children for signals
        return False


def _fault(space: SearchSpace, scale: Scale, bounds: Mapping[str, float]) -> str:
    """Returns why limits are impossible, "" where they are not."""
    try:
        limited(space, scale, bounds)
    except ValueError as error:
        return str(error)
    return ""
