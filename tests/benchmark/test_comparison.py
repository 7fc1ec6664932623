"""Two strategies compared on the same seeds."""

import numpy as np
import pytest
from scipy import stats

from nas_lightning.benchmark.comparison import compare, signed_rank_p

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("decimals", [6, 1])
def test_the_rank_test_is_wilcoxons(decimals):
    gains = np.round(RNG.normal(0.1, 0.5, 80), decimals)
    wanted = stats.wilcoxon(gains, method="approx", correction=False).pvalue
    assert signed_rank_p(gains) == pytest.approx(wanted)


def test_the_interval_is_the_normal_one_where_the_mean_is_normal():
    gains = RNG.normal(0.01, 0.02, 400)
    found = compare("a", gains, "b", np.zeros(400))
    half = 1.96 * gains.std() / 20
    assert found.difference == pytest.approx(gains.mean())
    assert (found.low, found.high) == pytest.approx(
        (gains.mean() - half, gains.mean() + half), abs=2e-4
    )


def test_a_clear_difference_is_said_in_plain_words():
    base = RNG.normal(0.9, 0.01, 100)
    words = compare("evolution", base + 0.002, "random", base).words()
    assert words.startswith("evolution is 0.20 points better than random in mean test accuracy")
    assert "ahead on 100% of the seeds" in words
    assert "p below 0.001): more than chance would give" in words


def test_the_same_figures_are_no_difference():
    base = RNG.normal(0.9, 0.01, 30)
    found = compare("a", base, "b", base)
    assert (found.p, found.wins) == (1.0, 0.5)
    assert found.words().endswith("no more than chance may give")


def test_figures_of_other_seeds_are_refused():
    with pytest.raises(ValueError, match="same seeds, got 3 of a and 2 of b"):
        compare("a", [1, 2, 3], "b", [1, 2])
