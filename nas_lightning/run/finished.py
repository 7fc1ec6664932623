"""A finished run as an object: what was found, the trained child, tables and figures."""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas
from altair.typing import ChartType

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.deployment.load import LoadedChild, load_child
from nas_lightning.reports.charts import figures
from nas_lightning.reports.metric import metric_of

__all__ = ["FinishedRun"]


@dataclass(frozen=True)
class FinishedRun:
    """What a run left in its folder; a notebook shows its report.

    `space` is the search space where it was given as an object; `is_own` says that this process
    started the run, so that the code which its folder names is the caller's.
    """

    folder: Path
    space: SearchSpace | None = None
    is_own: bool = False

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of result.json: figures, cost, versions."""
        content: dict[str, Any] = json.loads(self._text("result.json"))
        return content

    @cached_property
    def genotype(self) -> Genotype:
        """What was found or trained; a notebook draws it."""
        genotype = Genotype.from_json(self._text("genotype.json"))
        return replace(genotype, drawing=self._text("genotype.svg"))

    @cached_property
    def child(self) -> LoadedChild:
        """The trained child, a torch module in eval mode with `predict` and `classify`.

        Raises: ValueError: the run has trained none.
        """
        return load_child(self.folder, self.space, trust=self.is_own)

    def __str__(self) -> str:
        """Returns the folder, what was found, and the child's test figure, in one line."""
        result, metric = self.result, metric_of(self.result)
        space, child = result["space"], result["child"]
        words = [f"run in {self.folder}: genotype {result['genotype_id']} of space {space}"]
        if child is not None:
            figure = metric.text(child[f"test_{metric.name}"])
            words += [f"child test {metric.words} {figure}", f"{child['parameters']:,} parameters"]
        return ", ".join(words)

    @property
    def alphas(self) -> pandas.DataFrame:
        """Weights by epoch, group, choice and option; empty for a black-box search."""
        return self._table("alphas.csv")

    @property
    def trials(self) -> pandas.DataFrame:
        """A row per trial of a black-box search: reward, measurements, cost; else empty."""
        is_there = (self.folder / "trials.jsonl").is_file()
        lines = self._text("trials.jsonl").splitlines() if is_there else []
        told = [event for event in map(json.loads, lines) if event["event"] == "told"]
        return pandas.json_normalize(told).drop(columns="event", errors="ignore")

    @property
    def metrics(self) -> pandas.DataFrame:
        """Every logged metric of the search, a row per epoch or trial; else empty."""
        return self._table("metrics.csv")

    @property
    def child_metrics(self) -> pandas.DataFrame:
        """Every logged metric of the child's training, a row per epoch; else empty."""
        return self._table("child/metrics.csv")

    @property
    def figures(self) -> dict[str, ChartType]:
        """The report's charts by name."""
        return figures(self.folder)

    def _repr_html_(self) -> str:
        report = escape(self._text("report.html"), quote=True)
        return f'<iframe srcdoc="{report}" width="100%" height="700"></iframe>'

    def _table(self, name: str) -> pandas.DataFrame:
        path = self.folder / name
        return pandas.read_csv(path) if path.is_file() else pandas.DataFrame()

    def _text(self, name: str) -> str:
        return (self.folder / name).read_text("utf-8")
