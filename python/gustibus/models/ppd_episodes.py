"""Episodes: for some people, answers that show who they are, and other answers to foretell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from gustibus.models.base import TrainingSet
from gustibus.models.ppd_module import Episode, Side
from gustibus.models.ppd_options import PpdOptions
from gustibus.types import F64, I64, Bool

_MOST_QUERIES = 40


class Episodes:
    """Draws episodes; support and query of a person share no item where the data allow it."""

    def __init__(
        self, train: TrainingSet, options: PpdOptions, seed: int, device: torch.device
    ) -> None:
        self.train, self.options, self.device = train, options, device
        self.rng = np.random.default_rng(seed)
        rows = np.flatnonzero(train.weight > 0)
        order = rows[np.argsort(train.user[rows], kind="stable")]
        counts = np.bincount(train.user[order], minlength=train.people)
        self.order, self.counts = order, counts
        self.first = np.cumsum(counts) - counts
        self.able = np.flatnonzero(counts >= 2)
        chance = np.sqrt(counts[self.able]) if options.sampling == "root" else counts[self.able] > 0
        self.chance = chance / max(chance.sum(), 1e-300)
        self.shares = _shares_items(train, order, counts)

    def draw(self, count: int) -> Iterator[Episode]:
        """`count` episodes; none where nobody has two answers."""
        for _ in range(count if len(self.able) else 0):
            yield self._one()

    def _one(self) -> Episode:
        o = self.options
        who = self.able[
            self.rng.choice(
                len(self.able), min(o.people, len(self.able)), replace=False, p=self.chance
            )
        ]
        have = self.counts[who]
        shown = self.rng.integers(1, np.minimum(o.most_support, have - 1) + 1)  # (p,)
        keys = self.rng.random((len(who), int(have.max())))
        keys[np.arange(keys.shape[1]) >= have[:, None]] = 2.0
        most = min(int(shown.max()) + _MOST_QUERIES, keys.shape[1])
        position = np.argsort(keys, axis=1)[:, :most]  # each person's answers in random order
        rows = self.order[np.minimum(self.first[who][:, None] + position, len(self.order) - 1)]
        place = np.arange(most)
        support = place < shown[:, None]
        query = (place >= shown[:, None]) & (place < have[:, None])
        if self.shares:
            query = self._apart(rows, support, query)
        here = int(shown.max())
        there = int(shown.min())
        present = self.rng.random(len(who)) >= o.dropout
        return Episode(
            self._side(rows[:, :here], support[:, :here]),
            self._side(rows[:, there:], query[:, there:]),
            torch.as_tensor(present.astype(np.float32), device=self.device),
        )

    def _apart(self, rows: I64, support: Bool, query: Bool) -> Bool:
        """The query answers about other items than the support; all of them where none is left."""
        a, b = self.train.a[rows], self.train.b[rows]  # (p, n)
        met = np.zeros(rows.shape, np.bool_)
        for one in (a, b):
            for other in (a, b):
                met |= ((one[:, :, None] == other[:, None]) & support[:, None]).any(2)
        left = query & ~met
        return np.where(left.any(1, keepdims=True), left, query)

    def _side(self, rows: I64, mask: Bool) -> Side:
        t, device = self.train, self.device
        return Side(
            torch.as_tensor(t.a[rows].astype(np.int64), device=device),
            torch.as_tensor(t.b[rows].astype(np.int64), device=device),
            torch.as_tensor(t.target[rows], dtype=torch.float32, device=device),
            torch.as_tensor((t.weight[rows] * mask).astype(np.float32), device=device),
        )


def everybody_at_once(train: TrainingSet) -> tuple[I64, I64, F64, F64, I64]:
    """All answers in order of person: items a and b, target, weight, and where people begin."""
    order = np.argsort(train.user, kind="stable")
    starts = np.searchsorted(train.user[order], np.arange(train.people + 1)).astype(np.int64)
    return (
        train.a[order].astype(np.int64), train.b[order].astype(np.int64),
        train.target[order].astype(np.float64), train.weight[order].astype(np.float64), starts,
    )  # fmt: skip


def _shares_items(train: TrainingSet, order: I64, counts: I64) -> bool:
    """Whether any person meets an item twice."""
    items = len(train.item_features)
    who = np.repeat(np.arange(train.people, dtype=np.int64), counts)
    met = np.concatenate([who * items + train.a[order], who * items + train.b[order]])
    return len(np.unique(met)) < len(met)
