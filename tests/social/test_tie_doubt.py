"""Covariances and bootstraps of models with ties, against differences of the likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_expit, logsumexp
from scipy.stats import norm

from gustibus.errors import InputError
from gustibus.social import (
    bootstrap,
    bradley_terry,
    covariance,
    davidson,
    intervals,
    rao_kupper,
    thurstone,
)
from tests.social.strength_reference import random_comparisons


def davidson_logs(gap, nu):
    tie = np.log(2 * nu)
    total = logsumexp([gap / 2, -gap / 2, np.full_like(gap, tie)], axis=0)
    return gap / 2 - total, tie - total


def rao_kupper_logs(gap, kappa):
    s = np.log(kappa)
    won, lost = log_expit(gap - s), log_expit(-gap - s)
    return won, np.log(np.expm1(2 * s)) + won + lost


def thurstone_logs(gap, threshold):
    return norm.logcdf(gap - threshold), np.log(
        norm.cdf(gap + threshold) - norm.cdf(gap - threshold)
    )


MODELS = {
    davidson: davidson_logs,
    rao_kupper: rao_kupper_logs,
    thurstone: thurstone_logs,
}


def sandwich(logs, w, losers, tied, weight, at):
    """The covariance of White and that of the model, from finite differences row by row."""
    m = len(at) - 1

    def rows(x):
        won, even = logs(x[w] - x[losers], x[m])
        return np.where(tied, even, won)

    h = 1e-4
    steps = h * np.eye(m + 1)
    scores = np.array([(rows(at + e) - rows(at - e)) / (2 * h) for e in steps])
    second = np.zeros((m + 1, m + 1))
    for i, e in enumerate(steps):
        for j, f in enumerate(steps):
            second[i, j] = (
                weight * (rows(at + e + f) - rows(at + e - f) - rows(at - e + f) + rows(at - e - f))
            ).sum() / (4 * h * h)
    inverse = np.linalg.pinv(-second, rcond=1e-9)
    meat = (scores * weight**2) @ scores.T
    centre = np.eye(m) - 1 / m
    robust = (inverse @ meat @ inverse)[:m, :m]
    return centre @ robust @ centre, centre @ inverse[:m, :m] @ centre


@pytest.mark.parametrize("fit", MODELS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("weights", [False, True])
def test_covariances_are_those_of_the_rows(fit, weights):
    for seed in range(4):
        w, b, t, c = random_comparisons(
            np.random.default_rng(seed), items=5, rows=80, ties=True, weights=weights
        )
        found = fit(w, b, ties=t, weights=c)
        at = np.append(found.scores, found.parameter)
        robust, model = sandwich(MODELS[fit], w, b, t, c, at)
        np.testing.assert_allclose(covariance(found).matrix, robust, atol=2e-5)
        np.testing.assert_allclose(covariance(found, kind="model").matrix, model, atol=2e-5)


@pytest.mark.parametrize("fit", [davidson, rao_kupper])
def test_without_ties_the_covariance_is_that_of_bradley_and_terry(fit):
    w, b, _, _ = random_comparisons(np.random.default_rng(0))
    ours, plain = covariance(fit(w, b)), covariance(bradley_terry(w, b))
    np.testing.assert_allclose(ours.matrix, plain.matrix, atol=1e-7)


def test_without_ties_thurstones_threshold_is_known():
    w, b, t, c = random_comparisons(np.random.default_rng(1), rows=60)
    found = thurstone(w, b)
    p = norm.cdf(found.scores[w] - found.scores[b])
    bread, meat = np.zeros((5, 5)), np.zeros((5, 5))
    for i, j, q in zip(w, b, p, strict=True):
        e = np.zeros(5)
        e[i], e[j] = 1, -1
        gap = found.scores[i] - found.scores[j]
        slope = norm.pdf(gap) / q
        bread += slope * (gap + slope) * np.outer(e, e)
        meat += slope**2 * np.outer(e, e)
    inverse = np.linalg.pinv(bread)
    np.testing.assert_allclose(covariance(found).matrix, inverse @ meat @ inverse, atol=1e-7)
    assert not t.any()
    assert (c == 1).all()


@pytest.mark.parametrize("fit", MODELS, ids=lambda f: f.__name__)
def test_a_bootstrap_spreads_as_the_sandwich_says(fit):
    rng = np.random.default_rng(5)
    a = rng.integers(0, 6, 3000)
    b = (a + rng.integers(1, 6, 3000)) % 6
    noise = rng.normal(size=3000) + 0.3 * (a - b)
    tied = np.abs(noise) < 0.4
    found = fit(np.where(noise > 0, a, b), np.where(noise > 0, b, a), ties=tied)
    boot = bootstrap(found, replicates=800)
    np.testing.assert_allclose(boot.replicates.std(0), covariance(found).std_errors, rtol=0.12)
    np.testing.assert_allclose(boot.replicates.mean(1), 0, atol=1e-9)
    reach = intervals(found)
    assert (reach.lower < found.scores).all()
    assert (found.scores < reach.upper).all()
    for kind in ("percentile", "basic", "bca", "normal"):
        held = intervals(boot, kind=kind)
        np.testing.assert_allclose(held.lower, reach.lower, atol=0.03)


@pytest.mark.parametrize("fit", MODELS, ids=lambda f: f.__name__)
def test_threads_change_no_replicate(fit):
    w, b, t, c = random_comparisons(np.random.default_rng(6), ties=True, weights=True)
    found = fit(w, b, ties=t, weights=c)
    one = bootstrap(found, replicates=40, threads=1).replicates
    for threads in (2, None):
        assert (
            one.tobytes() == bootstrap(found, replicates=40, threads=threads).replicates.tobytes()
        )
    assert covariance(found, threads=1).matrix.tobytes() == covariance(found).matrix.tobytes()


def test_an_item_that_lost_all_in_a_replicate_is_unknown_there():
    w, b, t, _ = random_comparisons(np.random.default_rng(7), items=4, rows=60, ties=True)
    w, b = np.append(w, [4, 0, 1, 2]), np.append(b, [3, 4, 4, 4])  # item 4 won once
    boot = bootstrap(davidson(w, b, ties=np.append(t, [False] * 4)), replicates=1000)
    assert boot.degenerate[4] / 1000 == pytest.approx(np.exp(-1), abs=0.06)
    assert np.isnan(boot.replicates[:, 4]).sum() == boot.degenerate[4]


def test_fits_that_keep_no_data_have_no_covariance():
    from gustibus.social import break_rankings, spectral

    w, b, _, _ = random_comparisons(np.random.default_rng(8))
    for fit in (spectral(w, b), break_rankings([[0, 1, 2], [2, 1, 0]])):
        with pytest.raises(InputError, match="keeps its data"):
            covariance(fit)
        with pytest.raises(InputError, match="keeps its data"):
            bootstrap(fit)
