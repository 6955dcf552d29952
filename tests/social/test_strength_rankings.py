"""Rankings: ties of several items, breaking into comparisons, covariances and bootstraps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from gustibus.errors import InfeasibleError, InputError, UnknownNameError
from gustibus.social import (
    DisconnectedWarning,
    Profile,
    bootstrap,
    bradley_terry,
    break_rankings,
    covariance,
    davidson,
    davidson_luce,
    intervals,
    plackett_luce,
)


def drawn(rng, theta, n, length):
    """Rankings of some of the items by Plackett and Luce's model."""
    noisy = theta + rng.gumbel(size=(n, len(theta)))
    keep = np.argsort(rng.random((n, len(theta))), 1)[:, :length]
    rows = np.take_along_axis(noisy, keep, 1)
    return np.take_along_axis(keep, np.argsort(-rows, 1), 1)


def weak(rng, m, n, most=3):
    """Rankings with ties of up to `most` of `m` items, as lists of buckets."""
    out = []
    for _ in range(n):
        items = rng.permutation(m)[: rng.integers(2, m + 1)].tolist()
        row = []
        while items:
            size = min(int(rng.choice([1, 1, 1, 2, 3])), most, len(items))
            row.append(items[:size])
            items = items[size:]
        out.append(row)
    return out


def enumerated(rankings, weights, m, sizes):
    """The negative log-likelihood of Davidson and Luce by listing every set that could be chosen."""

    def loss(x):
        theta, delta = x[:m], dict(zip(sizes, [0.0, *x[m:]], strict=True))
        value = 1e-12 * (theta**2).sum()
        for row, weight in zip(rankings, weights, strict=True):
            left = [i for bucket in row for i in bucket]
            for bucket in row:
                if len(left) > 1:
                    worths = [
                        delta[t] + np.mean(theta[list(s)])
                        for t in sizes
                        for s in itertools.combinations(left, t)
                    ]
                    chosen = delta[len(bucket)] + np.mean(theta[bucket])
                    value -= weight * (chosen - logsumexp(worths))
                left = [i for i in left if i not in bucket]
        return value

    return loss


@pytest.mark.parametrize("seed", range(2))
def test_strengths_with_ties_are_the_likeliest(seed):
    rng = np.random.default_rng(seed)
    rankings, weights = weak(rng, 5, 25), rng.integers(1, 4, 25)
    fit = davidson_luce(rankings, weights=weights, items=range(5))
    sizes = [1, *fit.prevalence]
    loss = enumerated(rankings, weights, 5, sizes)
    found = minimize(loss, np.zeros(5 + len(sizes) - 1), method="BFGS", options={"gtol": 1e-7})
    assert fit.converged
    np.testing.assert_allclose(fit.scores, found.x[:5] - found.x[:5].mean(), atol=2e-4)
    np.testing.assert_allclose(list(fit.prevalence.values()), np.exp(found.x[5:]), rtol=2e-3)
    assert fit.log_likelihood == pytest.approx(-found.fun, abs=1e-6)


def test_pairs_are_davidsons_and_strict_rankings_are_plackett_and_luces():
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 60)
    b = (a + rng.integers(1, 4, 60)) % 4
    tied = rng.random(60) < 0.3
    pairs = [
        [[x, y]] if t else [x, y] for x, y, t in zip(a.tolist(), b.tolist(), tied, strict=True)
    ]
    ours, theirs = davidson_luce(pairs, items=range(4)), davidson(a, b, ties=tied, items=4)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-6)
    assert ours.prevalence[2] == pytest.approx(2 * theirs.parameter, abs=1e-6)
    np.testing.assert_allclose(ours.win_probabilities(), theirs.win_probabilities(), atol=1e-6)
    np.testing.assert_allclose(covariance(ours).matrix, covariance(theirs).matrix, atol=1e-6)
    rows = drawn(rng, np.array([0.5, 0, -0.5, 1]), 80, 3)
    ours, theirs = davidson_luce(rows.tolist()), plackett_luce(rows)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-6)
    assert ours.prevalence == {}
    np.testing.assert_allclose(covariance(ours).matrix, covariance(theirs).matrix, atol=1e-6)


def test_weights_repeat_rankings_and_threads_change_nothing():
    rng = np.random.default_rng(2)
    rankings, weights = weak(rng, 6, 40), rng.integers(1, 4, 40)
    repeated = [r for r, w in zip(rankings, weights.tolist(), strict=True) for _ in range(w)]
    ours = davidson_luce(rankings, weights=weights, items=range(6))
    np.testing.assert_allclose(
        ours.scores, davidson_luce(repeated, items=range(6)).scores, atol=1e-6
    )
    np.testing.assert_allclose(
        covariance(ours).matrix, covariance(davidson_luce(Profile(repeated))).matrix, atol=1e-6
    )
    for threads in (1, 2):
        other = davidson_luce(rankings, weights=weights, items=range(6), threads=threads)
        assert other.scores.tobytes() == ours.scores.tobytes()
        assert (
            covariance(other, threads=threads).matrix.tobytes() == covariance(ours).matrix.tobytes()
        )


def test_ties_without_a_finite_weight_and_too_large_ones_are_refused():
    with pytest.raises(InfeasibleError, match="than 2 where 2 were left"):
        davidson_luce([[["x", "y"]], [["x", "y"]]])
    with pytest.raises(InfeasibleError, match="than 3 where 3 were left"):
        davidson_luce([[["x", "y", "z"]], ["x", "y"], ["y", "x"]])
    with pytest.raises(InputError, match="at most 32"):
        davidson_luce([[list(range(33))]])
    with pytest.raises(InputError, match="profile"):
        davidson_luce(Profile([[0, 1]]), weights=[1])
    with pytest.warns(DisconnectedWarning):
        davidson_luce([["x", "y"], ["x", "y"]])


@pytest.mark.parametrize("breaking", ["full", "adjacent"])
def test_broken_rankings_are_the_pairs_that_they_contain(breaking):
    rng = np.random.default_rng(3)
    rows, weights = drawn(rng, rng.normal(size=6), 50, 4), rng.integers(1, 4, 50)
    w, b, c = [], [], []
    for row, weight in zip(rows.tolist(), weights.tolist(), strict=True):
        for i in range(3):
            for j in range(i + 1, 4) if breaking == "full" else [i + 1]:
                w.append(row[i])
                b.append(row[j])
                c.append(weight)
    ours = break_rankings(rows, breaking=breaking, weights=weights, items=6)
    np.testing.assert_allclose(
        ours.scores, bradley_terry(w, b, weights=c, items=6).scores, atol=1e-6
    )


def test_the_first_places_alone_can_be_broken():
    rows = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 2, 1]]
    ours = break_rankings(rows, chosen=1)
    theirs = bradley_terry([0, 0, 1, 1, 2, 2, 0, 0], [1, 2, 2, 0, 0, 1, 2, 1])
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-6)
    with pytest.raises(UnknownNameError, match="breaking"):
        break_rankings(rows, breaking="top")


def test_full_breaking_comes_near_the_strengths_of_many_rankings():
    theta = np.array([1.0, 0.3, 0.0, -0.4, -0.9])
    rows = drawn(np.random.default_rng(4), theta, 20_000, 5)
    np.testing.assert_allclose(break_rankings(rows).scores, theta, atol=0.05)
    assert np.abs(break_rankings(rows, breaking="adjacent").scores - theta).max() > 0.1


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_covariances_of_rankings_are_those_of_their_scores(l2):
    rng = np.random.default_rng(5)
    rows, weights = drawn(rng, rng.normal(size=5), 40, 4), rng.integers(1, 4, 40)
    fit = plackett_luce(rows, weights=weights, items=5, l2=l2)

    def log_probability(theta, row):
        return sum(theta[row[t]] - logsumexp(theta[row[t:]]) for t in range(4))

    h, steps = 1e-4, 1e-4 * np.eye(5)
    scores = np.array([
        [(log_probability(fit.scores + e, r) - log_probability(fit.scores - e, r)) / (2 * h)
         for e in steps] for r in rows
    ])  # fmt: skip
    bread = 2 * l2 * np.eye(5)
    for row, weight in zip(rows, weights, strict=True):
        for t in range(3):
            p = np.zeros(5)
            p[row[t:]] = np.exp(fit.scores[row[t:]] - logsumexp(fit.scores[row[t:]]))
            bread += weight * (np.diag(p) - np.outer(p, p))
    inverse = np.linalg.pinv(bread)
    meat = (scores.T * weights) @ scores
    np.testing.assert_allclose(covariance(fit).matrix, inverse @ meat @ inverse, atol=1e-6)
    np.testing.assert_allclose(covariance(fit, kind="model").matrix, inverse, atol=1e-7)


def test_a_bootstrap_of_rankings_spreads_as_the_sandwich_says():
    rows = drawn(np.random.default_rng(6), np.linspace(1, -1, 6), 1500, 4)
    fit = plackett_luce(rows)
    boot = bootstrap(fit, replicates=600)
    np.testing.assert_allclose(boot.replicates.std(0), covariance(fit).std_errors, rtol=0.12)
    assert (
        boot.replicates.tobytes() == bootstrap(fit, replicates=600, threads=1).replicates.tobytes()
    )
    np.testing.assert_allclose(intervals(boot, kind="bca").lower, intervals(fit).lower, atol=0.03)
    assert not boot.degenerate.any()
    with pytest.raises(InputError, match="whole"):
        bootstrap(plackett_luce(rows, weights=np.full(1500, 0.5)), replicates=3)
    with pytest.raises(InputError, match="keeps its data"):
        covariance(plackett_luce(rows, method="lsr"))


def test_a_bootstrap_with_ties_is_refused_with_the_reason():
    fit = davidson_luce([["x", ["y", "z"]], ["y", "x", "z"], ["z", "x", "y"]])
    with pytest.raises(InputError, match=r"davidson_luce.*prevalence of ties; covariance"):
        bootstrap(fit)


def test_rankings_of_two_have_the_covariance_of_bradley_and_terry():
    rng = np.random.default_rng(7)
    rows = drawn(rng, rng.normal(size=4), 100, 2)
    ours, theirs = plackett_luce(rows), bradley_terry(rows[:, 0], rows[:, 1])
    np.testing.assert_allclose(covariance(ours).matrix, covariance(theirs).matrix, atol=1e-6)


def test_components_that_were_fitted_apart_are_doubted_apart():
    rows = [[0, 1], [1, 0], [0, 1], [2, 3], [3, 2], [3, 2], [0, 2]]
    with pytest.warns(DisconnectedWarning):
        fit = plackett_luce(rows, on_disconnected="components")
    matrix = covariance(fit).matrix
    assert (matrix[:2, 2:] == 0).all()
    assert matrix[0, 0] == pytest.approx(covariance(plackett_luce(rows[:3])).matrix[0, 0], abs=1e-6)
