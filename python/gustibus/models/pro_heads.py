"""Rewards that a preference orchestrator weighs: columns of the features, or heads for ratings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gustibus.errors import DimensionError, InputError
from gustibus.models.base import TrainingSet
from gustibus.types import F32, F64

_STRENGTHS = tuple(10.0**power for power in range(-4, 5))
_SHARE = 0.8


class Heads(NamedTuple):
    """Linear rewards of item features, and the statistics that normalise them, frozen."""

    weight: F32
    """`(d, m)`."""
    center: F32
    """`(d,)`."""
    mean: F64
    """`(m,)`."""
    spread: F64
    """`(m,)`."""
    foretold: tuple[float, ...] = ()
    """`(m,)` share of each rating's variance that features explain; empty where nothing was rated."""

    def rewards(self, items: F32) -> F64:
        """`(n, d)` -> `(n, m)`, normalised."""
        raw = (items - self.center).astype(np.float64) @ self.weight
        return np.asarray((raw - self.mean) / self.spread)


def column_heads(train: TrainingSet, columns: tuple[int, ...]) -> Heads:
    """Columns of the item features as they are.

    Raises:
        InputError: there is no such column, or one is named twice.
    """
    d = train.item_features.shape[1] - train.own
    if len(set(columns)) < len(columns) or not all(-d <= c < d for c in columns):
        message = f"columns: expected distinct numbers below {d}, got {columns}"
        raise InputError(message, where="columns")
    weight = np.zeros((train.item_features.shape[1], len(columns)), np.float32)
    weight[[c % d for c in columns], np.arange(len(columns))] = 1.0
    return normalised(train, weight, np.zeros(len(weight), np.float32))


def rating_heads(train: TrainingSet, ratings: F64, *, seed: int) -> Heads:
    """Ridge regressions of ratings on centred features, one a column, what is missing left out.

    A fifth of the ratings of a column chooses its strength by squared error, and tells the share of
    its variance that is foretold, a little too well, as it chose; NaN where it does not vary.

    Args:
        train: with the item features.
        ratings: `(m, k)`, NaN where an item is not rated.
        seed: of the choice of the fifth.

    Raises:
        InputError: the shape is wrong, or a column has fewer than two different ratings.

    Source: Wang et al. 2024, arXiv 2406.12845, stage 1, and its published code.
    """
    x = train.item_features.astype(np.float64)
    ratings = np.asarray(ratings, np.float64)
    if ratings.ndim != 2 or len(ratings) != len(x) or ratings.shape[1] == 0:
        message = f"ratings: expected shape ({len(x)}, k), got {ratings.shape}"
        raise DimensionError(message, where="ratings")
    center = x[np.isfinite(ratings).any(axis=1)].mean(0) if len(x) else np.zeros(x.shape[1])
    x, rng = x - center, np.random.default_rng(seed)
    weight, foretold = np.zeros((x.shape[1], ratings.shape[1])), []
    for k, column in enumerate(ratings.T):
        rated = np.flatnonzero(np.isfinite(column))
        if len(rated) < 2 or np.ptp(column[rated]) == 0:
            message = f"ratings: column {k} has fewer than two different ratings"
            raise InputError(message, where="ratings")
        weight[:, k], share = _ridge(x[rated], column[rated] - column[rated].mean(), rng)
        foretold.append(share)
    heads = normalised(train, weight.astype(np.float32), center.astype(np.float32))
    return heads._replace(foretold=tuple(foretold))


def _ridge(x: F64, y: F64, rng: np.random.Generator) -> tuple[F64, float]:
    """`(d,)` coefficients at the strength that foretells a held-out fifth best, and how well it does."""
    order = rng.permutation(len(x))
    cut = min(max(int(_SHARE * len(x)), 1), len(x) - 1)
    fitting, judging = order[:cut], order[cut:]
    path = _path(x[fitting], y[fitting])
    errors = [float(np.square(x[judging] @ beta - y[judging]).mean()) for beta in path]
    spread = float(np.square(y[judging] - y[fitting].mean()).mean())
    share = 1 - min(errors) / spread if spread > 0 else float("nan")
    return _path(x, y)[int(np.argmin(errors))], share


def _path(x: F64, y: F64) -> list[F64]:
    """Coefficients at every strength, from one decomposition."""
    left, size, axes = np.linalg.svd(x, full_matrices=False)
    seen = left.T @ y
    return [np.asarray(axes.T @ (size * seen / (size**2 + s))) for s in _STRENGTHS]


def normalised(train: TrainingSet, weight: F32, center: F32, *, common: bool = False) -> Heads:
    """Heads with the mean and standard deviation over both responses of the comparisons.

    Args:
        train: comparisons.
        weight: `(d, m)`.
        center: `(d,)`.
        common: one standard deviation for all heads, so that they keep their sizes to each other.
    """
    used = np.unique(np.concatenate([train.a, train.b]))
    count = np.bincount(train.a, minlength=len(train.item_features)) + np.bincount(
        train.b, minlength=len(train.item_features)
    )
    raw = (train.item_features[used] - center).astype(np.float64) @ weight  # (n, m)
    share = (count[used] / count.sum())[:, None]
    mean = (raw * share).sum(0)
    spread = np.sqrt((np.square(raw - mean) * share).sum(0))
    if common:
        spread = np.full_like(spread, np.sqrt(np.square(spread).mean()))
    return Heads(weight, center, mean, np.where(spread > 1e-12, spread, 1.0))
