"""The best candidates of some people. Ranks are exact: equal scores keep the one given first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from typing import NamedTuple

import numpy as np

from gustibus.models.base import PreferenceModel
from gustibus.types import F32, F64, I64

_CHUNK = 2048  # people whose scores are in memory at once, for each thread
_SCORES = (
    1 << 24
)  # that are in memory at once, for each thread; fewer people where there are many candidates


class Best(NamedTuple):
    """The best candidates of some people, the best first."""

    rows: I64
    """`(p, top)` of the candidates."""
    scores: F64
    """`(p, top)` rewards in log-odds."""


def best_of(model: PreferenceModel, users: F64, representations: F32, *, top: int) -> Best:
    """The best `top` of `(n, r)` candidates for each of `(p, u)` people."""
    scores = np.atleast_2d(model.utility_among(users, representations))  # (p, n)
    people, n = scores.shape
    edge = np.partition(scores, n - top, axis=1)[:, n - top : n - top + 1]
    within = scores >= edge
    for row in np.flatnonzero(within.sum(axis=1) > top):  # equal scores at the edge: the first stay
        order = np.argsort(-scores[row], kind="stable")
        within[row] = False
        within[row, order[:top]] = True
    rows = np.nonzero(within)[1].reshape(people, top)
    found = np.take_along_axis(scores, rows, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return Best(np.take_along_axis(rows, order, axis=1), np.take_along_axis(found, order, axis=1))


def best_of_many(
    pool: Executor, model: PreferenceModel, means: F32 | F64, representations: F32, *, top: int,
    ahead: int,
) -> Iterator[tuple[int, Best]]:  # fmt: skip
    """The best of `(p, u)` people chunk by chunk, in order, in memory that does not grow.

    Args:
        pool: that scores.
        model: that scores.
        means: user vectors.
        representations: `(n, r)`.
        top: candidates of each person.
        ahead: chunks that are worked on at once.

    Yields:
        How many people a chunk holds, and their best.
    """
    waiting: deque[tuple[int, Future[Best]]] = deque()
    size = max(1, min(_CHUNK, _SCORES // len(representations)))
    for start in range(0, len(means), size):
        vectors = np.asarray(means[start : start + size], np.float64)
        future = pool.submit(best_of, model, vectors, representations, top=top)
        waiting.append((len(vectors), future))
        if len(waiting) >= ahead:
            count, first = waiting.popleft()
            yield count, first.result()
    while waiting:
        count, first = waiting.popleft()
        yield count, first.result()
