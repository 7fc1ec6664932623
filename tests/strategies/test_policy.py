"""Policies are distributions: normalised, drawn from as they say, and differentiable."""

import math
from collections import Counter
from itertools import product
from random import Random

import pytest
import torch

from nas_lightning.core.decisions import Decision, canonical
from nas_lightning.strategies.controller import Controller
from nas_lightning.strategies.policy import IndependentPolicy

SKIPS = ("no", "yes")
CHAIN = (
    Decision("depth", ("1", "2", "3"), "size"),
    Decision("layer_1/width", ("1", "3"), "size"),
    Decision("layer_2/width", ("1", "3"), "size", (("depth", ("2", "3")),)),
    Decision("layer_2/skip_1", SKIPS, "skip", (("depth", ("2", "3")),)),
    Decision("layer_3/width", ("1", "3"), "size", (("depth", ("3",)),)),
    Decision("layer_3/skip_1", SKIPS, "skip", (("depth", ("3",)),)),
    Decision("layer_3/skip_2", SKIPS, "skip", (("depth", ("3",)),)),
)
LSTM = {"hidden": 7, "layers": 2, "init_range": 0.9}
LIMITS = {"tanh_constant": 1.1, "temperature": 2.0}


def all_chosen():
    """Every genotype of the chain."""
    found = []
    for options in product(*((*d.options, None) for d in CHAIN)):
        chosen = {d.name: o for d, o in zip(CHAIN, options, strict=True) if o is not None}
        try:
            found.append(canonical(CHAIN, chosen))
        except ValueError:
            continue
    return found


EVERY = all_chosen()


def spread(policy):
    """The policy with other parameters, so that it is far from uniform."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return policy.double()


POLICIES = {
    "independent": lambda: spread(IndependentPolicy(CHAIN, 0)),
    "controller": lambda: spread(Controller(CHAIN, 0, **LSTM)),
    "enas": lambda: spread(Controller(CHAIN, 0, **LSTM, **LIMITS, enas_skips=True)),
}


@pytest.fixture(params=POLICIES)
def policy(request):
    return POLICIES[request.param]()


def log_probs(policy, allowed=None):
    return policy.log_prob(EVERY, [allowed or {}] * len(EVERY))


def test_the_probabilities_of_all_genotypes_sum_to_one(policy):
    assert len(EVERY) == 2 + 8 + 64
    assert log_probs(policy)[0].exp().sum().item() == pytest.approx(1.0, abs=1e-9)


def test_what_is_closed_has_no_probability(policy):
    allowed = {"depth": ("1", "2")}
    found = log_probs(policy, allowed)[0].exp()
    deep = torch.tensor([chosen["depth"] == "3" for chosen in EVERY])
    assert found[deep].sum().item() == pytest.approx(0.0, abs=1e-9)
    assert found[~deep].sum().item() == pytest.approx(1.0, abs=1e-9)
    draws = {policy.sample(Random(n), allowed)["depth"] for n in range(60)}
    assert draws == {"1", "2"}


def test_draws_are_as_likely_as_the_policy_says(policy):
    draws, count = Counter(), 250
    rng = Random(0)
    for _ in range(count):
        draws[tuple(policy.sample(rng, {}).items())] += 1
    wanted = log_probs(policy)[0].exp().tolist()
    found = [draws[tuple(chosen.items())] for chosen in EVERY]
    assert sum(found) == count
    big = [(f, count * w) for f, w in zip(found, wanted, strict=True) if count * w >= 5]
    chi = sum((f - w) ** 2 / w for f, w in big)
    assert chi < len(big) + 5 * math.sqrt(2 * len(big))  # five standard deviations


def test_the_entropy_is_that_of_the_decisions_on_the_way(policy):
    log_prob, entropy = log_probs(policy)
    weights = log_prob.exp()
    whole = -(weights * log_prob).sum()
    assert (weights * entropy).sum().item() == pytest.approx(whole.item(), rel=1e-9)


def test_the_score_estimator_is_the_gradient_of_the_expected_reward(policy):
    rewards = torch.rand(len(EVERY), generator=torch.Generator().manual_seed(2)).double()
    parameters = list(policy.parameters())
    log_prob, _ = log_probs(policy)
    expected = (log_prob.exp() * rewards).sum()
    exact = torch.autograd.grad(expected, parameters, allow_unused=True)
    log_prob, _ = log_probs(policy)
    baseline = 0.4
    surrogate = (log_prob.exp().detach() * (rewards - baseline) * log_prob).sum()
    score = torch.autograd.grad(surrogate, parameters, allow_unused=True)
    for one, other in zip(exact, score, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, atol=1e-10)


def test_a_batch_is_the_same_as_one_after_the_other(policy):
    together, _ = log_probs(policy)
    alone = torch.cat([policy.log_prob([chosen], [{}])[0] for chosen in EVERY])
    assert torch.allclose(together, alone, atol=1e-12)


@pytest.mark.parametrize(("enas_skips", "factor"), [(False, 1), (True, 2)])
def test_a_skip_is_decided_by_attention_to_the_anchor_point(enas_skips, factor):
    """Zoph & Le's equation: P(j feeds i) = sigmoid(v^T tanh(W_prev h_j + W_curr h_i)).

    The softmax of ENAS's logits [-q, q] has twice its log-odds.
    """
    decisions = (
        Decision("layer_1/width", ("1",), "size"),
        Decision("layer_2/width", ("3",), "size"),
        Decision("layer_2/skip_1", SKIPS, "skip"),
    )
    settings = {"hidden": 5, "layers": 1, "init_range": 0.9}
    controller = spread(Controller(decisions, 0, **settings, enas_skips=enas_skips))
    cell, x = controller.cells[0], controller.start[None]
    state, anchors = None, []
    for role in ("width_1", "width_3"):
        state = cell(x, state)
        anchors.append(state[0])
        x = controller.embeddings[role.replace("_", "_")](torch.tensor([0]))
    hidden, _ = cell(x, state)
    inner = anchors[0] @ controller.previous.weight.T + hidden @ controller.current.weight.T
    log_odds = factor * torch.tanh(inner) @ controller.score.weight.T
    wanted = torch.sigmoid(log_odds).item()
    chosen = {"layer_1/width": "1", "layer_2/width": "3", "layer_2/skip_1": "yes"}
    found = controller.log_prob([chosen], [{}])[0].exp().item()
    assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("enas_skips", [False, True])
def test_an_inactive_decision_takes_no_step(enas_skips):
    wide = (("layer_1/width", ("3",)),)
    decisions = (
        Decision("layer_1/width", ("1", "3"), "size"),
        Decision("layer_2/width", ("1", "3"), "size", wide),
        Decision("layer_2/skip_1", SKIPS, "skip", wide),
        Decision("layer_3/width", ("1", "3"), "size"),
        Decision("layer_3/skip_1", SKIPS, "skip"),
    )
    whole = spread(Controller(decisions, 0, **LSTM, enas_skips=enas_skips))
    without = Controller([d for d in decisions if not d.given], 0, **LSTM, enas_skips=enas_skips)
    without.double().load_state_dict(whole.state_dict())
    narrow = {"layer_1/width": "1", "layer_3/width": "3", "layer_3/skip_1": "yes"}
    full = {**narrow, "layer_1/width": "3", "layer_2/width": "1", "layer_2/skip_1": "yes"}
    found = [values[:1] for values in whole.log_prob([narrow, full], [{}, {}])]
    torch.testing.assert_close(found, list(without.log_prob([narrow], [{}])))


def test_decisions_of_the_same_role_share_their_softmax():
    assert set(Controller(CHAIN, 0).heads) == {"depth_1_2_3", "width_1_3"}


def test_decisions_have_softmaxes_of_their_own_on_wish():
    own = Controller(CHAIN, 0, shared_heads=False)
    assert len(own.heads) == sum(len(step.decisions) for step in own.steps if not step.sources)
    assert set(own.embeddings) == set(Controller(CHAIN, 0).embeddings)
    rng = Random(0)
    drawn = [own.sample(rng, {}) for _ in range(3)]
    log_prob, entropy = own.log_prob(drawn, [{}] * 3)
    assert torch.isfinite(log_prob).all()
    assert (entropy > 0).all()


def test_limited_logits_bound_the_probabilities():
    decision = Decision("op", ("a", "b"), "op")
    controller = Controller((decision,), 0, init_range=50.0, tanh_constant=0.5)
    found = controller.log_prob([{"op": "a"}], [{}])[0].exp().item()
    assert 1 / (1 + math.exp(1)) <= found <= 1 / (1 + math.exp(-1))


def test_logits_of_operations_have_a_limit_of_their_own():
    decisions = (Decision("op", ("a", "b"), "op"), Decision("input", ("0", "1"), "input"))
    limits = {"tanh_constant": 1.1, "op_tanh_constant": 0.44}
    controller = Controller(decisions, 0, layers=1, init_range=0.1, **limits)
    with torch.no_grad():
        for head in controller.heads.values():
            head.bias.copy_(torch.tensor([-100.0, 100.0]))
    found = controller.log_prob([{"op": "b", "input": "1"}], [{}])[0].exp().item()
    sure = [1 / (1 + math.exp(-2 * limit)) for limit in (0.44, 1.1)]
    assert found == pytest.approx(math.prod(sure), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("hidden", "at least 1; use e.g. 35"),
        ("layers", "at least 1; use e.g. 2"),
        ("init_range", "above 0; use e.g. 0.1"),
        ("temperature", "above 0; use e.g. 1.0"),
    ],
)
def test_a_controller_without_size_is_refused(name, rule):
    with pytest.raises(ValueError, match=rf"strategy.{name} \(0\) must be {rule}"):
        Controller(CHAIN, 0, **{name: 0})
