import math

import pytest
import torch
from plain_context import SCALE, PlainContext, batch, one_shot
from planted_problem.spaces import PlantedLayers

from nas_lightning.core.choices import Choice
from nas_lightning.core.decisions import Decision
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.limited import cost_measure, limited
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space

ZERO = torch.zeros((), requires_grad=True)
OPS, SKIPS = ("a", "b", "c"), ("no", "yes")
INDEX = {"a": 0, "b": 1, "c": 2, "no": 0, "yes": 1}


class Drawable(SearchSpace):
    """A space of choices that has no networks."""

    def child(self, genotype, scale):
        raise NotImplementedError

    def graphs(self, genotype):
        return ()


SPACE = Drawable(
    "three",
    Scale(),
    [
        Choice("layer/op", OPS, "op", "layer"),
        Choice("next/op", OPS, "op", "next"),
        Choice("next/skip", SKIPS, "skip", "next"),
    ],
)
LAYER_CHOICES = [
    Choice("layer_1/op", OPS, "op", "layer_1"),
    Choice("layer_2/op", OPS, "op", "layer_2"),
    Choice("layer_2/skip_1", SKIPS, "skip", "layer_2"),
    Choice("layer_3/op", OPS, "op", "layer_3"),
    Choice("layer_3/skip_1", SKIPS, "skip", "layer_3"),
    Choice("layer_3/skip_2", SKIPS, "skip", "layer_3"),
]
GIVEN = {"layer_2/skip_1": (("layer_2/op", ("a",)),)}
LAYERS = Drawable(
    "layers",
    Scale(),
    LAYER_CHOICES,
    [Decision(c.name, c.options, c.kind, GIVEN.get(c.name, ())) for c in LAYER_CHOICES],
)
DRAWN = [
    Genotype.of("three", {"layer/op": "b", "next/op": "a", "next/skip": "yes"}),
    Genotype.of("three", {"layer/op": "c", "next/op": "c", "next/skip": "no"}),
]


def by_hand(controller, genotype):
    """Log-probabilities of all options of each decision, step by step."""
    h = c = torch.zeros(1, controller.start.shape[0])
    x, told = controller.start[None], []
    for name, options in (("layer/op", OPS), ("next/op", OPS), ("next/skip", SKIPS)):
        h, c = controller.cells[0](x, (h, c))
        role = f"{name.split('/')[1]}_{'_'.join(options)}"
        logits = 2.5 * torch.tanh(controller.heads[role](h) / 5.0)
        told.append(logits.log_softmax(dim=1)[0])
        picked = torch.tensor([options.index(genotype.mapping[name])])
        x = controller.embeddings[role](picked)
    return told


def chosen(told, genotype):
    picks = zip(told, genotype.mapping.items(), strict=True)
    index = {"layer/op": OPS, "next/op": OPS, "next/skip": SKIPS}
    return sum(logs[index[name].index(option)] for logs, (name, option) in picks)


def test_log_probabilities_are_those_of_the_lstm_step_by_step():
    strategy = one_shot("enas", SPACE)
    log_prob, entropy = strategy.controller.log_prob([g.mapping for g in DRAWN], [{}, {}])
    for index, genotype in enumerate(DRAWN):
        told = by_hand(strategy.controller, genotype)
        torch.testing.assert_close(log_prob[index], chosen(told, genotype))
        expected = -sum((logs.exp() * logs).sum() for logs in told)
        torch.testing.assert_close(entropy[index], expected)


def test_the_loss_is_reinforce_with_entropy_in_the_reward_and_a_baseline():
    """No earlier layer skips in, so there is no divergence either."""
    strategy = one_shot("enas", SPACE, entropy_weight=0.1, baseline_decay=0.9, skip_weight=0.5)
    rewards = [0.6, 0.2]
    loss = strategy.loss(DRAWN, rewards)
    baseline, terms = None, []
    for genotype, reward in zip(DRAWN, rewards, strict=True):
        told = by_hand(strategy.controller, genotype)
        entropy = -sum((logs.exp() * logs).sum().item() for logs in told)
        whole = reward + 0.1 * entropy
        baseline = whole if baseline is None else baseline
        baseline -= 0.1 * (baseline - whole)
        terms.append(-chosen(told, genotype) * (whole - baseline))
    expected = sum(terms) / 2
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    assert float(strategy.baseline) == pytest.approx(baseline)


def layers_by_hand(controller, chosen):
    """Log-probabilities of all options of each decision that is made, step by step.

    Args:
        controller: of `LAYERS`, with temperature 5 and tanh constant 2.5.
        chosen: what is decided.
    """
    state, x, anchors, told = None, controller.start[None], [], {}
    for layer in ("layer_1", "layer_2", "layer_3"):
        state = controller.cells[0](x, state)
        logits = 2.5 * torch.tanh(controller.heads["op_a_b_c"](state[0]) / 5.0)
        told[f"{layer}/op"] = logits.log_softmax(dim=1)[0]
        picked = torch.tensor([OPS.index(chosen[f"{layer}/op"])])
        x = controller.embeddings["op_a_b_c"](picked)
        skips = {f"{layer}/skip_{j}": anchor for j, anchor in enumerate(anchors, 1)}
        skips = {name: anchor for name, anchor in skips.items() if name in chosen}
        if skips:
            state = controller.cells[0](x, state)
            taken = [anchor for name, anchor in skips.items() if chosen[name] == "yes"]
            x = sum(taken, torch.zeros_like(x)) / (1 + len(taken))
        for name, anchor in skips.items():
            inner = controller.previous(anchor) + controller.current(state[0])
            limited = 2.5 * torch.tanh(controller.score(torch.tanh(inner)) / 5.0)
            told[name] = torch.cat([-2 * limited, 2 * limited], dim=1).sigmoid().log()[0]
        anchors.append(state[0])
    return told


def divergence(told):
    """Sum over the skips of how far they are from a share of 0.4."""
    pairs = [logs.exp() for name, logs in told.items() if "skip" in name]
    return sum(no * (no / 0.6).log() + yes * (yes / 0.4).log() for no, yes in pairs)


def test_the_divergence_is_summed_in_a_layer_and_its_mean_taken_over_layers_that_decide_skips():
    strategy = one_shot("enas", LAYERS, entropy_weight=0.0, skip_weight=0.5)
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in strategy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=noise))
    every = {"layer_1/op": "c", "layer_2/op": "a", "layer_2/skip_1": "yes", "layer_3/op": "a"}
    every |= {"layer_3/skip_1": "yes", "layer_3/skip_2": "no"}
    absent = {"layer_1/op": "a", "layer_2/op": "b", "layer_3/op": "c"}
    absent |= {"layer_3/skip_1": "no", "layer_3/skip_2": "yes"}
    told = [layers_by_hand(strategy.controller, chosen) for chosen in (every, absent)]
    log_probs = [
        sum(logs[INDEX[chosen[name]]] for name, logs in made.items())
        for chosen, made in zip((every, absent), told, strict=True)
    ]
    found, _ = strategy.controller.log_prob([every, absent], [{}, {}])
    torch.testing.assert_close(found, torch.stack(log_probs))
    loss = strategy.loss([LAYERS.genotype(every), LAYERS.genotype(absent)], [0.6, 0.6])
    of_two_layers, of_one = map(divergence, told)  # and equal rewards are the baseline: no gain
    torch.testing.assert_close(loss, 0.5 * (of_two_layers / 2 + of_one) / 2)


def test_a_skip_can_be_all_but_sure():
    strategy = one_shot("enas", LAYERS, temperature=1.0)
    with torch.no_grad():
        for parameter in strategy.parameters():
            parameter.fill_(1.0)
    taken = {f"layer_{n}/op": "a" for n in (1, 2, 3)}
    taken |= dict.fromkeys(("layer_2/skip_1", "layer_3/skip_1", "layer_3/skip_2"), "yes")
    log_prob, _ = strategy.controller.log_prob([taken], [{}])
    wanted = 3 * math.log(1 / 3) + 3 * math.log(1 / (1 + math.exp(-5.0)))
    assert log_prob.item() == pytest.approx(wanted, rel=1e-4)


def test_the_controller_learns_what_is_rewarded():
    space = PlantedLayers()
    strategy = one_shot("enas", space, steps=30, aggregate=5, skip_weight=0.0)
    context = PlainContext(strategy, space)
    context.optimizers["alpha"] = torch.optim.Adam(strategy.parameters(), 0.1, (0.0, 0.999))
    best = space.mixture(space.best())
    context.worth = best.weights / 11
    for epoch in range(2):
        strategy.finish_epoch(epoch, context, [batch()])
    share = (strategy.scores().weights * best.weights).sum() / 11
    assert share > 0.75  # a uniform policy has 0.36


def test_params_move_by_one_sample_and_the_controller_after_the_epoch_by_one_batch_a_step():
    strategy = one_shot("enas", steps=3, aggregate=2)
    context = PlainContext(strategy)
    strategy.search_step(batch(), batch(seed=2), context)
    assert [which for which, _, _ in context.taken] == ["params"]
    strategy.finish_epoch(0, context, [batch(), batch(seed=2)])
    assert [which for which, _, _ in context.taken] == ["params"] + ["alpha"] * 3
    assert len(context.validated) == 6
    assert all(how.batch_statistics for _, how in context.validated)


def test_epochs_of_the_controller_go_on_through_the_validation_batches():
    strategy, batches = one_shot("enas", steps=3, aggregate=2), [[n] for n in range(5)]
    context = PlainContext(strategy)
    seen = []
    context.validate = lambda mixture, parts, **how: float(seen.extend(parts) or 0.0)
    for epoch in range(3):
        strategy.finish_epoch(epoch, context, batches)
    assert seen[::2] == [[0], [1], [2], [3], [4], [0], [1], [2], [3]]
    assert seen[1::2] == seen[::2]


def test_a_search_without_validation_batches_is_refused():
    strategy = one_shot("enas")
    context = PlainContext(strategy)
    message = r"validation batches, of which there must be at least 1, got 0; hold samples out"
    with pytest.raises(ValueError, match=message):
        strategy.finish_epoch(0, context, ())
    with pytest.raises(ValueError, match=message):
        strategy.derive(context, ())


def test_what_the_controller_prefers_is_the_share_of_its_last_samples():
    strategy = one_shot("enas", steps=4, aggregate=5)
    context = PlainContext(strategy)
    strategy.finish_epoch(0, context, [batch()])
    expected = torch.stack([m.weights for m, _ in context.validated]).mean(dim=0)
    torch.testing.assert_close(strategy.scores().weights, expected)


def within(share, **settings):
    """Returns ENAS in a space within a limit that a share of children keep, and its context."""
    free = NasBench201Space()
    count = cost_measure(free, SCALE)
    sizes = sorted(count(free.sample(number))["parameters"] for number in range(100))
    space = limited(free, SCALE, {"parameters": sizes[int(share * 100)]})
    strategy = one_shot("enas", space, entropy_weight=0.0, **settings)
    return strategy, PlainContext(strategy, space)


def num_kept(strategy):
    draws = [strategy._sample(strategy.random()) for _ in range(100)]
    return sum(map(strategy.space.limits.keeps, draws))


def test_within_limits_that_many_keep_size_counts_for_nothing_in_itself():
    strategy, context = within(0.5, steps=5, aggregate=4)
    context.validate = lambda *_, **how: 0.5
    before = [parameter.clone() for parameter in strategy.parameters()]
    strategy.baseline.fill_(0.1)  # as where rewards rise and it lags
    strategy.finish_epoch(0, context, [batch()])
    for after, parameter in zip(strategy.parameters(), before, strict=True):
        torch.testing.assert_close(after, parameter, atol=1e-6, rtol=0.0)  # gains are rounded
    kept, beyond = strategy._drawn()
    assert (len(kept), beyond) == (4, [])
    assert all(map(strategy.space.limits.keeps, kept))


def test_where_few_keep_the_limits_samples_beyond_them_cost_their_excess_unmeasured():
    strategy, context = within(0.0, steps=1, aggregate=4)
    drawn, rewards, seen = [], [], []
    strategy.loss = lambda *parts: drawn.extend(parts[0]) or rewards.extend(parts[1]) or ZERO
    context.validate = lambda mixture, *_, **how: seen.append(mixture) or -3.0  # as r2 may be
    strategy.finish_epoch(0, context, [batch()])
    excess = [strategy.space.limits.excess(genotype) for genotype in drawn]
    assert rewards == [-3.0 - each for each in excess]
    assert len(seen) == 1 + excess.count(0.0) < 4  # one is the small child's
    assert float(strategy.baseline) == -3.0


def test_a_policy_that_exceeds_the_limits_learns_to_keep_them():
    strategy, context = within(0.05, steps=20, aggregate=10)
    context.optimizers["alpha"] = torch.optim.Adam(strategy.parameters(), 0.02, (0.0, 0.999))
    assert num_kept(strategy) < 15
    strategy.finish_epoch(0, context, [batch()])
    assert num_kept(strategy) > 25  # then rewards alone count
    assert all(strategy.space.limits.keeps(strategy._draw()) for _ in range(10))


def test_the_best_of_the_last_samples_is_found():
    strategy = one_shot("enas", samples=20)
    context = PlainContext(strategy)
    context.worth = torch.arange(24.0).view(6, 4)
    genotype = strategy.derive(context, [batch()])
    worths = [float((m.weights * context.worth).sum()) for m, _ in context.validated]
    found = (strategy.space.mixture(genotype).weights * context.worth).sum()
    assert float(found) == max(worths)
    assert not math.isnan(float(found))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"strategy.steps \(0\) must be at least 1; use e.g. 30"),
        ({"skip_target": 1.0}, r"skip_target \(1.0\) must be in \(0, 1\); use e.g. 0.4"),
        ({"entropy_weight": -1.0}, r"entropy_weight \(-1.0\) must be at least 0"),
        ({"op_tanh_constant": 0.0}, r"op_tanh_constant \(0.0\) must be above 0; use e.g. 2.5"),
        ({"tanh_constant": -1.0}, r"strategy.tanh_constant \(-1.0\) must be above 0; use e.g. 2.5"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("enas", **settings)
