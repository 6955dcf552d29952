"""Random streams and slow, obvious answers that the fast code is compared with."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from gustibus.matching import Arrivals, Matcher

NO_VALUES = ("ranking", "perturbed_greedy", "balance")
WEIGHTS = ("exponential_averaging", "threshold", "dual_prices", "greedy")
STOCHASTIC = ("stochastic_balance", "stochastic_perturbed_greedy")
BIDS = ("budget_balance",)
EVERY = NO_VALUES + WEIGHTS + STOCHASTIC + BIDS


def edges(rng, *, most_items=8, most_arrivals=30, values=None):
    """Rows with repeated shapes: empty ones, full ones, and in any order."""
    n = int(rng.integers(1, most_items + 1))
    rows = [
        rng.permutation(n)[: rng.integers(0, n + 1)] for _ in range(rng.integers(0, most_arrivals))
    ]
    drawn = None if values is None else [values(len(row)) for row in rows]
    return n, Arrivals.of(rows, drawn)


def stream_for(rule, rng, **sizes):
    """Arrivals that a rule can read, with the arguments of its matcher."""
    chances = lambda k: 1 - rng.random(k) * (1 - 1e-9)  # noqa: E731
    values = {
        **dict.fromkeys(NO_VALUES),
        **dict.fromkeys(WEIGHTS, lambda k: 1 + rng.integers(0, 5, k) / 2),
        **dict.fromkeys(STOCHASTIC, chances),
        **dict.fromkeys(BIDS, lambda k: rng.random(k)),
    }[rule]
    n, arrivals = edges(rng, values=values, **sizes)
    capacity = rng.integers(0, 4, n).astype(float)
    capacity[rng.integers(n)] += 1
    options = {}
    if rule in ("budget_balance", "dual_prices"):
        options["budget"] = capacity + (rng.random(n) if rule == "budget_balance" else 0)
    else:
        options["capacity"] = capacity
    if rule in ("perturbed_greedy", "balance", *STOCHASTIC, "greedy"):
        options["weight"] = rng.integers(1, 4, n) * rng.choice([1.0, rng.random() + 0.1])
    if rule == "threshold":
        options["range"] = (1.0, 3.0)
    if rule == "dual_prices":
        options["horizon"] = 30
    return n, arrivals, options


def one_by_one(matcher, arrivals):
    """Decisions of single arrivals; the simulator's coins decide attempts."""
    out = []
    for v in range(len(arrivals)):
        item, attempt = matcher.arrive(*arrivals.row(v))
        if attempt is not None:
            matcher.draw(attempt)
        out.append(-1 if item is None else item)
    return np.array(out, dtype=np.int32)


def make(rule, options, seed=0):
    return Matcher(rule, seed=seed, **options)


def within(values, expected, error=0.0, *, digits=0.0):
    """Whether a mean lies within four standard errors of a figure; `digits` is its rounding."""
    values = np.asarray(values, dtype=float)
    own = values.std(ddof=1) / len(values) ** 0.5
    return abs(values.mean() - expected) <= 4 * (own**2 + error**2) ** 0.5 + digits


def best_policy(arrivals, n, weight):
    """Value of the best policy that knows everything but the coins; capacities of 1."""

    @cache
    def value(v, free):
        if v == len(arrivals):
            return 0.0
        best = value(v + 1, free)
        items, chances = arrivals.row(v)
        for u, p in zip(items.tolist(), chances, strict=True):
            if free >> u & 1:
                hit = weight[u] + value(v + 1, free & ~(1 << u))
                best = max(best, p * hit + (1 - p) * value(v + 1, free))
        return best

    return value(0, (1 << n) - 1)


def configuration_bound(arrivals, n, weight):
    """The configuration program for capacities of 1: sets of arrivals that are tried in turn."""
    gain, by_item, by_arrival = [], [], []
    at = [dict(zip(*map(list, arrivals.row(v)), strict=True)) for v in range(len(arrivals))]
    for u in range(n):
        near = [v for v in range(len(arrivals)) if u in at[v]]
        for size in range(1, len(near) + 1):
            for chosen in combinations(near, size):
                alive, row = 1.0, np.zeros(len(arrivals))
                for v in chosen:
                    row[v] = alive
                    alive *= 1 - at[v][u]
                gain.append(weight[u] * (1 - alive))
                by_item.append(np.eye(n)[u])
                by_arrival.append(row)
    if not gain:
        return 0.0
    matrix = np.concatenate([np.array(by_item).T, np.array(by_arrival).T])
    done = linprog(-np.array(gain), A_ub=matrix, b_ub=np.ones(n + len(arrivals)), method="highs")
    return -done.fun
