"""Labels of one set of items carried over to another: a coupling of the two, and labels through it.

Items of the two sets may have embeddings of different length; only distances within each set are
compared. The labels are soft targets for a cold start of a new person or domain.

Source: Liu et al. 2024, PEARL, arXiv 2306.03615, cross-task preference alignment; Mémoli 2011,
Gromov-Wasserstein distances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import InputError, MissingExtraError
from gustibus.methods import method
from gustibus.rewards.arrays import arrays

if TYPE_CHECKING:
    from gustibus.types import F64

_PAPER = "Liu et al. 2024, PEARL, arXiv 2306.03615, eq. of transferred labels; normalised here"


@method(
    "OPS",
    source=_PAPER,
    purpose="soft preference label of a pair of new items from labelled items",
    check="tests/unit/test_rewards_transport.py::test_worked_number",
    example="ops.transfer_labels(T=[[0.5, 0], [0, 0.5]], Z=[[0.5, 1], [0, 0.5]], j=0, j2=1)",
)
def transfer_labels(T: Any, Z: Any, j: int, j2: int) -> float:
    """Label of target pair `(j, j2)`: the mean source label, weighted by how pairs are coupled.

    `sum_{i != k} T_ij T_k,j2 Z_ik / sum_{i != k} T_ij T_k,j2`. The denominator, which the paper leaves
    out, makes labels of any coupling probabilities.

    Args:
        T: `(s, t)` coupling of source and target items, at or above 0.
        Z: `(s, s)` probability in `[0, 1]` that the first source item is preferred to the second;
            the diagonal is not read.
        j: target item.
        j2: another target item.

    Raises:
        InputError: shapes or ranges are wrong, or nothing of the pair is coupled to a source pair.
    """
    T, Z = _checked(T, Z)
    for name, value in (("j", j), ("j2", j2)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or not 0 <= value < T.shape[1]:
            message = f"{name}: expected a target item from 0 below {T.shape[1]}, got {value!r:.80}"
            raise InputError(message, where=name)
    labels = _labels(T[:, [j]], Z, T[:, [j2]])
    if np.isnan(labels[0, 0]):
        message = f"T: expected items {j} and {j2} to be coupled to two different source items"
        raise InputError(message, where="T")
    return float(labels[0, 0])


def transfer_matrix(T: Any, Z: Any) -> F64:
    """`transfer_labels` of all pairs: `(s, t)`, `(s, s)` -> `(t, t)`; NaN where nothing is coupled."""
    T, Z = _checked(T, Z)
    return _labels(T, Z, T)


def couple(
    source: Any, target: Any, *, source_weights: Any = None, target_weights: Any = None
) -> F64:
    """Gromov-Wasserstein coupling `(s, t)` of two sets of items by their distance matrices.

    The problem has local optima, so that it is solved from two starts, the independent coupling and
    one that matches items by their mean distance to the others; the better solution counts.

    Args:
        source: `(s, s)` distances between source items, symmetric, at or above 0.
        target: `(t, t)` likewise of target items; put both on one scale first.
        source_weights: `(s,)` mass of each item, summing to 1; equal by default.
        target_weights: `(t,)`.

    Raises:
        MissingExtraError: POT is not installed.
        InputError: a matrix is not one of distances, or weights are none.
    """
    try:
        import ot
    except ImportError:
        raise MissingExtraError.of("POT", "transport") from None
    sides = []
    for name, distances, weights in (
        ("source", source, source_weights), ("target", target, target_weights),
    ):  # fmt: skip
        sides.append(_side(name, distances, weights))
    (c1, p), (c2, q) = sides
    # how far items lie from the others says which may correspond, whatever the embeddings are
    starts = [np.outer(p, q), ot.emd_1d(c1 @ p, c2 @ q, p, q)]
    solved = [
        ot.gromov.gromov_wasserstein(c1, c2, p, q, "square_loss", G0=start, log=True)
        for start in starts
    ]
    coupling, _ = min(solved, key=lambda found: float(found[1]["gw_dist"]))
    return np.asarray(coupling, np.float64)


def distances(vectors: Any) -> F64:
    """Euclidean distances `(n, n)` between rows `(n, d)`, over their mean, so that scales agree.

    Raises:
        InputError: there are fewer than two rows, or all are the same.
    """
    _, x = arrays(vectors=vectors)
    if x.ndim != 2 or len(x) < 2:
        message = f"vectors: expected shape (n, d), n at least 2, got {x.shape}"
        raise InputError(message, where="vectors")
    apart = np.linalg.norm(x[:, None] - x, axis=-1)
    if not apart.any():
        message = "vectors: expected different rows, all are the same"
        raise InputError(message, where="vectors")
    return apart / apart.mean()


def _side(name: str, distances: Any, weights: Any) -> tuple[F64, F64]:
    _, matrix = arrays(**{name: distances})
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        message = f"{name}: expected a square matrix of distances, got {matrix.shape}"
        raise InputError(message, where=name)
    if not np.allclose(matrix, matrix.T) or matrix.min() < 0:
        message = f"{name}: expected symmetric distances of at least 0"
        raise InputError(message, where=name)
    if weights is None:
        return matrix, np.full(len(matrix), 1 / len(matrix))
    _, mass = arrays(**{f"{name}_weights": weights})
    if mass.shape != (len(matrix),) or mass.min() < 0 or not np.isclose(mass.sum(), 1):
        message = f"{name}_weights: expected {len(matrix)} numbers that sum to 1, got {mass.shape}"
        raise InputError(message, where=f"{name}_weights")
    return matrix, mass


def _checked(T: Any, Z: Any) -> tuple[F64, F64]:
    _, T, Z = arrays(T=T, Z=Z)
    if T.ndim != 2 or Z.shape != (len(T), len(T)):
        message = f"T, Z: expected shapes (s, t) and (s, s), got {T.shape} and {Z.shape}"
        raise InputError(message, where="Z")
    if T.min(initial=0) < 0:
        message = f"T: expected a coupling of at least 0, got {T.min()}"
        raise InputError(message, where="T")
    if Z.min(initial=0) < 0 or Z.max(initial=0) > 1:
        message = f"Z: expected probabilities in [0, 1], got {Z.min()} to {Z.max()}"
        raise InputError(message, where="Z")
    return T, Z


def _labels(left: F64, Z: F64, right: F64) -> F64:
    """Weighted mean labels `(m, n)` of columns `(s, m)` and `(s, n)` of a coupling."""
    off = 1 - np.eye(len(Z))
    mass = left.T @ off @ right
    found = np.divide(
        left.T @ (off * Z) @ right, mass, out=np.full_like(mass, np.nan), where=mass > 0
    )
    return np.clip(found, 0.0, 1.0)  # rounding alone can leave the interval
