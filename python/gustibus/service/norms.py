"""How long an embedding of a client may be: twice what nearly all of the training were."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from gustibus.types import F32

if TYPE_CHECKING:
    from gustibus.artifact import Artifact

_TIMES = 2.0
_SURE = 1.0 - 1e-5
"""Part of a squared length that rounding in single precision leaves certain."""

_squares = getattr(np, "vecdot", None) or (lambda a, b: np.einsum("nd,nd->n", a, b))
"""`(n, d)` twice -> `(n,)`; numpy before 2.0 has the slower one alone."""


def longest_of(artifact: Artifact) -> float:
    """Most that an embedding may be long; infinite where the training kept no lengths, or only 0."""
    return _TIMES * (artifact.embedding_norm or inf)


def too_long(embeddings: F32, longest: float) -> list[int]:
    """Rows of finite embeddings `(n, d)` that are longer than that; one pass where none is."""
    if longest == inf or not len(embeddings):
        return []
    with np.errstate(over="ignore"):
        most = float(_squares(embeddings, embeddings).max())
    if most <= _SURE * longest * longest:
        return []
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
    return [int(row) for row in np.flatnonzero(lengths > longest)]


def why_too_long(embedding: F32, longest: float) -> str:
    """What is said of one."""
    length = float(np.linalg.norm(embedding.astype(np.float64)))
    return (
        f"its length {length:.4g} is above {longest:.4g}, twice that of nearly all of the training"
    )
