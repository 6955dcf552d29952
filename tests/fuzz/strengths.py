"""Targets of the strength models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gustibus import _core
from tests.fuzz.draw import Draw
from tests.fuzz.groups import rows_of, small, weights_of

KINDS = ("i8", "i4", "u4", "u8", "u2", "i2", "u1")
DISCONNECTED = ("error", "components", "regularise")


def sides(draw: Draw, n: int, m: int) -> tuple[Any, Any]:
    """Two columns of items, mostly not the same."""
    a = draw.rng.integers(0, m, n)
    b = (a + draw.rng.integers(0 if draw.spoils() else 1, max(m, 2), n)) % m
    kind = draw.pick(KINDS)
    return draw.array(a, kind), draw.array(b, "i8" if draw.spoils() else kind)


def outcomes(draw: Draw, n: int) -> Any:
    """A, b or tie; drawn from more values now and then."""
    most = 4 if draw.spoils() else 3
    return draw.maybe(lambda: draw.array(draw.rng.integers(0, most, n), np.uint8))


def cells(draw: Draw) -> Any:
    """Reduced comparisons."""
    m = small(draw)
    n = draw.pick((0, 1, 5, 30, 80)) if m > 1 else 0
    a, b = sides(draw, n, m)
    weights = weights_of(draw, n) if n else None
    held = _core.reduce_comparisons(
        a, b, outcomes(draw, n), weights, draw.maybe(lambda: draw.count(m, m + 2)), draw.threads()
    )
    if draw.chance(0.2):
        compact = held.compact()
        return compact[1] if compact else held
    return held


def prior(draw: Draw) -> Any:
    """The strengths of three priors."""
    return tuple(draw.number(0, 1) if draw.chance(0.3) else 0.0 for _ in range(3))


def start(draw: Draw, m: int) -> Any:
    """Log strengths to start from."""
    return draw.maybe(lambda: draw.array(draw.rng.normal(size=m), np.float64), 0.2)


def table(draw: Draw) -> None:
    """Cells from arrays, and back."""
    held = cells(draw)
    _ = held.items, held.pairs
    held.totals()
    held.compact()
    parts = held.arrays()
    starts, other, weights, spread, counts = parts
    _core.Cells(*held.__getnewargs__())
    _core.Cells(
        draw.array(starts, np.int64), draw.array(other, np.uint32), draw.array(weights, np.float64),
        draw.array(spread, np.float64), draw.flag() if draw.spoils() else counts,
    ).totals()  # fmt: skip


def fit(draw: Draw) -> Any:
    """Strengths of any model, and cells they were fitted to."""
    held = cells(draw)
    model = draw.name(("bradley_terry", "davidson", "rao_kupper", "thurstone"))
    fitted = _core.fit_strengths(
        held, model, draw.name(("newton", "newman", "mm", "lsr", "ilsr")), draw.number(0, 1), prior(draw),
        draw.name(DISCONNECTED), draw.limits(), start(draw, held.items), draw.threads(),
    )  # fmt: skip
    return held, fitted


def fitted_parts(draw: Draw, theta: Any, component: Any) -> Any:
    """A fit as the functions about doubt take it."""
    return (
        draw.array(theta, np.float64), draw.array(component, np.uint32), draw.number(0, 1), prior(draw),
    )  # fmt: skip


def doubt(draw: Draw) -> None:
    """Covariance and bootstrap of fitted strengths, or of any others."""
    held, fitted = fit(draw)
    parts = fitted_parts(draw, fitted[0], fitted[1])
    ties = draw.maybe(
        lambda: (draw.name(("davidson", "rao_kupper", "thurstone")), draw.number(0, 2)), 0.5
    )
    if draw.chance(0.5):
        _core.strength_covariance(
            held, ties, parts, draw.flag(), draw.flag(), draw.seed(), draw.threads()
        )
    else:
        _core.strength_bootstrap(
            held,
            ties,
            parts,
            draw.count(1, 20, work=True, capped=True),
            draw.seed(),
            draw.threads(),
        )


def totals(draw: Draw) -> None:
    """Strengths of a balanced schedule."""
    m = small(draw)
    wins = draw.rng.integers(0, 5, m).astype(float)
    games = 2 * wins.sum() / max(m * (m - 1), 1)
    _core.fit_totals(
        draw.array(wins, np.float64), games if draw.chance(0.8) else draw.number(0, 9), prior(draw),
        draw.name(DISCONNECTED), draw.limits(), draw.threads(),
    )  # fmt: skip


def covariates(draw: Draw) -> None:
    """Strengths and effects of covariates."""
    n, m, q = draw.pick((1, 4, 30)), small(draw) + 1, draw.pick((0, 1, 3))
    a, b = sides(draw, n, m)
    _core.fit_covariates(
        a, b, draw.count(m, m), draw.array(draw.rng.choice([0.0, 0.5, 1.0], n), np.float64),
        draw.array(draw.rng.random(n), np.float64), draw.array(draw.rng.normal(size=(n, q)), np.float64),
        prior(draw), draw.number(0, 1), draw.name(DISCONNECTED), draw.limits(), draw.threads(),
    )  # fmt: skip


def ranked(draw: Draw) -> tuple[Any, ...]:
    """Rankings of different lengths, some choices among more items."""
    n, m = small(draw, 12), small(draw)
    kept = draw.rng.integers(0 if draw.chance(0.3) else 1, m + 1, n)
    items = np.concatenate([row[:k] for row, k in zip(rows_of(draw, n, m), kept, strict=True)])
    starts = np.concatenate([[0], np.cumsum(kept)])
    chosen = [int(draw.rng.integers(0, k + 1)) for k in kept]
    return (
        draw.array(items, draw.pick(KINDS)), draw.array(starts, np.int64),
        draw.maybe(lambda: draw.array(chosen, np.uint32), 0.3), weights_of(draw, n), draw.count(m, m),
    )  # fmt: skip


def rankings(draw: Draw) -> None:
    """Plackett and Luce's model."""
    parts = ranked(draw)
    m = parts[-1] if isinstance(parts[-1], int) and 0 < parts[-1] < 100 else 1
    _core.fit_rankings(
        *parts, draw.name(("newton", "newman", "mm", "lsr", "ilsr")), prior(draw),
        draw.name(DISCONNECTED), draw.limits(), start(draw, m), draw.threads(),
    )  # fmt: skip


def ranking_doubt(draw: Draw) -> None:
    """Covariance and bootstrap of strengths from rankings."""
    parts = ranked(draw)
    m = parts[-1] if isinstance(parts[-1], int) and 0 < parts[-1] < 100 else 1
    fitted = fitted_parts(draw, draw.rng.normal(size=m), np.zeros(m))
    if draw.chance(0.5):
        _core.ranking_covariance(*parts, fitted, draw.flag(), draw.flag(), draw.threads())
    else:
        draws = draw.count(1, 20, work=True, capped=True)
        _core.ranking_bootstrap(*parts, fitted, draws, draw.seed(), draw.threads())


def tied(draw: Draw) -> tuple[Any, ...]:
    """Rankings with ties."""
    items, starts, _, weights, m = ranked(draw)
    ends = draw.rng.random(np.size(items)) < 0.6
    if not draw.spoils() and isinstance(starts, np.ndarray) and starts.dtype == np.int64:
        lasts = starts[1:][np.diff(starts) > 0] - 1
        ends[lasts[(lasts >= 0) & (lasts < len(ends))]] = True
    return items, starts, draw.array(ends, np.bool_), weights, m


def tied_rankings(draw: Draw) -> None:
    """Davidson and Luce's model, and its covariance."""
    parts = tied(draw)
    m = parts[-1] if isinstance(parts[-1], int) and 0 < parts[-1] < 100 else 1
    (theta, component, *_), weights = _core.fit_tied_rankings(
        *parts, prior(draw), draw.name(DISCONNECTED), draw.limits(), start(draw, m), draw.threads()
    )
    if draw.chance(0.3):
        weights = [(draw.count(2, 4), draw.number(0, 2))]
    fitted = fitted_parts(draw, theta, component)
    _core.tied_ranking_covariance(*parts, fitted, weights, draw.flag(), draw.threads())


def names(draw: Draw) -> None:
    """Lists of names to numbers."""
    known = ["", "a", "b", "caf\u00e9", "a name of more than eight bytes", "\ud800", 3, None]
    usual = known if draw.spoils() else known[:5]
    lists = [[usual[i] for i in draw.rng.integers(0, len(usual), n)] for n in (0, 3, 40)]
    _core.intern_strings(lists[: draw.pick((0, 1, 3))], draw.maybe(lambda: usual, 0.5))


def broken(draw: Draw) -> None:
    """Rankings broken into comparisons."""
    _core.break_rankings(*ranked(draw), draw.flag()).totals()


def chains(draw: Draw) -> None:
    """Stationary strengths."""
    names = ("lsr", "ilsr", "rank_centrality", "mc1", "mc2", "mc3", "mc4")
    _core.stationary_strengths(
        cells(draw), draw.name(names), draw.number(0, 1), draw.number(0, 1), draw.name(DISCONNECTED),
        draw.limits(), draw.threads(),
    )  # fmt: skip


def scores(draw: Draw) -> None:
    """Scores without a likelihood."""
    names = ("average_win_rate", "counting", "eigen", "pagerank", "hits")
    _core.score_comparisons(
        cells(draw),
        draw.name(names),
        draw.number(0, 1),
        draw.number(0, 1),
        draw.number(0, 1),
        draw.limits(),
    )


def elo(draw: Draw) -> None:
    """Elo ratings."""
    m = small(draw)
    n = draw.pick((0, 1, 30)) if m > 1 else 0
    a, b = sides(draw, n, m)
    constants = (1000.0, 10.0, 400.0, draw.number(1, 32), draw.number(0, 1))
    if draw.spoils():
        constants = tuple(draw.number(-1, 10) for _ in range(5))
    _core.elo_ratings(
        a,
        b,
        outcomes(draw, n),
        weights_of(draw, n) if n else None,
        draw.count(m, m),
        start(draw, m),
        constants,
    )


TARGETS: dict[str, tuple[Callable[[Draw], Any], ...]] = {
    "Cells": (table,),
    "reduce_comparisons": (cells,),
    "fit_strengths": (fit,),
    "fit_totals": (totals,),
    "fit_covariates": (covariates,),
    "fit_rankings": (rankings,),
    "break_rankings": (broken,),
    "stationary_strengths": (chains,),
    "score_comparisons": (scores,),
    "elo_ratings": (elo,),
    "strength_covariance": (doubt,),
    "strength_bootstrap": (doubt,),
    "ranking_covariance": (ranking_doubt,),
    "ranking_bootstrap": (ranking_doubt,),
    "fit_tied_rankings": (tied_rankings,),
    "tied_ranking_covariance": (tied_rankings,),
    "intern_strings": (names,),
}
