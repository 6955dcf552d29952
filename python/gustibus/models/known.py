"""Items that many answers are about, recognised by their features.

A known item gets a coordinate of its own beside its features, so that a model can learn what the
features do not tell. An item is recognised by content: features that are equal up to the rounding of
half precision, from whatever route they come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.types import F32, I64

_PROBES, _CELLS, _SEED = 8, 2, 7
_CLOSE = 2e-3
"""Distance, in units of a typical length of a feature vector, below which features are the same."""
_FAR = 26.0
"""99.9 % quantile of a chi-square variable with `_PROBES` degrees of freedom."""


@dataclass(frozen=True, eq=False)
class KnownItems:
    """Signatures of known items, and how far apart their own coordinates set them.

    Attributes:
        probes: `(d, 8)` random directions; a projection is as long as the vector, on average.
        signature: `(k, 8)` projections of the known items' features.
        length: typical length of a feature vector.
        weight: value of an item's own coordinate.
        columns: known items that have one, the first of them; the others are only recognised.
    """

    probes: F32
    signature: F32
    length: float
    weight: float
    columns: int

    def __len__(self) -> int:
        return len(self.signature)

    @property
    def dim(self) -> int:
        """Length d of a feature vector."""
        return len(self.probes)

    @classmethod
    def of(cls, train: TrainingSet, *, share: float, least: int, most: int) -> KnownItems:
        """The items of a training set that enough answers are about.

        Args:
            train: comparisons.
            share: mean squared distance of two known items along their own coordinates, in units of
                that of two compared items along the features.
            least: answers about an item for it to be known.
            most: known items; those with the most answers, ties to the lowest row.
        """
        x = train.item_features
        count = np.bincount(train.a, minlength=len(x)) + np.bincount(train.b, minlength=len(x))
        chosen = np.argsort(-count, kind="stable")[:most]
        chosen = np.sort(chosen[count[chosen] >= least])
        length = float(np.sqrt((x[count > 0].astype(np.float64) ** 2).sum(1).mean())) or 1.0
        apart = (x[train.a].astype(np.float64) - x[train.b]) ** 2
        weight = float(np.sqrt(share * apart.sum(1).mean() / 2))
        probes = np.random.default_rng(_SEED).standard_normal((x.shape[1], _PROBES))
        nothing = np.zeros((0, _PROBES), np.float32)
        every = cls(probes.astype(np.float32), nothing, length, weight, 0)
        return every.with_more(x[chosen], columns=True)

    def with_more(self, items: F32, *, columns: bool = False) -> KnownItems:
        """These items and those of `items` `(n, d)` that are not among them.

        Args:
            items: features.
            columns: whether the new ones get coordinates of their own; only before a model is
                fitted.
        """
        fresh = items[self.find(items) < 0]
        signature = fresh @ self.probes
        found = replace(self, signature=signature).find(fresh)  # one of those that are equal
        signature = np.concatenate([self.signature, signature[np.unique(found)]])
        count = len(signature) if columns else self.columns
        return replace(self, signature=np.ascontiguousarray(signature), columns=count)

    def find(self, items: F32) -> I64:
        """`(n, d)` features -> `(n,)` number of the known item, -1 for items that are not known."""
        found = np.full(len(items), -1, np.int64)
        if len(self) == 0 or len(items) == 0:
            return found
        signature = items @ self.probes  # (n, 8)
        reach = _CLOSE * self.length
        nearest = np.full(len(items), _FAR * reach**2)
        order, keys = self._index
        cells = _cells(signature, self.length)
        for step in product((-1, 0, 1), repeat=_CELLS):
            key = _key(cells + np.array(step))
            low, high = np.searchsorted(keys, key), np.searchsorted(keys, key, side="right")
            for offset in range(int((high - low).max(initial=0))):
                rows = np.flatnonzero(low + offset < high)
                candidate = order[low[rows] + offset]
                away = ((signature[rows] - self.signature[candidate]) ** 2).sum(1)
                closer = away < nearest[rows]
                nearest[rows[closer]] = away[closer]
                found[rows[closer]] = candidate[closer]
        return found

    def augment(self, items: F32) -> F32:
        """`(n, d)` -> `(n, d + c)`: features, then the known items' own coordinates."""
        out = np.zeros((len(items), self.dim + self.columns), np.float32)
        out[:, : self.dim] = items
        found = self.find(items)
        known = np.flatnonzero((found >= 0) & (found < self.columns))
        out[known, self.dim + found[known]] = self.weight
        return out

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        params = {"length": self.length, "weight": self.weight, "columns": self.columns}
        return params, {"probes": self.probes, "signature": self.signature}

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> KnownItems:
        """Inverse of `save`."""
        return cls(
            arrays["probes"], arrays["signature"], params["length"], params["weight"],
            params["columns"],
        )  # fmt: skip

    @cached_property
    def _index(self) -> tuple[I64, I64]:
        """Known items in order of the number of their cell, and these numbers."""
        keys = _key(_cells(self.signature, self.length))
        order = np.argsort(keys, kind="stable")
        return order, keys[order]


def _cells(signature: F32, length: float) -> I64:
    """Cell `(n, 2)` of a grid on the first projections; what is close lies in the same or the next."""
    width = 8 * _CLOSE * length
    return np.floor(signature[:, :_CELLS].astype(np.float64) / width).astype(np.int64)


def _key(cells: I64) -> I64:
    """One number a cell."""
    return cells[:, 0] * (1 << 31) + cells[:, 1]
