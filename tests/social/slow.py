"""Slow and obvious versions of the rules, on lists of buckets with weights."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np


def random_ballots(rng, m, n, kind="full"):
    """Lists of buckets; full and strict, partial, weak, or partial and weak."""
    ballots = []
    for _ in range(n):
        order = rng.permutation(m).tolist()
        if kind in ("partial", "both"):
            order = order[: rng.integers(0, m + 1)]
        buckets = [[x] for x in order]
        if kind in ("weak", "both"):
            buckets = []
            for x in order:
                if buckets and rng.random() < 0.4:
                    buckets[-1].append(x)
                else:
                    buckets.append([x])
        ballots.append(buckets)
    return ballots


def places(ballot, m):
    """The bucket of each item; unranked ones share the one after the last."""
    out = [len(ballot)] * m
    for p, bucket in enumerate(ballot):
        for x in bucket:
            out[x] = p
    return out


def support(ballots, weights, m, *, ignore=False):
    S = np.zeros((m, m))
    for ballot, w in zip(ballots, weights, strict=True):
        p = places(ballot, m)
        for a, b in itertools.permutations(range(m), 2):
            if p[a] < p[b] and not (ignore and p[b] == len(ballot)):
                S[a, b] += w
    return S


def margins(S):
    return S - S.T


def positional(ballots, weights, m, vector, how="mean"):
    scores = [Fraction(0)] * m
    for ballot, w in zip(ballots, weights, strict=True):
        rest = sorted(set(range(m)) - {x for bucket in ballot for x in bucket})
        place = 0
        for bucket in [*ballot, *([rest] if rest else [])]:
            points = [Fraction(vector[r]) for r in range(place, place + len(bucket))]
            share = {"mean": sum(points) / len(points), "high": points[0], "low": points[-1]}[how]
            for x in bucket:
                scores[x] += Fraction(w) * share
            place += len(bucket)
    return scores


def best(scores):
    return [x for x, s in enumerate(scores) if s == max(scores)]


def widest(M):
    """Strengths of strongest paths, over all simple paths."""
    m = len(M)
    P = np.zeros((m, m))
    for a in range(m):
        stack = [(a, (a,), np.inf)]
        while stack:
            x, seen, width = stack.pop()
            for y in range(m):
                if y not in seen and M[x, y] > 0:
                    w = min(width, M[x, y])
                    P[a, y] = max(P[a, y], w)
                    stack.append((y, (*seen, y), w))
    return P


def schulze(S):
    P = widest(margins(S))
    return [a for a in range(len(S)) if (P[a] >= P[:, a]).all()]


def split_cycle(S):
    M = margins(S)
    P = widest(M)
    m = len(S)
    return [b for b in range(m)
            if not any(M[a, b] > 0 and M[a, b] > P[b, a] for a in range(m))]  # fmt: skip


def reachable(edges, a, m):
    seen, stack = set(), [a]
    while stack:
        x = stack.pop()
        for y in range(m):
            if (x, y) in edges and y not in seen:
                seen.add(y)
                stack.append(y)
    return seen


def ranked_pairs(S, order):
    """The strict order when ties, and pairs without a majority, follow `order`."""
    m, M = len(S), margins(S)
    rank = {x: i for i, x in enumerate(order)}
    pairs = [(a, b) for a, b in itertools.permutations(range(m), 2)
             if M[a, b] > 0 or (M[a, b] == 0 and rank[a] < rank[b])]  # fmt: skip
    pairs.sort(key=lambda e: (-M[e], rank[e[0]], rank[e[1]]))
    edges = set()
    for a, b in pairs:
        if a not in reachable(edges, b, m):
            edges.add((a, b))
    return sorted(range(m), key=lambda x: -len(reachable(edges, x, m)))


def river(S, order):
    m, M = len(S), margins(S)
    rank = {x: i for i, x in enumerate(order)}
    pairs = [(a, b) for a, b in itertools.permutations(range(m), 2)
             if M[a, b] > 0 or (M[a, b] == 0 and rank[a] < rank[b])]  # fmt: skip
    pairs.sort(key=lambda e: (-M[e], rank[e[0]], rank[e[1]]))
    edges, taken = set(), set()
    for a, b in pairs:
        if b not in taken and a not in reachable(edges, b, m):
            edges.add((a, b))
            taken.add(b)
    return [x for x in range(m) if x not in taken]


def all_ties(S, rule):
    """Winners under some order in which equal majorities are locked; brute force over orders."""
    m, M = len(S), margins(S)
    pairs = [(a, b) for a, b in itertools.permutations(range(m), 2) if M[a, b] > 0]
    levels = sorted({M[e] for e in pairs}, reverse=True)
    groups = [[e for e in pairs if M[e] == level] for level in levels]
    winners = set()
    for choice in itertools.product(*(itertools.permutations(g) for g in groups)):
        edges, taken = set(), set()
        for a, b in itertools.chain(*choice):
            if rule == "river" and b in taken:
                continue
            if a not in reachable(edges, b, m):
                edges.add((a, b))
                taken.add(b)
        winners |= set(range(m)) - {b for _, b in edges}
    return sorted(winners)


def orders_and_costs(S):
    m = len(S)
    for order in itertools.permutations(range(m)):
        yield order, sum(S[order[j], order[i]] for i in range(m) for j in range(i + 1, m))


def kemeny(S):
    """The least cost and every order that has it."""
    costs = list(orders_and_costs(S))
    least = min(cost for _, cost in costs)
    return least, [order for order, cost in costs if cost == least]


def smith(S):
    m, M = len(S), margins(S)
    for k in range(1, m + 1):
        for A in itertools.combinations(range(m), k):
            if all(M[a, b] > 0 for a in A for b in set(range(m)) - set(A)):
                return list(A)
    raise AssertionError


def schwartz(S):
    m, M = len(S), margins(S)
    undominated = [set(A) for k in range(1, m + 1) for A in itertools.combinations(range(m), k)
                   if not any(M[b, a] > 0 for a in A for b in set(range(m)) - set(A))]  # fmt: skip
    minimal = [A for A in undominated if not any(B < A for B in undominated)]
    return sorted(set().union(*minimal))


def banks(S):
    m, M = len(S), margins(S)
    chains = [c for k in range(1, m + 1) for c in itertools.permutations(range(m), k)
              if all(M[c[i], c[j]] > 0 for i in range(k) for j in range(i + 1, k))]  # fmt: skip
    sets = [set(c) for c in chains]
    return sorted({c[0] for c, s in zip(chains, sets, strict=True) if not any(s < t for t in sets)})


def first_places(ballots, weights, m, live):
    votes = [Fraction(0)] * m
    for ballot, w in zip(ballots, weights, strict=True):
        for bucket in ballot:
            tops = [x for x in bucket if x in live]
            if tops:
                for x in tops:
                    votes[x] += Fraction(w) / len(tops)
                break
    return votes


def instant_runoff(ballots, weights, m, live=None):
    """Winners when all lowest leave together."""
    live = set(range(m)) if live is None else set(live)
    while True:
        votes = first_places(ballots, weights, m, live)
        least = min(votes[x] for x in live)
        gone = {x for x in live if votes[x] == least}
        if gone == live:
            return sorted(live)
        live -= gone


def instant_runoff_put(ballots, weights, m, live=None):
    live = frozenset(range(m)) if live is None else live
    if len(live) == 1:
        return set(live)
    votes = first_places(ballots, weights, m, live)
    least = min(votes[x] for x in live)
    gone = [x for x in live if votes[x] == least]
    return set().union(*(instant_runoff_put(ballots, weights, m, live - {x}) for x in gone))
