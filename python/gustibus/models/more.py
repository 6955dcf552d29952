"""MORE: weights of several data sets under which one reward improves on all of them at once.

Every data set has a gradient on the reward head. Along the shortest vector of their convex hull the
losses of all of them fall at least as fast as its squared length; where it is 0, no step serves
everybody. The weights that make the vector are those of the data sets.

Source: Zeng et al. 2023, "On Diversified Preferences of Large Language Model Alignment",
arXiv 2312.07401; Desideri 2012, "Multiple-gradient descent algorithm (MGDA) for multiobjective
optimization", for the vector.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F64


class Shortest(NamedTuple):
    """The shortest vector of a convex hull."""

    weights: F64
    """`(k,)` on the simplex."""
    point: F64
    """`(d,)` the weighted sum of the gradients."""
    gap: float
    """`|point|^2` less the smallest inner product of a gradient with it; 0 is exact."""
    steps: int
    converged: bool


def shortest(gradients: F64, *, tolerance: float = 1e-5, max_steps: int = 1000) -> Shortest:
    """The point nearest 0 of the convex hull of gradients, by Frank-Wolfe steps.

    Starts from the best segment between two of them. A step moves weight from the active gradient
    that points most along the vector to the one that points least, with the exact step length.

    Args:
        gradients: `(k, d)`, one row a data set.
        tolerance: largest gap, in units of the largest squared length of a gradient.
        max_steps: most steps.

    Raises:
        InputError: there is no gradient, or a number is not finite.

    Source: Frank and Wolfe 1956; Lacoste-Julien and Jaggi 2015, algorithm 2, for the pairwise step.
    """
    g = np.asarray(gradients, np.float64)
    if g.ndim != 2 or len(g) == 0 or not np.isfinite(g).all():
        message = f"gradients: expected a finite matrix of at least one row, got shape {g.shape}"
        raise InputError(message, where="gradients")
    gram = g @ g.T  # (k, k)
    weights = _best_segment(gram)
    enough = tolerance * float(gram.diagonal().max())
    steps, gap = 0, 0.0
    while True:
        along = gram @ weights  # (k,)
        least = int(along.argmin())
        gap = max(float(weights @ along - along[least]), 0.0)
        if gap <= enough or steps == max_steps:
            break
        most = int(np.where(weights > 0, along, -np.inf).argmax())
        bend = gram[least, least] + gram[most, most] - 2 * gram[least, most]
        reach = weights[most]
        step = reach if bend <= 0 else min((along[most] - along[least]) / bend, reach)
        weights[least] += step
        weights[most] -= step
        steps += 1
    weights = np.maximum(weights, 0)
    weights /= weights.sum()
    return Shortest(weights, weights @ g, gap, steps, gap <= enough)


def _best_segment(gram: F64) -> F64:
    """`(k,)` weights of the shortest vector between two gradients; all of it on one where k is 1."""
    k = len(gram)
    weights = np.zeros(k)
    best, weights[0] = float(gram[0, 0]), 1.0
    for i, j in combinations(range(k), 2):
        bend = gram[i, i] + gram[j, j] - 2 * gram[i, j]
        share = 1.0 if bend <= 0 else float(np.clip((gram[j, j] - gram[i, j]) / bend, 0, 1))
        rest = 1 - share
        size = share**2 * gram[i, i] + rest**2 * gram[j, j] + 2 * share * rest * gram[i, j]
        if size < best:
            best = float(size)
            weights[:] = 0
            weights[i], weights[j] = share, rest
    return weights


class More:
    """Weights of data sets from the gradients of each step, smoothed and brought to one length.

    Args:
        momentum: weight of the newest gradient in the mean of all of them, in (0, 1].
    """

    def __init__(self, *, momentum: float = 0.99) -> None:
        if not 0 < momentum <= 1:
            message = f"momentum: expected a number in (0, 1], got {momentum}"
            raise InputError(message, where="momentum")
        self._momentum = momentum
        self._mean: F64 | None = None

    def weights(self, gradients: F64) -> F64:
        """`(k, d)` gradients of this step -> `(k,)` weights on the simplex."""
        new = np.asarray(gradients, np.float64)
        before = new if self._mean is None else self._mean
        self._mean = (1 - self._momentum) * before + self._momentum * new
        length = np.linalg.norm(self._mean, axis=1, keepdims=True)
        return shortest(self._mean / np.where(length > 0, length, 1.0)).weights
