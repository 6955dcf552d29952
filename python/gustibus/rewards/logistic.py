"""Logistic regression with a ridge, for heads that are linear in their features."""

from __future__ import annotations

import numpy as np

from gustibus.types import F64

_ROUNDS, _HALVINGS, _TOLERANCE = 100, 30, 1e-10


def fit_weights(x: F64, target: F64, ridge: float, weight: F64 | None = None) -> F64:
    """Weights of a logistic regression by Newton's method with halved steps.

    Args:
        x: `(n, d)` features.
        target: `(n,)` probabilities.
        ridge: on all weights, above 0, in units of rows.
        weight: `(n,)` of the rows, at least 0; 1 each unless given.

    Returns:
        `(d,)`.
    """
    c = np.ones(len(x)) if weight is None else weight

    def loss(w: F64) -> float:
        z = x @ w
        return float(c @ (np.logaddexp(0, z) - target * z) + 0.5 * ridge * w @ w)

    w = np.zeros(x.shape[1])
    for _ in range(_ROUNDS):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -500, 500)))
        slope = x.T @ (c * (p - target)) + ridge * w
        bend = x.T @ (x * (c * p * (1 - p))[:, None]) + ridge * np.eye(len(w))
        step = np.linalg.solve(bend, slope)
        now, size = loss(w), 1.0
        for _ in range(_HALVINGS):
            if loss(w - size * step) <= now:
                break
            size /= 2
        w = w - size * step
        if float(slope @ step) < _TOLERANCE:
            break
    return np.asarray(w)
