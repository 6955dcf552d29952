"""People in two dimensions: the directions along which they differ most, the same picture every time."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from gustibus.types import F64, I64

MOST = 20_000
"""Most people drawn."""
SMALL = 10
"""Groups of fewer people are not shown."""


class Plane(NamedTuple):
    """Where people are on the plane of their two main directions."""

    points: F64
    """`(n, 2)`."""
    axes: F64
    """`(u, 2)` loadings."""
    explained: tuple[float, float]
    """Share of the variance along each axis."""


def project(means: F64) -> Plane:
    """Principal components of user vectors.

    An axis points where its largest loading is positive, so that it does not flip from one day to
    the next; with fewer than two dimensions the missing ones are 0.

    Args:
        means: `(n, u)`.
    """
    axes, explained = np.zeros((means.shape[1], 2)), np.zeros(2)
    centred = means - means.mean(axis=0) if len(means) else means
    values, vectors = np.linalg.eigh(centred.T @ centred)
    total = float(values.sum())
    for axis in range(min(2, len(values))):
        loading = vectors[:, -1 - axis]
        if total <= 1e-12 or values[-1 - axis] <= 1e-12 * total:
            break
        sign = np.sign(loading[np.argmax(np.abs(loading))])
        axes[:, axis] = sign * loading
        explained[axis] = values[-1 - axis] / total
    return Plane(centred @ axes, axes, (float(explained[0]), float(explained[1])))


def draw_lots(names: list[str], most: int = MOST) -> I64:
    """Rows of the people to draw, by name: the same ones every time, as few as there may be."""
    if len(names) > most:
        lots = [blake2b(name.encode(), digest_size=8).digest() for name in names]
        chosen = sorted(range(len(names)), key=lots.__getitem__)[:most]
    else:
        chosen = list(range(len(names)))
    return np.array(sorted(chosen, key=names.__getitem__), np.int64)
