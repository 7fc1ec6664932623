"""Objectives: from what was measured of a child to the reward that a search maximises."""

from collections.abc import Mapping
from math import log

from nas_lightning.core.checks import at_least, in_range, one_of, positive
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.objective import Judge, Objective, as_costs
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.evaluation.table_file import read_latencies

__all__ = [
    "Accuracy",
    "LatencyProduct",
    "Measurement",
    "MinimumDescriptionLength",
    "WeightedProduct",
]

WORST_LOSS = 20.0  # nats per label, of a child that diverged


class Measurement(Objective):
    """The reward is one measurement alone, e.g. a zero-cost proxy.

    Args:
        name: the measurement.
        higher_is_better: False makes the reward its negative.
    """

    def __init__(self, name: str = "synflow", higher_is_better: bool = True) -> None:
        self.names = (name,)
        self.directions = ("max" if higher_is_better else "min",)

    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the measurement as a reward; higher is better."""
        return float(-as_costs(self.values(measurements), self.directions)[0])


class Accuracy(Measurement):
    """The reward is the task's main metric on validation data, negative e.g. for an error.

    Args:
        task: names the metric and its direction; None means accuracy.
    """

    def __init__(self, task: Judge | None = None) -> None:
        super().__init__(_main_metric(task), task is None or task.higher_is_better)


class WeightedProduct(Objective):
    """Accuracy times a power of what a child costs: (cost / target) ** exponent.

    Source: Tan et al., MnasNet, 2019 (arXiv:1807.11626), equations 2 and 3. "soft" has one
    exponent on both sides of the target, by default the paper's; "hard" is the accuracy up to the
    target and falls with exponent -1 beyond. For a hard bound there are the run's limits.

    Args:
        task: names the metric, of which higher values must be better; None means accuracy.
        quantity: what is charged: "parameters", "multiply_adds", or another measurement.
        target: its wanted size, above 0.
        form: "soft" or "hard".
        exponent: of the soft form, below 0.

    Raises: ValueError: a value is out of range, or lower values of the metric are better.
    """

    def __init__(
        self,
        task: Judge | None = None,
        quantity: str = "parameters",
        target: float = 100_000.0,
        form: str = "soft",
        exponent: float = -0.07,
    ) -> None:
        positive("objective.target", target, use=f"the {quantity} that you want")
        if form == "limit":
            raise ValueError(
                f"objective.form (limit) is no form: a hard bound is limits.{quantity}={target:g} "
                "of nas-search, which every strategy keeps; leave the objective out"
            )
        one_of("objective.form", form, ("soft", "hard"))
        in_range("objective.exponent", exponent, "(-inf, 0)", use=-0.07)
        if task is not None and not task.higher_is_better:
            raise ValueError(
                f"objective.quantity ('{quantity}') weighs a metric of which higher values are "
                f"better, not {task.metric}; choose task.metric=r2, or objective=accuracy"
            )
        self.names, self.directions = (_main_metric(task), quantity), ("max", "min")
        self.target, self.form, self.exponent = target, form, exponent

    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the weighed accuracy."""
        accuracy, cost = self.values(measurements)
        ratio = cost / self.target
        if self.form == "hard":
            return accuracy / max(ratio, 1.0)
        return accuracy * float(max(ratio, 1e-9) ** self.exponent)

    def goal(self) -> str:
        """Returns what is charged, and its target, in words.

        >>> WeightedProduct(target=50_000).goal()
        'charges parameters: target 50,000 (soft)'
        """
        return f"charges {self.names[1]}: target {self.target:,g} ({self.form})"


class LatencyProduct(WeightedProduct):
    """MnasNet's product with a latency from a table; other arguments as of `WeightedProduct`.

    Args:
        device: column of the table.
        table: a packaged table, the path of your own .npz or CSV file, or null where the
            evaluation measures "latency_ms".
        target: the wanted latency in milliseconds, above 0.

    Raises: ValueError: a value is out of range, or the table lacks the device or a genotype.
    """

    def __init__(
        self,
        space: SearchSpace,
        task: Judge | None = None,
        device: str = "1080ti_1",
        table: str | None = "nasbench201_latency",
        target: float = 5.0,
        form: str = "soft",
        exponent: float = -0.07,
    ) -> None:
        super().__init__(task, "latency_ms", target, form, exponent)
        self.latencies = None if table is None else read_latencies(table, device, space)

    def known(self) -> frozenset[str]:
        """Returns "latency_ms" where there is a table."""
        return frozenset() if self.latencies is None else frozenset({"latency_ms"})

    def measure(self, genotype: Genotype) -> Mapping[str, float]:
        """Returns the genotype's latency in milliseconds."""
        return {} if self.latencies is None else {"latency_ms": self.latencies(genotype)}


class MinimumDescriptionLength(Objective):
    """The negative length, in nats per label, of the labels given the network and of the network.

    reward = -(loss + weight * parameters / 2 * ln(samples) / samples). Sources: Rissanen,
    Modeling by shortest data description, 1978; Tenorio & Lee, Self-Organizing Neural Networks for
    the Identification Problem, 1988 (NIPS 1), whose structure criterion charges every parameter
    half the logarithm of the number of samples. Deliberate difference: the charge has a weight,
    since a parameter of today's networks carries far less; 1 is the criterion.

    Args:
        samples: number of labels to describe, at least 2.
        weight: share of the criterion's charge for size, at least 0.

    Raises: ValueError: a value is out of range.
    """

    names = ("validation_loss", "parameters")
    directions = ("min", "min")

    def __init__(self, samples: int = 1000, weight: float = 0.001) -> None:
        at_least("objective.samples", samples, 2, use=1000)
        at_least("objective.weight", weight, 0, use=0.001)
        self.samples, self.weight = samples, weight

    def reward(self, measurements: Mapping[str, float]) -> float:
        """Returns the negative description length in nats per label."""
        loss, parameters = self.values(measurements)
        return -(loss + self.weight * parameters / 2 * log(self.samples) / self.samples)

    def values(self, measurements: Mapping[str, float]) -> tuple[float, ...]:
        """Returns loss, at most that of a child that diverged, and parameters."""
        loss, parameters = super().values(measurements)
        return min(loss, WORST_LOSS), parameters


def _main_metric(task: Judge | None) -> str:
    return f"validation_{'accuracy' if task is None else task.metric}"
