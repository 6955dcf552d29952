"""Kemeny orders by an integer program whose triangle constraints are added as they are needed."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from gustibus.errors import MissingExtraError
from gustibus.social.decisions import Decision, Subject, decide
from gustibus.social.profile import Profile

if TYPE_CHECKING:
    from gustibus.types import F64, I64

MOST = 20_000
"""Triangles added in one round."""
INFEASIBLE = 2
"""Status of a program of HiGHS without a solution."""


def kemeny_milp(
    subject: Subject, *, time_limit: float | None, seed: int, threads: int | None
) -> Decision:
    """The order of `kemeny`, every cycle of more than two items solved by HiGHS.

    Raises:
        MissingExtraError: SciPy is not installed.

    Source: Groetschel, Juenger and Reinelt 1984; Conitzer, Davenport and Kalagnanam 2006.
    """
    end = None if time_limit is None else monotonic() + time_limit
    # The search gives the split, an incumbent and what to answer when the time is over.
    first = decide(
        subject, "kemeny", options={"method": "local", "seed": seed},
        time_limit=time_limit, threads=threads,
    )  # fmt: skip
    support = subject.support() if isinstance(subject, Profile) else np.asarray(subject, float)
    layers = decide(subject, "smith_set").buckets
    order: list[int] = []
    bound = np.minimum(support, support.T)[np.triu_indices(len(support), 1)].sum()
    proven = True
    for layer in range(int(layers.max()) + 1):
        items = first.order_ids[layers[first.order_ids] == layer]
        if len(items) > 2:
            inner = support[np.ix_(items, items)]
            part, least, exact = Program(inner).solve(end)
            items = items if part is None else items[part]
            pairs = np.minimum(inner, inner.T)[np.triu_indices(len(inner), 1)].sum()
            bound, proven = bound + max(least - pairs, 0.0), proven and exact
        order += items.tolist()
    ids = np.array(order, np.int64)
    value = float(np.triu(support[np.ix_(ids, ids)].T, 1).sum())
    buckets = np.empty(len(ids), np.int64)
    buckets[ids] = np.arange(len(ids))
    bound = value if proven else min(float(bound), value)
    gap = value / bound - 1 if value > bound else 0.0
    return replace(
        first, buckets=buckets, winner_ids=ids[:1], value=value, lower_bound=bound, gap=gap,
        optimal=proven,
    )  # fmt: skip


class Program:
    """The least cost of an order of `q` items that come in the order of an incumbent.

    Unknowns are the pairs of places `i < j`: 1 where `i` stays before `j`.
    """

    def __init__(self, support: F64) -> None:
        q = len(support)
        self.above, self.below = np.triu_indices(q, 1)
        self.cost: F64 = (support.T - support)[self.above, self.below]
        self.base = float(support[self.above, self.below].sum())
        """Cost of turning every pair around."""
        self.number = np.zeros((q, q), np.int64)
        self.number[self.above, self.below] = np.arange(len(self.above))
        self.triples: list[I64] = []
        self.rows: tuple[F64, F64] | None = None

    def bound(self, rows: F64, ends: F64) -> None:
        """Demands `rows @ x <= ends` in addition."""
        self.rows = (rows, ends) if len(rows) else None

    def solve(self, end: float | None) -> tuple[I64 | None, float, bool]:
        """Places of a best order, a lower bound on its cost, and whether all was proven.

        The order is `None` when the time is over, or, if that is proven, when there is none.
        """
        x: F64 | None = None
        bound = -np.inf
        for whole in (False, True):
            while True:
                left = None if end is None else end - monotonic()
                if left is not None and left <= 0:
                    return None, bound, False
                x, value, exact = self._solve(left, whole=whole)
                if x is None:
                    return None, bound, exact
                bound = max(bound, value + self.base)
                more = _violated(x, self.number, len(self.number))
                if not len(more):
                    break
                self.triples.append(more)
                if not exact:
                    return None, bound, False
        assert x is not None, "the last round ended with a solution"
        wins = np.zeros_like(self.number)
        wins[self.above, self.below] = x > 0.5
        wins[self.below, self.above] = x <= 0.5
        return np.argsort(-wins.sum(1), kind="stable"), bound, True

    def _solve(self, left: float | None, *, whole: bool) -> tuple[F64 | None, float, bool]:
        """A solution, a lower bound on the cost, and whether the program was solved to the end."""
        try:
            from scipy.optimize import Bounds, LinearConstraint, milp
            from scipy.sparse import csr_array
        except ImportError:
            raise MissingExtraError.of("scipy", "social") from None

        constraints = []
        if self.triples:
            triples = np.concatenate(self.triples)  # (t, 3): numbers of ab, bc and ac
            count = len(triples)
            data = np.tile([1.0, 1.0, -1.0], count)
            starts = np.arange(0, 3 * count + 1, 3)
            matrix = csr_array((data, triples.ravel(), starts), shape=(count, len(self.cost)))
            constraints.append(LinearConstraint(matrix, 0, 1))
        if self.rows is not None:
            constraints.append(LinearConstraint(self.rows[0], -np.inf, self.rows[1]))
        options = {} if left is None else {"time_limit": left}
        out = milp(
            self.cost, integrality=int(whole), bounds=Bounds(0, 1), constraints=constraints,
            options=options,
        )  # fmt: skip
        if out.x is None:
            return None, -np.inf, out.status == INFEASIBLE
        value = out.fun if out.mip_dual_bound is None else out.mip_dual_bound
        return out.x, float(value), out.status == 0


def _violated(x: F64, number: I64, q: int) -> I64:
    """Triples `a < b < c` with `ab + bc - ac` outside of [0, 1], the most violated first."""
    full = np.zeros((q, q))
    upper = np.triu_indices(q, 1)
    full[upper] = x
    found, sizes = [], []
    for a in range(q - 2):
        rest = full[a, a + 1 :]  # ab and ac
        sums = rest[:, None] + full[a + 1 :, a + 1 :] - rest[None, :]
        excess = np.triu(np.maximum(sums - 1, -sums), 1)
        b, c = np.nonzero(excess > 1e-6)
        sizes.append(excess[b, c])
        b, c = b + a + 1, c + a + 1
        found.append(np.stack([number[a, b], number[b, c], number[a, c]], 1))
    triples, size = np.concatenate(found), np.concatenate(sizes)
    return triples[np.argsort(-size, kind="stable")[:MOST]]
