"""The set encoder: answers in any order to a user vector, in numpy, one answer at a time if need be.

An answer becomes a token, tokens are added up, and the sum over `count + shrink` is turned to a user
vector. What is added up can also be taken away: that is how one answer is forgotten.

Source: Zaheer et al. 2017, "Deep Sets", arXiv 1703.06114; Dang et al. 2025, arXiv 2501.06655.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gustibus.types import F64, I64


@dataclass(frozen=True)
class Pooled:
    """What an encoder keeps of a person: the sum of the tokens of their answers, and their weight."""

    total: F64
    """`(h,)`."""
    count: float
    """Sum of the weights of the answers."""


@dataclass(frozen=True)
class SetEncoder:
    """Sides of answers, already multiplied by the first layer, to user vectors.

    The odd token of an answer is `relu(x + bias) - relu(-x + bias)` with `x = first (a - b)`: it
    changes its sign with the answer, so that a person who answers the opposite everywhere is at the
    mirror point. The plain token reads preferred and rejected side by different weights.
    """

    bias: F64
    """`(h,)` of the hidden layer."""
    out: F64
    """`(h, M)`."""
    odd: bool
    shrink: float

    @property
    def width(self) -> int:
        """Length of a token."""
        return len(self.bias)

    @property
    def side_dim(self) -> int:
        """Numbers of a side that a token is made of."""
        return self.width if self.odd else 2 * self.width

    @property
    def dim(self) -> int:
        """Length M of a user vector."""
        return self.out.shape[1]

    def tokens(self, a: F64, b: F64, target: F64) -> F64:
        """`(n, s)` sides and `(n,)` probabilities that a was preferred -> `(n, h)`."""
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        target = np.asarray(target, np.float64)[:, None]
        if self.odd:
            x = a - b
            return (2 * target - 1) * (self._inner(x) - self._inner(-x))
        h = self.width
        won = self._inner(a[:, :h] + b[:, h:])  # (n, h)
        lost = self._inner(b[:, :h] + a[:, h:])
        return target * won + (1 - target) * lost

    def _inner(self, x: F64) -> F64:
        return np.asarray(np.maximum(x + self.bias, 0))

    def empty(self) -> Pooled:
        """A person without answers."""
        return Pooled(np.zeros(self.width), 0.0)

    def add(self, pooled: Pooled, a: F64, b: F64, target: float, *, weight: float = 1.0) -> Pooled:
        """A person with one more answer; `a` and `b` are `(s,)`."""
        token = self.tokens(a[None], b[None], np.array([target]))[0]
        return Pooled(pooled.total + weight * token, pooled.count + weight)

    def remove(
        self, pooled: Pooled, a: F64, b: F64, target: float, *, weight: float = 1.0
    ) -> Pooled:
        """A person without one of their answers; the last one leaves exactly nobody."""
        token = self.tokens(a[None], b[None], np.array([target]))[0]
        left = pooled.count - weight
        if left <= 1e-9 * max(pooled.count, 1.0):
            return self.empty()
        return Pooled(pooled.total - weight * token, left)

    def read(self, pooled: Pooled) -> F64:
        """`(M,)` user vector; 0 without answers."""
        if pooled.count == 0:
            return np.zeros(self.dim)
        return np.asarray(pooled.total / (pooled.count + self.shrink) @ self.out)

    def pool(self, a: F64, b: F64, target: F64, weight: F64) -> Pooled:
        """All answers of one person at once; those without weight are as if they were not there."""
        rows = np.flatnonzero(weight)
        if len(rows) == 0:
            return self.empty()
        kept = weight[rows]
        return Pooled(kept @ self.tokens(a[rows], b[rows], target[rows]), float(kept.sum()))

    def encode(self, a: F64, b: F64, target: F64, weight: F64, starts: I64) -> F64:
        """User vectors `(p, M)` of people whose rows lie between `starts (p + 1,)`.

        One person at a time: a person's vector must not depend on who else is asked for.
        """
        out = np.zeros((len(starts) - 1, self.dim))
        for person, (start, stop) in enumerate(pairwise(np.asarray(starts).tolist())):
            rows = slice(start, stop)
            out[person] = self.read(self.pool(a[rows], b[rows], target[rows], weight[rows]))
        return out

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays = {"encoder.bias": self.bias, "encoder.out": self.out}
        return {"odd": self.odd, "shrink": self.shrink}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SetEncoder:
        """Inverse of `save`."""
        return cls(arrays["encoder.bias"], arrays["encoder.out"], params["odd"], params["shrink"])
