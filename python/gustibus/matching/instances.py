"""Named instances of online matching, on which rules show what they are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gustibus.errors import InputError
from gustibus.matching.arrays import Arrivals
from gustibus.registry import Registry
from gustibus.types import F64, I64


@dataclass(frozen=True)
class Instance:
    """A stream of arrivals over items, and what could be had.

    Attributes:
        name: Of the instance.
        arrivals: In order.
        limit: `(n,)` capacities or budgets.
        optimum: The offline optimum, or the bound of the linear program for stochastic rewards; None
            where it has to be computed.
        weight: `(n,)` weights of items, or None.
        options: Options that a rule needs for it, such as `budget`.
    """

    name: str
    arrivals: Arrivals
    limit: F64
    optimum: float | None = None
    weight: F64 | None = None
    options: dict[str, Any] = field(default_factory=dict)


INSTANCES: Registry[Callable[..., Instance]] = Registry("matching instance")
"""Every instance by name; each takes a generator for its labels, and sizes."""


def _nested(labels: I64, groups: I64, copies: int, p: float | None) -> Arrivals:
    """For every start `j` in `groups`, `copies` arrivals with edges to items `j` and later."""
    n = len(labels)
    sizes = n - groups
    edges = np.concatenate([labels[j:] for j in groups]) if len(groups) else labels[:0]
    ends = np.cumsum(sizes)
    items = np.concatenate(
        [np.tile(edges[end - size : end], copies) for size, end in zip(sizes, ends, strict=True)]
    )
    indptr = np.concatenate([[0], np.cumsum(np.repeat(sizes, copies))])
    return Arrivals(indptr, items, None if p is None else np.full(len(items), p))


@INSTANCES.add("triangular", source="Karp, Vazirani and Vazirani 1990")
def triangular(
    rng: np.random.Generator, *, n: int = 100, capacity: int = 1, p: float | None = None
) -> Instance:
    """Group `j` of arrivals has edges to items `j, ..., n - 1` of a random relabelling.

    As many arrivals a group as an item takes; with a success probability `p`, `capacity / p`.
    """
    copies = capacity if p is None else round(capacity / p)
    arrivals = _nested(rng.permutation(n), np.arange(n), copies, p)
    return Instance("triangular", arrivals, np.full(n, float(capacity)), n * float(capacity))


@INSTANCES.add("weighted_triangular", source="Aggarwal, Goel, Karande and Mehta 2011")
def weighted_triangular(rng: np.random.Generator, *, n: int = 100, base: float = 0.97) -> Instance:
    """The triangular instance with item weights `base^i` by place in the triangle."""
    labels = rng.permutation(n)
    weight = np.empty(n)
    weight[labels] = base ** np.arange(n)
    arrivals = _nested(labels, np.arange(n), 1, None)
    return Instance("weighted_triangular", arrivals, np.ones(n), float(weight.sum()), weight)


@INSTANCES.add("block", source="Karp, Vazirani and Vazirani 1990")
def block(rng: np.random.Generator, *, n: int = 100) -> Instance:
    """The first half of the arrivals has its own item and the whole second half of the items.

    The second half has its own item alone.
    """
    half = n // 2
    labels = rng.permutation(n)
    rows = [np.concatenate([labels[i : i + 1], labels[half:]]) for i in range(half)]
    rows += [labels[i : i + 1] for i in range(half, n)]
    return Instance("block", Arrivals.of(rows), np.ones(n), float(n))


@INSTANCES.add("trap", source="derived: a little more now against all later")
def trap(rng: np.random.Generator, *, capacity: int = 5, p: float = 0.02) -> Instance:
    """Item 0 succeeds a little more often, and is the only one that late arrivals can use."""
    many = round(capacity / p)
    zero, one = rng.permutation(2)
    items = np.concatenate([np.tile([zero, one], many), np.full(many, zero)])
    values = np.concatenate([np.tile([1.01 * p, p], many), np.full(many, 1.01 * p)])
    indptr = np.concatenate([2 * np.arange(many), 2 * many + np.arange(many + 1)])
    arrivals = Arrivals(indptr, items, values)
    return Instance("trap", arrivals, np.full(2, float(capacity)), 2.0 * capacity)


@INSTANCES.add("hybrid", source="derived: nobody that never idles does better than 0.5839")
def hybrid(rng: np.random.Generator, *, n: int = 100, p: float = 0.02) -> Instance:
    """The triangular instance until a share of the items is left, then private arrivals."""
    kept = round(n * np.exp(1 / (1 - 1 / np.e) - 2))
    labels = rng.permutation(n)
    copies = round(1 / p)
    head = _nested(labels, np.arange(n - kept), copies, p)
    tail = np.repeat(labels[n - kept :], copies)
    items = np.concatenate([head.items, tail])
    indptr = np.concatenate([head.indptr, head.indptr[-1] + 1 + np.arange(len(tail))])
    arrivals = Arrivals(indptr, items, np.full(len(items), p))
    return Instance("hybrid", arrivals, np.ones(n), float(n))


@INSTANCES.add("adwords", source="Mehta, Saberi, Vazirani and Vazirani 2007")
def adwords(rng: np.random.Generator, *, n: int = 60, queries: int = 200) -> Instance:
    """The triangular instance with budgets of 1 and bids of `1 / queries`."""
    plain = triangular(rng, n=n, capacity=queries).arrivals
    bids = np.full(len(plain.items), 1.0 / queries)
    return Instance("adwords", Arrivals(plain.indptr, plain.items, bids), np.ones(n), float(n))


@INSTANCES.add("random", source="independent edges and weights")
def random(
    rng: np.random.Generator,
    *,
    n: int = 50,
    arrivals: int = 500,
    degree: int = 5,
    capacity: int = 8,
    p: float | None = None,
) -> Instance:
    """Arrivals with edges to random items; weights of edges, or a success probability up to `p`."""
    if not 1 <= degree <= n:
        message = f"degree: expected a number from 1 to {n}, got {degree}"
        raise InputError(message, where="degree")
    items = np.argsort(rng.random((arrivals, n)), axis=1)[:, :degree].ravel()
    values = 1.0 - rng.random(len(items))
    indptr = np.arange(0, len(items) + 1, degree)
    stream = Arrivals(indptr, items, values if p is None else p * values)
    return Instance("random", stream, np.full(n, float(capacity)))
