"""The verdict: seldom wrong of random children however often one looks, and sure of found ones."""

import numpy as np
import pytest

from nas_lightning.benchmark.simulation import simulate
from nas_lightning.core.seeding import keyed_seed
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.tabular import TabularEvaluation
from nas_lightning.evaluation.verdict import Verdict, decide
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.evolution import Evolution

SPACE = NasBench201Space()
MOST = 100  # random children of a search


@pytest.fixture(scope="module")
def evaluation():
    return TabularEvaluation(SPACE, data="cifar10", epochs=200)


@pytest.fixture(scope="module")
def table(evaluation):
    return evaluation.table.accuracies("cifar10_test_200")


def shares(found, table):
    """Returns by answer its share of searches, each looked at after every random child."""
    answers = []
    for seed, figure in enumerate(found):
        others = np.random.default_rng(keyed_seed(seed, "others")).choice(table, MOST).tolist()
        looks = (Verdict(figure, others[:number]).answer for number in range(1, MOST + 1))
        answers.append(next((answer for answer in looks if answer != "undecided"), "undecided"))
    return {answer: answers.count(answer) / len(answers) for answer in set(answers)}


def test_of_1000_random_children_taken_for_found_at_most_5_percent_are_called_worth_it(table):
    ranks = (np.arange(1000) + np.random.default_rng(0).random(1000)) / 1000  # one of each stratum
    answers = shares(np.quantile(table, ranks, method="inverted_cdf"), table)
    assert answers["worth it"] <= 0.05
    assert answers["not worth it"] >= 0.8


def test_of_random_children_at_most_5_percent_are_ever_called_worth_it():
    open_to, alarms = {0: 1.0}, 0.0  # by wins the probability of being undecided so far
    for looks in range(1, 201):
        after = dict.fromkeys(range(looks + 1), 0.0)
        for wins, chance in open_to.items():
            after[wins + 1] += chance * (wins + 1) / (looks + 1)  # its rank so far is uniform
            after[wins] += chance * (looks - wins) / (looks + 1)
        given = {wins: decide(wins, looks - wins) for wins in after}
        alarms += sum(after[wins] for wins in after if given[wins] == "worth it")
        open_to = {wins: after[wins] for wins in after if given[wins] == "undecided"}
    assert 0.04 < alarms <= 0.05


@pytest.mark.parametrize(
    ("quantile", "answer", "least"),
    [(0.5, "not worth it", 0.99), (0.8, "not worth it", 0.95), (0.99, "worth it", 0.85),
     (0.999, "worth it", 0.98)],
)  # fmt: skip
def test_a_child_at_a_quantile_of_the_table_is_judged_right(table, quantile, answer, least):
    found = [float(np.quantile(table, quantile))] * 200
    assert shares(found, table).get(answer, 0) >= least


def test_what_evolution_finds_in_200_trials_is_worth_it(evaluation, table):
    searches = (Evolution(SPACE, seed, 200, 20, 5) for seed in range(40))
    found = [simulate(each, evaluation, Accuracy(), None).best for each in searches]
    figures = [table[evaluation.table.row(genotype)] for genotype in found]
    assert shares(figures, table)["worth it"] >= 0.9


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([0.8], ("undecided", 1, 1, 23)),
        ([0.9], ("undecided", 1, 0, 1)),  # a tie is no win
        ([0.95, 0.9], ("not worth it", 2, 0, 0)),
        ([0.8] * 23, ("undecided", 23, 23, 1)),
        ([0.8] * 24, ("worth it", 24, 24, 0)),
        ([0.95] + [0.8] * 80, ("worth it", 81, 80, 0)),
        ([0.95] + [0.8] * 19, ("undecided", 20, 19, None)),  # at 1 of 20 it stays so
    ],
)
def test_it_says_how_many_more_children_would_decide(others, told):
    content = Verdict(0.9, others).as_dict()
    assert tuple(content[k] for k in ("answer", "children", "wins", "more_children")) == told


def test_the_metrics_direction_counts():
    assert Verdict(1.0, [2.0] * 24, higher_is_better=False).answer == "worth it"
    assert Verdict(2.0, [1.0] * 2, higher_is_better=False).as_dict()["difference"] == -1.0


def test_the_interval_of_the_win_share_is_robbins():
    low, high = Verdict(0.5, [0.0] * 7 + [1.0] * 3).as_dict()["win_share"]
    binomial = [120 * p**7 * (1 - p) ** 3 for p in (low, high)]
    assert binomial == pytest.approx([1 / (20 * 11)] * 2, rel=1e-4)
    assert low < 0.7 < high


def test_the_interval_of_the_difference_needs_eight_children():
    assert Verdict(0.9, [0.8] * 7).as_dict()["interval"] == [None, None]
    others = [0.1 * n for n in range(8)]
    assert Verdict(0.9, others).as_dict()["interval"] == pytest.approx([0.2, 0.9])


def test_the_intervals_hold_at_all_times_with_95_percent():
    rng = np.random.default_rng(0)
    missed = {"win_share": 0, "interval": 0}
    for _ in range(300):
        others = rng.random(60).tolist()  # a child of figure 0.7: win share 0.7, median 0.2 below
        looks = [Verdict(0.7, others[:number]) for number in range(8, 61, 4)]
        for name, true in (("win_share", 0.7), ("interval", 0.2)):
            ends = (getattr(look, name) for look in looks)
            missed[name] += any(not low <= true <= high for low, high in ends)
    assert max(missed.values()) <= 0.05 * 300
