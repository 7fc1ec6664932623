"""The main metric of a run: its name, its direction, and how its values are written."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

__all__ = [
    "PATH_REMARK",
    "MainMetric",
    "input_word",
    "metric_of",
    "network_name",
    "number_at",
    "rewards_differ",
    "space_words",
]

PATH_REMARK = "with the shared weights, before its own training"  # why one path alone is so low


@dataclass(frozen=True)
class MainMetric:
    """What judges the networks of a run.

    Attributes:
        name: e.g. "accuracy" or "rmse".
        is_higher_better: whether higher values are better.
        is_share: whether it and its companions are shares in [0, 1], shown in percent.
    """

    name: str = "accuracy"
    is_higher_better: bool = True
    is_share: bool = True

    @property
    def words(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ")

    def text(self, value: object) -> str:
        """Returns a value as people read it, a dash for anything but a finite number.

        >>> MainMetric().text(0.98333), MainMetric("rmse", False, False).text(3.14159)
        ('98.33 %', '3.142')
        """
        if not isinstance(value, int | float) or not isfinite(value):
            return "-"
        return f"{100 * value:.2f} %" if self.is_share else f"{value:,.4g}"


def metric_of(result: Mapping[str, Any]) -> MainMetric:
    """Returns the main metric of a result, accuracy where it names none."""
    metric = result.get("metric")
    if not isinstance(metric, Mapping):
        return MainMetric()
    return MainMetric(metric["name"], metric["higher_is_better"], metric["is_share"])


def network_name(key: str) -> str:
    """Returns a baseline of a result, or another network beside it, as people read it.

    >>> network_name("random_genotype"), network_name("logistic_regression")
    ('random genotype, trained alike', 'logistic regression')
    """
    name = "ResNet" if key == "resnet" else key.replace("_", " ")
    return name + (", trained alike" if key in ("random_genotype", "resnet") else "")


def rewards_differ(result: Mapping[str, Any]) -> bool:
    """Returns whether a search went by rewards that are not its main metric, e.g. by size too."""
    is_searched_for = "reward" in (result.get("search") or {})
    return is_searched_for and result.get("objective") not in (None, "accuracy")


def input_word(result: Mapping[str, Any]) -> str:
    """Returns what one input of a run is called, by its shape; "input" where a result tells none.

    >>> input_word({"input_shape": [1, 8, 8]}), input_word({"input_shape": [3]})
    ('image', 'row')
    """
    dimensions = len(result.get("input_shape") or ())
    return {1: "row", 2: "signal", 3: "image"}.get(dimensions, "input")


def space_words(name: str, own: str | None) -> str:
    """Returns a space's name, with what builds it where that is a user's own.

    >>> space_words("custom", "my_net.Net"), space_words("darts", None)
    ('custom (my_net.Net)', 'darts')
    """
    return name if own is None else f"{name} ({own.removesuffix('()')})"


def number_at(content: object, *path: str) -> float | None:
    """Returns the finite number that nested mappings hold under these keys; None without one.

    >>> number_at({"child": {"test_accuracy": 1}}, "child", "test_accuracy")
    1.0
    """
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    is_number = isinstance(content, int | float) and isfinite(content)
    return float(content) if is_number else None  # type: ignore[arg-type]
