"""Tabular evaluation: a child's figures are looked up instead of measured.

Source: Dong & Yang, NAS-Bench-201, 2020 (arXiv:2001.00326), section 3.
"""

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation.evaluation import Evaluation, trained_epochs
from nas_lightning.evaluation.synthetic import SYNTHETIC, synthetic_table
from nas_lightning.evaluation.table_file import read_table
from nas_lightning.training.cost_meter import CostMeter

__all__ = ["TabularEvaluation"]

SIZE_COLUMNS = {"parameters": "params", "multiply_adds": "flops"}
FINAL = {"validation_accuracy": "val", "test_accuracy": "test"}

Columns = dict[str, list[float]]  # lists, of which single values are read faster than of arrays


class TabularEvaluation(Evaluation):
    """Looks a child up in a benchmark table; a trial takes no time worth counting.

    The time that its training took is measured as "train_time_s"; of a trial with a parent, the
    time since the parent's end. A budget buys its share of `epochs`, which must be a schedule of
    the table. Only nas-benchmark reads the test columns, after a search.

    Args:
        data_name: the data set of the run.
        table: a packaged table, "synthetic", or the path of a .npz or CSV file.
        data: data set in the table's columns; null takes the run's.
        epochs: the schedule of a whole budget, whose validation accuracy is looked up.

    Raises: ValueError: the table cannot be read, does not fit the space, or lacks a column.
    """

    takes_budgets = True

    def __init__(
        self,
        space: SearchSpace,
        data_name: str | None = None,
        table: str = "nasbench201",
        data: str | None = None,
        epochs: int = 12,
    ) -> None:
        is_synthetic = table == SYNTHETIC
        self.table = synthetic_table(space) if is_synthetic else read_table(table, space)
        self.data, self.epochs = data or str(data_name), epochs
        lengths = self.table.lengths(self.data)
        if epochs not in lengths:
            raise ValueError(
                f"evaluation.epochs ({epochs}) must be a schedule of table '{table}' for "
                f"{self.data}: {', '.join(map(str, lengths))}"
            )
        named = {name: f"{self.data}_{column}" for name, column in SIZE_COLUMNS.items()}
        self._sizes = {name: c for name, c in named.items() if c in self.table.columns}
        self._schedules: dict[int, Columns] = {}
        self._finals: dict[str, Columns] = {}
        self._schedule(1.0)

    def measures(self) -> frozenset[str]:
        """Returns validation accuracy, training time, and the sizes that the table has."""
        return frozenset({"validation_accuracy", "train_time_s", *self._sizes})

    def evaluate(self, trial: Trial, seed: int) -> tuple[dict[str, float], CostMeter]:
        """Returns a row of the table, accuracies as shares; it costs nothing."""
        row = self.table.row(trial.genotype)
        values = {name: column[row] for name, column in self._schedule(trial.budget).items()}
        if trial.start > 0:
            values["train_time_s"] -= self._schedule(trial.start)["train_time_s"][row]
        return values, CostMeter()

    def samples(self, budget: float = 1.0) -> int:
        """Returns 0: nothing is trained."""
        return 0

    def check_budget(self, budget: float) -> None:
        """Refuses a budget for which the table has no schedule."""
        self._schedule(budget)

    def final(self, genotype: Genotype, data: str) -> dict[str, float]:
        """Returns "validation_accuracy" and "test_accuracy", shares, after the longest schedule."""
        row = self.table.row(genotype)
        return {name: column[row] for name, column in self._final(data).items()}

    def optimum(self, data: str) -> float:
        """Returns the best test accuracy in the table, a share in [0, 1]."""
        return max(self._final(data)["test_accuracy"])

    def _final(self, data: str) -> Columns:
        if data not in self._finals:
            epochs = self.table.lengths(data)[-1]
            self._finals[data] = {
                name: self.table.accuracies(f"{data}_{part}_{epochs}").tolist()
                for name, part in FINAL.items()
            }
        return self._finals[data]

    def _schedule(self, budget: float) -> Columns:
        """Returns the columns of the schedule that a budget buys."""
        epochs = trained_epochs(budget, self.epochs)
        if epochs not in self._schedules:
            if epochs not in self.table.lengths(self.data):
                raise ValueError(self._budget_refusal(epochs, budget))
            table, data = self.table, self.data
            self._schedules[epochs] = {
                "validation_accuracy": table.accuracies(f"{data}_val_{epochs}").tolist(),
                "train_time_s": table.seconds(data, epochs).tolist(),
                **{name: table.numbers(column).tolist() for name, column in self._sizes.items()},
            }
        return self._schedules[epochs]

    def _budget_refusal(self, epochs: int, budget: float) -> str:
        lengths = self.table.lengths(self.data)
        short, long = lengths[0], lengths[-1]
        cure = (
            f"choose budgets that meet them, e.g. evaluation.epochs={long} "
            f"strategy.eta={round(long / short)} strategy.rungs=2"
        )
        return (
            f"a trial's budget ({budget:.4g} of evaluation.epochs={self.epochs}) buys {epochs} "
            f"epoch{'' if epochs == 1 else 's'}, and table '{self.table.name}' has only "
            f"{', '.join(map(str, lengths))} for {self.data}: "
            f"{cure if long > short else 'choose a strategy without budgets'}"
        )
