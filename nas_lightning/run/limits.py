"""The limits of a run: read from its configuration, and what measures them."""

from collections.abc import Mapping

from omegaconf import DictConfig, OmegaConf

from nas_lightning.core.cost import QUANTITIES
from nas_lightning.core.limited import limited
from nas_lightning.core.limits import Measure, read_bounds
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace

__all__ = ["bounds_of", "measures_of", "within_limits"]

MISSING = {  # quantities that nothing measures yet
    "latency_ms": "the latency of an operation is not measured yet",
    "memory_mb": "the memory of a child is not measured yet",
}


def bounds_of(cfg: DictConfig) -> dict[str, float]:
    """Returns the upper bounds that a configuration sets, by quantity.

    Raises: ValueError: a bound is impossible whatever the space, or nothing measures its quantity.
    """
    if "limits" not in cfg:
        return {}
    limits = OmegaConf.to_container(cfg.limits, resolve=True)
    assert isinstance(limits, dict)
    bounds = read_bounds({str(name): value for name, value in limits.items()})
    for name in [each for each in bounds if each in MISSING]:
        raise ValueError(
            f"limits.{name} ({bounds[name]:,}) cannot be kept: {MISSING[name]}; leave it out, or "
            "limit limits.parameters or limits.multiply_adds"
        )
    return bounds


def measures_of(cfg: DictConfig, space: SearchSpace, scale: Scale) -> Mapping[str, Measure]:
    """Returns what measures a genotype's child, beside its parameters and multiply-adds."""
    return {}


def within_limits(
    cfg: DictConfig, space: SearchSpace, scale: Scale, is_early: bool = False
) -> SearchSpace:
    """Returns a space whose draws keep the limits of a configuration; see `limited`.

    `scale` is that of the child; `is_early` looks at what takes no measuring on this machine.
    """
    bounds = bounds_of(cfg)
    if is_early:
        counted = {name: bound for name, bound in bounds.items() if name in QUANTITIES}
        return limited(space, scale, counted)
    return limited(space, scale, bounds, measures_of(cfg, space, scale) if bounds else {})
