"""People as weights on a simplex, with a Gaussian population of the logits of the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gustibus.posterior import Answering, Evidence, GaussianPrior, Posteriors, place_simplex
from gustibus.types import F64

_FLOOR, _CAP = 1e-3, 25.0
"""Eigenvalues of the covariance of logits: weights of separable people would run to the corners."""


def softmax(logits: F64) -> F64:
    """`(*b, k)` -> `(*b, k)` on the simplex."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))


def weight_moments(logits: F64, spread: F64) -> tuple[F64, F64]:
    """Mean `(p, k)` and covariance `(p, k, k)` of softmax of Gaussian logits `(p, k)`, `(p, k, k)`.

    Cubature with two points on each principal axis of the centred logits, exact to third order.

    Source: Arasaratnam and Haykin 2009, equation 14.
    """
    k = logits.shape[-1]
    if k == 1 or len(logits) == 0:
        return np.ones(logits.shape), np.zeros(spread.shape)
    centre = np.eye(k) - 1 / k
    values, axes = np.linalg.eigh(centre @ spread @ centre)
    reach = np.sqrt(np.maximum(values[:, 1:], 0) * (k - 1))  # the first is the all-ones axis
    offsets = np.swapaxes(axes[:, :, 1:] * reach[:, None], 1, 2)  # (p, k - 1, k)
    weights = softmax(np.concatenate([logits[:, None] + offsets, logits[:, None] - offsets], 1))
    mean = weights.mean(1)
    away = weights - mean[:, None]
    return mean, np.swapaxes(away, 1, 2) @ away / weights.shape[1]


def weight_prior(population: GaussianPrior) -> GaussianPrior:
    """The population of weights, as one Gaussian."""
    mean, covariance = weight_moments(population.means[:1], population.covariances[:1])
    return GaussianPrior(np.ones(1), mean, covariance)


def place_weights(
    evidence: Evidence, population: GaussianPrior, prior: GaussianPrior, answering: Answering
) -> Posteriors:
    """Posteriors of weights `(p, k)`; people without rows have exactly the prior.

    Args:
        evidence: rows `z = c + delta . w`.
        population: of the logits of w.
        prior: `weight_prior` of it.
        answering: how answers arise.
    """
    placed = place_simplex(evidence, population.mean, population.covariance, answering=answering)
    mean, covariance = weight_moments(placed.mean, placed.covariance)
    silent = np.diff(evidence.starts) == 0
    mean[silent], covariance[silent] = prior.mean, prior.covariance
    return replace(placed, means=mean[:, None], covariances=covariance[:, None])


def logit_population(
    evidence: Evidence, start: GaussianPrior, *, rounds: int, answering: Answering
) -> GaussianPrior:
    """Mean and covariance of people's logits by expectation maximisation with Laplace posteriors.

    Source: Dempster, Laird and Rubin 1977, with an approximate E step.
    """
    population = start
    for _ in range(rounds):
        placed = place_simplex(
            evidence, population.mean, population.covariance, answering=answering
        )
        mean = placed.mean.mean(0)
        away = placed.mean - mean
        covariance = away.T @ away / len(away) + placed.covariance.mean(0)
        values, axes = np.linalg.eigh(covariance)
        covariance = (axes * np.clip(values, _FLOOR, _CAP)) @ axes.T
        population = GaussianPrior.single(mean, (covariance + covariance.T) / 2)
    return population


def sums_by_person(rows: F64, evidence: Evidence) -> F64:
    """`(s, k)` rows added up by person: `(p, k)`."""
    out = np.zeros((evidence.people, rows.shape[1]))
    busy = np.flatnonzero(np.diff(evidence.starts))
    if len(busy):
        out[busy] = np.add.reduceat(rows, evidence.starts[busy], axis=0)
    return out
