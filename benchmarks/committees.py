"""Speed of committee rules beside other ways to the same committee; prints a Markdown table.

Peers run once on the same profile and have to find a committee of the same value (or the same
committee). abcvoting has approval rules only; for rankings the peer is the greedy rule in vectorised
NumPy, and HiGHS for exact committees.

Run: python benchmarks/committees.py [--full]   (--full: peers at full size, minutes)
"""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from time import perf_counter

import numpy as np

from gustibus.social import ApprovalProfile, Profile, UtilityProfile, committee

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from abcvoting import abcrules
    from abcvoting.preferences import Profile as PeerProfile

BUDGETS = {  # milliseconds on two cores
    "Borda-CC greedy, n=100000 m=100 k=10": 15,
    "Borda-CC greedy, n=10000 m=1000 k=50": 25,
    "seq-PAV, n=100000 m=100 k=10": 12,
    "seq-PAV, n=10000 m=1000 k=50": 2,
    "Equal Shares, n=100000 m=100 k=10": 40,
    "exact Borda-CC, n=100 m=50 k=5": 1000,
}


def timed(f):
    start = perf_counter()
    out = f()
    return perf_counter() - start, out


def median(f, repeats):
    """Median and least seconds after one warm call, and the result."""
    out = f()
    times = [timed(f)[0] for _ in range(repeats)]
    return float(np.median(times)), min(times), out


def in_turns(first, second, turns=41):
    """Median of the second's time over the first's, called one after the other."""
    ratios = []
    for turn in range(turns):
        pair = (first, second) if turn % 2 else (second, first)
        times = {f: timed(f)[0] for f in pair}
        ratios.append(times[second] / times[first])
    return float(np.median(ratios))


def numpy_greedy(places, k):
    """Plain greedy Borda-CC on places `(m, n)`."""
    best = np.full(places.shape[1], places.shape[0] - 1, places.dtype)
    members = []
    for _ in range(k):
        gains = np.where(places < best, best - places, 0).sum(1, dtype=np.int64)
        gains[members] = -1
        members.append(int(gains.argmax()))
        best = np.minimum(best, places[members[-1]])
    return tuple(sorted(members))


def numpy_facility(by_item, k):
    """Plain greedy facility location on utilities `(m, n)`."""
    best = np.zeros(by_item.shape[1])
    members = []
    for _ in range(k):
        gains = np.maximum(by_item - best, 0).sum(1)
        gains[members] = -1
        members.append(int(gains.argmax()))
        best = np.maximum(best, by_item[members[-1]])
    return tuple(sorted(members))


def peer_profile(sets, m):
    peer = PeerProfile(m)
    peer.add_voters([s.tolist() for s in sets])
    return peer


def peer_rule(rule, profile, k, algorithm):
    peer = peer_profile(profile.sets(), profile.n_items)

    def run():
        (members,) = abcrules.compute(rule, peer, k, algorithm=algorithm, resolute=True)
        return tuple(sorted(int(i) for i in members))

    return run


def rankings(rng, n, m):
    return Profile(np.argsort(rng.random((n, m)), axis=1), compact=False)


def approvals(rng, n, m, each):
    chosen = np.sort(np.argsort(rng.random((n, m)), axis=1)[:, :each], axis=1)
    return ApprovalProfile.from_csr(np.arange(n + 1) * each, chosen.ravel(), m)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    rng = np.random.default_rng(0)
    print(f"{platform.machine()}, {os.cpu_count()} cores; median (least) of 15, profiles built\n")
    print("| what | time, ms | budget, ms | peer | peer, ms | ratio |\n|---|---|---|---|---|---|")

    def line(what, f, peer=None, peer_name="", same=None, repeats=15):
        seconds, least, out = median(f, repeats)
        budget = BUDGETS.get(what, "")
        cells = "| | |"
        if peer is not None:
            spent, theirs = timed(peer)
            if same is not None and not same(out, theirs):
                message = f"{what}: {peer_name} found another committee, {theirs}, {out.members}"
                raise AssertionError(message)
            cells = f"{peer_name} | {spent * 1e3:,.0f} | {spent / seconds:,.0f} |"
        print(
            f"| {what} | {seconds * 1e3:.2f} ({least * 1e3:.2f}) | {budget} | {cells}", flush=True
        )

    def members(ours, theirs):
        return ours.members == theirs

    for n, m, k in ((100_000, 100, 10), (10_000, 1000, 50)):
        profile = rankings(rng, n, m)
        places = profile.places()
        size = f"n={n} m={m} k={k}"
        line(
            f"Borda-CC greedy, {size}", lambda p=profile, k=k: committee(p, k, method="greedy"),
            lambda p=places, k=k: numpy_greedy(p, k), "NumPy", members,
        )  # fmt: skip
        groups = [item % 4 for item in range(m)]

        def bounded(p=profile, k=k, g=groups):
            return committee(p, k, method="greedy", groups=g, bounds="equal")

        line(f"the same, four groups, equal quotas, {size}", bounded)
        over = in_turns(lambda p=profile, k=k: committee(p, k, method="greedy"), bounded)
        print(f"| quotas over free (median of 41 turns) | {over - 1:+.1%} | +5% | | | |")
        sets = approvals(rng, n, m, 10)
        small = sets if full or n <= 10_000 else approvals(rng, 10_000, m, 10)
        rows = (("seq-PAV", "seqpav", "standard"), ("Equal Shares", "equal-shares", "float-fractions"),
                ("seq-Phragmen", "seqphragmen", "float-fractions"))  # fmt: skip
        for name, rule, algorithm in rows:
            if small is not sets:
                line(f"{name}, {size}", lambda p=sets, k=k, r=rule: committee(p, k, rule=r))
            if rule == "equal-shares" and m == 1000 and not full:
                line(f"{name}, {size}", lambda p=sets, k=k, r=rule: committee(p, k, rule=r))
                continue
            line(
                f"{name}, n={small.n_voters} m={m} k={k}",
                lambda p=small, k=k, r=rule: committee(p, k, rule=r),
                peer_rule(rule, small, k, algorithm), "abcvoting", members,
            )  # fmt: skip
    profile = rankings(rng, 100, 50)
    exact = "exact Borda-CC, n=100 m=50 k=5"
    milp = (lambda: committee(profile, 5, method="milp"), "HiGHS", lambda a, b: a.value == b.value)
    line(exact, lambda: committee(profile, 5, method="exact"), *(milp if full else ()), repeats=5)
    small = rankings(rng, 40, 20)
    line(
        "exact Borda-CC, n=40 m=20 k=4",
        lambda: committee(small, 4, method="exact"),
        lambda: committee(small, 4, method="milp"), "HiGHS", lambda a, b: a.value == b.value,
        repeats=5,
    )  # fmt: skip
    sets = approvals(rng, 40, 14, 4)
    for rule in ("pav", "cc", "minimaxav", "monroe"):
        line(
            f"exact {rule}, n=40 m=14 k=5",
            lambda r=rule: committee(sets, 5, rule=r, method="exact"),
            peer_rule(rule, sets, 5, "brute-force"), "abcvoting", repeats=5,
        )  # fmt: skip
    numbers = UtilityProfile(rng.random((2000, 40)))
    line(
        "Equal Shares on utilities, n=2000 m=40 k=8",
        lambda: committee(numbers, 8, rule="equal_shares", completion="none"),
    )
    values = rng.random((100_000, 100))
    numbers = UtilityProfile(values)
    by_item = values.T.copy()
    line(
        "facility location greedy, n=100000 m=100 k=10",
        lambda: committee(numbers, 10, method="greedy"),
        lambda: numpy_facility(by_item, 10), "NumPy", members, repeats=5,
    )  # fmt: skip


if __name__ == "__main__":
    main()
