"""Tables of pairwise scores that may run in a circle: how to build, rank and take them apart.

A table `S` is `(n, n)` and skew: `S[i, j]` above 0 prefers i, `S[j, i] = -S[i, j]`, and the diagonal
is 0. A circle has no best response: report the ranking by mean score with the cyclic share beside it,
or the winning mixture, not the largest number alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.types import F64


def skew_scores(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """`S[i, j] = sum_l left[i, l] right[j, l] - right[i, l] left[j, l]`, exactly skew.

    Computed as `M - M.T` from one product: in every precision `S + S.T` is 0 to the last bit, which
    a product with the skew operator between does not give.

    Args:
        left: `(n, k)` even coordinates, scales folded in as square roots.
        right: `(n, k)` odd coordinates, likewise.

    Returns:
        `(n, n)` in the precision of the input.
    """
    if left.ndim != 2 or left.shape != right.shape:
        message = f"right: expected shape {left.shape} like left, got {right.shape}"
        raise DimensionError(message, where="right")
    product = left @ right.T  # (n, n)
    return product - product.T


def borda(left: F64, right: F64, scalar: F64 | None = None) -> F64:
    """Mean score of every response against all, itself included, in `O(n k)`.

    A skew score is linear in each side, so the mean over opponents is the score against the mean
    opponent: no table is needed.

    Args:
        left: `(n, k)` even coordinates, scales folded in as square roots.
        right: `(n, k)` odd coordinates.
        scalar: `(n,)` transitive part, `r_i - r_j`; none by default.

    Returns:
        `(n,)`, the row means of the table.

    Source: the row-sum score of Borda 1781; bilinearity as in Zhang et al. 2024, arXiv 2410.02197.
    """
    if len(left) == 0:
        return np.zeros(0)
    mean = (left * right.mean(0) - right * left.mean(0)).sum(1)  # (n,)
    return mean if scalar is None else mean + scalar - scalar.mean()


class Winner(NamedTuple):
    """A mixture of responses that no response beats on average, up to `gap`."""

    mixture: F64
    """`(n,)` on the simplex."""
    gap: float
    """Largest mean score of any response against the mixture, at or above 0; 0 is exact."""


def von_neumann_winner(scores: F64, *, rounds: int = 2000) -> Winner:
    """Maximal lottery of a table: the equilibrium of the symmetric zero-sum game, approximately.

    Multiplicative weights with the rate of their regret bound; iterates are averaged, so the gap
    falls as `1 / sqrt(rounds)` times the largest score.

    Args:
        scores: `(n, n)` skew.
        rounds: steps, each one product.

    Raises:
        InputError: the table is empty, not square or not skew, or there are no rounds.

    Source: Freund and Schapire 1999, "Adaptive game playing using multiplicative weights"; Dudik et
    al. 2015, "Contextual dueling bandits", for the von Neumann winner.
    """
    scores = _table(scores)
    n = len(scores)
    if n == 0 or rounds < 1:
        message = f"scores: expected a response and rounds >= 1, got {n} and {rounds}"
        raise InputError(message, where="scores")
    size = float(np.abs(scores).max())
    if n == 1 or size == 0.0:
        return Winner(np.full(n, 1 / n), 0.0)
    game = scores / size
    rate = np.sqrt(8 * np.log(n) / rounds)
    gains, total = np.zeros(n), np.zeros(n)
    for _ in range(rounds):
        weight = np.exp(rate * (gains - gains.max()))
        weight /= weight.sum()
        total += weight
        gains += game @ weight
    mixture = total / total.sum()
    return Winner(mixture, max(float((scores @ mixture).max()), 0.0))


class Split(NamedTuple):
    """A table as a ranking plus what runs in circles; `transitive + cyclic` is the table."""

    potential: F64
    """`(n,)` row means: the scores of the best ranking in squared error."""
    transitive: F64
    """`(n, n)`: `potential[i] - potential[j]`."""
    cyclic: F64
    """`(n, n)`: every row sums to 0."""
    cyclic_share: float
    """Squared size of `cyclic` in that of the table, in `[0, 1]`; 0 for a table of zeros."""


def hodge_split(scores: F64) -> Split:
    """The orthogonal parts of a table.

    Args:
        scores: `(n, n)` skew.

    Raises:
        InputError: the table is not square or not skew.

    Source: Jiang, Lim, Yao and Ye 2011, "Statistical ranking and combinatorial Hodge theory"; for a
    complete table the gradient part is that of the row means.
    """
    scores = _table(scores)
    potential = scores.mean(1) if len(scores) else np.zeros(0)
    transitive = potential[:, None] - potential
    cyclic = scores - transitive
    return Split(potential, transitive, cyclic, share(cyclic, transitive))


def share(cyclic: F64, transitive: F64) -> float:
    """Squared size of `cyclic` in that of both, of arrays or of their norms; 0 where both are 0."""
    round_about, along = float(np.square(cyclic).sum()), float(np.square(transitive).sum())
    return round_about / (round_about + along) if round_about > 0 else 0.0


def cyclic_norm(left: F64, right: F64, weight: F64) -> float:
    """Frobenius norm of the cyclic part of a table in `O(n k^2)`, without the table.

    The cyclic part is the table of the centred coordinates: what a mean opponent adds is a ranking.

    Args:
        left: `(n, k)` even coordinates.
        right: `(n, k)` odd coordinates.
        weight: `(k,)` factor of each block, of either sign.
    """
    if len(left) == 0:
        return 0.0
    a, b = left - left.mean(0), right - right.mean(0)
    turned = (b.T @ a) * weight  # |M - M.T|^2 = 2 |M|^2 - 2 tr(M M) for M = a diag(weight) b.T
    square = ((a.T @ a) * weight[:, None] * weight * (b.T @ b)).sum() - (turned * turned.T).sum()
    return float(np.sqrt(max(2 * square, 0.0)))


def _table(scores: F64) -> F64:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        message = f"scores: expected shape (n, n), got {scores.shape}"
        raise DimensionError(message, where="scores")
    if not np.isfinite(scores).all():
        message = "scores: holds NaN or infinity"
        raise NotFiniteError(message, where="scores")
    size = float(np.abs(scores).max(initial=0.0))
    if np.abs(scores + scores.T).max(initial=0.0) > 1e-6 * size:
        message = "scores: expected scores[i, j] = -scores[j, i]"
        raise InputError(message, where="scores")
    return scores
