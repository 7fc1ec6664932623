"""From which run another one was forked, in words."""

from nas_lightning.reports.lineage import fork_words


def test_what_only_one_of_two_strategies_knows_is_left_out():
    changed = {
        "strategy": ["darts", "gdas"],
        "strategy.tau_end": [None, 0.1],
        "strategy.order": ["first", None],
        "strategy.epochs": [4, 6],
        "data.max_images": [None, 200],
    }
    words = fork_words({"run": "runs/a", "epoch": 2, "changed": changed})
    assert words.endswith(
        "with strategy=gdas (was darts), strategy.epochs=6 (was 4), data.max_images=200 (was null)"
    )
