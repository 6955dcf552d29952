"""Targets of fair rankings, fusion and bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gustibus import _core
from tests.fuzz.draw import Draw
from tests.fuzz.groups import ballots, rows_of, small

OBJECTIVES = ("bloc", "borda", "borda_cc", "dowdall", "pav", "sntv")


def labels(draw: Draw, m: int, p: int) -> Any:
    """A group per item."""
    return draw.array(draw.rng.integers(0, p, m), np.uint32)


def shares(draw: Draw, p: int) -> Any:
    """Shares of groups that sum to 1."""
    raw = draw.rng.random(p) + 0.05
    return draw.array(raw / raw.sum(), np.float64)


def prefix_bounds(draw: Draw, k: int, p: int) -> Any:
    """Bounds `(k, p)` on the counts in every prefix."""
    places = np.arange(1, k + 1)[:, None]
    loose = draw.chance(0.6)
    lower = np.zeros((k, p)) if loose else np.floor(places / p) * np.ones((1, p))
    upper = places * np.ones((1, p)) if loose else np.ceil(places / p) * np.ones((1, p))
    return draw.array(lower, np.int64), draw.array(upper, np.int64)


def order(draw: Draw, m: int) -> Any:
    """A strict order."""
    return draw.array(draw.rng.permutation(m), np.int64)


def table(draw: Draw) -> None:
    """Minimal numbers of protected items."""
    k, alpha = draw.count(1, 40, work=True, capped=True), draw.number(0.01, 0.3)
    _core.fair_table(k, draw.number(0.05, 0.95), alpha, draw.flag(), draw.flag())


def failure(draw: Draw) -> None:
    """The chance that a fair ranking fails a table."""
    steps = np.cumsum(draw.rng.random(draw.pick((0, 1, 5, 30))) < 0.3)
    _core.fail_probability(draw.array(steps, np.int64, work=True), draw.number(0, 1), draw.flag())


def rerank(draw: Draw) -> None:
    """Fair reranking by any method."""
    m, p = small(draw, 15), draw.pick((1, 2, 2, 3))
    methods = [row[0] for row in _core.fairness_tables()["rerank"]]
    k = draw.count(1, m)
    size = k if isinstance(k, int) and 0 < k < 100 else 1
    _core.fair_rerank(
        draw.name(methods), draw.array(draw.rng.normal(size=m), np.float64), labels(draw, m, p),
        shares(draw, p), k, draw.maybe(lambda: prefix_bounds(draw, size, p), 0.3), draw.number(0.01, 0.3),
        draw.flag(), draw.flag(), draw.number(0, 1), draw.seed(), draw.maybe(lambda: draw.number(0, 2)),
    )  # fmt: skip


def measures(draw: Draw) -> None:
    """Measures of fairness."""
    n, m, p = small(draw, 4), small(draw, 10), draw.pick((1, 2, 3))
    k = int(draw.rng.integers(1, m + 1))
    cutoffs = draw.array(draw.rng.integers(1, k + 1, 2), np.int64)
    _core.fair_measures(
        draw.array(rows_of(draw, n, m)[:, :k], np.int64), labels(draw, m, p), shares(draw, p),
        draw.number(0, 1), cutoffs, draw.threads(),
    )  # fmt: skip


def attention(draw: Draw) -> None:
    """Attention against relevance."""
    n, m = small(draw, 4), small(draw, 10)
    kind = draw.name(("geometric", "logarithmic", "reciprocal"))
    _core.attention_gap(
        draw.array(rows_of(draw, n, m), np.int64), draw.array(draw.rng.random(m), np.float64),
        (kind, draw.number(0, 1)),
    )  # fmt: skip


def closest(draw: Draw) -> None:
    """The closest fair ranking."""
    m, p = small(draw, 10), draw.pick((1, 2, 3))
    _core.closest_ranking(
        order(draw, m), labels(draw, m, p), draw.count(p, p), prefix_bounds(draw, m, p)
    )


def consensus(draw: Draw) -> None:
    """The fair consensus."""
    m, p = small(draw, 10), draw.pick((1, 2, 3))
    held = ballots(draw, m)
    _core.fair_consensus(
        held, labels(draw, m, p), draw.count(p, p), prefix_bounds(draw, m, p), draw.threads()
    )


def parity(draw: Draw) -> None:
    """Shares of favoured pairs."""
    m, p = small(draw, 10), draw.pick((1, 2, 3))
    _core.pairwise_parity(order(draw, m), labels(draw, m, p), draw.count(p, p))


def repair(draw: Draw) -> None:
    """Repaired parity."""
    m, rows = small(draw, 10), draw.pick((0, 1, 2))
    counts = [int(c) for c in draw.rng.integers(1, 4, rows)]
    attributes = np.array([draw.rng.integers(0, c, m) for c in counts]).reshape(rows, m)
    if draw.spoils():
        counts.append(draw.count(1, 3))
    _core.repair_parity(
        order(draw, m), draw.array(attributes, np.uint32), counts, draw.number(0, 1)
    )


def birkhoff(draw: Draw) -> None:
    """A doubly stochastic matrix as a lottery."""
    m = small(draw)
    matrix = np.zeros((m, m))
    for row, weight in zip(rows_of(draw, 4, m), (0.4, 0.3, 0.2, 0.1), strict=True):
        matrix[np.arange(m), row] += weight
    _core.birkhoff(draw.array(matrix, np.float64))


def run(draw: Draw, queries: int) -> Any:
    """One run of a search engine."""
    lengths = draw.rng.integers(0, 6, queries)
    docs = [draw.rng.permutation(9)[:k] for k in lengths]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.concatenate([*docs, np.zeros(0, int)])
    scores = draw.rng.normal(size=len(flat))
    return (
        draw.array(starts, np.int64),
        draw.array(flat, np.uint32),
        draw.array(scores, np.float64),
    )


def fuse(draw: Draw) -> None:
    """Fused runs."""
    tables = _core.fairness_tables()
    queries, count = draw.pick((0, 1, 3)), draw.pick((0, 1, 2, 4))
    _core.fuse_runs(
        draw.name([row[0] for row in tables["fuse"]]), draw.name([row[0] for row in tables["norm"]]),
        [run(draw, queries) for _ in range(count)], draw.array(draw.rng.random(count), np.float64),
        tuple(draw.number(0, 60) if i == 0 else draw.number(0, 1) for i in range(4)), draw.flag(),
        draw.threads(),
    )  # fmt: skip


def bias(draw: Draw) -> Any:
    """A model of bias."""
    kind = draw.pick(("swapping", "block", "places", "gaussian", "uniform", "log_normal"))
    numbers = [draw.number(0.05, 0.95) for _ in range(2 if kind in ("swapping", "block") else 3)]
    return (draw.name((kind,)), numbers, draw.flag(), draw.flag())


def latent(draw: Draw, n: int, m: int) -> Any:
    """A distribution of latent rankings."""
    names = (
        "rankings", "impartial", "anonymous", "urn", "mallows", "norm_mallows", "walsh", "conitzer",
        "single_crossing",
    )  # fmt: skip
    name = draw.name(names)
    if name == "rankings":
        return (name, None, draw.array(rows_of(draw, n, m).reshape(-1), np.uint32))
    centre = draw.maybe(lambda: draw.array(draw.rng.permutation(m), np.uint32), 0.2)
    return (name, draw.maybe(lambda: draw.number(0, 1)), centre)


def biased(draw: Draw) -> None:
    """Biased ballots."""
    n, m = small(draw), small(draw, 12)
    rankings = draw.array(rows_of(draw, n, m), np.uint32)
    _core.bias_ballots(rankings, labels(draw, m, 2), draw.count(2, 2), bias(draw), draw.seed())


def smoothness(draw: Draw) -> None:
    """Estimated smoothness."""
    m, n = small(draw, 10), small(draw, 6)
    sizes = (
        draw.count(n, n, work=True, capped=True), draw.count(1, 5, work=True, capped=True),
        draw.count(1, 4, work=True, capped=True), draw.count(1, m),
    )  # fmt: skip
    _core.estimate_smoothness(
        draw.name(OBJECTIVES), latent(draw, n, m), bias(draw), labels(draw, m, 2), draw.count(2, 2), sizes,
        draw.maybe(lambda: draw.number(0.5, m)), draw.seed(), draw.threads(),
    )  # fmt: skip


def required(draw: Draw) -> None:
    """How many rankings suffice."""
    _core.required_rankings(
        tuple(draw.number(0, 1) for _ in range(3)), draw.count(1, 100), draw.number(0, 1),
        draw.maybe(lambda: draw.number(0, 1)),
    )  # fmt: skip


def study(draw: Draw) -> None:
    """The study of bias."""
    m, n = small(draw, 10), small(draw, 6)
    rules = [draw.name(OBJECTIVES) for _ in range(draw.pick((0, 1, 2)))]
    k = int(draw.rng.integers(1, m + 1))
    quotas = [draw.count(0, k) for _ in range(draw.pick((0, 1, 3)))]
    _core.study_bias(
        rules, latent(draw, n, m), [bias(draw) for _ in range(draw.pick((0, 1, 2)))], labels(draw, m, 2),
        draw.count(2, 2),
        (draw.count(n, n, work=True, capped=True), draw.count(k, k), draw.count(1, 4, work=True, capped=True)),
        quotas, draw.flag(), draw.flag(), draw.seed(), draw.threads(),
    )  # fmt: skip


TARGETS: dict[str, tuple[Callable[[Draw], Any], ...]] = {
    "fairness_tables": (lambda _: _core.fairness_tables(),),
    "fair_table": (table,),
    "fail_probability": (failure,),
    "fair_rerank": (rerank,),
    "fair_measures": (measures,),
    "attention_gap": (attention,),
    "closest_ranking": (closest,),
    "fair_consensus": (consensus,),
    "pairwise_parity": (parity,),
    "repair_parity": (repair,),
    "birkhoff": (birkhoff,),
    "fuse_runs": (fuse,),
    "bias_ballots": (biased,),
    "estimate_smoothness": (smoothness,),
    "required_rankings": (required,),
    "study_bias": (study,),
}
