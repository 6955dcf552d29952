"""Slow, obvious versions that the compiled models are compared with."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp


def random_comparisons(rng, *, items=5, rows=40, ties=False, weights=False):
    """Connected comparisons `(winners, losers, tied, weights)`: a cycle both ways, then random rows."""
    cycle = np.arange(items)
    w = np.concatenate([cycle, (cycle + 1) % items, rng.integers(0, items, rows)])
    extra = (w[2 * items :] + rng.integers(1, items, rows)) % items
    losers = np.concatenate([(cycle + 1) % items, cycle, extra])
    tied = (rng.random(len(w)) < 0.25) & (np.arange(len(w)) >= 2 * items) & ties
    weight = rng.integers(1, 5, len(w)) / 2 if weights else np.ones(len(w))
    return w, losers, tied, weight


def maximum(loss, size):
    """The minimiser of a smooth convex loss, to about 1e-8."""
    found = minimize(loss, np.zeros(size), method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    return found.x, -found.fun


def bradley_terry(w, losers, tied, weight, items, *, l2=0.0, opponent=0.0, pseudo=0.0):
    def loss(theta):
        gap = theta[w] - theta[losers]
        even = 0.5 * (log_expit(gap) + log_expit(-gap))
        data = (weight * np.where(tied, even, log_expit(gap))).sum()
        prior = opponent * (log_expit(theta) + log_expit(-theta)) - l2 * theta**2
        prior = prior + pseudo * (theta - np.exp(theta)) - 1e-12 * theta**2
        return -(data + prior.sum())

    return maximum(loss, items)


def davidson(w, losers, tied, weight, items):
    def loss(x):
        a, b = x[w], x[losers]
        tie = x[items] + np.log(2) + 0.5 * (a + b)
        total = logsumexp([a, b, tie], axis=0)
        return -(weight * (np.where(tied, tie, a) - total)).sum()

    x, value = maximum(loss, items + 1)
    return x[:items] - x[:items].mean(), np.exp(x[items]), value


def rao_kupper(w, losers, tied, weight, items):
    def loss(x):
        gap, s = x[w] - x[losers], np.exp(x[items])  # s = ln kappa > 0
        both = np.log(np.expm1(2 * s)) + log_expit(gap - s) + log_expit(-gap - s)
        return -(weight * np.where(tied, both, log_expit(gap - s))).sum()

    x, value = maximum(loss, items + 1)
    return x[:items] - x[:items].mean(), np.exp(np.exp(x[items])), value


def plackett_luce(rankings, chosen, weight, items):
    def loss(theta):
        value = 0.0
        for row, stages, w in zip(rankings, chosen, weight, strict=True):
            for t in range(stages):
                value += w * (theta[row[t]] - logsumexp(theta[row[t:]]))
        return -value + 1e-12 * (theta**2).sum()

    x, value = maximum(loss, items)
    return x - x.mean(), value


def sandwich(w, losers, tied, weight, theta):
    """The covariance of White, row by row, and that of the model."""
    m = len(theta)
    bread, meat = np.zeros((m, m)), np.zeros((m, m))
    for i, j, tie, c in zip(w, losers, tied, weight, strict=True):
        p = expit(theta[i] - theta[j])
        e = np.zeros(m)
        e[i], e[j] = 1, -1
        bread += c * p * (1 - p) * np.outer(e, e)
        meat += (c * ((0.5 if tie else 1) - p)) ** 2 * np.outer(e, e)
    inverse = np.linalg.pinv(bread)
    return inverse @ meat @ inverse, inverse
