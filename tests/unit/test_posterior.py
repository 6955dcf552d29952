"""Posteriors against slow, obvious versions."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from gustibus.errors import InputError, NotFiniteError
from gustibus.posterior import (
    Answering,
    Evidence,
    GaussianPrior,
    ParticlePrior,
    Posterior,
    fit_population,
    particle_weights,
    place,
    place_particles,
    place_simplex,
    predict,
    simplex_moments,
)


def outcomes(z, answering):
    """Probabilities of left, right and tie at margins `z`."""
    eps, eta = answering.lapse, answering.tie
    left = eps / 2 + (1 - eps) * expit(z - eta)
    right = eps / 2 + (1 - eps) * expit(-z - eta)
    return left, right, np.maximum((1 - eps) * (expit(eta - z) - expit(-z - eta)), 1e-300)


def log_likelihood(z, target, answering):
    left, right, tie = outcomes(z, answering)
    soft = target * np.log(left) + (1 - target) * np.log(right)
    return np.where((target == 0.5) & (answering.tie > 0), np.log(tie), soft)


def problem(rng, n, k, *, soft=True, scale=1.0):
    """Rows of one person and a correlated prior."""
    delta, offset = scale * rng.normal(size=(n, k)), rng.normal(size=n)
    target = rng.random(n).round(1) if soft else (rng.random(n) < 0.5).astype(float)
    factor = rng.normal(size=(k, k))
    prior = GaussianPrior.single(rng.normal(size=k), factor @ factor.T / k + 0.1 * np.eye(k))
    return Evidence.build(delta, target, offset=offset, weight=rng.random(n)), prior


def information(z, answering, h=1e-6):
    """Fisher information by differences of the outcome probabilities."""
    p, high, low = (np.stack(outcomes(z + d, answering)) for d in (0, h, -h))
    rows = slice(None) if answering.tie > 0 else slice(2)
    return (((high - low) / (2 * h)) ** 2 / p)[rows].sum(0)


ANSWERS = [Answering(0.0), Answering(0.05), Answering(0.0, 0.5), Answering(0.1, 0.3)]


@pytest.mark.parametrize("answering", ANSWERS)
@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 8), (20, 8), (8, 8), (20, 32)])
def test_mode_and_covariance_match_an_optimiser(answering, n, k):
    rng = np.random.default_rng(n * 100 + k)
    evidence, prior = problem(rng, n, k)
    precision = np.linalg.inv(prior.covariances[0])

    def loss(w):
        z = evidence.offset + evidence.delta @ w
        fit = evidence.weight @ log_likelihood(z, evidence.target, answering)
        return 0.5 * (w - prior.mean) @ precision @ (w - prior.mean) - fit

    placed = place(evidence, prior, answering=answering)
    got = placed[0]
    # lapses make several modes possible: the optimiser starts near ours
    start = got.mean + 0.05 * rng.normal(size=k) if answering.lapse else prior.mean
    best = minimize(loss, start, method="BFGS", options={"gtol": 1e-8})
    assert got.converged
    assert got.comparisons == n
    assert placed.gradients[0] < 1e-6
    assert loss(got.mean) <= best.fun + 1e-12
    np.testing.assert_allclose(got.mean, best.x, atol=2e-6)
    z = evidence.offset + evidence.delta @ got.mean
    weight = evidence.weight * information(z, answering)
    hessian = precision + evidence.delta.T @ (weight[:, None] * evidence.delta)
    np.testing.assert_allclose(got.covariance, np.linalg.inv(hessian), atol=1e-6)
    logdet = np.linalg.slogdet(prior.covariances[0] @ hessian)[1]
    assert got.log_evidence == pytest.approx(-loss(got.mean) - 0.5 * logdet, abs=1e-6)


def test_covariance_is_the_inverse_numerical_hessian_without_lapses():
    rng = np.random.default_rng(3)
    evidence, prior = problem(rng, 12, 4)
    got = place(evidence, prior, answering=Answering(0.0))[0]
    precision = np.linalg.inv(prior.covariances[0])

    def gradient(w):
        z = evidence.offset + evidence.delta @ w
        slope = evidence.weight * (evidence.target - expit(z))
        return precision @ (w - prior.mean) - evidence.delta.T @ slope

    h = 1e-5 * np.eye(4)
    hessian = np.stack([(gradient(got.mean + d) - gradient(got.mean - d)) / 2e-5 for d in h])
    np.testing.assert_allclose(got.covariance, np.linalg.inv(hessian), atol=1e-7)


def test_fewer_and_more_rows_than_dimensions_agree():
    rng = np.random.default_rng(0)
    evidence, prior = problem(rng, 7, 8)
    padded = Evidence.build(
        np.concatenate([evidence.delta, np.zeros((3, 8))]),
        np.concatenate([evidence.target, np.ones(3)]),
        offset=np.concatenate([evidence.offset, np.zeros(3)]),
        weight=np.concatenate([evidence.weight, np.zeros(3)]),
    )
    dual, primal = place(evidence, prior)[0], place(padded, prior)[0]
    np.testing.assert_allclose(dual.mean, primal.mean, atol=1e-9)
    np.testing.assert_allclose(dual.covariance, primal.covariance, atol=1e-10)
    assert dual.log_evidence == pytest.approx(primal.log_evidence, abs=1e-10)


def test_ten_thousand_random_and_separable_people_without_nan():
    rng = np.random.default_rng(1)
    people, k = 10_000, 5
    sizes = rng.integers(0, 12, people)
    person = np.repeat(np.arange(people), sizes)
    n = len(person)
    delta = rng.normal(size=(n, k))
    kind = rng.integers(0, 6, people)[person]
    delta[kind == 1] *= 1e6
    delta[kind == 2] = 1e6  # duplicates
    delta[kind == 3] = 0
    target = (rng.random(n) < 0.5).astype(float)
    target[kind == 4] = (delta[kind == 4, 0] > 0).astype(float)  # separable
    target[kind == 5] = 0.5
    evidence = Evidence.build(delta, target, person=person, people=people)
    for scale in (1.0, 100.0):
        for answering in (Answering(0.0), Answering(0.05), Answering(0.05, 0.5)):
            got = place(evidence, GaussianPrior.standard(k, scale), answering=answering)
            for values in (got.means, got.covariances, got.log_evidence, got.gradients):
                assert np.isfinite(values).all()
            least = np.linalg.eigvalsh(got.covariance)[:, 0]
            assert (least > -1e-9 * scale**2).all()
            assert got.converged.mean() > 0.98


def test_no_answers_give_the_prior_exactly():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(2, 4, 4))
    prior = GaussianPrior(
        np.array([0.3, 0.7]),
        rng.normal(size=(2, 4)),
        factor @ factor.transpose(0, 2, 1) + np.eye(4),
    )
    evidence = Evidence.build(np.empty((0, 4)), np.empty(0), person=np.empty(0, int), people=3)
    got = place(evidence, prior)
    assert len(got) == 3
    assert (got.weights == prior.weights).all()
    assert (got.means == prior.means).all()
    assert (got.covariances == prior.covariances).all()
    assert (got.log_evidence == 0).all()
    empty = Posterior.from_prior(prior)
    np.testing.assert_array_equal(got[1].mean, empty.mean)
    np.testing.assert_array_equal(got[1].covariance, empty.covariance)


def batch(rng, people, k, most=20):
    person = np.repeat(np.arange(people), rng.integers(0, most, people))
    delta = rng.normal(size=(len(person), k))
    return Evidence.build(delta, rng.random(len(person)).round(), person=person, people=people)


def test_another_person_and_another_thread_change_no_bit():
    rng = np.random.default_rng(5)
    evidence, k = batch(rng, 70, 8), 8
    prior = GaussianPrior.standard(k)
    together, serial = place(evidence, prior, threads=2), place(evidence, prior, threads=1)
    for name in ("weights", "means", "covariances", "log_evidence", "iterations"):
        assert (getattr(together, name) == getattr(serial, name)).all()
    for person in (0, 33, 69):
        rows = slice(*evidence.starts[person : person + 2])
        alone = place(Evidence.build(evidence.delta[rows], evidence.target[rows]), prior)[0]
        assert (alone.mean == together[person].mean).all()
        assert (alone.covariance == together[person].covariance).all()


@given(
    seed=st.integers(0, 2**32), n=st.integers(1, 12), k=st.integers(1, 9), which=st.integers(0, 3)
)
@settings(max_examples=60, deadline=None)
def test_swapping_sides_and_flipping_targets_changes_nothing(seed, n, k, which):
    evidence, prior = problem(np.random.default_rng(seed), n, k)
    swapped = Evidence.build(
        -evidence.delta, 1 - evidence.target, offset=-evidence.offset, weight=evidence.weight
    )
    one = place(evidence, prior, answering=ANSWERS[which])[0]
    two = place(swapped, prior, answering=ANSWERS[which])[0]
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-8)
    np.testing.assert_allclose(one.covariance, two.covariance, atol=1e-8)


def test_rows_in_any_order_of_people_are_grouped():
    rng = np.random.default_rng(2)
    delta, target, person = rng.normal(size=(40, 3)), rng.random(40), rng.integers(0, 4, 40)
    got = place(Evidence.build(delta, target, person=person, people=6), GaussianPrior.standard(3))
    assert list(got.comparisons) == [*np.bincount(person, minlength=4), 0, 0]
    for p in range(4):
        alone = place(
            Evidence.build(delta[person == p], target[person == p]), GaussianPrior.standard(3)
        )
        assert (alone.mean[0] == got.mean[p]).all()


def test_mixture_weights_follow_the_evidence_of_each_group():
    rng = np.random.default_rng(4)
    evidence, _ = problem(rng, 10, 3, soft=False)
    parts = [
        GaussianPrior.single(m, s * np.eye(3)) for m, s in ((np.ones(3), 0.5), (-np.ones(3), 2.0))
    ]
    prior = GaussianPrior(
        np.array([0.2, 0.8]), np.stack([p.means[0] for p in parts]),
        np.stack([p.covariances[0] for p in parts]),
    )  # fmt: skip
    got, alone = place(evidence, prior)[0], [place(evidence, p)[0] for p in parts]
    joint = np.log([0.2, 0.8]) + [p.log_evidence for p in alone]
    np.testing.assert_allclose(got.weights, np.exp(joint - np.logaddexp(*joint)), atol=1e-12)
    assert got.log_evidence == pytest.approx(np.logaddexp(*joint), abs=1e-12)
    draws = rng.choice(2, 400_000, p=got.weights)
    noise = [
        rng.multivariate_normal(m, c, 400_000)
        for m, c in zip(got.means, got.covariances, strict=True)
    ]
    sample = np.where(draws[:, None] == 0, *noise)
    np.testing.assert_allclose(got.mean, sample.mean(0), atol=0.02)
    np.testing.assert_allclose(got.covariance, np.cov(sample.T), atol=0.03)


def test_a_prior_is_factored_once_and_survives_a_copy_and_a_pickle():
    rng = np.random.default_rng(5)
    evidence, _ = problem(rng, 10, 3, soft=False)
    prior = GaussianPrior.single(rng.normal(size=3), np.diag([0.5, 1.0, 2.0]))
    before = place(evidence, prior)
    assert prior.factored is prior.factored
    for other in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))):
        again = place(evidence, other)
        np.testing.assert_array_equal(again.mean, before.mean)
        np.testing.assert_array_equal(again.covariance, before.covariance)
    moved = replace(prior, means=prior.means + 1)
    assert np.abs(place(evidence, moved).mean - before.mean).max() > 0.1


@pytest.mark.parametrize("lapse", [0.0, 0.05])
@pytest.mark.parametrize("n", [2, 5, 10, 20])
def test_predictions_are_near_those_of_the_sampled_posterior(n, lapse):
    rng = np.random.default_rng(7)
    answering, k = Answering(lapse), 8
    users = rng.normal(size=(200_000, k))
    errors = []
    for _ in range(5):
        delta = 0.6 * rng.normal(size=(n, k))
        target = (rng.random(n) < expit(delta @ rng.normal(size=k))).astype(float)
        got = place(Evidence.build(delta, target), GaussianPrior.standard(k), answering=answering)[
            0
        ]
        test = 0.6 * rng.normal(size=(60, k))
        logs = log_likelihood(users @ delta.T, target, answering).sum(1)
        weight = np.exp(logs - logs.max())
        keep = weight > 1e-6
        exact = weight[keep] @ outcomes(users[keep] @ test.T, answering)[0] / weight[keep].sum()
        variance = np.einsum("nk,kl,nl->n", test, got.covariance, test)
        errors.append(
            np.abs(predict(test @ got.mean, variance, answering=answering) - exact).mean()
        )
    assert np.mean(errors) < 0.03


def test_particles_match_brute_force():
    rng = np.random.default_rng(8)
    prior = ParticlePrior(rng.normal(size=(50, 3)), rng.normal(size=50))
    margins, target = rng.normal(size=(30, 50)), rng.random(30).round(1)
    evidence = Evidence.build(
        np.zeros((30, 3)), target, weight=rng.random(30), person=rng.integers(0, 4, 30), people=5
    )
    # build sorts rows by person, so the margins below belong to the sorted rows
    answering = Answering(0.05, 0.4)
    weights, log_evidence = particle_weights(margins, evidence, prior, answering=answering)
    start = np.exp(prior.log_weights) / np.exp(prior.log_weights).sum()
    got = place_particles(margins, evidence, prior, answering=answering)
    for p in range(5):
        rows = slice(*evidence.starts[p : p + 2])
        logs = log_likelihood(margins[rows], evidence.target[rows, None], answering)
        like = start * np.exp(evidence.weight[rows] @ logs)
        np.testing.assert_allclose(weights[p], like / like.sum(), atol=1e-12)
        assert log_evidence[p] == pytest.approx(np.log(like.sum()), abs=1e-10)
        mean = weights[p] @ prior.particles
        np.testing.assert_allclose(got[p].mean, mean, atol=1e-12)
        spread = np.cov(prior.particles.T, aweights=weights[p], bias=True)
        np.testing.assert_allclose(got[p].covariance, spread, atol=1e-12)


@pytest.mark.parametrize("alpha", [[0.01, 0.01], [0.5, 0.5], [2.0, 5.0], [1.0, 1.0], [0.3, 4.0]])
def test_two_prototype_cells_have_the_moments_of_the_beta_distribution(alpha):
    alpha = np.array(alpha)
    prior = ParticlePrior.dirichlet(alpha, seed=0)
    total = alpha.sum()
    assert prior.particles.shape == (100, 2)
    np.testing.assert_allclose(prior.mean, alpha / total, atol=1e-3)
    variance = alpha.prod() / total**2 / (total + 1)
    np.testing.assert_allclose(np.diag(prior.covariance), variance, atol=1e-3)


@pytest.mark.parametrize(
    "alpha", [np.full(4, 0.1), np.full(3, 0.5), np.array([0.2, 0.5, 1.0, 0.3])]
)
def test_simplex_particles_have_the_moments_of_the_dirichlet(alpha):
    prior = ParticlePrior.dirichlet(alpha, draws=4000, seed=3)
    total = alpha.sum()
    np.testing.assert_allclose(prior.mean, alpha / total, atol=0.02)
    exact = (np.diag(alpha / total) - np.outer(alpha, alpha) / total**2) / (total + 1)
    np.testing.assert_allclose(prior.covariance, exact, atol=0.015)
    np.testing.assert_array_equal(
        ParticlePrior.dirichlet(alpha, seed=3).particles,
        ParticlePrior.dirichlet(alpha, seed=3).particles,
    )


@pytest.mark.parametrize("answering", ANSWERS)
def test_simplex_mode_matches_an_optimiser_and_its_moments_a_sample(answering):
    rng = np.random.default_rng(9)
    n, k = 15, 4
    delta, target = 2 * rng.normal(size=(n, k)), rng.random(n).round(1)
    mean, covariance = rng.normal(size=k), np.eye(k) + 0.2
    evidence = Evidence.build(delta, target)

    def loss(logits):
        w = np.exp(logits) / np.exp(logits).sum()
        gap = logits - mean
        penalty = 0.5 * gap @ np.linalg.solve(covariance, gap)
        return penalty - log_likelihood(delta @ w, target, answering).sum()

    got = place_simplex(evidence, mean, covariance, answering=answering)[0]
    best = minimize(loss, mean, method="BFGS", options={"gtol": 1e-8})
    assert got.converged
    np.testing.assert_allclose(got.mean, best.x, atol=1e-5)
    w = np.exp(got.mean) / np.exp(got.mean).sum()
    rows = delta @ (np.diag(w) - np.outer(w, w))
    weight = information(delta @ w, answering)
    hessian = np.linalg.inv(covariance) + rows.T @ (weight[:, None] * rows)
    np.testing.assert_allclose(got.covariance, np.linalg.inv(hessian), atol=1e-6)
    centre, spread = simplex_moments(got)
    logits = rng.multivariate_normal(got.mean, got.covariance, 200_000)
    weights = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(centre, weights.mean(0), atol=0.02)
    np.testing.assert_allclose(spread, np.cov(weights.T), atol=0.02)
    assert centre.sum() == pytest.approx(1)


def test_bad_input_is_named():
    prior = GaussianPrior.standard(3)
    good = np.ones((2, 3))
    cases = [
        (good, [0.0, 2.0], {}, r"target: expected numbers in \[0, 1\], got 2 at position 1"),
        (good[0], [0.0], {}, r"delta: expected shape \(n, k\), got \(3,\)"),
        (np.ones((2, 4)), [0, 1], {}, r"delta: expected shape \(n, 3\), got \(2, 4\)"),
        (good, [0, 1], {"weight": [1.0]}, r"weight: expected shape \(2,\), got \(1,\)"),
        (good, [0, 1], {"weight": [1.0, -1.0]}, "weight: expected numbers at or above 0"),
        (good, [0, 1], {"person": [0, -1]}, "person: expected whole numbers"),
        (good, [0, 1], {"person": [0]}, "person: expected"),
    ]
    for delta, target, options, message in cases:
        with pytest.raises(InputError, match=message):
            place(Evidence.build(delta, target, **options), prior)
    with pytest.raises(NotFiniteError, match="delta: expected finite"):
        place(Evidence.build(good * np.nan, [0, 1]), prior)
    with pytest.raises(InputError, match=r"lapse: expected a number in \[0, 0.5\)"):
        place(Evidence.build(good, [0, 1]), prior, answering=Answering(0.5))
    with pytest.raises(InputError, match="covariances: expected symmetric positive definite"):
        place(Evidence.build(good, [0, 1]), GaussianPrior.single(np.zeros(3), -np.eye(3)))
    with pytest.raises(InputError, match="delta: expected numbers"):
        Evidence.build([["a"]], [1])
    with pytest.raises(InputError, match="delta: expected numbers, got ndarray: complex"):
        Evidence.build(good * 1j, [0, 1])
    with pytest.raises(InputError, match="threads"):
        place(Evidence.build(good, [0, 1]), prior, threads=0)
    placed = place(Evidence.build(good, [0, 1]), prior, covariance=False)
    with pytest.raises(InputError, match="covariances: not computed"):
        _ = placed.covariance


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"weights": []}, "weights: expected at least one group of the mixture, got none"),
        ({"weights": [1j]}, "weights: expected numbers"),
        ({"means": np.zeros((1, 3), complex)}, "means: expected numbers, got ndarray: complex"),
        ({"covariances": np.eye(3)[None] * 1j}, "covariances: expected numbers"),
        ({"weights": [0.5, 0.5]}, "means: expected shape"),
    ],
)
def test_bad_mixtures_are_named(parts, message):
    prior = replace(GaussianPrior.standard(3), **parts)
    with pytest.raises(InputError, match=message):
        place(Evidence.build(np.ones((2, 3)), [0, 1]), prior)
    with pytest.raises(InputError, match=message):
        fit_population(Evidence.build(np.ones((2, 3)), [0, 1]), initial=prior)
