"""Speed of matching beside its peers in the same run; prints Markdown tables.

Every row gives our time, the fastest peer's, and how many times faster ours is (above 1 is better).
Peers: `scipy.optimize.linear_sum_assignment` and the solvers of lapx for dense assignments, the network
flow solver of OR-tools and HiGHS for sparse b-matchings.

Run: python benchmarks/matching.py [--sizes 1000 2000 5000] [--only online dense sparse positions]
"""

from __future__ import annotations

import argparse
import os
import platform
from functools import partial
from time import process_time

import numpy as np
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog

from gustibus.matching import (
    Arrivals,
    Matcher,
    assignment,
    hindsight,
    max_weight_b_matching,
    place_creatives,
)


def timed(f, repeats=1):
    """Best processor seconds of `f()` over all threads, and its result.

    Every solver here works on one thread, so that this is its time on an idle machine.
    """
    best, result = np.inf, None
    for _ in range(repeats):
        start = process_time()
        result = f()
        best = min(best, process_time() - start)
    return best, result


def show(seconds):
    if seconds < 1e-4:
        return f"{seconds * 1e6:.2f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def online(edges=20):
    print(
        "\n| bulk arrivals, 20 edges, one thread | items | ns per arrival | target |\n|---|---|---|---|"
    )
    rng = np.random.default_rng(0)
    targets = {
        ("balance", 1_000): 60, ("balance", 100_000): 102, ("balance", 1_000_000): 510,
        ("stochastic_balance", 1_000): 156, ("stochastic_balance", 100_000): 400,
        ("stochastic_balance", 1_000_000): 1112,
    }  # fmt: skip
    for rule in ("balance", "ranking", "perturbed_greedy", "stochastic_balance"):
        for n in (1_000, 100_000, 1_000_000):
            m = 400_000
            items = np.sort(rng.integers(0, n, (m, edges)), axis=1)
            items += np.arange(edges)  # rising, so that no item stands twice
            flat, indptr = (items % (n + edges)).astype(np.uint32).ravel(), np.arange(m + 1) * edges
            size = n + edges
            weight = None if rule == "ranking" else rng.random(size) + 0.5
            values = rng.random(m * edges) * 0.2 + 0.1 if rule.startswith("stoch") else None
            runs = []
            for _ in range(7):
                matcher = Matcher(rule, size, max(2, m // n), weight=weight)
                runs.append(timed(lambda: matcher.arrive_many(indptr, flat, values))[0])
            target = targets.get((rule, n), "")
            print(f"| {rule} | {n:,} | {min(runs) / m * 1e9:.0f} | {target} |", flush=True)
    print("\n| one arrival from Python, 20 edges | us | target |\n|---|---|---|")
    row, chance = np.arange(0, 1000, 50), rng.random(20)
    plain = Matcher("balance", 1000, 10**6, weight=rng.random(1000))
    late = Matcher("stochastic_balance", 1000, 10**6, late="reserve")
    for name, call in (
        ("balance, int64 items", lambda: plain.arrive(row)),
        ("stochastic balance with chances", lambda: late.arrive(row, chance)),
    ):
        seconds = timed(lambda: [call() for _ in range(10_000)], 5)[0] / 10_000
        print(f"| {name} | {seconds * 1e6:.2f} | 1.5 |", flush=True)


FAMILIES = {
    "uniform": lambda rng, n: rng.random((n, n)),
    "integers below 100": lambda rng, n: rng.integers(0, 100, (n, n)).astype(float),
    "geometric": lambda rng, n: np.sqrt(
        sum((rng.random((n, 1)) - rng.random((1, n))) ** 2 for _ in range(2))
    ),
    "low rank": lambda rng, n: -rng.standard_normal((n, 16)) @ rng.standard_normal((16, n)),
    "products": lambda _, n: np.outer(np.arange(1.0, n + 1), np.arange(1.0, n + 1)),
}


def dense_peers():
    peers = {"scipy": lambda cost: cost[linear_sum_assignment(cost)].sum()}
    try:
        import lap
    except ImportError:
        print("(lapx is not installed)")
        return peers
    for name in ("lapjv", "lapjvx", "lapjvc", "lapjvs"):
        if hasattr(lap, name):
            peers[f"lapx {name}"] = getattr(lap, name)
    return peers


def dense(sizes, slowest):
    peers = dense_peers()
    print(
        "\n| dense assignment | n | ours | float32 | fastest peer | times faster |\n|---|---|---|---|---|---|"
    )
    for n in sizes:
        for name, draw in FAMILIES.items():
            cost = draw(np.random.default_rng(0), n)
            single = cost.astype(np.float32)
            repeats = 5 if n <= 2000 else 2
            others = {}
            for peer, solve in peers.items():
                # a peer that is far behind on half the size is not waited for
                if slowest.get((peer, name), 0.0) < 4 * slowest.get(("best", name), np.inf):
                    others[peer] = timed(lambda: solve(cost), repeats if n < 2000 else 1)[0]
                    slowest[peer, name] = others[peer]
            ours, found = timed(lambda: assignment(cost), repeats)
            narrow, _ = timed(lambda: assignment(single), repeats)
            best = min(others, key=others.get)
            slowest["best", name] = others[best]
            slack = cost - found.u[:, None] - found.v[None]
            assert slack.min() > -1e-9 * np.abs(cost).max(), "the certificate holds"
            print(
                f"| {name} | {n} | {show(ours)} | {show(narrow)} | {best} {show(others[best])} "
                f"| {others[best] / ours:.1f} |", flush=True,
            )  # fmt: skip
    wide = np.random.default_rng(0).random((500, 10_000))
    best, _ = timed(lambda: linear_sum_assignment(wide), 3)
    ours, _ = timed(lambda: assignment(wide), 3)
    print(
        f"| uniform, 500 x 10,000 | | {show(ours)} | | scipy {show(others['scipy'])} "
        f"| {others['scipy'] / ours:.1f} |"
    )
    print(f"| uniform, 500 x 10,000 | | {show(ours)} | | scipy {show(best)} | {best / ours:.1f} |")


def flow(arrivals, capacity, scale):
    """Maximum-weight b-matching by the flow solver of OR-tools, weights rounded to `1 / scale`."""
    from ortools.graph.python import min_cost_flow

    m, n, edges = len(arrivals), len(capacity), len(arrivals.items)
    source, sink = m + n, m + n + 1
    of = np.repeat(np.arange(m), np.diff(arrivals.indptr))
    items = np.asarray(arrivals.items, dtype=np.int64)
    tails = np.concatenate([np.full(m, source), of, np.arange(m), m + np.arange(n)])
    heads = np.concatenate([np.arange(m), m + items, np.full(m, sink), np.full(n, sink)])
    limits = np.concatenate([np.ones(2 * m + edges), capacity]).astype(np.int64)
    weights = np.round(arrivals.values * scale)
    costs = np.concatenate([np.zeros(m), -weights, np.zeros(m + n)]).astype(np.int64)
    supply = np.zeros(m + n + 2, np.int64)
    supply[source], supply[sink] = m, -m

    def solve():
        network = min_cost_flow.SimpleMinCostFlow()
        network.add_arcs_with_capacity_and_unit_cost(
            tails.astype(np.int32), heads.astype(np.int32), limits, costs
        )
        network.set_nodes_supplies(np.arange(m + n + 2, dtype=np.int32), supply)
        network.solve()
        return -network.optimal_cost() / scale

    return solve


def highs(arrivals, capacity, limit):
    m, n, edges = len(arrivals), len(capacity), len(arrivals.items)
    of = np.repeat(np.arange(m), np.diff(arrivals.indptr))
    one, edge = np.ones(edges), np.arange(edges)
    matrix = sparse.vstack([
        sparse.csr_matrix((one, (np.asarray(arrivals.items, int), edge)), (n, edges)),
        sparse.csr_matrix((one, (of, edge)), (m, edges)),
    ])  # fmt: skip
    right = np.concatenate([capacity, np.ones(m)])
    return lambda: linprog(
        -arrivals.values, A_ub=matrix, b_ub=right, bounds=(0, 1), method="highs",
        options={"time_limit": limit},
    )  # fmt: skip


def draw_sparse(rng, m, n, noise, whole, edges=10):
    quality = rng.random(n)
    items = np.concatenate([rng.choice(n, edges, replace=False) for _ in range(m)])
    weight = quality[items] * (noise < 1) + noise * rng.random(len(items))
    if whole:
        weight = rng.integers(1, 21, len(items)).astype(float)
    return Arrivals(np.arange(m + 1) * edges, items, weight)


def sparse_matchings(limit):
    print(
        "\n| sparse b-matching, 10 edges | arrivals | items | capacity | ours | OR-tools | times faster "
        "| HiGHS | times faster |\n|---|---|---|---|---|---|---|---|---|"
    )
    kinds = [
        ("independent weights", 1.0, False), ("shared qualities, noise 0.1", 0.1, False),
        ("shared qualities, noise 0.001", 1e-3, False), ("qualities alone", 0.0, False),
        ("whole weights to 20", 1.0, True),
    ]  # fmt: skip
    shapes = [
        (20_000, 1_000, 10),
        (20_000, 1_000, 20),
        (20_000, 1_000, 40),
        (20_000, 20_000, 1),
        (100_000, 1_000, 50),
    ]
    for name, noise, whole in kinds:
        for m, n, capacity in shapes:
            arrivals = draw_sparse(np.random.default_rng(0), m, n, noise, whole)
            limits = np.full(n, float(capacity))
            ours, found = timed(lambda: max_weight_b_matching(arrivals, limits), 3)
            assert found.gap(arrivals, limits) < 1e-8, "the certificate holds"
            seconds, value = timed(flow(arrivals, limits, 1e6))
            assert abs(value - found.value) < 1e-5 * found.value, "the values agree"
            cells = [show(seconds), f"{seconds / ours:.1f}"]
            if limit > 0:
                seconds, solved = timed(highs(arrivals, limits, limit))
                is_solved = solved.status == 0
                assert not is_solved or abs(-solved.fun - found.value) < 1e-5 * found.value
                sign = "" if is_solved else "over "
                cells += [sign + show(seconds), f"{sign}{seconds / ours:.0f}"]
            else:
                cells += ["", ""]
            print(
                f"| {name} | {m:,} | {n:,} | {capacity} | {show(ours)} | {' | '.join(cells)} |",
                flush=True,
            )
    arrivals = draw_sparse(np.random.default_rng(0), 100_000, 1_000, 1.0, whole=False)
    seconds, _ = timed(lambda: hindsight(arrivals, np.full(1_000, 50.0)))
    print(
        f"\nThe optimum after each of 100,000 arrivals: {show(seconds)}, {seconds * 1e1:.1f} us each."
    )


def positions():
    print("\n| slate of 1,000 creatives | positions | time |\n|---|---|---|")
    rng = np.random.default_rng(0)
    for m in (10, 12, 16):
        p, values = rng.random((1000, m)) * rng.random((1000, 1)), rng.random(1000)
        for method in ("mnl", "cascade", "cascade_greedy"):
            place = partial(place_creatives, method, p, values)
            print(f"| {method} | {m} | {show(timed(place, 3)[0])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--only", nargs="+", default=["online", "dense", "sparse", "positions"])
    parser.add_argument("--highs-seconds", type=float, default=10.0, help="time given to HiGHS")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores")
    parts = {
        "online": online, "dense": lambda: dense(options.sizes, {}),
        "sparse": lambda: sparse_matchings(options.highs_seconds), "positions": positions,
    }  # fmt: skip
    for name in options.only:
        parts[name]()


if __name__ == "__main__":
    main()
