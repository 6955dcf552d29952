"""The population of mixture weights, and the scale of rewards, of a fitted PAL model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.models.pal import Pal
from gustibus.models.validation import representations
from gustibus.posterior import Evidence, GaussianPrior, ParticlePrior, fit_population
from gustibus.types import F64


def dirichlet_prior(weights: F64, particles: int, seed: int) -> ParticlePrior:
    """Dirichlet over mixtures by the method of moments: `(p, K)` weights of the seen people."""
    mean = np.clip(weights.mean(0), 1e-3, None)
    mean = mean / mean.sum()
    if len(mean) == 1:
        return ParticlePrior(np.ones((1, 1)), np.zeros(1))
    variance = np.maximum(weights.var(0), 1e-6)
    strength = float(np.median(mean * (1 - mean) / variance - 1))
    alpha = mean * np.clip(strength, 0.05, 100.0)
    return ParticlePrior.dirichlet(alpha, draws=particles, seed=seed)


def gaussian_population(
    model: Pal, train: TrainingSet, weights: F64, *, quick: bool
) -> GaussianPrior:
    """Gaussian over w by empirical Bayes on the seen people's answers."""
    k = weights.shape[1]
    rows = np.arange(len(train))
    people = train.people
    if quick and people > 600:  # a sample is enough to judge an epoch
        rows = np.flatnonzero(train.user < 600)
        people = 600
    a, b = representations(model, train, rows)
    diff = a.astype(np.float64) - b
    evidence = Evidence.build(
        diff[:, 1:], train.target[rows].astype(np.float64), offset=diff[:, 0],
        weight=train.weight[rows].astype(np.float64), person=train.user[rows].astype(np.int64),
        people=people,
    )  # fmt: skip
    spread = np.cov(weights.T).reshape(k, k)
    wide = max(float(np.trace(spread)) / k, 1e-6)  # the weights sum to one: one direction is empty
    start = GaussianPrior.single(weights.mean(0), spread + 0.05 * wide * np.eye(k))
    return fit_population(
        evidence, initial=start, rounds=4 if quick else 25, answering=model.answering
    ).prior


def calibrated(model: Pal, train: TrainingSet, weights: F64) -> Pal:
    """Scale the rewards so that sigmoid(margin) is a probability: one factor, by Newton."""
    rows = np.arange(len(train))
    a, b = representations(model, train, rows)
    margin = model.margin(weights[train.user], a, b)
    target = train.target.astype(np.float64)
    factor = 1.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(factor * margin, -500, 500)))
        slope = ((target - p) * margin).sum() - 1e-3 * factor
        curve = (p * (1 - p) * margin**2).sum() + 1e-3
        step = float(np.clip(slope / curve, -0.5 * factor - 0.5, factor + 0.5))
        factor = max(factor + step, 1e-3)
        if abs(step) < 1e-8 * factor:
            break
    return replace(model, scale=model.scale * factor)
