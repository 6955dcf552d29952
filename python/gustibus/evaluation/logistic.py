"""Logistic regression of comparisons on differences of item features: Newton, numpy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.types import F32, F64, I64

RIDGES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""Candidates from strong to weak; a ridge r weighs like r comparisons of typical features."""
_STEPS, _HALVINGS, _ROWS = 30, 30, 1 << 14


@dataclass(frozen=True, slots=True)
class Pairs:
    """Comparisons with equal pairs put together; each has `a < b`."""

    a: I64
    b: I64
    target: F64
    """`(n,)` mean answer."""
    weight: F64
    """`(n,)` summed weight."""

    @classmethod
    def of(cls, data: TrainingSet) -> Pairs:
        """Pairs of a training set, whoever was asked."""
        swap = data.a > data.b
        a, b = np.where(swap, data.b, data.a), np.where(swap, data.a, data.b)
        target = np.where(swap, 1 - data.target, data.target).astype(np.float64)
        m = len(data.item_features)
        keys, code = np.unique(a.astype(np.int64) * m + b, return_inverse=True)
        code = code.reshape(-1)
        weight = np.bincount(code, data.weight, len(keys)).astype(np.float64)
        total = np.bincount(code, data.weight * target, len(keys))
        used = weight > 0
        return cls(keys[used] // m, keys[used] % m, total[used] / weight[used], weight[used])

    def loss(self, value: F64) -> float:
        """Mean log loss of item values `(m,)` in log-odds."""
        z = value[self.a] - value[self.b]
        each = np.logaddexp(0, z) - self.target * z
        return float((each * self.weight).sum() / self.weight.sum())


def fit_logistic(
    features: F64, pairs: Pairs, *, ridge: float, start: F64 | None = None, tolerance: float = 1e-8
) -> F64:
    """`(d,)` weights that minimise summed log loss plus `ridge / 2` times their squared length.

    Args:
        features: `(m, d)` of the items.
        pairs: what was answered.
        ridge: above 0.
        start: where to start; zeros by default.
        tolerance: of the gradient, relative to the number of answers.

    Source: Newton's method with step halving, Boyd and Vandenberghe 2004, section 9.5.
    """
    w = np.zeros(features.shape[1]) if start is None else start.copy()
    value = _objective(features, pairs, ridge, w)
    for _ in range(_STEPS):
        z = features @ w
        p = 0.5 * (1 + np.tanh((z[pairs.a] - z[pairs.b]) / 2))
        residual = pairs.weight * (p - pairs.target)
        gradient = features.T @ _scatter(pairs, residual, len(features)) + ridge * w
        if np.abs(gradient).max(initial=0.0) <= tolerance * max(pairs.weight.sum(), 1):
            break
        hessian = _hessian(features, pairs, pairs.weight * p * (1 - p))
        hessian[np.diag_indices_from(hessian)] += ridge
        step = np.asarray(np.linalg.solve(hessian, gradient), np.float64)
        w, value, moved = _search(features, pairs, ridge, w, value, step)
        if not moved:
            break
    return w


@dataclass(frozen=True, slots=True)
class Span:
    """An isometry of all item features into as few dimensions as they span, after centring."""

    center: F32
    """`(d,)`."""
    turn: F32
    """`(d, q)`, columns orthonormal up to one scale that makes the mean square of a feature 1."""

    @classmethod
    def of(cls, items: F32) -> Span:
        """Of the features `(m, d)` of a data set."""
        center = items.mean(axis=0, dtype=np.float64)
        x = items.astype(np.float64) - center
        scale = float(np.sqrt((x**2).mean())) or 1.0
        if len(items) > items.shape[1]:
            turn = np.eye(items.shape[1])
        else:
            _, size, rows = np.linalg.svd(x, full_matrices=False)
            turn = rows[size > 1e-9 * max(size.max(initial=0.0), 1e-12)].T
        return cls(center.astype(np.float32), (turn / scale).astype(np.float32))

    def __call__(self, items: F32) -> F32:
        """`(n, d)` -> `(n, q)`."""
        return np.asarray((items - self.center) @ self.turn, np.float32)


class Pooled(NamedTuple):
    """One reward for everybody, fitted on the training people alone."""

    span: Span
    ridge: float
    weights: F64
    """`(q,)` of the features that `span` gives."""


def fit_pooled(train: TrainingSet, valid: TrainingSet | None) -> Pooled:
    """The reward whose ridge has the least log loss on the validation people; 30 without any."""
    span = Span.of(train.item_features)
    features, fitted = span(train.item_features).astype(np.float64), Pairs.of(train)
    if valid is None:
        return Pooled(span, 30.0, fit_logistic(features, fitted, ridge=30.0))
    judged, losses = Pairs.of(valid), list[float]()
    best, w = Pooled(span, RIDGES[0], np.zeros(features.shape[1])), None
    for ridge in RIDGES:
        w = fit_logistic(features, fitted, ridge=ridge, start=w, tolerance=1e-6)
        losses.append(judged.loss(features @ w))
        if losses[-1] == min(losses):
            best = Pooled(span, ridge, w)
        elif len(losses) > 2 and losses[-1] > losses[-2] > losses[-3]:
            break  # weaker ones only fit the training people closer
    return best


def _objective(features: F64, pairs: Pairs, ridge: float, w: F64) -> float:
    z = features @ w
    margin = z[pairs.a] - z[pairs.b]
    each = np.logaddexp(0, margin) - pairs.target * margin
    return float((each * pairs.weight).sum() + 0.5 * ridge * w @ w)


def _search(
    features: F64, pairs: Pairs, ridge: float, w: F64, value: float, step: F64
) -> tuple[F64, float, bool]:
    """The first of the halved steps that descends; whether any did."""
    for halving in range(_HALVINGS):
        trial = w - step / 2**halving
        reached = _objective(features, pairs, ridge, trial)
        if reached < value:
            return trial, reached, True
    return w, value, False


def _scatter(pairs: Pairs, values: F64, items: int) -> F64:
    total = np.bincount(pairs.a, values, items) - np.bincount(pairs.b, values, items)
    return np.asarray(total, np.float64)


def _hessian(features: F64, pairs: Pairs, curvature: F64) -> F64:
    """`X' diag(curvature) X` for `X = features[a] - features[b]`, in single precision.

    Newton steps need no more: the gradient is exact, and a step is only taken if it descends.
    """
    m, d = features.shape
    x = features.astype(np.float32)
    if m * m <= len(pairs.a) * d:  # through the Laplacian of the graph of pairs
        graph = np.bincount(pairs.a * m + pairs.b, curvature, m * m).reshape(m, m)
        graph = -(graph + graph.T)
        graph[np.diag_indices(m)] -= graph.sum(1)
        return (x.T @ (graph.astype(np.float32) @ x)).astype(np.float64)
    total = np.zeros((d, d))
    for first in range(0, len(pairs.a), _ROWS):
        rows = slice(first, first + _ROWS)
        diff = x[pairs.a[rows]] - x[pairs.b[rows]]
        total += diff.T @ (diff * curvature[rows, None].astype(np.float32))
    return total
