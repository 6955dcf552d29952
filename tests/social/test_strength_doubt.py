"""Covariances, bootstraps and intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from gustibus.errors import InputError, UnknownNameError
from gustibus.social import (
    DisconnectedWarning,
    bootstrap,
    bradley_terry,
    covariance,
    intervals,
    rank_centrality,
)
from tests.social import strength_reference as reference
from tests.social.strength_reference import random_comparisons


def world(seed, *, items, rows):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=items)
    a = rng.integers(0, items, rows)
    b = (a + rng.integers(1, items, rows)) % items
    won = rng.random(rows) < expit(theta[a] - theta[b])
    return np.where(won, a, b), np.where(won, b, a), theta - theta.mean()


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weights", [False, True])
def test_covariances_are_those_of_the_rows(ties, weights):
    for seed in range(10):
        w, b, t, c = random_comparisons(
            np.random.default_rng(seed), items=6, ties=ties, weights=weights
        )
        fit = bradley_terry(w, b, ties=t, weights=c)
        robust, model = reference.sandwich(w, b, t, c, fit.scores)
        np.testing.assert_allclose(covariance(fit).matrix, robust, atol=1e-9)
        np.testing.assert_allclose(covariance(fit, kind="model").matrix, model, atol=1e-9)
        np.testing.assert_allclose(covariance(fit).std_errors ** 2, np.diag(robust), atol=1e-9)


def test_variances_of_many_items_are_estimated():
    w, b, _ = world(0, items=2100, rows=300_000)
    fit = bradley_terry(w, b, items=2100)
    estimated = covariance(fit, seed=3)
    assert estimated.matrix is None
    curvature = np.zeros((2100, 2100))
    p = expit(fit.scores[w] - fit.scores[b])
    np.add.at(curvature, (w, w), p * (1 - p))
    np.add.at(curvature, (b, b), p * (1 - p))
    np.add.at(curvature, (w, b), -p * (1 - p))
    np.add.at(curvature, (b, w), -p * (1 - p))
    inverse = np.linalg.inv(curvature + 1 / 2100) - 1 / 2100
    ratio = covariance(fit, kind="model", seed=3).variances / np.diag(inverse)
    assert np.abs(ratio - 1).max() < 0.1
    assert np.abs(ratio.mean() - 1) < 0.005
    assert np.abs(estimated.variances / np.diag(inverse) - 1).mean() < 0.1


def test_a_bootstrap_spreads_as_the_sandwich_says():
    w, b, _ = world(1, items=8, rows=4000)
    fit = bradley_terry(w, b)
    boot = bootstrap(fit, replicates=3000)
    np.testing.assert_allclose(
        boot.replicates.std(0, ddof=1), covariance(fit).std_errors, rtol=0.06
    )
    np.testing.assert_allclose(boot.replicates.mean(0), fit.scores, atol=0.01)
    np.testing.assert_allclose(boot.replicates.mean(1), 0, atol=1e-9)
    empirical = np.cov(boot.replicates.T)
    np.testing.assert_allclose(empirical, covariance(fit).matrix, atol=6e-4)
    assert not boot.degenerate.any()


def test_a_replicate_is_a_fit_of_resampled_rows():
    """The distribution over replicates is that of refitting resampled rows, with ties and weights."""
    w, b, t, c = random_comparisons(np.random.default_rng(2), items=3, rows=60, ties=True)
    fit = bradley_terry(w, b, ties=t, weights=c)
    boot = bootstrap(fit, replicates=4000)
    rng, rows = np.random.default_rng(3), []
    for _ in range(800):
        pick = rng.integers(0, len(w), len(w))
        rows.append(bradley_terry(w[pick], b[pick], ties=t[pick], items=3).scores)
    np.testing.assert_allclose(boot.replicates.std(0), np.std(rows, axis=0), rtol=0.12)
    np.testing.assert_allclose(boot.replicates.mean(0), np.mean(rows, axis=0), atol=0.05)


def test_replicates_without_wins_are_counted_and_skipped():
    w, b, _, _ = random_comparisons(np.random.default_rng(4), items=4, rows=60)
    w, b = np.append(w, [4, 0, 1, 2]), np.append(b, [3, 4, 4, 4])  # item 4 won once
    boot = bootstrap(bradley_terry(w, b), replicates=2000)
    share = boot.degenerate / 2000
    assert share[4] == pytest.approx(
        np.exp(-1), abs=0.06
    )  # the one row is missed with probability 1/e
    assert (share[:4] < 0.05).all()
    assert np.isnan(boot.replicates).sum(0).tolist() == boot.degenerate.tolist()
    ends = intervals(boot)
    assert np.isfinite(ends.lower).all()
    assert np.isfinite(ends.upper).all()


def test_doubt_follows_components_and_priors():
    w, b = np.array([0, 1, 0, 2, 3, 2]), np.array([1, 0, 1, 3, 2, 3])
    with pytest.warns(DisconnectedWarning):
        apart = bradley_terry(w, b, on_disconnected="components")
    matrix = covariance(apart).matrix
    np.testing.assert_allclose(matrix[:2, 2:], 0, atol=1e-12)
    np.testing.assert_allclose(matrix[:2, :2], matrix[2:, 2:])
    assert np.isfinite(bootstrap(apart, replicates=50).replicates).any()
    prior = bradley_terry(w, b, opponent=1.0)
    assert np.isfinite(bootstrap(prior, replicates=50).replicates).all()
    assert (covariance(prior).variances > 0).all()


def test_intervals_cover_at_about_their_level():
    covered = dict.fromkeys(["sandwich", "model", "percentile", "basic", "bca", "normal"], 0.0)
    together, runs = 0, 60
    for seed in range(runs):
        w, b, theta = world(seed, items=6, rows=500)
        fit = bradley_terry(w, b)
        boot = bootstrap(fit, replicates=300, seed=seed)
        for kind in covered:
            ends = intervals(fit if kind in ("sandwich", "model") else boot, kind=kind)
            covered[kind] += ((ends.lower <= theta) & (theta <= ends.upper)).mean() / runs
        wide = intervals(boot, kind="normal", simultaneous=True)
        together += ((wide.lower <= theta) & (theta <= wide.upper)).all()
    for kind, share in covered.items():
        assert 0.9 < share <= 0.99, (kind, share)
    assert together / runs > 0.85


def test_bca_intervals_follow_efron():
    w, b, _ = world(5, items=5, rows=300)
    fit = bradley_terry(w, b)
    boot = bootstrap(fit, replicates=2000)
    ends = intervals(boot, kind="bca")
    acceleration = covariance(fit).acceleration
    for i in range(5):
        values = boot.replicates[:, i]
        z0 = norm.ppf((values < fit.scores[i]).mean())
        for end, tail in ((ends.lower[i], 0.025), (ends.upper[i], 0.975)):
            z = z0 + norm.ppf(tail)
            level = norm.cdf(z0 + z / (1 - acceleration[i] * z))
            assert end == pytest.approx(np.quantile(values, level), abs=5e-3)


def test_accelerations_are_those_of_a_jackknife():
    w, b, _ = world(6, items=4, rows=200)
    fit = bradley_terry(w, b)
    rows = np.arange(len(w))
    left = np.array([bradley_terry(w[rows != r], b[rows != r], items=4).scores for r in rows])
    gap = left.mean(0) - left
    jackknife = (gap**3).sum(0) / (6 * (gap**2).sum(0) ** 1.5)
    np.testing.assert_allclose(covariance(fit).acceleration, jackknife, atol=6e-3)


def test_ranks_count_intervals_that_are_apart():
    w, b, _ = world(7, items=10, rows=3000)
    ends = intervals(bradley_terry(w, b))
    for i in range(10):
        assert ends.best_rank[i] == 1 + (ends.lower > ends.upper[i]).sum()
        assert ends.worst_rank[i] == 10 - (ends.upper < ends.lower[i]).sum()
    assert (ends.best_rank <= ends.worst_rank).all()


def test_what_cannot_be_doubted_is_said():
    w, b, _, _ = random_comparisons(np.random.default_rng(0))
    fit = bradley_terry(w, b)
    for doubt in (covariance, bootstrap):
        with pytest.raises(
            InputError, match=r"fit: expected a fit by maximum .* got rank_centrality"
        ):
            doubt(rank_centrality(w, b))
    with pytest.raises(InputError, match="replicates: expected at least 1"):
        bootstrap(fit, replicates=0)
    with pytest.raises(InputError, match="level"):
        intervals(fit, level=1.0)
    with pytest.raises(InputError, match="kind"):
        intervals(fit, kind="percentile")
    with pytest.raises(UnknownNameError, match="kind of covariance"):
        covariance(fit, kind="jackknife")
    with pytest.raises(UnknownNameError, match="kind of interval"):
        intervals(bootstrap(fit, replicates=9), kind="exact")
    with pytest.raises(InputError, match="seed"):
        bootstrap(fit, seed=-1)
