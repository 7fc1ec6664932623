"""The latency of a space's children on one device, predicted from a profile.

It is the sum of the child's units (see `networks.units`), each as measured alone, and an overhead
that all children share, which a few random ones tell: the median of what they take beyond that sum.
(`deployment/profile_onnx.py` has a factor of the sum instead.)
Of a space without a supernet each child is measured as a whole, when it is asked for.
"""

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from random import Random
from statistics import median

import torch
from torch import nn

from nas_lightning.core.cost import Cost, Factors, Term
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace, uniform_mixture
from nas_lightning.evaluation.latency_profile import (
    HERE,
    LatencyProfile,
    cache_lock,
    read_cache,
    run_profile,
    waiting_lock,
)
from nas_lightning.evaluation.timing import interleaved
from nas_lightning.networks.units import Unit, Use, trace_units, whole

__all__ = ["QUANTITY", "Latency", "child_call", "network_id", "space_uses", "use_counts"]

QUANTITY = "latency_ms"
NUM_FITTED = 5  # children that tell the overhead
ELSEWHERE = (
    f"{HERE}, or measure it with nas-measure what=latency for this search_space, data and "
    "child.scale"
)
MOST_S = 10.0  # for all operations and children together


class Latency:
    """Predicts the latency of a space's children at a scale; one sample, float32.

    Raises: ValueError: the profile lacks something and must not grow.
    """

    def __init__(self, space: SearchSpace, scale: Scale, profile: LatencyProfile) -> None:
        self.space, self.scale, self.profile = space, scale, profile
        self.uses = space_uses(space, scale)
        self.id = network_id(self.uses)
        if self.uses is not None:
            self._complete({use.unit.id: use.unit for use in self.uses}, self.id)
        elif not profile.grows:
            raise ValueError(
                f"search space '{space.name}' has no supernet that tells all operations before, "
                f"which hardware.latency ({profile.path}) needs; {_cure(profile, HERE)}"
            )

    def __call__(self, genotype: Genotype) -> float:
        """Returns the predicted latency of a genotype's child, in milliseconds."""
        if self.uses is not None:
            return float(self.cost.of_child(self.space.mixture(genotype))[QUANTITY])
        with torch.device("meta"):
            network = self.space.child(genotype, self.scale)
        unit = whole(network, self.scale.sample_shape())
        self._complete({unit.id: unit}, None)
        return float(self.profile.operations[unit.id]["median_ms"])

    def fitted(self) -> list[Genotype]:
        """Returns the genotypes of the children that tell the overhead."""
        rng = Random(0)
        return [self.space.sample(rng) for _ in range(NUM_FITTED)]

    @cached_property
    def cost(self) -> Cost:
        """The latency of all children in terms of the mixture, in milliseconds.

        Raises: ValueError: the space has no supernet.
        """
        if self.uses is None:
            raise ValueError(
                f"search space '{self.space.name}' has no supernet whose expected latency could be "
                "told; choose a black-box strategy such as strategy=random"
            )
        network = self.profile.networks[self.id]
        amounts: dict[Factors, float] = {(): network["overhead_ms"]}
        for unit, factors, times in self.uses:
            ms = network.get("factor", 1.0) * self.profile.operations[unit.id]["median_ms"]
            amounts[factors] = amounts.get(factors, 0.0) + times * ms
        return Cost(tuple(Term((ms,), f) for f, ms in amounts.items()), (QUANTITY,))

    def _complete(self, units: dict[str, Unit], network: str | None) -> None:
        """Adds what the profile lacks, where it may grow, and notes it in the run's own file."""
        profile = self.profile
        if not profile.lacks(units, network):
            return
        if not profile.grows:
            missing = next((u.name for u in self._lacking(units)), "the overhead of its children")
            raise ValueError(
                f"hardware.latency ({profile.path}) must hold all that children of space "
                f"'{self.space.name}' run at this size, but lacks {missing}; {_cure(profile)}"
            )
        if (home := profile.home) is None:
            self._take_or_measure(units, network)
            return
        with waiting_lock(home):  # of the run's processes one measures, the others read
            if home.is_file():
                profile.add(run_profile(home), units, network)
            if profile.lacks(units, network):
                self._take_or_measure(units, network)
                profile.write(home)

    def _take_or_measure(self, units: dict[str, Unit], network: str | None) -> None:
        """Adds what the profile lacks: what is kept on this machine, the rest measured."""
        profile = self.profile
        if (path := profile.path) is None:
            self._measure(self._lacking(units), network)
            return
        with cache_lock(path):
            kept = read_cache(path, profile.threads)
            profile.add(kept, units, network)
            if profile.lacks(units, network):
                self._measure(self._lacking(units), network)
                kept.add(profile, profile.operations, network)
                kept.write(path)

    def _lacking(self, units: dict[str, Unit]) -> list[Unit]:
        return [unit for key, unit in units.items() if key not in self.profile.operations]

    def _measure(self, units: Sequence[Unit], network: str | None) -> None:
        """Adds units to the profile, and the overhead of a network's children."""
        profile, chosen = self.profile, list[Genotype]()
        if network is not None:
            chosen = self.fitted()
        print(f"measuring {len(units)} operations and {len(chosen)} children of space "
              f"{self.space.name} on this CPU", file=sys.stderr, flush=True)  # fmt: skip
        calls = [unit.call() for unit in units]
        calls += [child_call(self.space, genotype, self.scale) for genotype in chosen]
        timings = interleaved(calls, profile.threads, MOST_S)
        for unit, timing in zip(units, timings, strict=False):
            facts = {"operation": unit.name, "input": unit.shapes, "steps": list(unit.steps)}
            profile.operations[unit.id] = facts | asdict(timing)
        if network is not None:
            beyond = [
                timing.median_ms - self._sum(genotype)
                for genotype, timing in zip(chosen, timings[len(units) :], strict=True)
            ]
            profile.networks[network] = {
                "space": self.space.name,
                "input": list(self.scale.sample_shape()),
                "overhead_ms": median(beyond),
                "children": len(chosen),
            }

    def _sum(self, genotype: Genotype) -> float:
        operations = self.profile.operations
        counts = use_counts(self.space, genotype, self.scale)
        return sum(times * float(operations[key]["median_ms"]) for key, times in counts.items())


def _cure(profile: LatencyProfile, elsewhere: str = ELSEWHERE) -> str:
    """Returns what helps where a profile lacks something and must not grow."""
    if profile.path != profile.home or profile.path is None:
        return f"use hardware.latency={elsewhere}"
    version = profile.versions.get("torch")
    return f"resume the run where it began, on {profile.device} with torch {version}"


def child_call(space: SearchSpace, genotype: Genotype, scale: Scale) -> Callable[[], object]:
    """Returns a call of a new child on one sample on the CPU."""
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = space.child(genotype, scale).eval()
    x = torch.zeros(1, *scale.sample_shape())
    return lambda: network(x)


def space_uses(space: SearchSpace, scale: Scale) -> list[Use] | None:
    """Returns the units of all children of a space at a scale; None without a supernet."""
    if not space.choices:
        return None
    try:
        with torch.device("meta"):
            network = space.supernet(replace(scale, auxiliary=False))
    except ValueError:  # it has none, at these values of its arguments
        return None
    return trace_units(network, scale.sample_shape(), uniform_mixture(space.choices))


def use_counts(space: SearchSpace, genotype: Genotype, scale: Scale) -> dict[str, int]:
    """Returns how often a genotype's child runs each unit, by its id."""
    with torch.device("meta"):
        network = space.child(genotype, scale)
    counts: dict[str, int] = {}
    for unit, _, times in trace_units(network, scale.sample_shape()):
        counts[unit.id] = counts.get(unit.id, 0) + times
    return counts


def network_id(uses: Sequence[Use] | None) -> str:
    """Returns what tells a space at a scale from others: a hash of all that its children run."""
    lines = sorted(f"{use.unit.id} {use.times} {use.factors}" for use in uses or ())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
