"""Zero-cost evaluation: a proxy judges untrained children, alone or as a filter."""

from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random

import torch
from torch import Tensor

from nas_lightning.core.checks import at_least, in_range, one_of
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_context import Batch
from nas_lightning.core.search_space import child_cost
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.evaluation import Evaluation
from nas_lightning.evaluation.proxies import PROXIES, WORST
from nas_lightning.training.child import build_child
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["SIZES", "ZeroCost", "first_batch", "proxy_value"]

SIZES = ("parameters", "multiply_adds")


class ZeroCost(Evaluation):
    """Measures a proxy of every child on one batch, without training it.

    Alone, `objective=measurement` makes a reward of the proxy. With `then` it is a filter before
    another evaluation: a child that is worse than the best share of random ones is not trained,
    and gets the task's worst figure. Sources: `nas_lightning.evaluation.proxies`.

    Args:
        proxy: "synflow", "snip", "grasp", "naswot", "jacobian_covariance", "gradient_norm",
            "parameters" or "multiply_adds".
        batch_size: images of the batch, at least 2.
        then: makes the evaluation of the children that pass; None trains none.
        keep: share of random children that would pass, in (0, 1].
        reference: number of random children that the threshold is taken from, at least 1.

    Raises: ValueError: a value is out of range.
    """

    def __init__(
        self,
        run: Candidates,
        proxy: str = "synflow",
        batch_size: int = 64,
        then: Callable[..., Evaluation] | None = None,
        keep: float = 0.5,
        reference: int = 32,
    ) -> None:
        one_of("evaluation.proxy", proxy, (*PROXIES, *SIZES))
        at_least("evaluation.batch_size", batch_size, 2, use=64)
        at_least("evaluation.reference", reference, 1, use=32)
        in_range("evaluation.keep", keep, "(0, 1]", use=0.5)
        self.run, self.proxy, self.keep, self.reference = run, proxy, keep, reference
        self.batch = first_batch(run, batch_size)
        self.then = None if then is None else then(run=run)
        if self.then is not None and self.then.is_ordered:
            raise ValueError(
                f"evaluation.then ({type(self.then).__name__}) must judge every child, since each "
                "changes the params of the next, and a filter leaves children out; use "
                "evaluation=inherited alone, or LowFidelity or FullTraining after the filter"
            )
        self.takes_budgets = self.then is not None and self.then.takes_budgets

    def measures(self) -> frozenset[str]:
        """Returns the proxy and the sizes, and what the following evaluation measures."""
        names = frozenset({self.proxy, *SIZES})
        return names if self.then is None else names | self.then.measures()

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns the proxy and the sizes, and the training's measurements if a child passes."""
        sizes = child_cost(self.run.space, trial.genotype, self.run.recipe.scale)
        values = {self.proxy: self._value(trial.genotype, seed), **sizes}
        if self.then is None:
            return values, CostMeter()
        if values[self.proxy] < self._least:
            metric = f"validation_{self.run.task.metric}"
            return {**values, metric: self.run.task.worst, "filtered": 1.0}, CostMeter()
        measurements, cost = self.then.evaluate(trial, seed)
        return values | measurements, cost

    def worst(self, trial: Trial) -> dict[str, float]:
        """Returns what is told of a child that cannot be judged at all."""
        sizes = child_cost(self.run.space, trial.genotype, self.run.recipe.scale)
        trained = None if self.then is None else self.then.worst(trial)
        return {self.proxy: WORST, **sizes, **(trained or {})}

    def samples(self, budget: float = 1.0) -> int:
        """Returns the training samples of a child that passes; 0 where none is trained."""
        return 0 if self.then is None else self.then.samples(budget)

    def files(self, trial: Trial) -> tuple[list[str], list[str]]:
        """Returns the files that the training reads and writes."""
        return ([], []) if self.then is None else self.then.files(trial)

    def forget(self, numbers: Sequence[int]) -> None:
        """Removes what the training has left of trials."""
        if self.then is not None:
            self.then.forget(numbers)

    def check_budget(self, budget: float) -> None:
        """Refuses a budget that the training cannot spend."""
        if self.then is not None:
            self.then.check_budget(budget)

    @cached_property
    def _least(self) -> float:
        """The proxy value that the wanted share of random children reaches."""
        rng = Random(keyed_seed(0, "reference"))
        drawn = [self.run.space.sample(rng) for _ in range(self.reference)]
        values = sorted((self._value(g, seed) for seed, g in enumerate(drawn)), reverse=True)
        return values[max(1, round(self.keep * self.reference)) - 1]

    def _value(self, genotype: Genotype, seed: int) -> float:
        return proxy_value(self.run, genotype, self.proxy, self.batch, seed)


def first_batch(run: Candidates, batch_size: int) -> Batch:
    """Returns a candidate's first training batch, of so many images."""
    x, targets = next(iter(run.data.candidate(batch_size=batch_size).train_dataloader()))
    assert isinstance(x, Tensor)
    assert isinstance(targets, Tensor)
    return x, targets


def proxy_value(run: Candidates, genotype: Genotype, proxy: str, batch: Batch, seed: int) -> float:
    """Returns a proxy of a genotype's child, whose params depend on the seed alone."""
    if proxy in SIZES:
        return float(child_cost(run.space, genotype, run.recipe.scale)[proxy])
    network = build_child(run.space, genotype, run.recipe.scale, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PROXIES[proxy](network, *batch, run.task.loss)
