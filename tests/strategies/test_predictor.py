"""The predictor: path encoding, ensemble, and Thompson's choice."""

from dataclasses import replace
from random import Random

import pytest
import torch

from nas_lightning.core.graph import Edge, Graph
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.predictor import MAX_PATHS, Predictor, features

SPACE = NasBench201Space()
BEST = SPACE.sample(Random(5)).mapping


def reward(genotype):
    return sum(genotype.mapping[name] == option for name, option in BEST.items()) / 6


def search(strategy, count):
    trials = []
    for number in range(count):
        trial = strategy.ask(number)
        trials.append(replace(trial, reward=reward(trial.genotype)))
        strategy.tell(trials[-1])
    return trials


def test_a_genotype_is_encoded_by_the_operations_on_each_path_to_the_output():
    edges = (Edge("in", "a", "conv"), Edge("in", "out", "skip"), Edge("a", "out", "pool"))
    found = features([Graph("cell", ("in", "a", "out"), edges)])
    assert found == {"cell:in>skip", "cell:in>conv>pool"}


def test_a_drawing_of_too_many_paths_is_encoded_by_its_edges():
    depth = MAX_PATHS.bit_length()
    nodes = tuple(map(str, range(depth + 1)))
    edges = [Edge(nodes[i], nodes[i + 1], op) for i in range(depth) for op in ("conv", "pool")]
    found = features([Graph("cell", nodes, tuple(edges))])
    assert len(found) == 2 * depth
    assert "cell:0>conv>1" in found


def test_the_ensemble_learns_the_rewards_and_doubts_what_it_has_not_seen():
    strategy = Predictor(SPACE, 0, 99, start=12, fit_steps=300)
    trials = search(strategy, 12)
    rewards = torch.tensor([t.reward for t in trials])
    mean, std = strategy.predict([t.genotype for t in trials], 12)
    assert torch.allclose(mean, (rewards - rewards.mean()) / rewards.std(), atol=0.1)
    fresh = [SPACE.sample(Random(100 + seed)) for seed in range(20)]
    assert strategy.predict(fresh, 12)[1].mean() > 3 * std.mean()


def test_the_networks_of_an_ensemble_differ_and_do_not_depend_on_the_global_generator():
    strategy = Predictor(SPACE, 0, 99, start=4)
    trials = search(strategy, 4)
    asked = [trials[0].genotype, SPACE.sample(Random(99))]
    first = strategy.predict(asked, 4)
    torch.manual_seed(5)
    again = strategy.predict(asked, 4)
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], strategy.predict(asked, 5)[0])


@pytest.mark.parametrize(("deviation", "is_greedy"), [(0.0, True), (100.0, False)])
def test_a_choice_is_the_best_of_one_draw_from_the_predictions(monkeypatch, deviation, is_greedy):
    strategy = Predictor(SPACE, 0, 99, start=2, batch=1)
    search(strategy, 2)
    best = []

    def predict(genotypes, number):
        means = torch.tensor([reward(g) for g in genotypes])
        best.append(float(means.max()))
        return means, torch.full_like(means, deviation)

    monkeypatch.setattr(strategy, "predict", predict)
    chosen = [reward(strategy._chosen(number)[0]) for number in range(2, 22)]
    assert (chosen == pytest.approx(best)) is is_greedy


def test_a_planted_genotype_is_found_sooner_than_by_chance():
    trials = search(Predictor(SPACE, 0, 99, start=10, fit_steps=50), 40)
    assert max(t.reward for t in trials) == 1.0  # by chance one draw in 15,625 is it


def test_nothing_is_chosen_twice():
    trials = search(Predictor(SPACE, 0, 99, start=4, fit_steps=5), 24)
    assert len({t.genotype for t in trials[4:]}) == 20


@pytest.mark.parametrize("name", ["start", "batch", "candidates", "ensemble", "hidden"])
def test_impossible_settings_are_refused(name):
    with pytest.raises(ValueError, match=rf"strategy\.{name} \(0\) must be at least [12]"):
        Predictor(SPACE, 0, **{name: 0})
