import pytest
import torch
from plain_context import one_shot
from planted_problem.spaces import PlantedCells, PlantedLayers
from torch import nn

from nas_lightning import OneOf, Optional
from nas_lightning.core.scale import Scale
from nas_lightning.search_spaces.custom import CustomSpace
from nas_lightning.search_spaces.darts import DartsSpace
from nas_lightning.search_spaces.enas_micro import EnasMicroSpace
from nas_lightning.search_spaces.nasbench201 import NasBench201Space
from nas_lightning.strategies.alphas import stage_of
from nas_lightning.strategies.p_darts import SKIP, dropout_at

SPACE = DartsSpace(nodes=2)


def ranked(strategy):
    with torch.no_grad():
        strategy.alpha.copy_(torch.arange(8.0).expand_as(strategy.alpha))


def test_candidates_shrink_to_those_of_highest_alpha_as_the_supernet_deepens():
    strategy = one_shot("p_darts", SPACE, epochs=6)
    kept, cells = [], []
    for epoch in range(6):
        strategy.start_epoch(epoch)
        kept.append(strategy.allowed[0].nonzero().flatten().tolist())
        cells.append(strategy.stage(epoch).scale["cells"])
        ranked(strategy)
    assert kept == [list(range(8))] * 2 + [[3, 4, 5, 6, 7]] * 2 + [[5, 6, 7]] * 2
    assert cells == [4, 4, 5, 5, 6, 6]
    assert strategy.stage(2).keep_params is False


def test_a_dropped_option_stays_dropped_whatever_its_alpha():
    strategy = one_shot("p_darts", SPACE, epochs=6)
    strategy.allowed[1, 1:] = False  # fewer are left than any stage keeps
    kept = []
    for epoch in (2, 4):
        ranked(strategy)
        with torch.no_grad():
            strategy.alpha[~strategy.allowed] = 9.0
        strategy.start_epoch(epoch)
        kept.append([row.nonzero().flatten().tolist() for row in strategy.allowed[:2]])
    assert kept == [[[3, 4, 5, 6, 7], [0]], [[5, 6, 7], [0]]]


def test_alphas_are_drawn_anew_where_a_stage_begins():
    strategy = one_shot("p_darts", SPACE, epochs=6)
    ranked(strategy)
    strategy.start_epoch(2)
    assert strategy.alpha.abs().max() < 0.01


def test_alphas_stand_still_at_the_beginning_of_each_stage():
    strategy = one_shot("p_darts", SPACE, epochs=15)
    warm = []
    for epoch in range(15):
        strategy.start_epoch(epoch)
        warm.append(strategy.is_warm)
    assert warm == [False, False, True, True, True] * 3


def test_each_stage_has_the_whole_cosine_of_the_learning_rate():
    strategy = one_shot("p_darts", SPACE, epochs=7, params_optimizer={"lr": 0.04, "lr_min": 0.0})
    lrs = [strategy.lr_at(epoch) for epoch in range(7)]
    assert lrs == pytest.approx([0.04, 0.02, 0.04, 0.02, 0.04, 0.03, 0.01])


@pytest.mark.parametrize("growth", [[0, 1, 2], [0, 0, 0]])
def test_each_stage_has_a_supernet_of_its_own(growth):
    strategy = one_shot("p_darts", SPACE, epochs=6, growth=growth)
    assert [strategy.first_epoch(epoch) for epoch in range(6)] == [0, 0, 2, 2, 4, 4]
    assert [
        strategy.stage(epoch).scale["cells"] - SPACE.scale.cells for epoch in (0, 2, 4)
    ] == growth


def test_dropout_falls_on_a_line_in_the_warm_up_and_then_from_its_rate_exponentially():
    """The official code's values for stages of 25 epochs, 10 of them warm-up, by hand."""
    strategy = one_shot("p_darts", SPACE, epochs=75)
    rates = {}
    for epoch in (0, 24, 25, 34, 35, 49, 50, 59, 60, 61, 74):
        strategy.start_epoch(epoch)
        rates[epoch] = strategy.drop
    assert [rates[epoch] for epoch in (0, 24)] == [0.0, 0.0]
    assert [rates[e] for e in (25, 34, 35, 49)] == pytest.approx(
        [0.384, 0.24, 0.4, 0.0243240], rel=1e-5
    )
    assert [rates[e] for e in (50, 59, 60, 61, 74)] == pytest.approx(
        [0.672, 0.42, 0.7, 0.5731115, 0.0425670], rel=1e-5
    )


def test_dropout_of_a_short_stage_falls_by_shares_of_it():
    rates = [dropout_at(0.5, epoch, 2, 5) for epoch in range(5)]
    assert rates == pytest.approx([0.4, 0.3, 0.5, 0.1839397, 0.0676676])  # 0.5 / e, 0.5 / e^2


def test_a_space_without_skips_is_warned_of(caplog):
    one_shot("p_darts", PlantedCells())
    assert caplog.messages == [
        "search space 'planted_cells' has no skip_connect: strategy.dropout and max_skips do "
        "nothing"
    ]


def test_a_space_without_cells_cannot_grow():
    message = (
        r"search space 'planted_layers' has no scale.cells to grow by, strategy.growth is "
        r"\[0, 1, 2\]; set strategy.growth=\[0,0,0\]"
    )
    with pytest.raises(ValueError, match=message):
        one_shot("p_darts", PlantedLayers())


def deep(cells, num_outputs):
    layers = [Optional(f"layer_{index}", nn.Conv2d(3, 3, 1)) for index in range(cells)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, num_outputs))


def test_a_space_cannot_grow_whose_choices_would_be_others():
    space = CustomSpace(deep, scale=Scale(cells=3, input_shape=(3, 4, 4), num_outputs=2))
    message = (
        r"search space 'custom' has other choices with 4 cells than with 3, strategy.growth is "
        r"\[0, 1\]; set strategy.growth=\[0,0\]"
    )
    with pytest.raises(ValueError, match=message):
        one_shot("p_darts", space, growth=[0, 1], kept=[1.0, 0.5], dropout=[0.0, 0.0])


@pytest.mark.parametrize("phase", ["params", "alpha"])
def test_a_dropped_skip_weighs_nothing_and_the_others_more(phase):
    strategy, skip = one_shot("p_darts", SPACE), SPACE.choices[0].options.index("skip_connect")
    strategy.drop = 0.7
    whole = strategy.scores().weights.detach()
    draws = [strategy.mixture(phase).weights.detach() for _ in range(300)]
    factors = torch.stack([(weights / whole)[:, skip] for weights in draws])
    assert sorted({round(f, 3) for f in factors.flatten().tolist()}) == [0.0, 3.333]
    assert factors.mean().item() == pytest.approx(1.0, abs=0.1)  # 4 standard errors


def test_the_genotype_has_at_most_so_many_skips_outside_reduction_cells():
    strategy = one_shot("p_darts", DartsSpace(), max_skips=2)
    with torch.no_grad():
        strategy.alpha[:, 3] = torch.linspace(2.0, 3.0, len(strategy.alpha))
    chosen = strategy.derive(None, []).mapping
    normal = [n for n, op in chosen.items() if op == "skip_connect" and n.startswith("normal/")]
    reduction = [n for n, op in chosen.items() if op == "skip_connect" and "reduction/" in n]
    assert len(normal) == 2
    assert len(reduction) == 8
    assert "normal/edge_4_5" in normal


@pytest.mark.parametrize("max_skips", [0, 1, 3])
def test_skips_of_blocks_are_counted_by_their_halves(max_skips):
    """Halves that read one state are one decision, and others change places."""
    strategy = one_shot("p_darts", EnasMicroSpace(), max_skips=max_skips)
    with torch.no_grad():
        for row, choice in enumerate(strategy.space.choices):
            if "skip_connect" in choice.options:
                strategy.alpha[row, choice.options.index("skip_connect")] = 5.0 + 0.01 * row
    chosen = strategy.derive(None, []).mapping
    assert sum(c.count("skip_connect") for n, c in chosen.items() if n[0] == "n") == max_skips
    assert sum(c.count("skip_connect") for n, c in chosen.items() if n[0] == "r") == 10


def test_a_skip_that_is_not_made_does_not_count():
    def network():
        branches = [{"skip_connect": nn.Identity(), "conv": nn.Conv2d(3, 3, 1)} for _ in "abc"]
        a, b, c = (OneOf(n, branch) for n, branch in zip("abc", branches, strict=True))
        return nn.Sequential(a, Optional("opt", nn.Sequential(b, c)), nn.Flatten())

    space = CustomSpace(network, scale=Scale(input_shape=(3, 4, 4), num_outputs=48))
    strategy = one_shot("p_darts", space, growth=[0, 0, 0], max_skips=1)
    with torch.no_grad():
        for row, choice in enumerate(space.choices):
            strategy.alpha[row, choice.options.index("no" if choice.name == "opt" else SKIP)] = 5.0
    assert strategy.derive(None, []).mapping == {"a": SKIP, "opt": "no"}


def test_skips_whose_place_nothing_can_take_are_warned_of(caplog):
    strategy = one_shot("p_darts", NasBench201Space(), max_skips=2)
    strategy.allowed.copy_(torch.arange(5) == 1)
    chosen = strategy.derive(None, []).mapping
    assert set(chosen.values()) == {"skip_connect"}
    assert caplog.messages == [
        "the genotype has 6 skips, strategy.max_skips is 2: nothing else is left where they are; "
        "keep more options with strategy.kept"
    ]


def test_a_search_that_ends_in_a_warm_up_is_warned_of(caplog):
    strategy = one_shot("p_darts", SPACE, epochs=75)
    for epoch, said in ((24, 0), (25, 1), (35, 0)):
        caplog.clear()
        strategy.start_epoch(epoch)
        strategy.derive(None, [])
        assert len(caplog.messages) == said
        assert all("ended in a warm-up (strategy.warmup)" in text for text in caplog.messages)


def test_stages_are_of_equal_length_and_short_searches_have_the_first_ones():
    assert [stage_of(epoch, 7, 3) for epoch in range(7)] == [
        (0, 0, 2),
        (0, 1, 2),
        (1, 0, 2),
        (1, 1, 2),
        (2, 0, 3),
        (2, 1, 3),
        (2, 2, 3),
    ]
    assert [stage_of(epoch, 2, 3) for epoch in range(3)] == [(0, 0, 1), (1, 0, 1), (1, 0, 1)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"growth": [0, 1]},
            r"growth \(\[0, 1\]\), kept .* one value per stage; use e.g. \[0,1,2\]",
        ),
        (
            {"growth": [0, -1, 2]},
            r"growth \(\[0, -1, 2\]\) must be in \[0, inf\); use e.g. \[0,1,2",
        ),
        ({"kept": [1.0, 0.4, 0.5]}, r"kept \(\[1.0, 0.4, 0.5\]\) .* must not grow"),
        ({"dropout": [0.0, 0.4, 1.0]}, r"dropout \(\[0.0, 0.4, 1.0\]\) must be in \[0, 1\)"),
        ({"max_skips": -1}, r"max_skips \(-1\) must be at least 0; use e.g. 2"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        one_shot("p_darts", SPACE, **settings)
