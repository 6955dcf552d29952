"""Episodes: for some people, answers that show who they are, and other answers to foretell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

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
        self.edges = _edges(self.chance)
        self.shares = _shares_items(train, order, counts)
        columns = (train.a.astype(np.int64), train.b.astype(np.int64), train.target, train.weight)
        self.columns = [torch.as_tensor(column, device=device) for column in columns]

    def draw(self, count: int) -> Iterator[Episode]:
        """`count` episodes; none where nobody has two answers."""
        for _ in range(count if len(self.able) else 0):
            yield self._one()

    def _one(self) -> Episode:
        o = self.options
        who = self.able[self._people(min(o.people, len(self.able)))]
        have = self.counts[who]
        shown = self.rng.integers(1, np.minimum(o.most_support, have - 1) + 1)  # (p,)
        keys = self.rng.random((len(who), int(have.max())))
        keys[np.arange(keys.shape[1]) >= have[:, None]] = 2.0
        most = min(int(shown.max()) + _MOST_QUERIES, keys.shape[1])
        position = np.argsort(keys, axis=1)[:, :most]  # each person's answers in random order
        rows = self.order[np.minimum(self.first[who][:, None] + position, len(self.order) - 1)]
        present = self.rng.random(len(who)) >= o.dropout
        return self._gathered(rows, shown, have, present)

    def _people(self, count: int) -> I64:
        """What `rng.choice` draws without replacement by `chance`, which need not be added up anew."""
        found = np.zeros(0, np.int64)
        edges = self.edges
        while len(found) < count:
            if len(found):
                rest = self.chance.copy()
                rest[found] = 0
                edges = _edges(rest)
            drawn = edges.searchsorted(self.rng.random(count - len(found)), side="right")
            _, first = np.unique(drawn, return_index=True)
            found = np.concatenate([found, drawn[np.sort(first)]])
        return found

    def _gathered(self, rows: I64, shown: I64, have: I64, present: Bool) -> Episode:
        """The drawn rows `(p, n)` from the columns on the device."""
        here, there = int(shown.max()), int(shown.min())
        told, known, found = (
            torch.as_tensor(x, device=self.device) for x in (np.stack([shown, have]), rows, present)
        )
        a, b, target, weight = (column[known] for column in self.columns)
        place = torch.arange(rows.shape[1], device=self.device)
        support = place < told[0][:, None]
        query = ~support & (place < told[1][:, None])
        if self.shares:
            query = _apart(a, b, support, query)
        return Episode(
            Side(a[:, :here], b[:, :here], target[:, :here], (weight * support)[:, :here]),
            Side(a[:, there:], b[:, there:], target[:, there:], (weight * query)[:, there:]),
            found.float(),
        )


def _apart(a: Tensor, b: Tensor, support: Tensor, query: Tensor) -> Tensor:
    """The query answers about other items than the support; all of them where none is left."""
    met = torch.zeros_like(support)
    for one in (a, b):
        for other in (a, b):
            met |= ((one[:, :, None] == other[:, None]) & support[:, None]).any(2)
    left = query & ~met
    return torch.where(left.any(1, keepdim=True), left, query)


def _edges(chance: F64) -> F64:
    """Upper ends of people's shares of the interval from 0 to 1."""
    total = np.cumsum(chance)
    return np.asarray(total / total[-1]) if len(total) else total


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
