"""How rungs rank children: Kendall's tau against SciPy's, its interval, the cheapest rung."""

import math
from dataclasses import replace
from random import Random

import pytest
from scipy.stats import kendalltau, spearmanr

from nas_lightning.core.scale import Scale
from nas_lightning.data.module import ImageDataModule
from nas_lightning.data.sources import digits
from nas_lightning.evaluation.by_training import Candidates, FullTraining
from nas_lightning.evaluation.fidelity import agreements, cheapest, kendall, study_fidelity
from nas_lightning.evaluation.zero_cost import ZeroCost
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.training.child import ChildRecipe
from nas_lightning.training.hardware import Hardware
from nas_lightning.training.task import Classification

SPACE = NasBench201Space()
SCALE = Scale(2, 3, flavour="child", input_shape=(1, 8, 8), num_outputs=10)


@pytest.fixture(scope="module")
def run():
    data = ImageDataModule(digits, seed=0, batch_size=64, max_images=128)
    recipe = ChildRecipe(epochs=1, scale=SCALE)
    return Candidates(SPACE, data, recipe, Classification(), Hardware().trainer)


def made(full, **rungs):
    """Rows of a study: each rung is its scores and the samples per child."""
    columns = {"full": (full, 100)} | rungs
    rows = []
    for number in range(len(full)):
        row = {"genotype_id": str(number)}
        for name, (scores, samples) in columns.items():
            row |= {name: scores[number], f"{name}_samples": samples, f"{name}_s": 0.5}
        rows.append(row)
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_tau_and_spearman_are_scipys_with_ties_too(seed):
    rng = Random(seed)
    first, second = ([rng.randrange(6) for _ in range(15)] for _ in range(2))
    assert kendall(first, second) == pytest.approx(kendalltau(first, second).statistic, abs=1e-12)
    found = agreements(made(first, rung=(second, 1)), seed=0)["rung"]
    assert found["spearman"] == pytest.approx(spearmanr(first, second).statistic, abs=1e-12)


def test_a_child_that_diverged_is_the_worst_and_a_rung_without_order_has_no_tau():
    assert kendall([1.0, 2.0, -math.inf], [2.0, 3.0, -math.inf]) == pytest.approx(1)
    assert math.isnan(kendall([1, 2, 3], [5, 5, 5]))
    flat = agreements(made([1, 2, 3], flat=([5, 5, 5], 1)), seed=0)["flat"]
    assert math.isnan(flat["low"])


@pytest.mark.slow
def test_the_interval_covers_the_tau_of_many_draws_as_often_as_it_says():
    rng, covered, draws = Random(0), 0, 60
    for draw in range(draws):
        first = [rng.gauss(0, 1) for _ in range(25)]
        second = [x + rng.gauss(0, 1) for x in first]  # correlation 0.71: tau 0.5 (Greiner)
        found = agreements(made(first, rung=(second, 1)), seed=draw)["rung"]
        covered += found["low"] <= 0.5 <= found["high"]
    assert covered / draws > 0.85  # of 0.95, with a standard error of 0.03


def test_the_interval_depends_on_the_seed_alone():
    rows = made(list(range(8)), rung=([3, 1, 2, 0, 5, 4, 7, 6], 1))
    assert agreements(rows, seed=1) == agreements(rows, seed=1) != agreements(rows, seed=2)


def test_the_cheapest_rung_is_the_one_of_fewest_samples_above_tau():
    full = [1, 2, 3, 4]
    good, better, bad = ([1, 2, 4, 3], 10), ([1, 2, 3, 4], 50), ([4, 3, 2, 1], 0)
    found = agreements(made(full, better=better, good=good, bad=bad), seed=0)
    assert cheapest(found, 0.6) == "good"
    assert cheapest(found, 0.9) == "better"
    assert cheapest(agreements(made(full, bad=bad), seed=0), 0.6) is None


def test_a_study_has_a_row_per_child_and_takes_up_where_it_was(run, tmp_path):
    rungs = {"again": FullTraining(run)}
    rows = study_fidelity(run, rungs, tmp_path / "whole.csv", 3, 16, seed=0)
    assert (rows[0]["full_samples"], rows[0]["again_samples"], rows[0]["naswot_samples"]) == (
        64, 64, 0,
    )  # fmt: skip
    lines = (tmp_path / "whole.csv").read_text().splitlines(keepends=True)
    (tmp_path / "part.csv").write_text("".join(lines[:2]) + lines[2][:20])
    resumed = study_fidelity(run, rungs, tmp_path / "part.csv", 3, 16, seed=0)
    timeless = [{k: v for k, v in row.items() if not k.endswith("_s")} for row in rows]
    assert [{k: row[k] for k in timeless[0]} for row in resumed] == timeless


@pytest.mark.parametrize(
    ("children", "name", "message"),
    [
        (2, "again", r"children \(2\) must be in \[3, 15625\]; use e\.g\. 20"),
        (3, "synflow", r"rungs\.synflow is the name of another rung"),
        (3, "full", r"rungs\.full is the name of another rung"),
    ],
)
def test_impossible_studies_are_refused(run, tmp_path, children, name, message):
    rungs = {name: FullTraining(run)}
    with pytest.raises(ValueError, match=message):
        study_fidelity(run, rungs, tmp_path / "rows.csv", children, 16, seed=0)


def test_a_rung_that_does_not_measure_the_metric_is_refused(run, tmp_path):
    rungs = {"mine": ZeroCost(replace(run), "naswot", batch_size=16)}
    message = r"rungs\.mine \(ZeroCost\) must measure 'validation_accuracy', it has: multiply_adds"
    with pytest.raises(ValueError, match=message):
        study_fidelity(run, rungs, tmp_path / "rows.csv", 3, 16, seed=0)
