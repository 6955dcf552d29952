"""Speed and memory of strength models beside their peers; prints a Markdown table.

Every row starts from the same Python objects and ends with scores by item. Peers that are not
installed are left out; those that are pure Python run on the smaller inputs alone.

Run: python benchmarks/strength.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from gustibus.social import (
    bootstrap,
    bradley_terry,
    covariance,
    davidson,
    elo,
    pagerank,
    plackett_luce,
    spectral,
)


def fastest(f, repeats):
    """Least seconds of `f()`: other processes can only add to it."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        f()
        times.append(perf_counter() - start)
    return min(times)


def processor(f, repeats):
    """Least processor seconds of `f()`, over all threads: what it takes on a busy machine."""
    times = []
    for _ in range(repeats):
        start = process_time()
        f()
        times.append(process_time() - start)
    return min(times)


def world(rows, items, seed=0):
    """Comparisons of random pairs: winners, losers."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=items)
    a = rng.integers(0, items, rows)
    b = (a + rng.integers(1, items, rows)) % items
    won = rng.random(rows) < 1 / (1 + np.exp(theta[b] - theta[a]))
    return np.where(won, a, b), np.where(won, b, a)


def random_rankings(count, length, items, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=items)
    chosen = np.argpartition(rng.random((count, items), np.float32), length, axis=1)[:, :length]
    noisy = theta[chosen] + rng.gumbel(size=chosen.shape)
    return np.take_along_axis(chosen, np.argsort(-noisy, axis=1), axis=1)


def seconds(t):
    return f"{t:.2f} s" if t >= 1 else f"{t * 1e3:.1f} ms"


def row(what, ours, peers=None, *, budget=None, repeats=5):
    """One line: time, its share of the budget, and how many times longer the peers take."""
    own, spent = fastest(ours, repeats), processor(ours, repeats)
    share = f"{seconds(budget)} ({own / budget:.2f})" if budget else ""
    cells = []
    for name, run in (peers or {}).items():
        if find_spec(name.partition(" ")[0]) is None:
            continue
        took = fastest(run, 1)
        cells.append(f"{name} {seconds(took)}: {took / own:.0f}x")
    print(
        f"| {what} | {seconds(own)} | {seconds(spent)} | {share} | {'; '.join(cells)} |", flush=True
    )


def evalica_fit(w, b):
    import evalica

    evalica.bradley_terry(w, b, [evalica.Winner.X] * len(w))


def arena_data(w, b):
    import pandas as pd
    from arena_rank.utils.data_utils import PairDataset

    rows = pd.DataFrame({"model_a": w, "model_b": b, "winner": "model_a"})
    return PairDataset.from_pandas(rows)


def arena_fit(w, b, *, doubt=False):
    from arena_rank.models.bradley_terry import BradleyTerry

    data = arena_data(w, b)
    model = BradleyTerry(len(data.competitors))
    model.fit(data)
    if doubt:
        model.compute_ratings_and_cis(data)


def choix_fit(w, b, items):
    import choix

    choix.ilsr_pairwise(items, list(zip(w.tolist(), b.tolist(), strict=True)))


def comparisons(*, quick):
    for rows, items, budget in [
        (10**6, 100, 0.010), (10**6, 10**4, 0.100), (10**7, 100, 0.080), (10**7, 10**4, 1.0),
    ]:  # fmt: skip
        w, b = world(rows, items)
        peers = {}
        if items == 100 and not (quick and rows > 10**6):
            peers["evalica"] = lambda w=w, b=b: evalica_fit(w.tolist(), b.tolist())
        if not quick:
            peers["arena_rank"] = lambda w=w, b=b: arena_fit(w, b)
        if rows == 10**6 and items == 100:
            peers["choix"] = lambda w=w, b=b: choix_fit(w, b, 100)
        what = f"Bradley-Terry, {rows:.0e} comparisons of {items:,} items"
        row(what, lambda w=w, b=b: bradley_terry(w, b), peers, budget=budget)
    w, b = world(10**6, 100)
    names = [f"model-{i}" for i in range(100)]
    xs, ys = [names[i] for i in w], [names[i] for i in b]
    peers = {"evalica": lambda: evalica_fit(xs, ys), "arena_rank": lambda: arena_fit(xs, ys)}
    what = "the same of 100 from two lists of 1e6 strings"
    row(what, lambda: bradley_terry(xs, ys), peers, budget=0.2)
    rng = np.random.default_rng(1)
    fresh = [f"model-{i}" for i in w.tolist()], [f"model-{i}" for i in b.tolist()]
    what = "the same, every string an object of its own"
    row(what, lambda: bradley_terry(*fresh), {"evalica": lambda: evalica_fit(*fresh)})
    weights = rng.random(len(w))
    row("the same of 100, weighted", lambda: bradley_terry(w, b, weights=weights))


def doubt():
    w, b = world(10**6, 100)
    fit = bradley_terry(w, b)
    row("sandwich, 100 items", lambda: covariance(fit), budget=0.002)
    peers = {"arena_rank": lambda: arena_fit(w, b, doubt=True)}
    row("fit and sandwich, 1e6 comparisons", lambda: covariance(bradley_terry(w, b)), peers)
    what = "bootstrap, 1000 replicates of 1e6 comparisons of 100"
    row(what, lambda: bootstrap(fit, replicates=1000), budget=0.15)


def others():
    w, b = world(10**6, 100)
    ties = np.random.default_rng(1).random(len(w)) < 0.1
    lists = w.tolist(), b.tolist()

    def peer(name, **options):
        import evalica

        ended = [evalica.Winner.Draw if t else evalica.Winner.X for t in ties.tolist()]
        return getattr(evalica, name)(*lists, ended, **options)

    for what, ours, theirs in [
        ("Davidson", lambda: davidson(w, b, ties=ties), "newman"),
        ("Elo", lambda: elo(w, b, ties=ties), "elo"),
        ("PageRank", lambda: pagerank(w, b, ties=ties), "pagerank"),
        ("spectral", lambda: spectral(w, b, ties=ties), None),
    ]:
        peers = {"evalica": lambda n=theirs: peer(n)} if theirs else {}
        row(f"{what}, 1e6 comparisons of 100 with ties", ours, peers)


def rankings():
    table = random_rankings(10**5, 10, 1000)
    small = [tuple(r) for r in table[:5000].tolist()]

    def choix():
        import choix as peer

        peer.ilsr_rankings(1000, small, alpha=1e-6)

    what = "Plackett-Luce, 1e5 rankings of 10 out of 1000, to 1e-8"
    row(what, lambda: plackett_luce(table), budget=0.1)
    peers = {"choix": choix}
    row("the same with 5000 rankings in lists", lambda: plackett_luce(small, opponent=0.1), peers)


MEMORY = """
import resource
from benchmarks.strength import world
from gustibus.social import bradley_terry
w, b = world(10**7, 10**4)
bradley_terry(w[:2], b[:2], items=10**4, on_disconnected="components")
open("/proc/self/clear_refs", "w").write("5")
bradley_terry(w, b)
print(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
"""


def memory():
    """Peak of the whole process, inputs included, while it fits."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEMORY], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    if done.returncode:
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(
            f"| memory of the process that makes the data and fits | {peak / 2**20:.2f} GiB | | | |"
        )
        return
    peak = int(done.stdout) / 2**20
    what = "memory, 1e7 comparisons of 10,000 items, the columns included"
    print(f"| {what} | {peak:.2f} GiB | | 1 GiB ({peak:.2f}) | |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave the slow peers out")
    quick = parser.parse_args().quick
    print(f"{platform.machine()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}\n")
    print("| what | time | of all cores | budget (share) | peers |\n|---|---|---|---|---|")
    comparisons(quick=quick)
    doubt()
    others()
    rankings()
    memory()


if __name__ == "__main__":
    main()
