"""Thurstone's model, with and without ties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from gustibus.errors import InfeasibleError
from gustibus.social import DisconnectedWarning, thurstone
from tests.social.strength_reference import random_comparisons


def likeliest(w, losers, tied, weight, items, *, threshold=True):
    """Scores and threshold by a general optimiser."""

    def loss(x):
        gap, s = x[w] - x[losers], np.exp(x[items]) if threshold else 0.0
        won = norm.logcdf(gap - s)
        even = np.log(norm.cdf(gap + s) - norm.cdf(gap - s)) if threshold else won
        return -(weight * np.where(tied, even, won)).sum() + 1e-12 * (x[:items] ** 2).sum()

    found = minimize(loss, np.zeros(items + 1), method="BFGS", options={"gtol": 1e-8})
    return found.x[:items] - found.x[:items].mean(), np.exp(found.x[items]), -found.fun


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_scores_are_the_likeliest(ties, weights):
    for seed in range(8):
        w, b, t, c = random_comparisons(np.random.default_rng(seed), ties=ties, weights=weights)
        fit = thurstone(w, b, ties=t, weights=c)
        scores, threshold, value = likeliest(w, b, t, c, 5, threshold=t.any())
        assert fit.converged
        np.testing.assert_allclose(fit.scores, scores, atol=2e-5)
        assert fit.log_likelihood == pytest.approx(value, abs=1e-7)
        assert fit.parameter == pytest.approx(threshold if t.any() else 0.0, abs=2e-5)


def test_two_items_follow_from_their_shares():
    fit = thurstone(["x"] * 5 + ["y"] * 2 + ["x"] * 3, ["y"] * 5 + ["x"] * 2 + ["y"] * 3,
                    ties=[0] * 7 + [1] * 3)  # fmt: skip
    gap = fit.scores[0] - fit.scores[1]
    assert gap - fit.parameter == pytest.approx(norm.ppf(0.5), abs=1e-7)
    assert -gap - fit.parameter == pytest.approx(norm.ppf(0.2), abs=1e-7)
    table = fit.win_probabilities()
    assert table[0, 1] == pytest.approx(0.5, abs=1e-7)
    assert table[1, 0] == pytest.approx(0.2, abs=1e-7)


def test_turning_every_comparison_around_turns_the_scores():
    w, b, t, c = random_comparisons(np.random.default_rng(3), ties=True, weights=True)
    ours, turned = thurstone(w, b, ties=t, weights=c), thurstone(b, w, ties=t, weights=c)
    np.testing.assert_allclose(ours.scores, -turned.scores, atol=1e-6)


def test_hopeless_gaps_are_found():
    w = np.repeat([0, 1, 1, 2], [10**7, 1, 10**7, 1])
    b = np.repeat([1, 0, 2, 1], [10**7, 1, 10**7, 1])
    fit = thurstone(w, b)
    assert fit.converged
    expected = norm.isf(1 / (10**7 + 1))
    np.testing.assert_allclose(fit.scores, [expected, 0, -expected], atol=1e-3)


def test_what_has_no_likeliest_scores_is_said():
    with pytest.raises(InfeasibleError, match="all are ties"):
        thurstone([0, 1], [1, 0], ties=[1, 1])
    with pytest.raises(InfeasibleError, match="components"):
        thurstone([0, 1], [1, 2], on_disconnected="error")
    with pytest.warns(DisconnectedWarning):
        assert np.isfinite(thurstone([0, 1], [1, 2]).scores).all()


def test_threads_change_nothing():
    rng = np.random.default_rng(4)
    a = rng.integers(0, 300, 60_000)
    b = (a + rng.integers(1, 300, 60_000)) % 300
    tied = rng.random(60_000) < 0.2
    one = thurstone(a, b, ties=tied, threads=1)
    for threads in (2, None):
        other = thurstone(a, b, ties=tied, threads=threads)
        assert one.scores.tobytes() == other.scores.tobytes()
        assert one.parameter == other.parameter


@pytest.mark.parametrize("ties", [False, True])
def test_long_chains_converge(ties):
    chain = np.arange(4999)
    w = np.concatenate([chain, chain, chain, chain + 1, chain])
    b = np.concatenate([chain + 1, chain + 1, chain + 1, chain, chain + 1])
    tied = np.repeat([False, ties], [4 * len(chain), len(chain)])
    fit = thurstone(w, b, ties=tied)
    assert fit.converged
    # of five comparisons 4 or 3 won, 1 lost, and 0 or 1 tied
    gap = (norm.ppf(0.8) - norm.ppf(0.2)) / 2 if not ties else (norm.ppf(0.6) - norm.ppf(0.2)) / 2
    threshold = -(norm.ppf(0.6) + norm.ppf(0.2)) / 2 if ties else 0.0
    np.testing.assert_allclose(-np.diff(fit.scores), gap, atol=1e-5)
    assert fit.parameter == pytest.approx(threshold, abs=1e-6)
