"""Random profiles and brute force for the tests of committees."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from gustibus.social import ApprovalProfile, Profile, UtilityProfile


def approvals(seed, *, n=12, m=7, share=0.4, weighted=False):
    rng = np.random.default_rng(seed)
    matrix = (rng.random((n, m)) < share).astype(int)
    weights = rng.integers(1, 5, n) if weighted else None
    return ApprovalProfile(matrix, weights=weights)


def rankings(seed, *, n=12, m=7, weighted=False):
    rng = np.random.default_rng(seed)
    rows = np.argsort(rng.random((n, m)), axis=1)
    weights = rng.integers(1, 5, n) if weighted else None
    return Profile(rows, weights=weights, compact=False)


def utilities(seed, *, n=12, m=7, weighted=False, levels=6):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, levels, (n, m)) / 4
    weights = rng.integers(1, 5, n) if weighted else None
    return UtilityProfile(values, weights=weights)


def worths(profile, scores=None):
    """`(n, m)` by definition."""
    if isinstance(profile, UtilityProfile):
        return profile.values
    if isinstance(profile, ApprovalProfile):
        return profile.matrix().astype(float)
    rows = profile.rankings
    n, m = rows.shape
    scores = np.arange(m - 1, -1, -1) if scores is None else scores
    out = np.zeros((n, m))
    np.put_along_axis(out, rows.astype(int), np.broadcast_to(scores, (n, m)), 1)
    return out


def owa_value(profile, members, factors, scores=None):
    """`sum_v w_v sum_j lambda_j s_(j)`, factors 0 after their end."""
    if not members:
        return 0.0
    chosen = -np.sort(-worths(profile, scores)[:, list(members)], axis=1)
    lam = np.zeros(len(members))
    lam[: len(factors)] = factors[: len(members)]
    return float(profile.weights @ (chosen @ lam))


def best(m, k, value, allowed=lambda _: True):
    """The best value over all allowed sets, and all best ones."""
    scored = [(value(s), s) for s in combinations(range(m), k) if allowed(s)]
    if not scored:
        return None, []
    top = max(v for v, _ in scored)
    return top, [s for v, s in scored if v > top - 1e-9]


def harmonic(k):
    return [1 / j for j in range(1, k + 1)]
