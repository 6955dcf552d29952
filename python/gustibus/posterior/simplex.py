"""Points and masses that stand for a Dirichlet distribution."""

from __future__ import annotations

from math import lgamma
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gustibus.types import F64

CORNER = 0.01
"""Distance from a corner of the simplex within which a particle stands for the corner."""
ATTEMPTS = 100
"""Batches drawn before fewer points are accepted; only the corners matter then."""


def beta_cells(alpha: F64, count: int = 100) -> tuple[F64, F64]:
    """Centroids `(count, 2)` and log masses `(count,)` of equal cells under a Beta distribution.

    The power that may be singular at the near end is integrated exactly, the other is taken at the
    centroid; the error is of second order in the width.
    """
    edges = np.linspace(0, 0.5, count // 2 + 1)
    points, masses = [], []
    for near, far in ((alpha[0], alpha[1]), (alpha[1], alpha[0])):
        low, high = edges[:-1], edges[1:]
        mass = _log_power_integral(low, high, near)
        centroid = np.exp(_log_power_integral(low, high, near + 1) - mass)
        masses.append(mass + (far - 1) * np.log1p(-centroid))
        points.append(np.stack([centroid, 1 - centroid], 1))
    points[1] = points[1][:, ::-1]
    return np.concatenate(points), np.concatenate(masses)


def _log_power_integral(low: F64, high: F64, power: float) -> F64:
    """Log of the integral of `x**(power - 1)` from `low` to `high`."""
    logs: F64 = power * np.log(high) + np.log1p(-((low / high) ** power)) - np.log(power)
    return logs


def simplex_sample(alpha: F64, draws: int, seed: int, proposal: float) -> tuple[F64, F64]:
    """Corners and importance-weighted draws outside their regions."""
    rest = alpha.sum() - alpha
    # mass of a Beta(rest, alpha) variable below CORNER, the far power taken at the centroid
    inside = np.array([
        np.exp(
            lgamma(a + r) - lgamma(a) - lgamma(r)
            + r * np.log(CORNER) - np.log(r) + (a - 1) * np.log1p(-CORNER * r / (r + 1))
        )
        for a, r in zip(alpha, rest, strict=True)
    ])  # fmt: skip
    inside *= min(1.0, 1 / inside.sum())
    outside = max(1 - inside.sum(), 1e-300)
    rng = np.random.default_rng(seed)
    concentration = np.minimum(alpha, proposal)  # above alpha the weights would have no variance
    kept = np.empty((0, alpha.size))
    for _ in range(ATTEMPTS):
        batch = rng.dirichlet(concentration, max(draws, 1000))
        kept = np.concatenate([kept, batch[batch.max(1) < 1 - CORNER]])[:draws]
        if len(kept) == draws:
            break
    log_ratio = np.log(np.maximum(kept, 1e-300)) @ (alpha - concentration)
    if len(kept):
        log_ratio += np.log(outside) - np.logaddexp.reduce(log_ratio)
    with np.errstate(divide="ignore"):
        log_inside = np.log(inside)
    return np.concatenate([np.eye(alpha.size), kept]), np.concatenate([log_inside, log_ratio])
