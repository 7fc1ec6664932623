"""What children in flight cost the bank of `evaluation=inherited`: how good its children get.

    python benchmarks/bank_staleness.py --seeds 3

Random children of NAS-Bench-201's space on the digits, ten steps each, with 1, 4 and 8 in flight;
with 8 also by two other rules: a param is that of the child told last, or takes the whole change
of each. The search is the same whatever evaluates it (`evaluation.weight_bank`), so that one
process does. Three minutes per seed on a busy core.
"""

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch

from nas_lightning.core.scale import Scale
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits
from nas_lightning.evaluation import inherited
from nas_lightning.evaluation.by_training import Candidates
from nas_lightning.evaluation.inherited import Inherited
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.evaluation.weight_bank import Given, WeightBank, merged
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification

SPACE = NasBench201Space()
SCALE = Scale(4, 3, flavour="child", input_shape=(1, 8, 8), num_outputs=10)
CHILDREN = 48
RECIPE = {"steps": 10, "warmup": 4, "warmup_steps": 10}

Rule = Callable[[WeightBank, WeightBank, Given], WeightBank]


def last(bank: WeightBank, base: WeightBank, given: Given) -> WeightBank:
    """Returns a bank whose params are those of the child told last."""
    return merged(bank, bank, given)


def total(bank: WeightBank, base: WeightBank, given: Given) -> WeightBank:
    """Returns a bank whose params take the whole change of a child."""
    params = dict(bank.params)
    for name, tensor in given.state.items():
        is_param = name in given.names
        params[name] = bank.params[name] + tensor - base.params[name] if is_param else tensor
    return WeightBank(params)


ROWS: tuple[tuple[str, int, Rule], ...] = (
    ("mean", 1, merged),
    ("mean", 4, merged),
    ("mean", 8, merged),
    ("last", 8, last),
    ("total", 8, total),
)


def accuracies(seed: int, in_flight: int, rule: Rule) -> list[float]:
    """Returns the validation accuracies of the children of a search, in order."""
    inherited.merged = rule
    data = ImageDataModule(digits, seed=seed, batch_size=64)
    recipe = ChildRecipe(epochs=2, scale=SCALE)
    run = Candidates(SPACE, data, recipe, Classification(), Hardware().trainer)
    with TemporaryDirectory() as folder:
        evaluation = Inherited(replace(run, folder=Path(folder)), **RECIPE)
        journal = Journal(Path(folder) / "trials.jsonl")
        parts = RandomSearch(SPACE, seed, CHILDREN), evaluation, Accuracy(), journal
        trials, _ = run_trials(*parts, in_flight=in_flight)
    by_number = sorted(trials, key=lambda trial: trial.number)
    return [trial.measurements["validation_accuracy"] for trial in by_number]


def main() -> None:
    """Prints the mean accuracy of the first half and of the last quarter, over seeds."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    print("rule   in flight  first half  last quarter")
    for name, in_flight, rule in ROWS:
        rows = [accuracies(seed, in_flight, rule) for seed in seeds]
        first = fmean(fmean(row[: CHILDREN // 2]) for row in rows)
        end = fmean(fmean(row[-CHILDREN // 4 :]) for row in rows)
        print(f"{name:5}  {in_flight:9}  {first:10.3f}  {end:12.3f}", flush=True)


if __name__ == "__main__":
    main()
