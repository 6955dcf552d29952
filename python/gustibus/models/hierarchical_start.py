"""Where the search for directions in which people differ begins: coordinates and a spectral start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.types import F32, F64, I32, I64

_SMALL, _ITERATIONS = 800, 60


@dataclass(frozen=True)
class Frame:
    """Item features in the coordinates of the fit: `x = (item - center) @ turn`."""

    center: F32
    turn: F64
    items: F64
    plain: F64
    """`(q, c)`: `items @ plain` are the c components as they were, at unit distance."""
    own: int
    """Number of the last coordinates that are one known item's each."""

    @classmethod
    def of(cls, train: TrainingSet, exponent: float, most: int) -> Self:
        """Principal components divided by their standard deviation to the power `exponent`.

        Coordinates of known items' own are as they are, in units of the components.
        """
        used = np.unique(np.concatenate([train.a, train.b]))
        d = train.item_features.shape[1] - train.own
        center = train.item_features[used].mean(0, dtype=np.float64)
        center[d:] = 0.0
        x = train.item_features.astype(np.float64) - center
        _, spread, axes = np.linalg.svd(x[used, :d], full_matrices=False)
        # float16 embeddings carry relative noise of 1e-3: directions below it are rounding.
        keep = min(most, max(1, int((spread > 1e-3 * max(spread[0], 1e-300)).sum())))
        variance = np.maximum(spread[:keep] ** 2 / len(used), 1e-300)
        turn = axes[:keep].T * variance ** (-exponent / 2)  # (d, q)
        coordinates = x[:, :d] @ turn
        scale = _distance(coordinates, train)
        plain = np.diag(variance ** (exponent / 2))
        plain /= _distance(coordinates @ plain, train) / scale
        own = x[:, d:] / _distance(x[:, :d], train)  # their share is one of distances as they were
        items = np.concatenate([coordinates / scale, own], axis=1)
        turn = np.block([
            [turn / scale, np.zeros((d, train.own))],
            [np.zeros((train.own, keep)), np.eye(train.own) / _distance(x[:, :d], train)],
        ])  # fmt: skip
        plain = np.concatenate([plain, np.zeros((train.own, keep))])
        return cls(center.astype(np.float32), turn, items, plain, train.own)


def _distance(items: F64, train: TrainingSet) -> float:
    """Root mean squared distance of the two items of a comparison; 1 where there is none."""
    total, rows = 0.0, 20_000
    for start in range(0, len(train), rows):
        block = slice(start, start + rows)
        total += float(((items[train.a[block]] - items[train.b[block]]) ** 2).sum())
    return float(np.sqrt(total / max(len(train), 1))) or 1.0


def spectral_start(train: TrainingSet, frame: Frame, theta: F64, rank: int) -> F64:
    """Directions in which people's score vectors vary more than chance: `(q, k)`.

    With `g_u` the gradient of a person's log likelihood at the population, `Cov(g_u) = F S F + F`
    for Fisher information F a person; the leading eigenvectors of the excess start the search.
    """
    margin = (frame.items @ theta)[train.a] - (frame.items @ theta)[train.b]
    p = 1 / (1 + np.exp(-np.clip(margin, -500, 500)))
    pull, bend = train.weight * (train.target - p), train.weight * p * (1 - p)
    scores, information = _score_moments(train, frame, pull, bend)
    excess = scores.T @ scores / max(train.people, 1) - information
    top, direction = _leading(excess, min(rank, len(excess)))
    fisher = np.einsum("qk,qr,rk->k", direction, information, direction)
    length = np.sqrt(np.maximum(top, 1e-6)) / np.maximum(fisher, 1e-6)
    return np.asarray(direction * np.clip(length, 0.05, 3.0))


def _score_moments(train: TrainingSet, frame: Frame, pull: F64, bend: F64) -> tuple[F64, F64]:
    """Scores of people `(p, q)`, and the information of a person `(q, q)`.

    The own coordinates of known items are one number a row each: they are added up by place, not
    multiplied out.
    """
    q, own = frame.items.shape[1], frame.own
    plain = q - own
    x, mine = frame.items[:, :plain], frame.items[:, plain:]
    place = mine.argmax(1) if own else np.zeros(len(mine), np.int64)  # (m,)
    value = mine.max(1) if own else np.zeros(len(mine))  # 0 for items that are not known
    scores, information = np.zeros((train.people, q)), np.zeros((q, q))
    block = max(1000, 20_000_000 // plain)
    for start in range(0, len(train), block):
        rows = slice(start, start + block)
        user, a, b = train.user[rows], train.a[rows], train.b[rows]
        delta, g, h = x[a] - x[b], pull[rows], bend[rows]
        scores[:, :plain] += _sums(delta * g[:, None], user, train.people)
        information[:plain, :plain] += (delta * h[:, None]).T @ delta
        for side, sign in ((a, 1.0), (b, -1.0)) if own else ():
            at, size = plain + place[side], sign * value[side]
            np.add.at(scores, (user, at), g * size)
            information[plain:, :plain] += _sums(delta * (h * size)[:, None], place[side], own)
            np.add.at(information, (at, at), h * size**2)
        if own:
            cross = -h * value[a] * value[b]
            np.add.at(information, (plain + place[a], plain + place[b]), cross)
            np.add.at(information, (plain + place[b], plain + place[a]), cross)
    information[:plain, plain:] = information[plain:, :plain].T
    return scores, information / max(train.people, 1)


def _sums(values: F64, group: I64 | I32, count: int) -> F64:
    """`(n, q)` rows added up by group: `(count, q)`."""
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))
    out = np.zeros((count, values.shape[1]))
    if len(first):
        out[group[order][first]] = np.add.reduceat(values[order], first, axis=0)
    return out


def _leading(matrix: F64, count: int) -> tuple[F64, F64]:
    """The largest eigenvalues `(count,)` of a symmetric `(q, q)` matrix, and vectors `(q, count)`."""
    q = len(matrix)
    if q <= _SMALL:
        values, vectors = np.linalg.eigh(matrix)
        return values[-count:][::-1], vectors[:, -count:][:, ::-1]
    # subspace iteration; the shift makes the largest eigenvalues the largest in absolute value too
    shift = float(np.abs(matrix).sum(axis=1).max())
    width = min(q, 2 * count + 8)
    space = np.random.default_rng(0).standard_normal((q, width))
    for _ in range(_ITERATIONS):
        space, _ = np.linalg.qr(matrix @ space + shift * space)
    values, inner = np.linalg.eigh(space.T @ matrix @ space)
    return values[-count:][::-1], (space @ inner)[:, -count:][:, ::-1]
