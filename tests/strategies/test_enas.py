import math

import pytest
import torch
from plain_context import PlainContext, batch, one_shot

from nas_lightning.core.choices import Choice
from nas_lightning.core.genotype import Genotype
from nas_lightning.core.scale import Scale
from nas_lightning.core.search_space import SearchSpace
from nas_lightning.search_spaces.planted import PlantedLayers

OPS, SKIPS = ("a", "b", "c"), ("no", "yes")


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
LAYERS = Drawable(
    "layers",
    Scale(),
    [
        Choice("layer_1/op", OPS, "op", "layer_1"),
        Choice("layer_2/op", OPS, "op", "layer_2"),
        Choice("layer_2/skip_1", SKIPS, "skip", "layer_2"),
        Choice("layer_3/op", OPS, "op", "layer_3"),
        Choice("layer_3/skip_1", SKIPS, "skip", "layer_3"),
        Choice("layer_3/skip_2", SKIPS, "skip", "layer_3"),
    ],
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


def layers_by_hand(controller, bits):
    """Log-probability of a network of op a, and P(skip) of each of its skips.

    Args:
        controller: of `LAYERS`, with temperature 5 and tanh constant 2.5.
        bits: whether each layer's skips are taken, from the second layer on.
    """
    state, x, anchors, log_prob, shares = None, controller.start[None], [], 0.0, []
    for layer_bits in ((), *bits):
        state = controller.cells[0](x, state)
        logits = 2.5 * torch.tanh(controller.heads["op_a_b_c"](state[0]) / 5.0)
        log_prob = log_prob + logits.log_softmax(dim=1)[0, 0]
        x, taken = controller.embeddings["op_a_b_c"](torch.tensor([0])), 0.0
        if layer_bits:
            state = controller.cells[0](x, state)
        for bit, anchor in zip(layer_bits, anchors, strict=True):
            inner = controller.previous(anchor) + controller.current(state[0])
            limited = 2.5 * torch.tanh(controller.score(torch.tanh(inner)) / 5.0)
            shares.append(torch.sigmoid(2 * limited).squeeze())
            log_prob = log_prob + (shares[-1] if bit else 1 - shares[-1]).log()
            taken = taken + bit * anchor
        if layer_bits:
            x = taken / (1 + sum(layer_bits))
        anchors.append(state[0])
    return log_prob, shares


def test_the_divergence_is_summed_in_a_layer_and_its_mean_taken_over_layers_with_skips():
    strategy = one_shot("enas", LAYERS, skip_weight=0.5)
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in strategy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=noise))
    chosen = {f"layer_{n}/op": "a" for n in (1, 2, 3)}
    chosen |= {"layer_2/skip_1": "yes", "layer_3/skip_1": "yes", "layer_3/skip_2": "no"}
    genotype = Genotype.of("layers", chosen)
    log_prob, shares = layers_by_hand(strategy.controller, ((1,), (1, 0)))
    torch.testing.assert_close(strategy.controller.log_prob([chosen], [{}])[0][0], log_prob)
    second, *third = [p * (p / 0.4).log() + (1 - p) * ((1 - p) / 0.6).log() for p in shares]
    loss = strategy.loss([genotype], [0.6])  # the first reward is the baseline: no gain
    torch.testing.assert_close(loss, 0.5 * (second + sum(third)) / 2)


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
    strategy = one_shot("enas", space, steps=40, aggregate=10, skip_weight=0.0)
    context = PlainContext(strategy, space)
    context.optimizers["alpha"] = torch.optim.Adam(strategy.parameters(), 0.02, (0.0, 0.999))
    best = space.mixture(space.best())
    context.worth = best.weights / 11
    for epoch in range(3):
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
    message = r"validation batches, of which there must be at least 1, got 0; hold images out"
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
        ({"steps": 0}, r"strategy.steps \(0\), aggregate \(3\)"),
        ({"skip_target": 1.0}, r"skip_target \(1.0\) in \(0, 1\)"),
        ({"entropy_weight": -1.0}, r"entropy_weight \(-1.0\)"),
        ({"op_tanh_constant": 0.0}, r"op_tanh_constant \(0.0\) must be above 0, or null"),
        ({"tanh_constant": -1.0}, r"strategy.tanh_constant \(-1.0\) and .* be above 0, or null"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("enas", **settings)
