"""People in two dimensions: the directions along which they differ most, the same picture every time."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from gustibus.types import F32, F64, I64

MOST = 20_000
"""Most people drawn."""
BLOCK = 1 << 14
"""People whose vectors are copied at once: of a million, all together take more memory than the service."""
_FEW = 10  # of each group are drawn at least, where there are so many


class Plane(NamedTuple):
    """Where people are on the plane of their two main directions."""

    points: F64
    """`(n, 2)`."""
    axes: F64
    """`(u, 2)` loadings."""
    explained: tuple[float, float]
    """Share of the variance along each axis."""


def project(means: F32 | F64) -> Plane:
    """Principal components of user vectors.

    An axis points where its largest loading is positive, so that it does not flip from one day to
    the next; with fewer than two dimensions the missing ones are 0.

    Args:
        means: `(n, u)`.
    """
    axes, explained = np.zeros((means.shape[1], 2)), np.zeros(2)
    middle = means.mean(axis=0, dtype=np.float64) if len(means) else np.zeros(means.shape[1])
    blocks = [slice(at, at + BLOCK) for at in range(0, len(means), BLOCK)]
    scatter = np.zeros((means.shape[1], means.shape[1]))
    for block in blocks:
        centred = means[block] - middle
        scatter += centred.T @ centred
    values, vectors = np.linalg.eigh(scatter)
    total = float(values.sum())
    for axis in range(min(2, len(values))):
        loading = vectors[:, -1 - axis]
        if total <= 1e-12 or values[-1 - axis] <= 1e-12 * total:
            break
        sign = np.sign(loading[np.argmax(np.abs(loading))])
        axes[:, axis] = sign * loading
        explained[axis] = values[-1 - axis] / total
    points = np.empty((len(means), 2))
    for block in blocks:
        points[block] = (means[block] - middle) @ axes
    return Plane(points, axes, (float(explained[0]), float(explained[1])))


def turn(points: F64, onto: F64) -> F64:
    """The rotation `(2, 2)`, perhaps with a mirror, that brings a map nearest to another.

    Args:
        points: `(n, 2)`, at least one.
        onto: `(n, 2)`, the same people.
    """
    left, _, right = np.linalg.svd(_centred(points).T @ _centred(onto))
    return np.asarray(left @ right)


def turned(plane: Plane, by: F64) -> Plane:
    """The same plane with other axes.

    Args:
        plane: at least one person on it.
        by: `(2, 2)` rotation.
    """
    points = plane.points @ by
    along, before = (np.square(one).sum(axis=0) for one in (points, plane.points))
    share = sum(plane.explained) / max(float(before.sum()), 1e-300) * along
    return Plane(points, plane.axes @ by, (float(share[0]), float(share[1])))


def _centred(points: F64) -> F64:
    return np.asarray(points - points.mean(axis=0))


class Aligned(NamedTuple):
    """One map laid over another."""

    points: F64
    """`(n, 2)` where people of the one are on the other."""
    agreement: float
    """Procrustes correlation: 1 where the maps are alike, 0 where they have nothing in common."""
    spread: float
    """Root mean square distance of people from their middle, the same on both."""


def align(points: F64, onto: F64) -> Aligned:
    """Lay a map over another of the same people: moved, turned, perhaps mirrored, to its size.

    Orthogonal Procrustes. The scale is that at which both spread alike: the one that leaves the least
    squares shrinks maps that disagree, so that people would seem to have moved less.

    Args:
        points: `(n, 2)`, at least one.
        onto: `(n, 2)`, the same people.
    """
    a, b = _centred(points), _centred(onto)
    size_a, size_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    laid = a @ turn(points, onto)
    scale = size_b / size_a if size_a > 0 else 0.0
    both = size_a * size_b
    return Aligned(
        scale * laid + onto.mean(axis=0),
        min(1.0, float((laid * b).sum()) / both) if both > 0 else 0.0,
        size_b / float(np.sqrt(len(onto))),
    )


def lots(names: Sequence[str]) -> I64:
    """Rows of names in an order that chance has made once and for all."""
    drawn = [blake2b(name.encode(), digest_size=8).digest() for name in names]
    return np.array(sorted(range(len(names)), key=drawn.__getitem__), np.int64)


def draw_lots(names: list[str], most: int = MOST) -> I64:
    """Rows of the people to draw, by name: the same ones every time, as few as there may be."""
    chosen = lots(names)[:most].tolist() if len(names) > most else range(len(names))
    return np.array(sorted(chosen, key=names.__getitem__), np.int64)


def draw_by_group(names: list[str], group: I64, most: int = MOST) -> I64:
    """Rows of the people to draw, by name: the same share of every group, but ten at least.

    Args:
        names: of the people.
        group: `(n,)` number of each one's group, from 0.
        most: people in all.
    """
    if len(names) <= most:
        return draw_lots(names, most)
    sizes = np.bincount(group)
    quota = np.maximum(most * sizes // len(names), np.minimum(sizes, _FEW))
    quota[np.argmax(quota)] -= max(0, int(quota.sum()) - most)
    chosen: list[int] = []
    for number, room in enumerate(quota.tolist()):
        rows = np.flatnonzero(group == number)
        chosen += rows[lots([names[row] for row in rows])[:room]].tolist()
    return np.array(sorted(chosen, key=names.__getitem__), np.int64)
