"""Strengths of items from comparisons and rankings, by maximum likelihood."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, UnknownNameError
from gustibus.social.strength_data import (
    SKIP,
    A,
    B,
    Comparisons,
    Rankings,
    checked_limits,
    checked_threads,
    column,
)
from gustibus.social.strength_results import Strengths, strengths_of

if TYPE_CHECKING:
    from gustibus.types import F64

METHODS = {"newton": 200, "newman": 20_000, "mm": 100_000}
"""Ways to the maximum, and the most iterations of each."""
RANKING_METHODS = {**METHODS, "newton": 1000, "ilsr": 1000, "lsr": 1}


def bradley_terry(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    covariates: Any = None,
    position: bool = False,
    ridge: float = 0.0,
    method: str = "newton",
    l2: float = 0.0,
    opponent: float = 0.0,
    pseudo: float = 0.0,
    on_disconnected: str = "regularise",
    center: str = "mean",
    anchor: tuple[Any, float] | None = None,
    tolerance: float = 1e-8,
    max_iter: int | None = None,
    start: Any = None,
    threads: int | None = None,
) -> Strengths:
    """Log strengths with `P(i beats j) = 1 / (1 + exp(score_j - score_i))`.

    Args:
        winners: `(n,)`, labels or numbers of the items that won; any two items with `outcomes`.
        losers: `(n,)`, those that lost.
        outcomes: `(n,)`, how every row ended: `a` (the first won), `b`, `tie`, `both_bad` (counted as
            a tie), `skip`; or 1, 0 and 0.5. The first won by default.
        weights: `(n,)`, at least 0; 1 each by default.
        ties: `(n,)`, whether a row was a tie, instead of `outcomes`.
        tie_weight: Share of a tie that both sides win.
        items: Their number, when columns hold numbers, or all labels. By default the items seen.
        covariates: `(n, q)`, added to the log odds of the first item times coefficients to be found.
        position: Whether to find how much it helps to be first; the first of `coefficients`.
        ridge: Subtracts `ridge * coefficient^2` for every coefficient.
        method: `newton`, `newman` or `mm`; all find the same.
        l2: Subtracts `l2 * score^2`.
        opponent: Adds so many wins and losses of every item against one of score 0.
        pseudo: Adds `pseudo * (score - exp(score))`, a Gamma prior on strengths.
        on_disconnected: What to do when no finite strengths are most likely: `regularise` (as
            `opponent`, a tenth), `components` (fit each by itself), or `error`. The first two warn.
        center: Origin of the scores: `mean` or `geometric`, `first` (the first item is 0), or `sum`
            (strengths sum to one).
        anchor: A label and the score that it is to have.
        tolerance: Largest derivative of the log-likelihood, relative to the largest weight of
            comparisons of one item.
        max_iter: Most iterations; a multiple of what is usual by default.
        start: `(m,)`, log strengths to start from.
        threads: Number of threads; every core by default. Results do not depend on it.

    Raises:
        InputError: A column is wrong, or an item is compared with itself.
        InfeasibleError: Items are not connected and `on_disconnected` is `error`.

    Examples:
        >>> fit = bradley_terry(["x", "x", "y", "y"], ["y", "y", "x", "z"], ties=[0, 0, 0, 1])
        >>> fit.order
        ['x', 'y', 'z']
        >>> fit.converged, fit.connected
        (True, True)

    Source: Bradley and Terry 1952; Newman 2023; Hunter 2004.
    """
    data = Comparisons.read(winners, losers, outcomes, weights=weights, ties=ties, items=items)
    if method not in METHODS:
        raise UnknownNameError.of("method", method, METHODS)
    prior = (l2, opponent, pseudo)
    limits = checked_limits(tolerance, METHODS[method] if max_iter is None else max_iter)
    threads = checked_threads(threads)
    if covariates is not None or position:
        x = _covariates(covariates, len(data.a), position=position)
        out = _with_covariates(data, x, prior, ridge, on_disconnected, limits, threads)
        labels, cells = data.labels, None
    else:
        cells, labels = _cells(data, threads)
        out = _core.fit_strengths(
            cells, "bradley_terry", method, tie_weight, prior, on_disconnected, limits,
            _start(start), threads,
        )  # fmt: skip
    return strengths_of(
        out, labels, method="bradley_terry", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=tie_weight, prior=prior, cells=cells,
    )  # fmt: skip


def _cells(data: Comparisons, threads: int | None) -> tuple[_core.Cells, Any]:
    if not len(data.a):
        message = "winners: expected at least one comparison, got none"
        raise InputError(message)
    return data.cells(threads)


def _start(start: Any) -> F64 | None:
    if start is None:
        return None
    try:
        values = np.ascontiguousarray(start, np.float64)
    except (TypeError, ValueError) as error:
        message = f"start: expected numbers, got {type(start).__name__}: {error}"
        raise InputError(message) from error
    if not np.isfinite(values).all():
        message = "start: expected finite numbers, got NaN or infinity"
        raise InputError(message)
    return values


def _covariates(covariates: Any, rows: int, *, position: bool) -> F64:
    x = np.zeros((rows, 0)) if covariates is None else np.asarray(covariates, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or len(x) != rows:
        message = f"covariates: expected shape ({rows}, q), got {x.shape}"
        raise InputError(message)
    return np.ascontiguousarray(np.column_stack([np.ones(rows), x]) if position else x)


def _with_covariates(
    data: Comparisons,
    x: F64,
    prior: tuple[float, float, float],
    ridge: float,
    on_disconnected: str,
    limits: tuple[float, int],
    threads: int | None,
) -> tuple[Any, ...]:
    if not len(data.a):
        message = "winners: expected at least one comparison, got none"
        raise InputError(message)
    outcomes = np.full(len(data.a), A, np.uint8) if data.outcomes is None else data.outcomes
    target = np.where(outcomes == A, 1.0, np.where(outcomes == B, 0.0, 0.5))
    weight = np.ones(len(data.a)) if data.weights is None else data.weights
    weight = np.where(outcomes == SKIP, 0.0, weight)
    return _core.fit_covariates(
        data.a, data.b, len(data.labels), target, weight, x, prior, ridge, on_disconnected,
        limits, threads,
    )  # fmt: skip


def davidson(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    items: int | Iterable[Hashable] | None = None,
    l2: float = 0.0,
    opponent: float = 0.0,
    on_disconnected: str = "regularise",
    center: str = "mean",
    anchor: tuple[Any, float] | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 200,
    start: Any = None,
    threads: int | None = None,
) -> Strengths:
    """Log strengths where ties have a probability of `2 nu sqrt(p_i p_j) / (p_i + p_j + 2 nu sqrt(p_i p_j))`.

    `nu` is the `parameter` of the result, 0 when nothing was tied. Arguments are those of
    `bradley_terry`.

    Raises:
        InputError: As for `bradley_terry`.
        InfeasibleError: Everything was tied, or items are not connected and that is an error.

    Source: Davidson 1970.
    """
    data = Comparisons.read(winners, losers, outcomes, weights=weights, ties=ties, items=items)
    return _tied("davidson", data, (l2, opponent, 0.0), on_disconnected, center, anchor,
                 checked_limits(tolerance, max_iter), start, threads)  # fmt: skip


def rao_kupper(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    items: int | Iterable[Hashable] | None = None,
    l2: float = 0.0,
    opponent: float = 0.0,
    on_disconnected: str = "regularise",
    center: str = "mean",
    anchor: tuple[Any, float] | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 200,
    start: Any = None,
    threads: int | None = None,
) -> Strengths:
    """Log strengths where an item wins with probability `p_i / (p_i + kappa p_j)`, else it may be a tie.

    `kappa` is the `parameter` of the result, 1 when nothing was tied. Arguments are those of
    `bradley_terry`.

    Raises:
        InputError: As for `bradley_terry`.
        InfeasibleError: Everything was tied, or items are not connected and that is an error.

    Source: Rao and Kupper 1967.
    """
    data = Comparisons.read(winners, losers, outcomes, weights=weights, ties=ties, items=items)
    return _tied("rao_kupper", data, (l2, opponent, 0.0), on_disconnected, center, anchor,
                 checked_limits(tolerance, max_iter), start, threads)  # fmt: skip


def _tied(
    model: str,
    data: Comparisons,
    prior: tuple[float, float, float],
    on_disconnected: str,
    center: str,
    anchor: tuple[Any, float] | None,
    limits: tuple[float, int],
    start: Any,
    threads: int | None,
) -> Strengths:
    cells, labels = _cells(data, threads)
    out = _core.fit_strengths(
        cells, model, "newton", 0.5, prior, on_disconnected, limits, _start(start), threads
    )
    return strengths_of(
        out, labels, method=model, on_disconnected=on_disconnected, center=center, anchor=anchor,
        tie_weight=0.5, prior=prior, cells=cells,
    )  # fmt: skip


def plackett_luce(
    rankings: Any,
    *,
    starts: Any = None,
    chosen: Any = None,
    weights: Any = None,
    items: int | Iterable[Hashable] | None = None,
    unranked: str = "ignore",
    method: str = "newton",
    l2: float = 0.0,
    opponent: float = 0.0,
    on_disconnected: str = "regularise",
    center: str = "mean",
    anchor: tuple[Any, float] | None = None,
    tolerance: float = 1e-8,
    max_iter: int | None = None,
    start: Any = None,
    threads: int | None = None,
) -> Strengths:
    """Log strengths where each place of a ranking is a choice, by strength, among what is left.

    Args:
        rankings: Best first: an array `(n, l)` of numbers (negative ones fill up a row), a list of
            lists, a profile, or with `starts` all rankings in one column.
        starts: `(n + 1,)`, where every ranking begins in that column.
        chosen: How many items of every ranking, or of each, were chosen in order; the rest was only
            available. All by default; 1 for data that know the first choice alone.
        weights: `(n,)`, at least 0; 1 each by default.
        items: Their number, when rankings hold numbers, or all labels. By default the items seen.
        unranked: Whether items that a ranking leaves out were no part of it (`ignore`) or come after
            all others (`last`).
        method: `newton`, `newman`, `mm` or `ilsr`, which find the same; or `lsr`, one spectral step.
        l2: As for `bradley_terry`, which is the case of rankings of two.
        opponent: Likewise.
        on_disconnected: Likewise.
        center: Likewise.
        anchor: Likewise.
        tolerance: Likewise.
        max_iter: Likewise.
        start: Likewise.
        threads: Likewise.

    Raises:
        InputError: Rankings are empty, tied, or name an item twice or one that is unknown.
        InfeasibleError: Items are not connected and `on_disconnected` is `error`.

    Examples:
        >>> fit = plackett_luce([["x", "y", "z"], ["y", "x", "z"], ["x", "z", "y"], ["z", "x", "y"]])
        >>> fit.order
        ['x', 'y', 'z']

    Source: Plackett 1975; Hunter 2004, section 5; Maystre and Grossglauser 2015.
    """
    data = Rankings.read(
        rankings, starts=starts, chosen=chosen, weights=weights, items=items, unranked=unranked
    )
    if not len(data.items):
        message = "rankings: expected at least one item, got none"
        raise InputError(message)
    if method not in RANKING_METHODS:
        raise UnknownNameError.of("method", method, RANKING_METHODS)
    prior = (l2, opponent, 0.0)
    limits = checked_limits(tolerance, RANKING_METHODS[method] if max_iter is None else max_iter)
    threads = checked_threads(threads)
    out = _core.fit_rankings(
        *data.arrays, method, prior, on_disconnected, limits, _start(start), threads
    )
    return strengths_of(
        out, data.labels, method="plackett_luce", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=0.5, prior=prior, cells=None,
    )  # fmt: skip


def bradley_terry_totals(
    totals: Any,
    games: float,
    *,
    labels: Iterable[Hashable] | None = None,
    l2: float = 0.0,
    opponent: float = 0.0,
    on_disconnected: str = "regularise",
    center: str = "mean",
    anchor: tuple[Any, float] | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 200,
    threads: int | None = None,
) -> Strengths:
    """`bradley_terry` from win totals alone, when every pair was compared equally often.

    Totals of complete rankings are their Borda counts, with `games` their number.

    Args:
        totals: `(m,)`, wins of every item, ties counted half.
        games: How often each pair met.
        labels: `(m,)`, labels of the items; their numbers by default.
        l2: As for `bradley_terry`.
        opponent: Likewise.
        on_disconnected: Likewise.
        center: Likewise.
        anchor: Likewise.
        tolerance: Likewise.
        max_iter: Likewise.
        threads: Likewise.

    Raises:
        InputError: Totals that no such schedule can have.
        InfeasibleError: Items are not connected and `on_disconnected` is `error`.

    Examples:
        >>> bradley_terry_totals([5, 3, 1], 3, labels=["x", "y", "z"]).order
        ['x', 'y', 'z']

    Source: Zermelo 1929; Landau 1953.
    """
    wins = column("totals", totals, np.size(totals), np.float64)
    names = range(len(wins)) if labels is None else tuple(labels)
    if len(names) != len(wins) or not len(wins):
        message = f"labels: expected one per total and at least one, got {len(names)}"
        raise InputError(message)
    prior = (l2, opponent, 0.0)
    out = _core.fit_totals(
        wins, float(games), prior, on_disconnected, checked_limits(tolerance, max_iter),
        checked_threads(threads),
    )  # fmt: skip
    return strengths_of(
        out, names, method="bradley_terry", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=0.5, prior=prior, cells=None,
    )  # fmt: skip
