"""Rank fusion: one ranking from several systems' rankings of the same queries."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.arguments import real, reals, threads_of
from gustibus.social.interning import Labels, in_order
from gustibus.types import F64, I64, doubles, integers

_ALIASES = {
    "anz": "comb_anz",
    "borda": "bordafuse",
    "condorcet_fuse": "condorcet",
    "gmnz": "comb_gmnz",
    "max": "comb_max",
    "med": "comb_med",
    "min": "comb_min",
    "mnz": "comb_mnz",
    "sum": "comb_sum",
    "w_bordafuse": "bordafuse",
    "w_condorcet": "condorcet",
    "wsum": "comb_sum",
}
_NORM_ALIASES = {"min-max": "min_max", "z-mean": "zmuv"}
_PARAMS = {"k": 60.0, "phi": 0.8, "gamma": 1.0, "sigma": 0.01}


def fusion_methods() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Methods of `fuse`: name to source and laws.

    Examples:
        >>> "rrf" in fusion_methods()
        True
    """
    return {name: (source, tuple(laws)) for name, source, laws in _core.fairness_tables()["fuse"]}


def fusion_norms() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Normalisations of `fuse`: name to source and laws."""
    return {name: (source, tuple(laws)) for name, source, laws in _core.fairness_tables()["norm"]}


class RunArrays(NamedTuple):
    """One run as flat arrays: query `q` has `docs[starts[q]:starts[q + 1]]`, in any order."""

    starts: Any
    """`(q + 1,)`, rising from 0."""
    docs: Any
    """`(n,)`, documents as whole numbers below `2^32`."""
    scores: Any
    """`(n,)`, higher for better."""


@dataclass(frozen=True, slots=True)
class FusedRun:
    """The fused ranking of every query: by falling score, ties by document."""

    starts: I64
    """`(q + 1,)`, where the documents of each query start."""
    docs: NDArray[np.uint32]
    """`(n,)`, documents as numbers: places in `doc_labels` where there are any."""
    scores: F64
    """`(n,)`."""
    query_labels: Labels | None
    doc_labels: Labels | None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def query(self, q: Hashable) -> list[tuple[Hashable, float]]:
        """Documents and scores of a query, by its label or, for arrays, its number.

        Raises:
            KeyError: There is no such query.
        """
        if self.query_labels is None:
            at = q if isinstance(q, int | np.integer) and 0 <= q < len(self) else None
        else:
            at = self.query_labels.index(q) if q in self.query_labels else None
        if at is None:
            raise KeyError(q)
        return self._pairs(int(at))

    def to_dict(self) -> dict[Hashable, dict[Hashable, float]]:
        """Query to document to score, each best first."""
        return {query: dict(self._pairs(at)) for at, query in enumerate(self._queries())}

    def _queries(self) -> Iterator[Hashable]:
        return iter(range(len(self)) if self.query_labels is None else self.query_labels)

    def _pairs(self, at: int) -> list[tuple[Hashable, float]]:
        span = slice(int(self.starts[at]), int(self.starts[at + 1]))
        docs: list[Any] = self.docs[span].tolist()
        if self.doc_labels is not None:
            docs = [self.doc_labels[doc] for doc in docs]
        return list(zip(docs, self.scores[span].tolist(), strict=True))


def fuse(
    runs: Sequence[Any],
    *,
    method: str = "rrf",
    norm: str | None = None,
    weights: Any = None,
    params: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> FusedRun:
    """One ranking per query from several runs.

    Args:
        runs: Each a mapping from query to a mapping from document to score, or `RunArrays` (any
            triple of arrays); all of one kind. Queries that a run lacks count as empty there.
        method: A name in `fusion_methods()`.
        norm: A name in `fusion_norms()`; by default `min_max` for methods that read scores and
            `none` for those that read ranks. Equal scores become 0 under `min_max`.
        weights: `(r,)`, a weight per run for methods that add up; 1 each by default.
        params: Of the method: `k` of `rrf` (60), `phi` of `rbc` (0.8), `gamma` of `comb_gmnz` (1),
            `sigma` of `logn_isr` (0.01), `mode` of `condorcet` (`copeland`, or `sort` for the places
            of a merge sort by majorities).
        threads: Number of threads; every core by default.

    Raises:
        InputError: A wrong argument; `UnknownNameError` for a method or norm.

    Examples:
        >>> first = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
        >>> second = {"q": {"b": 0.9, "d": 0.1}}
        >>> [doc for doc, _ in fuse([first, second]).query("q")]
        ['b', 'a', 'd', 'c']

    Source: the rows of `fusion_methods()` and `fusion_norms()`.
    """
    method = _ALIASES.get(method, method)
    if isinstance(runs, str | bytes | Mapping) or not isinstance(runs, Sequence) or not runs:
        message = f"runs: expected a sequence of at least one run, got {type(runs).__name__}"
        raise InputError(message)
    mapped = [isinstance(run, Mapping) for run in runs]
    if any(mapped) != all(mapped):
        message = "runs: expected all mappings or all arrays, got both"
        raise InputError(message)
    queries: Labels | None = None
    docs: Labels | None = None
    if all(mapped):
        arrays, queries, docs = _code(runs)
    else:
        arrays = [_arrays(run, r) for r, run in enumerate(runs)]
    if norm is None:
        _, laws = fusion_methods().get(method, ("", ()))
        norm = "none" if "ranks" in laws else "min_max"
    weight = np.ones(len(runs)) if weights is None else reals("weights", weights)
    values, sort = _params(params)
    starts, ids, scores = _core.fuse_runs(
        method, _NORM_ALIASES.get(norm, norm), arrays, weight, values, sort, threads_of(threads)
    )
    return FusedRun(starts, ids, scores, queries, docs)


def _params(params: Mapping[str, Any] | None) -> tuple[tuple[float, float, float, float], bool]:
    given = dict(params or {})
    mode = given.pop("mode", "copeland")
    if mode not in ("copeland", "sort"):
        message = f"params: expected mode 'copeland' or 'sort', got {mode!r}"
        raise InputError(message)
    unknown = set(given) - set(_PARAMS)
    if unknown:
        known = [*_PARAMS, "mode"]
        message = f"params: expected names among {known}, got {sorted(map(str, unknown))}"
        raise InputError(message)
    k, phi, gamma, sigma = (real(name, given.get(name, usual)) for name, usual in _PARAMS.items())
    return (k, phi, gamma, sigma), mode == "sort"


def _arrays(run: Any, r: int) -> tuple[I64, NDArray[np.uint32], F64]:
    try:
        starts, docs, scores = run
    except (TypeError, ValueError):
        message = f"runs[{r}]: expected starts, docs and scores, got {type(run).__name__}"
        raise InputError(message) from None
    ids = np.asarray(docs)
    if ids.dtype != np.uint32:
        ids = integers(f"runs[{r}].docs", docs, empty=True)
        if ids.size and (ids.min() < 0 or ids.max() >= 2**32):
            message = f"runs[{r}].docs: expected numbers from 0 below 2^32, got others"
            raise InputError(message)
    try:
        values = doubles(scores)
    except (TypeError, ValueError) as error:
        message = f"runs[{r}].scores: expected numbers, got {type(scores).__name__}"
        raise InputError(message) from error
    if ids.ndim != 1 or values.ndim != 1:
        message = f"runs[{r}]: expected docs and scores (n,), got {ids.shape} and {values.shape}"
        raise InputError(message)
    return integers(f"runs[{r}].starts", starts), ids.astype(np.uint32, copy=False), values


def _code(
    runs: Sequence[Mapping[Any, Mapping[Any, Any]]],
) -> tuple[list[tuple[I64, NDArray[np.uint32], F64]], Labels, Labels]:
    queries = tuple(dict.fromkeys(query for run in runs for query in run))
    known: set[Hashable] = set()
    for r, run in enumerate(runs):
        for query, docs in run.items():
            if not isinstance(docs, Mapping):
                message = f"runs[{r}][{query!r}]: expected document to score, got {docs!r:.80}"
                raise InputError(message)
            known.update(docs)
    labels = in_order(known, (doc for run in runs for docs in run.values() for doc in docs))
    number = {doc: i for i, doc in enumerate(labels)}
    empty: Mapping[Any, Any] = {}
    arrays = []
    for r, run in enumerate(runs):
        lists = [run.get(query, empty) for query in queries]
        starts = np.concatenate([[0], np.cumsum([len(docs) for docs in lists])]).astype(np.int64)
        size = int(starts[-1])
        ids = np.fromiter((number[doc] for docs in lists for doc in docs), np.uint32, size)
        try:
            scores = np.fromiter((s for docs in lists for s in docs.values()), np.float64, size)
        except (TypeError, ValueError) as error:
            message = f"runs[{r}]: expected numbers as scores: {error}"
            raise InputError(message) from error
        arrays.append((starts, ids, scores))
    return arrays, queries, labels
