"""Where the search for directions in which people differ begins: coordinates and a spectral start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gustibus.models.base import TrainingSet
from gustibus.types import F32, F64

_SMALL, _ITERATIONS = 800, 60
_HOST = torch.device("cpu")
_LARGE = 1e11
"""Operations from which axes are those of the covariance, an order of magnitude cheaper."""
_SAMPLED = 1 << 18
"""Comparisons, evenly spaced, that typical distances are measured on."""
_BLOCK = 1 << 24
"""Numbers that are gathered at once."""


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
    def of(
        cls, train: TrainingSet, exponent: float, most: int, device: torch.device = _HOST
    ) -> Self:
        """Principal components divided by their standard deviation to the power `exponent`.

        Coordinates of known items' own are as they are, in units of the components.
        """
        used = np.unique(np.concatenate([train.a, train.b]))
        d = train.item_features.shape[1] - train.own
        center = train.item_features[used].mean(0, dtype=np.float64)
        center[d:] = 0.0
        x = train.item_features.astype(np.float64) - center
        spread, axes = _principal(x[used, :d], device)
        # float16 embeddings carry relative noise of 1e-3: directions below it are rounding.
        keep = min(most, max(1, int((spread > 1e-3 * max(spread[0], 1e-300)).sum())))
        variance = np.maximum(spread[:keep] ** 2 / len(used), 1e-300)
        turn = axes[:keep].T * variance ** (-exponent / 2)  # (d, q)
        coordinates = x[:, :d] @ turn
        scale = _distance(coordinates, train)
        plain = np.diag(variance ** (exponent / 2))
        plain /= _distance(coordinates @ plain, train) / scale
        unit = _distance(x[:, :d], train) if train.own else 1.0
        own = x[:, d:] / unit  # their share is one of distances as they were
        items = np.concatenate([coordinates / scale, own], axis=1)
        turn = np.block([
            [turn / scale, np.zeros((d, train.own))],
            [np.zeros((train.own, keep)), np.eye(train.own) / unit],
        ])  # fmt: skip
        plain = np.concatenate([plain, np.zeros((train.own, keep))])
        return cls(center.astype(np.float32), turn, items, plain, train.own)


def _principal(x: F64, device: torch.device) -> tuple[F64, F64]:
    """Singular values of `(m, d)`, the largest first, and right singular vectors as rows."""
    if x.size * x.shape[1] < _LARGE or len(x) < x.shape[1]:
        _, spread, axes = np.linalg.svd(x, full_matrices=False)
        return spread, axes
    gram = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=device)
    size = max(1, _BLOCK // x.shape[1])
    for start in range(0, len(x), size):
        part = torch.as_tensor(x[start : start + size], device=device)
        gram.addmm_(part.T, part)
    values, vectors = torch.linalg.eigh(gram)
    spread = values.flip(0).clamp(min=0).sqrt()
    return spread.cpu().numpy(), vectors.flip(1).T.contiguous().cpu().numpy()


def _distance(items: F64, train: TrainingSet) -> float:
    """Root mean squared distance of the two items of a comparison; 1 where there is none."""
    every = max(1, -(-len(train) // _SAMPLED))
    a, b = train.a[::every], train.b[::every]
    total, rows = 0.0, 20_000
    for start in range(0, len(a), rows):
        block = slice(start, start + rows)
        total += float(((items[a[block]] - items[b[block]]) ** 2).sum())
    return float(np.sqrt(total / max(len(a), 1))) or 1.0


def spectral_start(
    train: TrainingSet, frame: Frame, theta: F64, rank: int, device: torch.device = _HOST
) -> F64:
    """Directions in which people's score vectors vary more than chance: `(q, k)`.

    With `g_u` the gradient of a person's log likelihood at the population, `Cov(g_u) = F S F + F`
    for Fisher information F a person; the leading eigenvectors of the excess start the search.
    """
    margin = (frame.items @ theta)[train.a] - (frame.items @ theta)[train.b]
    p = 1 / (1 + np.exp(-np.clip(margin, -500, 500)))
    pull, bend = train.weight * (train.target - p), train.weight * p * (1 - p)
    moment, information = _score_moments(train, frame, pull, bend, device)
    excess = moment - information
    top, direction = _leading(excess, min(rank, len(excess)))
    fisher = np.einsum("qk,qr,rk->k", direction, information, direction)
    length = np.sqrt(np.maximum(top, 1e-6)) / np.maximum(fisher, 1e-6)
    return np.asarray(direction * np.clip(length, 0.05, 3.0))


def _score_moments(
    train: TrainingSet, frame: Frame, pull: F64, bend: F64, device: torch.device
) -> tuple[F64, F64]:
    """Second moment of people's scores, and the information of a person, both `(q, q)`.

    The own coordinates of known items are one number a row each: they are added up by place, not
    multiplied out.
    """

    def moved(values: np.ndarray, kind: torch.dtype) -> Tensor:
        return torch.as_tensor(values, dtype=kind, device=device)

    q, own, people = frame.items.shape[1], frame.own, max(train.people, 1)
    plain = q - own
    items = moved(frame.items, torch.float64)
    x, mine = items[:, :plain].contiguous(), items[:, plain:]
    scores = torch.zeros(people, q, dtype=torch.float64, device=device)
    information = torch.zeros(q, q, dtype=torch.float64, device=device)
    columns = [moved(c, torch.int64) for c in (train.user, train.a, train.b)]
    slopes = [moved(c, torch.float64) for c in (pull, bend)]
    size = max(1000, _BLOCK // plain)
    for start in range(0, len(train), size):
        user, a, b, g, h = (c[start : start + size] for c in (*columns, *slopes))
        delta = x[a] - x[b]
        scores[:, :plain].index_add_(0, user, delta * g[:, None])
        information[:plain, :plain].addmm_((delta * h[:, None]).T, delta)
        if own:
            _add_own(scores, information, mine, delta, user, (a, b), (g, h))
    if own:
        information[:plain, plain:] = information[plain:, :plain].T
    moment, whole = (scores.T @ scores / people, information / people)
    return moment.cpu().numpy(), whole.cpu().numpy()


def _add_own(
    scores: Tensor, information: Tensor, mine: Tensor, delta: Tensor, user: Tensor,
    sides: tuple[Tensor, Tensor], slopes: tuple[Tensor, Tensor],
) -> None:  # fmt: skip
    """What rows add in the last coordinates, one known item's each, in place."""
    q, plain, (g, h) = len(information), delta.shape[1], slopes
    value, place = mine.max(1)  # 0 for items that are not known
    flat, cells, beside = scores.view(-1), information.view(-1), information[plain:, :plain]
    for side, sign in zip(sides, (1.0, -1.0), strict=True):
        at, length = plain + place[side], sign * value[side]
        flat.index_add_(0, user * q + at, g * length)
        beside.index_add_(0, place[side], delta * (h * length)[:, None])
        cells.index_add_(0, at * q + at, h * length.square())
    first, second = (plain + place[side] for side in sides)
    cross = -h * value[sides[0]] * value[sides[1]]
    cells.index_add_(0, first * q + second, cross)
    cells.index_add_(0, second * q + first, cross)


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
