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


class Three(SearchSpace):
    """Three decisions, the last of which is a skip."""

    def __init__(self):
        choices = [
            Choice("layer/op", OPS, "op", "layer"),
            Choice("next/op", OPS, "op", "next"),
            Choice("next/skip", SKIPS, "skip", "next"),
        ]
        super().__init__("three", Scale(), choices)

    def child(self, genotype, scale):
        raise NotImplementedError

    def graphs(self, genotype):
        return ()


SPACE = Three()
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


def test_the_loss_is_reinforce_with_entropy_in_the_reward_a_baseline_and_the_skips_divergence():
    strategy = one_shot("enas", SPACE, entropy_weight=0.1, baseline_decay=0.9, skip_weight=0.5)
    rewards = [0.6, 0.2]
    loss = strategy.loss(DRAWN, rewards)
    baseline, terms, divergences = None, [], []
    for genotype, reward in zip(DRAWN, rewards, strict=True):
        told = by_hand(strategy.controller, genotype)
        entropy = -sum((logs.exp() * logs).sum().item() for logs in told)
        whole = reward + 0.1 * entropy
        baseline = whole if baseline is None else baseline
        baseline -= 0.1 * (baseline - whole)
        terms.append(-chosen(told, genotype) * (whole - baseline))
        no, yes = told[2].exp()
        divergences.append(no * (no / 0.6).log() + yes * (yes / 0.4).log())
    expected = sum(terms) / 2 + 0.5 * sum(divergences) / 2
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    assert float(strategy.baseline) == pytest.approx(baseline)


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
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("enas", **settings)
