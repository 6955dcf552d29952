"""Profiles kept where people can be: within the ellipsoid that holds 99.9 % of the prior."""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

from gustibus.posterior import GaussianPrior, Prior

if TYPE_CHECKING:
    from gustibus.types import F64

HELD = 0.999
"""Share of the prior that the ellipsoid holds."""
_NORMAL = 3.090232306167813  # quantile of the standard normal at `HELD`, where the search begins
_STEPS = 50


def clipped(prior: Prior, mean: F64) -> F64:
    """A user vector `(u,)` as it is, or drawn towards the prior's mean onto the ellipsoid.

    The ellipsoid is `(w - mu)' Sigma^-1 (w - mu) <= q`, with q the chi-square quantile of u degrees. A vector
    outside is moved along the line to the mean, which is the nearest point in the prior's own metric.

    A mixture is taken by its moments: where 99.9 % of it lies is no ellipsoid, and one around a single
    group would shut out whoever is of another. Particles are left as they are: a mean of theirs is
    within their hull, so no answer takes it away from where people are.

    Args:
        prior: of the population.
        mean: of a fitted profile.
    """
    if not isinstance(prior, GaussianPrior) or len(mean) == 0:
        return mean
    centre = prior.mean
    away = mean - centre
    reach = whitened(prior, mean)
    squared = float(reach @ reach)
    most = chi_square_quantile(len(mean))
    if squared <= most:
        return mean
    return np.asarray(centre + away * sqrt(most / squared))


def whitened(prior: Prior, mean: F64) -> F64:
    """A user vector `(u,)` in standard deviations of the prior, by its moments."""
    found = np.linalg.solve(_factor(prior.covariance), mean - prior.mean)
    return np.asarray(found, np.float64)


def _factor(covariance: F64) -> F64:
    """A square root `(u, u)`; of a covariance that is flat in some direction, of one nearly so."""
    try:
        return np.asarray(np.linalg.cholesky(covariance), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        floor = max(float(values[-1]), 1e-12) * 1e-9
        return np.asarray(vectors * np.sqrt(np.maximum(values, floor)))


@lru_cache(maxsize=64)
def chi_square_quantile(degrees: int) -> float:
    """The value that a chi-square variable of so many degrees stays below 99.9 % of the time.

    Newton's method on the series of the incomplete gamma function, from the cube of a normal variable.

    Source: Wilson and Hilferty 1931, "The distribution of chi-square".
    """
    spread = 2.0 / (9.0 * degrees)
    value = degrees * (1.0 - spread + _NORMAL * sqrt(spread)) ** 3
    half = degrees / 2.0
    for _ in range(_STEPS):
        density = exp((half - 1.0) * log(value / 2.0) - value / 2.0 - lgamma(half)) / 2.0
        step = (_below(value, half) - HELD) / density
        value = max(value - step, value / 2.0)
        if abs(step) < 1e-12 * value:
            break
    return value


def _below(value: float, half: float) -> float:
    """Probability that a chi-square variable of `2 half` degrees is below a value."""
    x = value / 2.0
    term = total = 1.0 / half
    n = half
    while term > 1e-17 * total:
        n += 1.0
        term *= x / n
        total += term
    return total * exp(half * log(x) - x - lgamma(half))
