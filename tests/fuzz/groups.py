"""Targets of `gustibus.social`: ballots, rules, committees, strengths, fair rankings, fusion and bias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gustibus import _core
from tests.fuzz.draw import Draw

CHOICES = (
    "auto", "subsets", "branch", "local", "margins", "winning", "opposition", "ratio", "all", "order",
    "put", "mean", "high", "low", "gillies", "fishburn", "bordes", "mckelvey", "strict", "weak",
    "droop", "exact_droop", "hare", "weighted", "inclusive", "last_parcel", "random", "symmetric",
    "domination", "non_domination", "one_based", "greedy", "insertion",
)  # fmt: skip
FLAGS = ("exit_on_majority", "all_optimal", "split", "paths", "allow_nonmonotone")
WORDS = {
    "tie": ("all", "order", "put"),
    "method": ("auto", "subsets", "branch", "local"),
    "strength": ("margins", "winning", "opposition", "ratio"),
    "variant": ("weak", "strict", *CHOICES),
    "quota": ("droop", "exact_droop", "hare"),
    "transfer": ("weighted", "inclusive", "last_parcel", "random"),
    "tie_points": ("mean", "high", "low"),
    "scheme": ("unifying", "induced", "pseudo_distance"),
}
COUNTS = {
    "cap": 3000,
    "kicks": 30,
    "nodes": 3000,
    "starts": 4,
    "seats": 4,
    "decimals": 8,
    "restarts": 4,
}


def rows_of(draw: Draw, n: int, m: int) -> Any:
    """`(n, m)` rankings, some alike."""
    rows = np.argsort(draw.rng.random((n, m)), axis=1)
    if n > 1 and draw.chance(0.3):
        rows[n // 2 :] = rows[0]
    return rows


def weights_of(draw: Draw, n: int) -> Any:
    """Weights, integers or not, some of them 0."""
    weights = draw.rng.integers(0, 4, n) if draw.chance(0.5) else draw.rng.random(n)
    return draw.maybe(lambda: draw.array(weights + (weights.sum() == 0), np.float64))


def small(draw: Draw, most: int = 8) -> int:
    """A size; one and two are frequent."""
    return int(draw.pick((1, 2, draw.rng.integers(1, most + 1), draw.rng.integers(1, most + 1))))


def full(draw: Draw, n: int, m: int) -> Any:
    """Full strict ballots."""
    kind = draw.pick(("i8", "i4", "u1", "u2", "u4", "i2", "i1", "u8"))
    rows = draw.array(rows_of(draw, n, m), kind, work=True)
    compact = draw.name(("auto", "always", "never"))
    return _core.Ballots.full(rows, weights_of(draw, n), compact, draw.threads())


def lists(draw: Draw, n: int, m: int) -> Any:
    """Partial and weak ballots."""
    kept = draw.rng.integers(0, m + 1, n) if draw.chance(0.7) else np.full(n, m)
    items = [row[:k] for row, k in zip(rows_of(draw, n, m), kept, strict=True)]
    flat = np.concatenate(items)
    starts = draw.array(np.concatenate([[0], np.cumsum(kept)]), np.int64)
    ends = draw.maybe(lambda: draw.array(draw.rng.random(len(flat)) < 0.6, bool))
    return _core.Ballots.lists(
        starts, draw.array(flat, "i8"), ends, draw.count(m, m), weights_of(draw, n),
        draw.name(("last", "ignore", "average")), draw.name(("auto", "always", "never")),
    )  # fmt: skip


def ballots(draw: Draw, m: int | None = None, *, most: int = 8) -> Any:
    """Ballots of any kind."""
    n, m = small(draw, 12), m or small(draw, most)
    return full(draw, n, m) if draw.chance(0.5) else lists(draw, n, m)


def held(draw: Draw) -> None:
    """Everything that ballots offer."""
    held = ballots(draw, draw.pick((None, None, 70, 300)))
    for name in ("n_items", "n_ballots", "is_full", "is_strict", "is_exact", "unranked", "total"):
        getattr(held, name)
    for method in draw.rng.permutation(5):
        (
            lambda: held.support(draw.threads()),
            lambda: held.histogram(draw.threads()),
            held.weights,
            held.order,
            held.places,
        )[method]()
    held.to_lists()


def option(draw: Draw, name: str, m: int) -> Any:
    """A value of an option."""
    if draw.spoils():
        return draw.pick((draw.pick(CHOICES), draw.number(0, 1), draw.flag(), [draw.number(0, 1)]))
    if name in WORDS:
        return draw.name(WORDS[name])
    if name in FLAGS:
        return draw.flag()
    if name in ("before", "tied"):
        return (
            [draw.number(0, 2) for _ in range(6)]
            if draw.chance(0.5)
            else [0.5, 0.5, 0.0, 0.5, 0.5, 0.0]
        )
    if name == "order":
        return [float(x) for x in draw.rng.permutation(m)]
    if name == "vector":
        return sorted(draw.rng.integers(0, 9, m).astype(float).tolist(), reverse=True)
    if name == "seed":
        return draw.seed()
    if name in COUNTS:
        return draw.count(1, COUNTS[name], work=True)
    return draw.number(0, 1) if draw.chance(0.5) else draw.count(0, m)


def decide(draw: Draw) -> None:
    """A rule over ballots or a matrix of support."""
    name, _, _, known = draw.pick(_core.social_rules())
    m = small(draw, draw.pick((4, 6, 6, 9, 14)))
    subject = ballots(draw, m)
    if draw.chance(0.2):
        support = draw.rng.integers(0, 9, (m, m)) + (0.25 if draw.chance(0.3) else 0.0)
        subject = draw.array(support, np.float64)
    options = {key: option(draw, key, m) for key in known if draw.chance(0.5)}
    if draw.spoils():
        options[draw.pick(("tie", "order", "no such", "größe"))] = draw.pick((1, "x", None, [1.0]))
    limit = draw.seconds()
    _core.social_decide(draw.name((name,)), subject, options, limit, draw.threads())


def sample(draw: Draw) -> None:
    """Random profiles."""
    cultures = (
        "impartial", "anonymous", "urn", "mallows", "norm_mallows", "plackett_luce", "thurstone",
        "walsh", "conitzer", "euclidean", "single_crossing",
    )  # fmt: skip
    m = small(draw)
    vector = draw.rng.permutation(m).astype(float).tolist()
    if draw.spoils():
        vector = [float(draw.pick(EDGES_OF_VECTORS)) for _ in range(small(draw))]
    _core.social_sample(
        draw.name(cultures), draw.count(1, 20), draw.count(m, m),
        draw.maybe(lambda: draw.number(0, 1)), draw.maybe(lambda: vector, 0.7), draw.count(1, 3),
        draw.seed(), draw.threads(),
    )  # fmt: skip


EDGES_OF_VECTORS = (0.0, -1.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 3.0, 2.0**40)


def measure(draw: Draw) -> None:
    """Distances of ballots from a weak order."""
    held = ballots(draw)
    m = held.n_items
    metrics = ("kendall", "tau_a", "tau_b", "gamma", "footrule", "rho", "cayley", "ulam", "hamming")
    buckets = draw.array(
        draw.rng.permutation(m) if draw.chance(0.5) else draw.rng.integers(0, m, m), np.int64
    )
    _core.social_distances(held, buckets, draw.name(metrics), draw.number(0, 1), draw.threads())


def approvals(draw: Draw, m: int) -> Any:
    """Approval sets."""
    n = small(draw, 12)
    matrix = draw.rng.random((n, m)) < draw.pick((0.2, 0.5, 0.9))
    starts = np.concatenate([[0], np.cumsum(matrix.sum(1))])
    items = draw.array(np.nonzero(matrix)[1], np.uint32)
    return _core.Approvals(
        draw.array(starts, np.int64), items, draw.count(m, m), weights_of(draw, n)
    )


def utilities(draw: Draw, m: int) -> Any:
    """Utilities, many of them equal."""
    n = small(draw, 12)
    values = draw.rng.integers(0, 5, (m, n)) if draw.chance(0.6) else draw.rng.random((m, n))
    weights = draw.rng.integers(1, 4, n)
    return _core.Utilities(draw.array(values, np.float64), draw.array(weights, np.float64))


def electorate(draw: Draw, kind: str, m: int) -> Any:
    """Ballots of the kind that a committee rule reads."""
    if draw.spoils():
        kind = draw.pick(("rankings", "approvals", "utilities", "none"))
    makers = {"rankings": ballots, "approvals": approvals, "utilities": utilities}
    return makers[kind](draw, m) if kind in makers else draw.pick((None, 3, "x"))


def parameters(draw: Draw, m: int) -> Any:
    """Parameters of a committee rule."""
    vector = np.sort(draw.rng.random(m))[::-1]
    completion = ("none", "seqphragmen", "av", "add1", "budget")
    return (
        draw.maybe(lambda: draw.array(vector, np.float64)),
        draw.maybe(lambda: draw.count(1, m)),
        draw.maybe(lambda: draw.number(1, 3)),
        draw.maybe(lambda: draw.name(completion), 0.3),
    )


def groups(draw: Draw, m: int, k: int) -> list[Any]:
    """Quotas, of groups that may overlap."""
    out = []
    for i in range(int(draw.rng.integers(0, 4))):
        share = draw.pick((0.3, 0.5, 1.0))
        members = [int(c) for c in np.flatnonzero(draw.rng.random(m) < share)]
        if draw.spoils():
            members.append(draw.count(0, m))
        low = draw.count(0, 1)
        out.append((draw.name((f"g{i}", "ü")), members, low, draw.count(1, max(k, 1))))
    return out


def elect(draw: Draw) -> None:
    """A committee, its value and its axioms."""
    name, kind, _, _ = draw.pick(_core.committee_rules())
    m = small(draw)
    k = int(draw.rng.integers(1, m + 1))
    profile, params = electorate(draw, kind, m), parameters(draw, m)
    method = draw.name(("auto", "greedy", "plain", "swap", "exact", "stochastic", "single_peaked"))
    limit = draw.seconds()
    found = _core.elect(
        name, profile, draw.count(k, k), groups(draw, m, k) if draw.chance(0.4) else [], params,
        method, draw.flag(), draw.count(1, 200, work=True), (draw.number(0.05, 0.9), draw.seed()), limit,
        draw.threads(),
    )  # fmt: skip
    _core.committee_score(name, profile, params, found[0][0])


def score_committee(draw: Draw) -> None:
    """What any committee is worth."""
    name, kind, _, _ = draw.pick(_core.committee_rules())
    m = small(draw)
    members = [draw.count(0, m - 1) for _ in range(int(draw.rng.integers(0, m + 1)))]
    profile = electorate(draw, kind, m)
    _core.committee_score(draw.name((name,)), profile, parameters(draw, m), members)


def axiom(draw: Draw) -> None:
    """Whether an axiom holds."""
    m = small(draw)
    members = [int(c) for c in draw.rng.permutation(m)[: int(draw.rng.integers(0, m + 1))]]
    if draw.spoils():
        members.append(draw.count(0, m))
    known = ("jr", "pjr", "ejr", "ejr+", "fjr", "core", "pareto", "priceable")
    limit = draw.seconds()
    _core.check_axiom(draw.name(known), approvals(draw, m), members, limit)


TARGETS: dict[str, tuple[Callable[[Draw], None], ...]] = {
    "Ballots": (held,),
    "social_rules": (lambda _: _core.social_rules() and None,),
    "social_decide": (decide,),
    "social_sample": (sample,),
    "social_axis": (lambda draw: _core.social_axis(ballots(draw)) and None,),
    "social_distances": (measure,),
    "Approvals": (lambda draw: approvals(draw, small(draw)) and None,),
    "Utilities": (lambda draw: utilities(draw, small(draw)) and None,),
    "committee_rules": (lambda _: _core.committee_rules() and None,),
    "elect": (elect,),
    "committee_score": (score_committee,),
    "check_axiom": (axiom,),
}
