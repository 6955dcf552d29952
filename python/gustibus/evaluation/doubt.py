"""Variances of margins without the covariance of a long user vector.

For people with fewer answers than the user vector has entries it is much cheaper to stay in the
space of answers; the numbers are the same.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gustibus.evaluation.rows import Rows
from gustibus.types import F64


def margin_variances(support: F64, curvature: F64, evidence: Rows, asked: F64, judged: Rows) -> F64:
    """`(m,)` variance of each judged margin under the Laplace posterior of its person.

    `|d|^2 - k' (I + K)^-1 k` with `K = R X X' R` and `k = R X d`, where the rows of `X` are a
    person's answers, `d` is a judged row and `R^2` the curvature of the answers at the mode.

    Args:
        support: `(s, u)` differences of the basis, in units in which the prior is standard normal.
        curvature: `(s,)` second derivative of each answer's log loss at its person's mode.
        evidence: whose each row of `support` is.
        asked: `(m, u)` differences of the basis of the judged rows, in the same units.
        judged: whose each of these is.

    Source: Rasmussen and Williams 2006, equation 3.24.
    """
    variance = np.einsum("mu,mu->m", asked, asked)
    scaled = support * np.sqrt(curvature)[:, None]  # (s, u)
    edges = zip(pairwise(evidence.starts), pairwise(judged.starts), strict=True)
    for (first, last), (start, stop) in edges:
        x, d = scaled[first:last], asked[start:stop]
        if first == last or start == stop:
            continue
        if len(x) < x.shape[1]:
            root = np.linalg.cholesky(np.eye(len(x)) + x @ x.T)
            variance[start:stop] -= (np.linalg.solve(root, x @ d.T) ** 2).sum(0)
        else:
            root = np.linalg.cholesky(np.eye(x.shape[1]) + x.T @ x)
            variance[start:stop] = (np.linalg.solve(root, d.T) ** 2).sum(0)
    return np.asarray(np.maximum(variance, 0), np.float64)
