"""Strengths of items from comparisons, by the model of Bradley and Terry."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, UnknownNameError
from gustibus.social.strength_data import (
    SKIP,
    A,
    B,
    Comparisons,
    checked_limits,
    checked_start,
    checked_threads,
    column,
    reduced,
)
from gustibus.social.strength_results import Strengths, strengths_of
from gustibus.types import F64, doubles

METHODS = {"newton": 200, "newman": 20_000, "mm": 100_000}
"""Ways to the maximum, and the most iterations of each."""


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
        cells, labels = reduced(data, threads)
        out = _core.fit_strengths(
            cells, "bradley_terry", method, tie_weight, prior, on_disconnected, limits,
            checked_start(start), threads,
        )  # fmt: skip
    return strengths_of(
        out, labels, method="bradley_terry", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=tie_weight, prior=prior, cells=cells,
    )  # fmt: skip


def _covariates(covariates: Any, rows: int, *, position: bool) -> F64:
    try:
        x = np.zeros((rows, 0)) if covariates is None else doubles(covariates)
    except (TypeError, ValueError) as error:
        message = f"covariates: expected numbers, got {type(covariates).__name__}: {error}"
        raise InputError(message) from error
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
