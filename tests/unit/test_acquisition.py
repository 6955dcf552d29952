"""Predictions, question rules and the population prior against integrals and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from gustibus.errors import InputError
from gustibus.posterior import (
    QUESTION_RULES,
    Answering,
    Evidence,
    GaussianPrior,
    Posterior,
    acquire,
    acquire_batch,
    fit_population,
    predict,
    predict_tie,
)

ANSWERS = [Answering(0.0), Answering(0.05), Answering(0.0, 0.5), Answering(0.1, 0.8)]


def outcomes(z, answering):
    eps, eta = answering.lapse, answering.tie
    left = eps / 2 + (1 - eps) * expit(z - eta)
    right = eps / 2 + (1 - eps) * expit(-z - eta)
    return np.array([left, right, (1 - eps) * (expit(eta - z) - expit(-z - eta))])


def entropy(p):
    p = p[p > 0]
    return -(p * np.log(p)).sum()


def average(f, mean, variance):
    s = variance**0.5
    breaks = np.clip([-mean / s], -9, 9)
    return quad(
        lambda t: f(mean + s * t) * norm.pdf(t), -9, 9, points=breaks, epsabs=1e-10, limit=200
    )[0]


@pytest.mark.parametrize("answering", ANSWERS)
def test_predictions_match_numerical_integration(answering):
    for mean in (-7.0, -0.4, 0.0, 2.0, 15.0):
        for variance in (0.01, 1.0, 6.0, 15.99, 16.01, 25.0, 100.0):
            got = predict(np.array([mean]), np.array([variance]), answering=answering)[0]
            exact = average(lambda z: outcomes(z, answering)[0], mean, variance)
            assert got == pytest.approx(exact, abs=1e-6)
            tie = predict_tie(np.array([mean]), np.array([variance]), answering=answering)[0]
            exact = average(lambda z: outcomes(z, answering)[2], mean, variance)
            assert tie == pytest.approx(exact, abs=1e-6)


def test_predictions_of_a_mixture_are_averaged_and_certain_margins_need_no_average():
    mean, variance = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([[1.0, 2.0], [0.3, 0.0]])
    got = predict(mean, variance, weights=np.array([0.25, 0.75]))
    parts = [predict(m, v) for m, v in zip(mean, variance, strict=True)]
    np.testing.assert_allclose(got, 0.25 * parts[0] + 0.75 * parts[1], atol=1e-15)
    assert predict(np.array([3.0]), np.zeros(1))[0] == pytest.approx(0.025 + 0.95 * expit(3.0))
    with pytest.raises(InputError, match="variance: expected numbers at or above 0"):
        predict(np.zeros(1), -np.ones(1))


def belief(rng, k, groups=1, *, singular=False):
    factor = rng.normal(size=(groups, k, k))
    if singular:
        factor[:, :, 0] = 0
    weights = rng.dirichlet(np.ones(groups))
    means, covariances = rng.normal(size=(groups, k)), factor @ factor.transpose(0, 2, 1)
    return Posterior(weights, means, covariances, 0.0, 0, True, 0)


@pytest.mark.parametrize("answering", ANSWERS)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("singular", [False, True])
def test_rules_match_numerical_integration(answering, groups, singular):
    rng = np.random.default_rng(groups)
    k, m = 4, 6
    known = belief(rng, k, groups, singular=singular)
    delta, offset, base = rng.normal(size=(m, k)), rng.normal(size=m), rng.normal(size=m)
    scored = {
        rule: acquire(rule, delta, known, offset=offset, base=base, answering=answering)
        for rule in QUESTION_RULES
    }
    for i in range(m):
        chance, noise, gain, better = np.zeros(3), 0.0, 0.0, base[i]
        for g, weight in enumerate(known.weights):
            mean = offset[i] + delta[i] @ known.means[g]
            variance = delta[i] @ known.covariances[g] @ delta[i]
            for side in range(3):
                f = lambda z, side=side: outcomes(z, answering)[side]  # noqa: E731
                chance[side] += weight * average(f, mean, variance)
            noise += weight * average(lambda z: entropy(outcomes(z, answering)), mean, variance)
            better += weight * average(lambda z: max(z, 0.0), mean, variance)
            p, h = outcomes(mean, answering), 1e-6
            slope = (outcomes(mean + h, answering) - outcomes(mean - h, answering)) / (2 * h)
            rows = slice(None) if answering.tie > 0 else slice(2)
            fisher = (slope[rows] ** 2 / p[rows]).sum()
            gain += weight * 0.5 * np.log1p(fisher * variance)
        assert scored["information"][i] == pytest.approx(entropy(chance) - noise, abs=1e-6)
        assert scored["d_opt"][i] == pytest.approx(gain, abs=1e-6)
        assert scored["eubo"][i] == pytest.approx(better, abs=1e-6)


def test_large_pools_give_the_same_bits_for_any_number_of_threads_and_order():
    rng = np.random.default_rng(0)
    known, delta = belief(rng, 8, 2), rng.normal(size=(10_000, 8))
    for rule in QUESTION_RULES:
        one = acquire(rule, delta, known, threads=1)
        assert (one == acquire(rule, delta, known, threads=2)).all()
        np.testing.assert_allclose(acquire(rule, delta[::-1], known)[::-1], one, atol=1e-13)
    assert (acquire("bald", delta, known) == acquire("information", delta, known)).all()


def test_identical_responses_teach_nothing():
    rng = np.random.default_rng(1)
    known, nothing = belief(rng, 4), np.zeros((1, 4))
    assert acquire("d_opt", nothing, known)[0] == 0
    assert acquire("information", nothing, known)[0] == pytest.approx(0, abs=1e-8)


def test_batches_are_distinct_and_beat_the_best_by_score_alone():
    rng = np.random.default_rng(2)
    known = Posterior.from_prior(GaussianPrior.standard(5))
    delta = np.repeat(rng.normal(size=(20, 5)), 5, axis=0)  # five copies of every pair
    picked = acquire_batch(delta, known, 8)
    assert len(set(picked.tolist())) == 8
    assert picked[0] == np.argmax(acquire("d_opt", delta, known))

    def volume(rows):
        z = delta[rows] @ known.mean
        p = 0.025 + 0.95 * expit(z)
        a = (0.95 * expit(z) * expit(-z)) ** 2 / (p * (1 - p))
        return np.linalg.slogdet(np.eye(5) + delta[rows].T @ (a[:, None] * delta[rows]))[1]

    naive = np.argsort(-acquire("d_opt", delta, known), kind="stable")[:8]
    assert volume(picked) > volume(naive) + 0.5
    with pytest.raises(InputError, match="count: expected a number of at most 100"):
        acquire_batch(delta, known, 101)


def test_unknown_rule_and_wrong_shapes_are_named():
    known = Posterior.from_prior(GaussianPrior.standard(3))
    with pytest.raises(InputError, match="rule: expected d_opt"):
        acquire("d_optimal", np.ones((2, 3)), known)
    with pytest.raises(InputError, match=r"delta: expected shape \(m, 3\), got \(2, 4\)"):
        acquire("d_opt", np.ones((2, 4)), known)
    with pytest.raises(InputError, match=r"offset: expected shape \(2,\), got \(1,\)"):
        acquire("d_opt", np.ones((2, 3)), known, offset=np.ones(1))


def planted(rng, people, rows, k, scale):
    factor = rng.normal(size=(k, k))
    covariance, mean = factor @ factor.T / k + 0.1 * np.eye(k), 0.5 * rng.normal(size=k)
    users = rng.multivariate_normal(mean, covariance, people)
    person = np.repeat(np.arange(people), rows)
    delta = scale * rng.normal(size=(len(person), k))
    target = (rng.random(len(person)) < expit((delta * users[person]).sum(1))).astype(float)
    return Evidence.build(delta, target, person=person), mean, covariance


@pytest.mark.parametrize("rows", [3, 60])
def test_population_evidence_rises_and_resuming_changes_nothing(rows):
    evidence, _, _ = planted(np.random.default_rng(0), 200, rows, 4, 1.0)
    seen = []
    whole = fit_population(evidence, rounds=8, tolerance=1e-12, progress=lambda *a: seen.append(a))
    steps = np.diff(whole.log_evidence)
    assert (steps > -1e-3 * abs(whole.log_evidence[0])).all()
    assert whole.log_evidence[-1] > whole.log_evidence[0]
    assert seen == list(enumerate(whole.log_evidence, 1))
    half = fit_population(evidence, rounds=4, tolerance=1e-12)
    rest = fit_population(evidence, rounds=4, tolerance=1e-12, initial=half.prior)
    assert (rest.prior.covariances == whole.prior.covariances).all()
    threaded = fit_population(evidence, rounds=8, tolerance=1e-12, threads=2)
    assert (threaded.prior.covariances == whole.prior.covariances).all()


def test_population_recovers_a_planted_mean_and_covariance():
    evidence, mean, covariance = planted(np.random.default_rng(1), 1500, 80, 4, 0.7)
    got = fit_population(evidence, rounds=60, tolerance=1e-7)
    assert np.abs(got.prior.mean - mean).max() < 0.1
    error = np.linalg.norm(got.prior.covariance - covariance) / np.linalg.norm(covariance)
    assert error < 0.2


def test_population_structures_shrinkage_and_bounds():
    evidence, _, _ = planted(np.random.default_rng(2), 150, 10, 3, 1.0)
    diagonal = fit_population(evidence, structure="diagonal", rounds=3).prior.covariance
    assert (diagonal[~np.eye(3, dtype=bool)] == 0).all()
    isotropic = fit_population(evidence, structure="isotropic", rounds=3).prior.covariance
    np.testing.assert_allclose(isotropic, isotropic[0, 0] * np.eye(3), atol=1e-15)
    shrunk = fit_population(evidence, shrinkage=(0.5, 1e9), rounds=2).prior.covariance
    np.testing.assert_allclose(shrunk, 0.5 * np.eye(3), atol=1e-5)
    bounded = fit_population(evidence, floor=0.3, cap=0.4, rounds=3).prior.covariance
    values = np.linalg.eigvalsh(bounded)
    assert values[0] >= 0.3 - 1e-12
    assert values[-1] <= 0.4 + 1e-12
    fixed = fit_population(evidence, fit_mean=False, rounds=3).prior.mean
    assert (fixed == 0).all()
    with pytest.raises(InputError, match="structure: expected full, diagonal or isotropic"):
        fit_population(evidence, structure="round")


def test_two_planted_groups_are_told_apart():
    rng = np.random.default_rng(3)
    people, k = 300, 3
    group = rng.integers(0, 2, people)
    users = np.where(group[:, None] == 0, 2.5, -2.5) * np.eye(3)[0] + 0.5 * rng.normal(
        size=(people, k)
    )
    person = np.repeat(np.arange(people), 20)
    delta = rng.normal(size=(len(person), k))
    target = (rng.random(len(person)) < expit((delta * users[person]).sum(1))).astype(float)
    got = fit_population(Evidence.build(delta, target, person=person), groups=2, rounds=15, seed=1)
    guess = got.responsibilities.argmax(1)
    agreement = (guess == group).mean()
    assert max(agreement, 1 - agreement) > 0.95
    assert got.prior.weights.sum() == pytest.approx(1)


def test_an_interrupt_stops_between_rounds():
    evidence, _, _ = planted(np.random.default_rng(4), 50, 5, 3, 1.0)

    def stop(number, _):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_population(evidence, progress=stop, tolerance=1e-12)
