"""Rank fusion against plain code, a peer, and its invariants."""

from __future__ import annotations

import math
import warnings
from statistics import median

import numpy as np
import pytest

from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.social import RunArrays, fuse, fusion_methods, fusion_norms


def random_runs(seed, *, runs=4, queries=5, docs=12, size=8):
    """Runs without ties; every run has some of the documents of every query."""
    rng = np.random.default_rng(seed)
    return [
        {
            f"q{q}": {
                f"d{d:02}": float(s)
                for d, s in zip(
                    rng.choice(docs, size, replace=False), 0.01 + rng.permutation(97)[:size] / 97,
                    strict=True,
                )
            }
            for q in range(queries)
        }
        for _ in range(runs)
    ]  # fmt: skip


def normalised(norm, docs, union):
    """Document to value of one run and query, as the norm's formula says."""
    order = sorted(docs, key=lambda d: (-docs[d], d))
    s, n = np.array([docs[d] for d in order]), len(order)
    low, high = s.min(), s.max()
    places = np.arange(n)
    values = {
        "none": s,
        "min_max": (s - low) / max(high - low, 1e-9),
        "max": s / high,
        "sum": (s - low) / max((s - low).sum(), 1e-9),
        "zmuv": (s - s.mean()) / max(s.std(), 1e-9),
        "rank": 1 - places / n,
        "borda": 1 - places / len(union),
    }[norm]
    out = dict(zip(order, values.tolist(), strict=True))
    if norm == "borda":
        out |= {d: 0.5 - (n - 1) / (2 * len(union)) for d in union if d not in out}
    return out


def one_score(d, method, values, ranks, params):
    """The fused score of one document, as the formula of the method says."""
    union = set().union(*ranks)
    got = [v[d] for v in values if d in v]
    places = [r[d] for r in ranks if d in r]
    count, inverse, phi = len(places), sum(1 / p**2 for p in places), params["phi"]
    far = 10**6  # behind all that a run has
    margins = [sum(np.sign(r.get(e, far) - r.get(d, far)) for r in ranks) for e in union]
    n = len(union)
    borda = [n - r[d] + 1 if d in r else (n - len(r) + 1) / 2 for r in ranks]
    return {
        "comb_sum": sum(got),
        "comb_min": min(got),
        "comb_max": max(got),
        "comb_med": median(got),
        "comb_anz": sum(got) / len(got),
        "comb_mnz": sum(got) * len(got),
        "comb_gmnz": sum(got) * len(got) ** params["gamma"],
        "rrf": sum(1 / (params["k"] + p) for p in places),
        "isr": inverse * count,
        "log_isr": inverse * math.log(count),
        "logn_isr": inverse * math.log(count + params["sigma"]),
        "bordafuse": sum(borda),
        "rbc": sum((1 - phi) * phi ** (p - 1) for p in places),
        "condorcet": sum(np.sign(margins)),
    }[method]


def plain(runs, method, norm, params):
    """Fusion document by document."""
    fused = {}
    for query in runs[0]:
        lists = [run[query] for run in runs]
        union = sorted(set().union(*lists))
        orders = [sorted(docs, key=lambda d, docs=docs: (-docs[d], d)) for docs in lists]
        ranks = [{d: i + 1 for i, d in enumerate(order)} for order in orders]
        values = [normalised(norm, docs, union) for docs in lists]
        scores = {d: one_score(d, method, values, ranks, params) for d in union}
        fused[query] = dict(sorted(scores.items(), key=lambda x: (-x[1], x[0])))
    return fused


def agree(ours, theirs):
    assert list(ours) == list(theirs)
    for query, expected in theirs.items():
        got = ours[query]
        assert set(got) == set(expected)
        for doc, score in expected.items():
            assert got[doc] == pytest.approx(score, abs=1e-9)
        assert list(got.values()) == sorted(got.values(), reverse=True)


PARAMS = {"k": 20.0, "phi": 0.6, "gamma": 1.7, "sigma": 0.3}


@pytest.mark.parametrize("method", sorted(fusion_methods()))
@pytest.mark.parametrize("norm", sorted(fusion_norms()))
def test_methods_are_those_of_plain_code(method, norm):
    runs = random_runs(1)
    ours = fuse(runs, method=method, norm=norm, params=PARAMS)
    agree(ours.to_dict(), plain(runs, method, norm, PARAMS))


@pytest.fixture(scope="module")
def ranx():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import ranx
        except Exception as error:
            pytest.skip(f"ranx does not import: {error}")
    return ranx


PEER = {
    "sum": "comb_sum", "min": "comb_min", "max": "comb_max", "med": "comb_med", "anz": "comb_anz",
    "mnz": "comb_mnz", "rrf": "rrf", "isr": "isr", "log_isr": "log_isr", "bordafuse": "bordafuse",
    "gmnz": "comb_gmnz", "rbc": "rbc", "logn_isr": "logn_isr",
}  # fmt: skip


SLOW = pytest.mark.slow  # the peer compiles every method at its first call
COMPARED = [
    *(pytest.param(m, "min-max", marks=[] if m in ("rrf", "mnz") else SLOW) for m in sorted(PEER)),
    *(pytest.param("sum", norm, marks=SLOW) for norm in ("max", "sum", "zmuv", "rank", "borda")),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("method", "norm"), COMPARED)
def test_methods_are_those_of_a_peer(ranx, method, norm):
    runs = random_runs(2, queries=2)
    params = {"gmnz": {"gamma": 1.7}, "rbc": {"phi": 0.6}, "rrf": {"k": 20}}.get(method)
    params = {"sigma": 0.3} if method == "logn_isr" else params
    theirs = ranx.fuse(
        [ranx.Run(run) for run in runs], norm=norm, method=method, params=params
    ).to_dict()
    theirs = {query: dict(docs) for query, docs in theirs.items()}
    agree(fuse(runs, method=method, norm=norm, params=params).to_dict(), theirs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_weighted_methods_are_those_of_a_peer(ranx):
    runs = random_runs(3, queries=2, runs=3)
    weights = (0.5, 0.2, 0.9)
    for theirs_name, ours_name in [("wsum", "wsum"), ("w_bordafuse", "bordafuse")]:
        theirs = ranx.fuse(
            [ranx.Run(run) for run in runs], norm="min-max", method=theirs_name,
            params={"weights": weights},
        ).to_dict()  # fmt: skip
        ours = fuse(runs, method=ours_name, norm="min-max", weights=weights)
        agree(ours.to_dict(), theirs)


@pytest.mark.parametrize(
    "method", sorted(name for name, (_, laws) in fusion_methods().items() if "ranks" in laws)
)
def test_methods_of_ranks_do_not_see_rising_transforms(method):
    runs = random_runs(4)
    raised = [
        {q: {d: math.exp(3 * s) for d, s in docs.items()} for q, docs in run.items()}
        for run in runs
    ]
    assert fuse(runs, method=method).to_dict() == fuse(raised, method=method).to_dict()


@pytest.mark.parametrize("method", sorted(fusion_methods()))
def test_a_document_first_in_all_runs_is_first(method):
    _, laws = fusion_methods()[method]
    runs = random_runs(5)
    for run in runs:
        for docs in run.values():
            docs["top"] = 5.0
    fused = fuse(runs, method=method, norm="rank")
    if "unanimous" in laws or method in ("comb_sum", "comb_mnz", "comb_max"):
        assert all(fused.query(q)[0][0] == "top" for q in runs[0])


def test_condorcet_sorted_agrees_with_copeland_where_majorities_are_transitive():
    runs = [
        {"q": {"a": 3, "b": 2, "c": 1}},
        {"q": {"a": 2, "c": 1, "b": 0}},
        {"q": {"b": 2, "a": 1}},
    ]
    copeland = fuse(runs, method="condorcet").query("q")
    places = fuse(runs, method="condorcet", params={"mode": "sort"}).query("q")
    assert [doc for doc, _ in copeland] == [doc for doc, _ in places] == ["a", "b", "c"]
    assert [score for _, score in places] == [3, 2, 1]


def to_arrays(runs):
    docs = sorted({d for run in runs for x in run.values() for d in x})
    out = []
    for run in runs:
        starts = np.cumsum([0] + [len(x) for x in run.values()])
        ids = np.array([docs.index(d) for x in run.values() for d in x])
        out.append(RunArrays(starts, ids, np.array([s for x in run.values() for s in x.values()])))
    return docs, out


def test_arrays_give_the_same_as_mappings_whatever_their_type():
    runs = random_runs(6)
    docs, arrays = to_arrays(runs)
    expected = fuse(runs, method="comb_mnz")
    for kind in (np.int16, np.int64, np.uint32):
        typed = [(s.astype(kind), d.astype(kind), x.astype(np.float32)) for s, d, x in arrays]
        wide = [(s, d, x.astype(np.float64)) for s, d, x in typed]
        got = fuse(wide, method="comb_mnz")
        named = {f"q{q}": [(docs[d], s) for d, s in got.query(q)] for q in range(len(got))}
        for query, pairs in named.items():
            assert [d for d, _ in pairs] == [d for d, _ in expected.query(query)]
    lists = [tuple(part.tolist() for part in run) for run in arrays]
    assert fuse(lists).docs.tolist() == fuse(arrays).docs.tolist()


def test_threads_change_no_byte():
    rng = np.random.default_rng(0)
    runs = [
        (np.arange(301) * 80, np.concatenate([rng.choice(400, 80, replace=False) for _ in range(300)]),
         rng.random(300 * 80))
        for _ in range(5)
    ]  # fmt: skip
    for method in ("rrf", "comb_med", "condorcet", "bordafuse"):
        one = fuse(runs, method=method, threads=1)
        for threads in (2, None):
            many = fuse(runs, method=method, threads=threads)
            assert many.docs.tobytes() == one.docs.tobytes()
            assert many.scores.tobytes() == one.scores.tobytes()


def test_queries_that_a_run_lacks_are_empty_there():
    fused = fuse([{"x": {"a": 1.0}, "y": {}}, {"z": {"b": 2.0, "a": 1.0}}])
    assert fused.to_dict() == {"x": {"a": 1 / 61}, "y": {}, "z": {"b": 1 / 61, "a": 1 / 62}}
    assert len(fused) == 3
    for missing in ("w", 0, []):
        with pytest.raises((KeyError, TypeError)):
            fused.query(missing)


def test_ties_go_to_the_lower_document_and_labels_may_be_anything():
    fused = fuse([{"q": {"ü": 1.0, "é": 1.0}}, {"q": {"é": 2.0, "ü": 2.0}}])
    assert [doc for doc, _ in fused.query("q")] == ["é", "ü"]
    mixed = fuse([{1: {("a", 1): 1.0, None: 2.0}}])
    assert [doc for doc, _ in mixed.query(1)] == [None, ("a", 1)]


ONE = {"q": {"a": 1.0, "b": 0.5}}


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        ([], {}, "runs: expected a sequence"),
        (ONE, {}, "runs: expected a sequence"),
        ("ab", {}, "runs: expected a sequence"),
        ([ONE, ([0, 1], [0], [1.0])], {}, "all mappings or all arrays"),
        ([{"q": ["a"]}], {}, r"runs\[0\]\['q'\]"),
        ([{"q": {"a": "x"}}], {}, r"runs\[0\]: expected numbers"),
        ([([0, 1], [0])], {}, r"runs\[0\]: expected starts"),
        ([([0, 1], [0], np.array([1j]))], {}, r"runs\[0\].scores: expected numbers"),
        ([([0, 2], [0], [1.0])], {}, "starts"),
        ([([0, 1], [-1], [1.0])], {}, r"runs\[0\].docs"),
        ([([0, 1], [0.5], [1.0])], {}, r"runs\[0\].docs"),
        ([([0, 2], [3, 3], [1.0, 2.0])], {}, "document 3 twice for query 0 in run 0"),
        ([([0, 1], [0], [1.0]), ([0, 1, 1], [0], [1.0])], {}, "starts"),
        ([ONE], {"weights": [1.0, 2.0]}, "weights"),
        ([ONE], {"weights": [-1.0]}, "weights"),
        ([ONE], {"weights": [0.0]}, "weights"),
        ([ONE, ONE], {"method": "comb_max", "weights": [1.0, 2.0]}, "weights"),
        ([ONE], {"params": {"x": 1}}, "params"),
        ([ONE], {"params": {"k": -1}}, "k: expected"),
        ([ONE], {"params": {"phi": 1.0}}, "phi"),
        ([ONE], {"params": {"sigma": 0}}, "sigma"),
        ([ONE], {"params": {"mode": "x"}}, "mode"),
        ([{"q": {"a": -1.0}}], {"method": "comb_sum", "norm": "max"}, "best score above 0"),
        ([ONE], {"threads": 0}, "threads"),
    ],
)
def test_wrong_arguments_are_named(runs, options, message):
    with pytest.raises(InputError, match=message):
        fuse(runs, **options)


def test_unknown_names_and_infinite_scores_are_errors():
    with pytest.raises(UnknownNameError, match="no method"):
        fuse([ONE], method="x")
    with pytest.raises(UnknownNameError, match="no norm"):
        fuse([ONE], norm="x")
    for bad in (float("nan"), float("inf")):
        with pytest.raises(NotFiniteError):
            fuse([{"q": {"a": bad}}])
