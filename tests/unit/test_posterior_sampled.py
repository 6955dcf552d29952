"""Predictions of Gaussian posteriors against the exact posterior's, by importance sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_triangular
from scipy.special import expit, gammaln, logsumexp

from gustibus.posterior import Answering, Evidence, GaussianPrior, Posterior, place, predict

ANSWERING = Answering(lapse=0.05)
ANSWERS = (2, 5, 10, 20)
PEOPLE, PAIRS, DRAWS = 8, 60, 20_000
BAR = 0.03
"""Mean absolute difference of predicted probabilities."""


def left(z):
    return ANSWERING.lapse / 2 + (1 - ANSWERING.lapse) * expit(z)


def draws_of(
    rng: np.random.Generator, prior: GaussianPrior, known: Posterior, delta, target
) -> tuple[np.ndarray, np.ndarray]:
    """User vectors `(c, k)` and log weights `(c,)` with which they are the exact posterior's.

    They come from Student's distributions with 5 degrees of freedom, twice as wide as the posterior
    that is tested, and a tenth of them from the prior: tails as heavy as those of the exact one, and
    modes that the tested one may have missed.
    """
    k, wide = delta.shape[1], 2.0
    group = rng.choice(len(known.weights), DRAWS, p=known.weights)
    spread = np.linalg.cholesky(wide * known.covariances + 1e-12 * np.eye(k))  # (g, k, k)
    normal = rng.standard_normal((DRAWS, k))
    heavy = np.sqrt(5 / rng.chisquare(5, DRAWS))[:, None]
    draws = known.means[group] + heavy * np.einsum("ckl,cl->ck", spread[group], normal)
    aside = rng.random(DRAWS) < 0.1
    of = rng.choice(len(prior.weights), DRAWS, p=prior.weights)
    root = np.linalg.cholesky(prior.covariances)
    from_prior = prior.means[of] + np.einsum("ckl,cl->ck", root[of], normal)
    draws = np.where(aside[:, None], from_prior, draws)
    before = mixture(draws, prior.weights, prior.means, prior.covariances, heavy=False)
    proposed = mixture(draws, known.weights, known.means, wide * known.covariances, heavy=True)
    p = left(draws @ delta.T)  # (c, s)
    likelihood = (target * np.log(p) + (1 - target) * np.log1p(-p)).sum(1)
    sent = np.logaddexp(np.log(0.9) + proposed, np.log(0.1) + before)
    return draws, likelihood + before - sent


def mixture(x, weights, means, covariances, *, heavy):
    """Log density `(c,)` of a mixture of Gaussians, or of Student's with 5 degrees of freedom."""
    k, parts = x.shape[1], []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        root = np.linalg.cholesky(covariance)
        square = (solve_triangular(root, (x - mean).T, lower=True) ** 2).sum(0)  # (c,)
        if heavy:
            scale = gammaln((5 + k) / 2) - gammaln(2.5) - k / 2 * np.log(5 * np.pi)
            form = scale - (5 + k) / 2 * np.log1p(square / 5)
        else:
            form = -0.5 * (square + k * np.log(2 * np.pi))
        parts.append(np.log(weight) + form - np.log(np.diag(root)).sum())
    return logsumexp(parts, axis=0)


def prior_of(rng, k, groups):
    factor = rng.normal(size=(groups, k, k)) / k**0.5
    covariances = factor @ factor.transpose(0, 2, 1) + 0.3 * np.eye(k)
    return GaussianPrior(
        rng.dirichlet(5 * np.ones(groups)), rng.normal(size=(groups, k)), covariances
    )


def differences(k: int, groups: int, method: str, *, seed: int) -> dict[int, float]:
    """Mean absolute difference by number of answers, over people and pairs."""
    rng = np.random.default_rng(seed)
    prior = prior_of(rng, k, groups)
    found: dict[int, list[float]] = {count: [] for count in ANSWERS}
    for _ in range(PEOPLE):
        group = rng.choice(groups, p=prior.weights)
        person = rng.multivariate_normal(prior.means[group], prior.covariances[group])
        delta = 1.5 * rng.normal(size=(max(ANSWERS), k)) / k**0.5
        target = (rng.random(len(delta)) < left(delta @ person)).astype(float)
        asked = 1.5 * rng.normal(size=(PAIRS, k)) / k**0.5
        for count in ANSWERS:
            rows, answers = delta[:count], target[:count]
            known = place(Evidence.build(rows, answers), prior, answering=ANSWERING, method=method)[
                0
            ]
            draws, weights = draws_of(rng, prior, known, rows, answers)
            weights = np.exp(weights - logsumexp(weights))
            assert 1 / (weights**2).sum() > 1000, "too few draws count"
            exact = weights @ left(draws @ asked.T)  # (m,)
            margin = np.stack([asked @ mean for mean in known.means])  # (g, m)
            variance = np.einsum("mk,gkl,ml->gm", asked, known.covariances, asked)
            told = predict(margin, variance, answering=ANSWERING, weights=known.weights)
            found[count].append(float(np.abs(told - exact).mean()))
    return {count: float(np.mean(values)) for count, values in found.items()}


@pytest.mark.parametrize("method", ["laplace", "variational"])
@pytest.mark.parametrize(("k", "groups"), [(4, 1), (16, 1), (8, 3)])
def test_predictions_are_close_to_the_exact_posteriors(k, groups, method):
    found = differences(k, groups, method, seed=k)
    print({"k": k, "groups": groups, "method": method} | {n: round(v, 4) for n, v in found.items()})
    assert max(found.values()) <= BAR


def test_a_posterior_that_is_wrong_is_found_out():
    """The same bar is missed by who has not listened."""
    rng = np.random.default_rng(1)
    k, prior = 4, GaussianPrior.standard(4)
    person = 2 * rng.normal(size=k)
    delta = 1.5 * rng.normal(size=(20, k)) / k**0.5
    target = (rng.random(20) < left(delta @ person)).astype(float)
    known = place(Evidence.build(delta, target), prior, answering=ANSWERING)[0]
    draws, weights = draws_of(rng, prior, known, delta, target)
    asked = rng.normal(size=(PAIRS, k))
    exact = np.exp(weights - logsumexp(weights)) @ left(draws @ asked.T)
    told = predict(np.zeros(PAIRS), (asked**2).sum(1), answering=ANSWERING)
    assert np.abs(told - exact).mean() > 3 * BAR
