"""Speed of fair ranking, fusion and the bias study beside peers; prints a Markdown table.

Run: python benchmarks/fairness.py [--queries 1000]
A peer that is not installed leaves its cell empty. The peers' compilers are warmed up first.
"""

from __future__ import annotations

import argparse
import os
import platform
import warnings
from time import perf_counter, process_time

import numpy as np

from gustibus.social import (
    RunArrays,
    bias_study,
    fair_consensus,
    fair_metrics,
    fair_rerank,
    fair_table,
    fuse,
)


def best(f, repeats=5):
    """Least wall-clock and processor seconds of `f()`, after one warm call."""
    f()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = perf_counter(), process_time()
        f()
        walls.append(perf_counter() - wall)
        cpus.append(process_time() - cpu)
    return min(walls), min(cpus)


def runs_of(rng, runs, queries, docs):
    """Arrays with 1000 candidate documents per query."""
    return [
        RunArrays(
            np.arange(queries + 1) * docs,
            np.concatenate([rng.choice(1000, docs, replace=False) for _ in range(queries)]).astype(
                np.uint32
            ),
            -np.sort(-rng.random((queries, docs)), axis=1).ravel(),
        )
        for _ in range(runs)
    ]


def fusion_peer(runs, queries, docs):
    """A call of ranx's fusion per method on its own runs, or nothing."""
    try:
        import ranx
    except ImportError:
        return {}
    theirs = []
    for run in runs:
        ids = np.char.add("d", run.docs.astype(str)).reshape(queries, docs)
        scores = run.scores.reshape(queries, docs)
        theirs.append(
            ranx.Run(
                {
                    f"q{q}": dict(zip(ids[q].tolist(), scores[q].tolist(), strict=True))
                    for q in range(queries)
                }
            )
        )
    names = {"rrf": "rrf", "comb_mnz": "mnz", "bordafuse": "bordafuse"}
    return {
        ours: lambda name=name: ranx.fuse(theirs, norm="min-max", method=name)
        for ours, name in names.items()
    }


def table_peer(k):
    """Seconds of one adjusted table of fairsearchcore, or nothing."""
    try:
        from fairsearchcore.fail_prob import LegalAssignmentKey
        from fairsearchcore.mtable_generator import MTableGenerator
    except ImportError:
        return None
    theirs = LegalAssignmentKey.__hash__
    LegalAssignmentKey.__hash__ = lambda key: int(theirs(key))
    start = perf_counter()
    MTableGenerator(k, 0.5, 0.1, True)
    return perf_counter() - start


def measures_peer(ranking, groups):
    try:
        import pandas as pd
        from FairRankTune.Metrics import AWRF, EXP, NDKL
    except ImportError:
        return None
    frame, labels = pd.DataFrame(ranking), dict(enumerate(groups.tolist()))

    def all_three():
        NDKL(frame, labels)
        EXP(frame, labels, "MinMaxRatio")
        AWRF(frame, labels, 0.5, "MinMaxRatio")

    return all_three


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=1000)
    queries = parser.parse_args().queries
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    print(f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}\n")
    print("| what | wall | processor | budget | peer | peer / ours |\n|---|---|---|---|---|---|")

    def line(what, ours, budget="", peer=None, name=""):
        wall, cpu = ours
        theirs = "" if peer is None else f"{name} {peer * 1e3:,.1f} ms"
        ratio = "" if peer is None else f"{peer / wall:,.0f}x"
        print(
            f"| {what} | {wall * 1e3:.2f} ms | {cpu * 1e3:.2f} ms | {budget} | {theirs} | {ratio} |"
        )

    runs = runs_of(rng, 10, queries, 100)
    peers = fusion_peer(runs, queries, 100)
    for method in ("rrf", "comb_mnz", "bordafuse"):
        peer = best(peers[method], 2)[0] if method in peers else None
        budget = "15 ms" if method == "rrf" else ""
        what = f"{method}, 10 runs x {queries} queries x 100 documents"
        line(what, best(lambda m=method: fuse(runs, method=m)), budget, peer, "ranx")
    line(
        f"condorcet (Copeland), 10 x {queries} x 100",
        best(lambda: fuse(runs, method="condorcet"), 2),
    )

    line("FA*IR adjusted table, k = 100", best(lambda: fair_table(100, 0.5, 0.1)), "",
         table_peer(100), "fairsearchcore")  # fmt: skip
    line("FA*IR adjusted table, k = 400", best(lambda: fair_table(400, 0.5, 0.1)), "20 ms",
         table_peer(400), "fairsearchcore")  # fmt: skip

    groups = rng.integers(0, 3, 1000)
    scores = rng.random(1000)
    for method in ("det_const_sort", "closest"):
        line(f"{method}, 1000 items", best(lambda m=method: fair_rerank(scores, groups, method=m)))
    ranking = rng.permutation(1000)
    peer = measures_peer(ranking, groups)
    line("all measures of one ranking of 1000", best(lambda: fair_metrics(ranking, groups)), "",
         best(peer, 2)[0] if peer else None, "FairRankTune, three of them")  # fmt: skip
    ballots = np.array([rng.permutation(100) for _ in range(100)])
    line("fair consensus, 100 ballots of 100 items",
         best(lambda: fair_consensus(ballots, groups[:100]), 2))  # fmt: skip

    one = {"latent": ["impartial"], "voters": [25]}
    line("bias study, one panel (n = 25, impartial)", best(lambda: bias_study(**one)), "200 ms")
    line("bias study, all fifteen panels", best(bias_study, 1), "10 s")


if __name__ == "__main__":
    main()
