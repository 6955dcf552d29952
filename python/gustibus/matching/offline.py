"""Optima in hindsight, each with prices that prove it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, MissingExtraError
from gustibus.matching.arrays import (
    Arrivals,
    boundaries,
    numbers,
    per_item,
    rectangular,
    whole_numbers,
)
from gustibus.types import F64, I32, I64


@dataclass(frozen=True, slots=True)
class Matching:
    """An optimal matching of `m` arrivals to `n` items, and its certificate.

    `price[u] + profit[v] >= weight` on every edge, with equality on matched ones; `price[u]` is 0
    unless the item is full, and `profit[v]` is 0 unless the arrival is matched. The value equals
    `capacity . price + profit.sum()`, which nothing can exceed.
    """

    item_of: I32  # (m,), -1 for nobody
    value: float
    price: F64  # (n,)
    profit: F64  # (m,)

    def gap(self, arrivals: Arrivals, capacity: Any) -> float:
        """How far the certificate is from holding: the largest violation of any of its parts."""
        capacity = per_item("capacity", capacity, len(self.price))
        edges = np.diff(arrivals.indptr)
        of = np.repeat(np.arange(len(arrivals)), edges)
        items = np.asarray(arrivals.items).astype(np.int64)
        weight = np.ones(len(items)) if arrivals.values is None else np.asarray(arrivals.values)
        slack = self.price[items] + self.profit[of] - weight
        matched = self.item_of[of] == items
        used = np.bincount(self.item_of[self.item_of >= 0], minlength=len(self.price))
        parts = [
            -slack, np.abs(slack[matched]), -self.price, -self.profit,
            self.price[used < capacity], self.profit[self.item_of < 0], used - capacity,
            [abs(capacity @ self.price + self.profit.sum() - self.value)],
            [abs(weight[matched].sum() - self.value), abs(matched.sum() - used.sum())],
        ]  # fmt: skip
        return max(float(np.max(part, initial=0.0)) for part in parts)


@dataclass(frozen=True, slots=True)
class Assignment:
    """An assignment of least cost, and its certificate.

    `u[i] + v[j] <= cost[i, j]` everywhere, with equality on assigned pairs. Where there are more
    columns than rows, `v <= 0`, and 0 on columns without a row; likewise `u` in the other case.
    """

    rows: I64  # (k,), rising
    columns: I64  # (k,)
    cost: float
    u: F64  # (n,)
    v: F64  # (m,)


def max_matching(arrivals: Arrivals, capacity: Any, *, n: int | None = None) -> Matching:
    """The largest number of arrivals that can be matched; values of edges are ignored.

    Args:
        arrivals: `m` rows of edges.
        capacity: `(n,)` or one whole number.
        n: Number of items, when `capacity` is one number.

    Raises:
        InputError: a row, capacity or weight is wrong.

    Source: Hopcroft and Karp 1973.
    """
    return _b_matching("cardinality", arrivals, capacity, n, values=False)


def max_weight_b_matching(
    arrivals: Arrivals, capacity: Any, *, weight: Any = None, n: int | None = None
) -> Matching:
    """The matching of largest weight; arrivals may be left out, items may have room left.

    Args:
        arrivals: `m` rows of edges; their values are the weights, at or above 0, 1 where absent.
        capacity: `(n,)` or one whole number.
        weight: `(n,)`, weights of items instead of weights of edges, at or above 0.
        n: Number of items, when `capacity` is one number.

    Raises:
        InputError: a row, capacity or weight is wrong, or both edges and items have weights.

    Examples:
        >>> best = max_weight_b_matching(Arrivals.of([[0, 1], [0]], [[3.0, 2.0], [2.0]]), [1, 1])
        >>> best.value, best.item_of.tolist()
        (4.0, [1, 0])

    Source: Bertsekas and Castanon 1989 for the prices to start from; Jonker and Volgenant 1987 for
        shortest paths; Edmonds and Fulkerson 1965 for weights of items.
    """
    if weight is None:
        return _b_matching("edges", arrivals, capacity, n)
    if arrivals.values is not None:
        message = "weight: expected weights of items or values of edges, not both"
        raise InputError(message, where="weight")
    return _b_matching("items", arrivals, capacity, n, weight=weight)


def hindsight(arrivals: Arrivals, capacity: Any, *, n: int | None = None) -> tuple[F64, Matching]:
    """The optimum of the first `1, 2, ..., m` arrivals, and the matching of all.

    Args:
        arrivals: `m` rows of edges; their values are the weights, 1 where absent.
        capacity: `(n,)` or one whole number.
        n: Number of items, when `capacity` is one number.

    Returns:
        `(m,)` values, and the last optimum.
    """
    capacity, rows = _prepared(arrivals, capacity, n, values=True)
    values, matched = _core.hindsight(*rows, capacity)
    return values, Matching(*matched)


def assignment(cost: Any) -> Assignment:
    """Assignment of least cost: everyone on the smaller side gets a partner.

    Args:
        cost: `(n, m)`, of `float32` or `float64`; infinity forbids a pair, any number may be negative.
            Read in place: do not write to it meanwhile.

    Raises:
        InputError: not two dimensions of numbers.
        NotFiniteError: NaN or minus infinity.
        InfeasibleError: forbidden pairs leave no assignment.

    Examples:
        >>> found = assignment([[4.0, 1.0, 5.0], [2.0, 0.0, 5.0]])
        >>> found.columns.tolist(), found.cost
        ([1, 0], 3.0)

    Source: Jonker and Volgenant 1987; Bertsekas 1988 where costs make searches long.
    """
    matrix = rectangular("cost", cost)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiub":
        message = (
            f"cost: expected two dimensions of numbers, got {matrix.dtype} of shape {matrix.shape}"
        )
        raise InputError(message, where="cost")
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    # a column-major matrix is the transpose of one that lies as we need it
    is_flipped = matrix.flags.f_contiguous and not matrix.flags.c_contiguous
    lying = np.ascontiguousarray(matrix.T if is_flipped else matrix)
    column_of, total, u, v = _core.assignment(lying)
    rows = np.flatnonzero(column_of >= 0)
    columns = column_of[rows]
    if is_flipped:
        order = np.argsort(columns)
        return Assignment(columns[order], rows[order], total, v, u)
    return Assignment(rows, columns, total, u, v)


def stochastic_lp_bound(
    arrivals: Arrivals,
    capacity: Any,
    *,
    weight: Any = None,
    n: int | None = None,
    cuts: bool = False,
) -> float:
    """Upper bound on what any policy can expect when edges succeed with a probability.

    `max sum w p x`, `sum_v p x <= capacity`, `sum_u x <= 1`, `0 <= x <= 1`; with `cuts`, items of
    capacity 1 also obey `sum_{v in T} p x <= 1 - prod_{v in T} (1 - p)` for every set `T`, found by
    sorting: a tighter bound that still no policy exceeds.

    Args:
        arrivals: `m` rows of edges; their values are probabilities, 1 where absent.
        capacity: `(n,)` or one whole number.
        weight: `(n,)` or one number, what a success at the item is worth; 1 by default.
        n: Number of items, when `capacity` is one number.
        cuts: Whether to add the cuts.

    Raises:
        MissingExtraError: SciPy, which solves the linear program, is not installed.
        InputError: a row, capacity or probability is wrong.
    """
    limits, (indptr, items, values) = _prepared(arrivals, capacity, n, values=True)
    items = items.astype(np.int64)
    p = np.ones(len(items)) if values is None else np.asarray(values, dtype=np.float64)
    if np.any((p <= 0) | (p > 1)):
        message = "values: expected probabilities in (0, 1]"
        raise InputError(message, where="values")
    worth = per_item("weight", 1.0 if weight is None else weight, len(limits))
    of = np.repeat(np.arange(len(arrivals)), np.diff(indptr))
    program = _Program(items, of, p, worth[items] * p, limits, len(arrivals))
    value, x = program.solve()
    while cuts and program.add_cuts(x):
        value, x = program.solve()
    return value


class _Program:
    """The linear program and its cuts."""

    def __init__(self, items: I64, of: I64, p: F64, gain: F64, limits: F64, arrivals: int) -> None:
        try:
            from scipy import sparse
        except ImportError:
            raise MissingExtraError.of("scipy", "dev") from None
        self.items, self.p, self.gain, self.limits = items, p, gain, limits
        edges = np.arange(len(items))
        shape = (len(limits), len(items))
        load = sparse.csr_matrix((p, (items, edges)), shape)
        once = sparse.csr_matrix((np.ones(len(items)), (of, edges)), (arrivals, len(items)))
        self.rows = [load, once]
        self.right = [limits, np.ones(arrivals)]
        self.sparse = sparse

    def solve(self) -> tuple[float, F64]:
        from scipy.optimize import linprog

        if len(self.items) == 0:
            return 0.0, np.zeros(0)
        done = linprog(
            -self.gain, A_ub=self.sparse.vstack(self.rows), b_ub=np.concatenate(self.right),
            bounds=(0, 1), method="highs",
        )  # fmt: skip
        if done.status != 0:
            message = f"the linear program was not solved: {done.message}"
            raise InputError(message)
        return -float(done.fun), done.x

    def add_cuts(self, x: F64) -> bool:
        """Add the most violated cut of every item; the worst set is a prefix by decreasing x."""
        rows = []
        for item in np.flatnonzero(self.limits == 1):
            edges = np.flatnonzero(self.items == item)
            edges = edges[np.argsort(-x[edges], kind="stable")]
            right = 1 - np.cumprod(1 - self.p[edges])
            excess = np.cumsum(self.p[edges] * x[edges]) - right
            if len(edges) and excess.max() > 1e-9:
                k = int(excess.argmax()) + 1
                rows.append((edges[:k], right[k - 1]))
        for edges, right in rows:
            row = self.sparse.csr_matrix(
                (self.p[edges], (np.zeros(len(edges), int), edges)), (1, len(self.items))
            )
            self.rows.append(row)
            self.right.append(np.array([right]))
        return bool(rows)


def _b_matching(
    method: str,
    arrivals: Arrivals,
    capacity: Any,
    n: int | None,
    *,
    weight: Any = None,
    values: bool = True,
) -> Matching:
    limits, rows = _prepared(arrivals, capacity, n, values=values)
    weights = None if weight is None else per_item("weight", weight, len(limits))
    return Matching(*_core.b_matching(method, *rows, limits, weights))


def _prepared(
    arrivals: Arrivals, capacity: Any, n: int | None, *, values: bool
) -> tuple[F64, tuple[I64, Any, Any]]:
    if n is None and np.ndim(capacity) == 0:
        message = "n: expected the number of items, as the capacity is one number"
        raise InputError(message, where="n")
    given = None if not values or arrivals.values is None else numbers("values", arrivals.values)
    rows = (boundaries(arrivals.indptr), whole_numbers("items", arrivals.items), given)
    return per_item("capacity", capacity, n), rows
