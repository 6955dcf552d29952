"""Speed of ballots and rules beside the fastest peer found for each; prints a Markdown table.

Run: python benchmarks/social_rules.py [--small]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import warnings
from time import perf_counter, process_time

import numpy as np

import gustibus.social as g

MEMORY = """
import sys
import numpy as np
import gustibus.social as g
n = int(sys.argv[1])
rows = np.empty((n, 50), np.int64)
rng = np.random.default_rng(0)
for start in range(0, n, 10_000):
    rows[start:start + 10_000] = np.argsort(rng.random((min(10_000, n - start), 50)), 1)
def peak():  # of this program alone: what getrusage tells begins with that of the parent
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
before = peak()
profile = g.Profile(rows)
profile.support(); profile.rank_histogram(); g.borda(profile); g.instant_runoff(profile)
print(peak() - before)
"""


class Seconds(float):
    """Least seconds on the clock, and least seconds of all cores, which a busy machine spares."""

    cores: float


def timed(f, *, repeats=5, fresh=None):
    """Least time of `f`, called with a new `fresh()` each time where that is given."""
    times, cores = [], []
    for _ in range(repeats):
        argument = () if fresh is None else (fresh(),)
        start, start_cores = perf_counter(), process_time()
        f(*argument)
        times.append(perf_counter() - start)
        cores.append(process_time() - start_cores)
    out = Seconds(min(times))
    out.cores = min(cores)
    return out


def numpy_borda(rows):
    m = rows.shape[1]
    points = np.tile(np.arange(m - 1, -1, -1.0), len(rows))
    return np.bincount(rows.ravel(), points, minlength=m)


def numpy_pairwise(places):
    """Counts by comparing columns; what a careful NumPy user writes."""
    m = len(places)
    out = np.zeros((m, m), np.int64)
    for a in range(m):
        out[a] = (places[a] < places).sum(1)
    return out


def numpy_paths(margins):
    paths = np.maximum(margins, 0)
    for k in range(len(paths)):
        np.maximum(paths, np.minimum(paths[:, k : k + 1], paths[k]), out=paths)
    return paths


def peer_profile():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from pref_voting.profiles import Profile
        except ImportError:
            return None
    return Profile


def pref_voting(module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import importlib

            return getattr(importlib.import_module(f"pref_voting.{module}"), name)
        except ImportError:
            return None


def cycle(m, rng, upsets=None):
    """Support of a random tournament of majorities by one ballot, whose items make one cycle together.

    A few ballots drawn at random bunch around an order, which bounds find at once. With a share of
    `upsets`, the other majorities go along an order, by 1 to 99 ballots of 101.
    """
    while True:
        if upsets is None:
            margins = 2 * rng.integers(0, 2, (m, m)) - 1
        else:
            signs = np.where(rng.random((m, m)) < upsets, -1, 1)
            margins = signs * (2 * rng.integers(0, 50, (m, m)) + 1)
        margins = np.triu(margins, 1)
        margins -= margins.T
        support = (101 + margins) / 2.0
        np.fill_diagonal(support, 0.0)
        if len(g.smith_set(support).ranking) == 1:
            return support


def rows_of_table(small):
    rng = np.random.default_rng(0)
    big, wide = (100_000, 300) if small else (1_000_000, 1000)
    rows = np.argsort(rng.random((big, 50)), 1)
    label = f"{big:.0e}".replace("e+0", "e")
    yield (f"Profile from int64, {label} x 50", 120, timed(lambda: g.Profile(rows), repeats=4),
           "numpy argsort", timed(lambda: np.argsort(rows, 1), repeats=1))  # fmt: skip
    peer, seconds = "-", None
    if (make := peer_profile()) is not None:  # counts its pairs as it is made
        few = rows[: big // 100].tolist()
        peer, seconds = (
            f"pref_voting, {len(few)} ballots x 100",
            100 * timed(lambda: make(few), repeats=2),
        )
    yield (f"Profile and pairwise matrix, {label} x 50", None,
           timed(lambda: g.Profile(rows).support(), repeats=4), peer, seconds)  # fmt: skip
    profile = g.Profile(rows)
    yield (f"Borda, {label} x 50, built", 30, timed(lambda: g.borda(profile)),
           "numpy bincount", timed(lambda: numpy_borda(rows), repeats=2))  # fmt: skip
    places = profile.places()
    yield (f"pairwise matrix, {label} x 50, built", 60,
           timed(lambda p: p.support(), fresh=lambda: g.Profile(rows), repeats=4),
           "numpy compare", timed(lambda: numpy_pairwise(places), repeats=1))  # fmt: skip
    short = np.argsort(rng.random((10_000, wide)), 1)
    tall = g.Profile(short)
    places = tall.places()
    yield (f"pairwise matrix, 1e4 x {wide}, built", 200,
           timed(lambda p: p.support(), fresh=lambda: g.Profile(short), repeats=4),
           "numpy compare", timed(lambda: numpy_pairwise(places), repeats=1))  # fmt: skip
    support = tall.support()
    margins = support - support.T
    paths = timed(lambda: numpy_paths(margins), repeats=1)
    for name, rule in (("Schulze", g.schulze), ("Split Cycle", g.split_cycle)):
        yield (
            f"{name} from the matrix, m = {wide}",
            200,
            timed(lambda r=rule: r(tall)),
            "numpy",
            paths,
        )
    yield (f"ranked pairs from the matrix, m = {wide}", 100, timed(lambda: g.ranked_pairs(tall)),
           *networkx_ranked_pairs(margins))  # fmt: skip
    yield from kemeny_rows(rng, tall, small)
    yield from runoff_rows(rng, big)


def networkx_ranked_pairs(margins):
    """The usual way: add an edge, look for a way back; on 60 items, for it is cubic at best."""
    try:
        import networkx as nx
    except ImportError:
        return "-", None
    part = margins[:60, :60]
    scale = (len(margins) / 60) ** 3

    def lock():
        graph = nx.DiGraph()
        graph.add_nodes_from(range(60))
        order = np.argsort(-part, axis=None)
        for a, b in zip(*np.unravel_index(order[: 60 * 59 // 2], part.shape), strict=True):
            if not nx.has_path(graph, b, a):
                graph.add_edge(a, b)

    return f"networkx, 60 items x {scale:.0f}", timed(lock, repeats=1) * scale


def kemeny_rows(rng, tall, small):
    apart = np.random.default_rng(1)
    cycles = [(20, 40, "one cycle", cycle(20, rng)), (22, 150, "one cycle", cycle(22, rng))]
    for m, upsets in ((30, 0.3), (40, 0.2)):
        label = f"{upsets:.0%} upsets, one cycle"
        cycles.append((m, None, label, cycle(m, apart, upsets)))
    for m, budget, label, support in cycles:
        peer, seconds = "scipy milp", None
        if not small:
            try:
                seconds = timed(
                    lambda s=support: g.kemeny(s, method="milp", time_limit=60), repeats=1
                )
            except ImportError:
                peer = "-"
        yield (f"Kemeny, {label} of {m}", budget, timed(lambda s=support: g.kemeny(s)), peer,
               seconds)  # fmt: skip
    profile = g.Profile(np.argsort(rng.random((9, 7)), 1))
    make, theirs = peer_profile(), pref_voting("other_methods", "kemmeny_young")
    if make is not None and theirs is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = make(profile.rankings.tolist())
            seconds = timed(lambda: theirs(other), repeats=1)
        yield ("Kemeny, 7 items, all optima", None,
               timed(lambda: g.kemeny(profile, all_optimal=True)), "pref_voting", seconds)  # fmt: skip
    descent = lambda: g.kemeny(tall, method="local", starts=1, kicks=0)  # noqa: E731
    yield f"Kemeny, one descent, m = {tall.n_items}", 30, timed(descent, repeats=3), "-", None


def runoff_rows(rng, big):
    rows = np.argsort(rng.random((big, 20)), 1)
    profile = g.Profile(rows)
    label = f"{big:.0e}".replace("e+0", "e")
    make, theirs = peer_profile(), pref_voting("iterative_methods", "instant_runoff")
    peer, seconds = "-", None
    if make is not None and theirs is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            few = make(rows[:2000].tolist())
            theirs(few)
            peer = f"pref_voting, 2000 ballots x {big // 2000}"
            seconds = timed(lambda: theirs(few), repeats=1) * (big / 2000)
    yield (f"IRV, {label} x 20, built", 100, timed(lambda: g.instant_runoff(profile)), peer,
           seconds)  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true", help="a tenth of the ballots")
    small = parser.parse_args().small
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"NumPy {np.__version__}, load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
    print("| task | ms | ms of all cores | budget ms | peer | peer ms | times faster |")
    print("| --- | --: | --: | --: | --- | --: | --: |")
    for task, budget, seconds, peer, other in rows_of_table(small):
        ratio = "" if other is None else f"{other / seconds:.1f}"
        theirs = "" if other is None else f"{other * 1e3:.0f}"
        own = f"{seconds * 1e3:.1f} | {seconds.cores * 1e3:.1f}"
        print(f"| {task} | {own} | {budget or ''} | {peer} | {theirs} | {ratio} |", flush=True)
    if sys.platform != "linux":
        return
    n = 100_000 if small else 1_000_000
    done = subprocess.run([sys.executable, "-c", MEMORY, str(n)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    print(
        f"\nMemory of {n} x 50 rankings with every count: {float(done.stdout):.0f} MiB beyond the "
        "input (budget 400)"
    )


if __name__ == "__main__":
    main()
