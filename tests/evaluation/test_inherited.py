"""Children inherit from a bank of weights, train and give back; a kill changes nothing."""

from dataclasses import replace
from functools import partial
from random import Random

import pytest
import torch
from bank_search import BATCH, QUICK, SCALE, SPACE, Kill, candidates, dies_before, same, search

from nas_lightning.core.genotype import Genotype
from nas_lightning.core.search_space import SearchSpace, inherit
from nas_lightning.core.strategy import Trial
from nas_lightning.evaluation import inherited
from nas_lightning.evaluation.by_training import EvaluationByTraining
from nas_lightning.evaluation.inherited import Inherited
from nas_lightning.evaluation.journal import Journal
from nas_lightning.evaluation.objectives import Accuracy
from nas_lightning.evaluation.trials import run_trials
from nas_lightning.evaluation.weight_bank import BankFolder, give_back
from nas_lightning.evaluation.zero_cost import ZeroCost
from nas_lightning.search_spaces.chain import ChainSpace
from nas_lightning.strategies.random_search import RandomSearch
from nas_lightning.strategies.successive_halving import SuccessiveHalving


@pytest.fixture(scope="module")
def run():
    return candidates()


def child(op, **others):
    names = [decision.name for decision in SPACE.decisions]
    changed = dict(zip(names, others.values(), strict=False))
    return SPACE.genotype(dict.fromkeys(names, op) | changed)


CONVOLUTIONS, POOLS = child("nor_conv_3x3"), child("avg_pool_3x3")


def figures(evaluation, genotypes):
    return [evaluated(evaluation, n, genotype)[0] for n, genotype in enumerate(genotypes)]


def evaluated(evaluation, number, genotype):
    """Evaluates and settles a trial, as a search does that trains one child at a time."""
    trial = Trial(number, genotype)
    result = evaluation.evaluate(trial, seed=number)
    evaluation.settle(trial, number, ())
    return result


def params(evaluation, version):
    return evaluation.versions.bank(version).params


def test_a_child_gives_back_what_it_inherited_and_moved_and_nothing_else():
    supernet, small = SPACE.supernet(SCALE), SPACE.child(CONVOLUTIONS, SCALE)
    params = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    inherit(small, params)
    with torch.no_grad():
        for param in small.parameters():
            param += 1
    give_back(small, params)
    own = dict(small.named_parameters())
    for name, before in supernet.state_dict().items():
        assert torch.equal(params[name], own.get(name, before)), name


def test_leading_channels_and_the_middle_of_kernels_are_given_back():
    space = ChainSpace(depths=(2,), heights=(1, 3), widths=(1, 3), filters=(2, 4))
    params = {n: torch.zeros_like(t) for n, t in space.supernet(SCALE).state_dict().items()}
    genotype = space.genotype({d.name: d.options[0] for d in space.decisions})
    small = space.child(genotype, SCALE)
    with torch.no_grad():
        for tensor in small.state_dict().values():
            tensor.fill_(1)
    give_back(small, params)
    again = space.child(genotype, SCALE)
    inherit(again, params)
    assert all(bool((tensor == 1).all()) for tensor in again.state_dict().values())
    assert sum(int(t.sum()) for t in params.values()) == sum(
        t.numel() for t in small.state_dict().values()
    )


def test_a_trained_child_moves_its_operations_in_the_bank_and_no_others(run):
    evaluation = Inherited(run, **QUICK | {"warmup": 0})
    figures(evaluation, [POOLS])
    evaluated(evaluation, 1, CONVOLUTIONS)
    before, after = params(evaluation, 1), params(evaluation, 2)
    own = SPACE.child(CONVOLUTIONS, SCALE).state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {name for name in own if not name.endswith("num_batches_tracked")}


def test_a_child_that_shares_an_operation_sees_that_it_was_trained(run):
    measured = Inherited(run, **QUICK | {"warmup": 0, "steps": 3})
    first, shared = figures(measured, [CONVOLUTIONS, child("nor_conv_3x3", a="skip_connect")])
    other = Inherited(run, **QUICK | {"warmup": 0, "steps": 3})
    _, unshared = figures(other, [POOLS, child("nor_conv_3x3", a="skip_connect")])
    assert shared["validation_loss"] < unshared["validation_loss"]
    assert set(first) == measured.measures()


def test_the_cost_counts_every_step_and_the_random_children_once(run):
    evaluation = Inherited(run, **QUICK)
    assert evaluation.samples_of(Trial(0, CONVOLUTIONS)) == (3 + 2) * BATCH
    _, first = evaluated(evaluation, 0, CONVOLUTIONS)
    assert evaluation.samples_of(Trial(1, POOLS)) == evaluation.samples() == 2 * BATCH
    _, second = evaluated(evaluation, 1, POOLS)
    assert (first.training_samples, second.training_samples) == (5 * BATCH, 2 * BATCH)
    assert (first.gradient_steps, second.gradient_steps) == (5, 2)
    assert (first.children_trained, second.children_trained) == (2, 1)
    assert 0 < second.wall_s == second.device_s


def test_inherited_params_learn_more_than_new_ones_in_as_many_steps(run):
    steps = 5  # one epoch
    new = EvaluationByTraining(run, replace(run.recipe, epochs=1))
    assert new.samples() == steps * BATCH
    evaluation = Inherited(run, steps=steps, warmup=8, warmup_steps=5)
    drawn = [SPACE.sample(Random(seed)) for seed in range(4)]
    theirs = figures(evaluation, drawn)
    own = [new.evaluate(Trial(0, g), seed=n)[0] for n, g in enumerate(drawn)]
    mean = lambda rows: sum(row["validation_accuracy"] for row in rows) / len(rows)  # noqa: E731
    assert mean(theirs) > mean(own) + 0.1


@pytest.mark.parametrize("statistics", ["recalibrated", "batch", "running"])
def test_each_kind_of_statistics_measures_without_moving_the_bank(run, statistics):
    evaluation = Inherited(run, **QUICK | {"statistics": statistics})
    (measured,) = figures(evaluation, [CONVOLUTIONS])
    other = Inherited(run, **QUICK)
    figures(other, [CONVOLUTIONS])
    assert 0 <= measured["validation_accuracy"] <= 1
    assert same(params(evaluation, 1), params(other, 1))


def test_a_bank_without_steps_stands_still_and_measures_alike_whenever_it_is_asked(run):
    evaluation = Inherited(run, **QUICK | {"steps": 0})
    first, _, again = figures(evaluation, [CONVOLUTIONS, POOLS, CONVOLUTIONS])
    assert first == again
    assert evaluation.samples() == 0


def test_a_child_that_diverges_is_worth_nothing_and_gives_nothing_back(run):
    recipe = replace(run.recipe, lr=1e30, clip=1e30)
    evaluation = Inherited(replace(run, recipe=recipe), **QUICK)
    (measured,) = figures(evaluation, [CONVOLUTIONS])
    assert (measured["validation_accuracy"], measured["diverged"]) == (0.0, 1.0)
    assert all(bool(t.isfinite().all()) for t in params(evaluation, 1).values())


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """A search that nothing interrupted."""
    return search(run, tmp_path_factory.mktemp("whole"))


later = partial(pytest.param, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("target", "name", "number"),
    [
        (inherited.ChildModule, "on_train_epoch_end", 1),  # among the random children
        later(BankFolder, "give", 1),  # a child is trained, and nobody knows
        later(inherited.ChildModule, "on_train_epoch_end", 4),  # in the middle of a child
        later(BankFolder, "write", 3),  # it gave back, and the bank does not know
        (Journal, "append", 6),  # the bank knows, the journal does not
    ],
)
def test_bank_and_journal_agree_after_a_kill(
    run, whole, tmp_path, monkeypatch, target, name, number
):
    with monkeypatch.context() as patch:
        dies_before(patch, target, name, number)
        with pytest.raises(Kill):
            search(run, tmp_path)
    events, bank, _ = search(run, tmp_path)
    assert events == whole[0]
    assert same(bank.params, whole[1].params)


def test_max_samples_counts_the_random_children(run, tmp_path):
    events, bank, _ = search(run, tmp_path, max_samples=(3 + 2 + 2) * BATCH)
    assert max(bank.moves.values()) == 2
    assert sum(event["training_samples"] or 0 for event in events) == 7 * BATCH


def test_lost_params_are_named_with_the_cure(run, tmp_path):
    evaluation = Inherited(replace(run, folder=tmp_path), **QUICK)
    with pytest.raises(ValueError, match=r"version 2 of the shared params must be in .* is lost"):
        evaluation.evaluate(Trial(2, POOLS), seed=0)
    evaluated(evaluation, 0, POOLS)
    with pytest.raises(ValueError, match="what the child of trial 1 gave back must be in"):
        evaluation.settle(Trial(1, POOLS), 1, ())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": -1}, r"evaluation\.steps \(-1\) must be at least 0"),
        ({"warmup": -1}, r"evaluation\.warmup \(-1\) must be at least 0"),
        ({"warmup_steps": 0}, r"evaluation\.warmup_steps \(0\) must be at least 1"),
        ({"recalibration": 0}, r"evaluation\.recalibration \(0\) must be at least 1"),
        ({"statistics": "own"}, r"unknown evaluation\.statistics 'own'; choose from: recalibrated"),
        ({"steps": 0, "warmup": 0}, r"evaluation\.warmup \(0\) must be at least 1 where"),
        ({"steps": 0, "statistics": "running"}, r"evaluation\.statistics \(running\) are those"),
    ],
)
def test_impossible_values_are_refused(run, values, message):
    with pytest.raises(ValueError, match=message):
        Inherited(run, **values)


class Alone(SearchSpace):
    """A space without a supernet."""

    def __init__(self):
        super().__init__("alone", SCALE, SPACE.choices)

    def child(self, genotype, scale):
        return SPACE.child(Genotype.of(SPACE.name, genotype.mapping), scale)

    def graphs(self, genotype):
        return ()


class Renamed(Alone):
    """A space whose children are no parts of its supernet."""

    def supernet(self, scale):
        return torch.nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Alone(), r"'alone' has no supernet, from which evaluation=inherited .*low_fidelity"),
        (Renamed(), r"needs children that are parts of the supernet, and one of search space"),
        (ChainSpace(strides=(1, 2)), r"needs a supernet: .*strides.*; or use evaluation=low_fid"),
    ],
)
def test_spaces_without_a_supernet_are_refused_before_any_work(run, space, message):
    with pytest.raises(ValueError, match=message):
        Inherited(replace(run, space=space))


def test_strategies_that_train_step_by_step_are_refused(run, tmp_path):
    strategy = SuccessiveHalving(SPACE, seed=0, proposer=RandomSearch)
    with pytest.raises(ValueError, match=r"which evaluation Inherited cannot; choose evaluation"):
        run_trials(strategy, Inherited(run), Accuracy(run.task), Journal(tmp_path / "t.jsonl"))


def test_a_filter_before_a_bank_is_refused(run):
    with pytest.raises(ValueError, match=r"evaluation\.then \(Inherited\) must judge every child"):
        ZeroCost(run, then=partial(Inherited))
