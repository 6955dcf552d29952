"""Strengths of items from comparisons, by models with a probability of a tie."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from gustibus import _core
from gustibus.social.strength_data import Comparisons, checked_limits, checked_start, reduced
from gustibus.social.strength_results import Strengths, strengths_of


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


def thurstone(
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
    """Scores where an item wins with probability `Phi(score_i - score_j - threshold)`, else it may be a tie.

    Impressions of items are normal around their scores; the unit is the standard deviation of the
    difference of two. The threshold is the `parameter` of the result, 0 when nothing was tied. Other
    arguments are those of `bradley_terry`; the opponent of `opponent` is beaten with the logistic
    probability of that model.

    Raises:
        InputError: As for `bradley_terry`.
        InfeasibleError: Everything was tied, or items are not connected and that is an error.

    Examples:
        >>> fit = thurstone(["x"] * 3 + ["y"], ["y"] * 3 + ["x"])  # Phi(gap) = 3 / 4
        >>> round(float(fit.scores[0] - fit.scores[1]), 6)
        0.67449

    Source: Thurstone 1927, case V; Glenn and David 1960 for ties.
    """
    data = Comparisons.read(winners, losers, outcomes, weights=weights, ties=ties, items=items)
    return _tied("thurstone", data, (l2, opponent, 0.0), on_disconnected, center, anchor,
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
    cells, labels = reduced(data, threads)
    out = _core.fit_strengths(
        cells, model, "newton", 0.5, prior, on_disconnected, limits, checked_start(start), threads
    )
    return strengths_of(
        out, labels, method=model, on_disconnected=on_disconnected, center=center, anchor=anchor,
        tie_weight=0.5, prior=prior, cells=cells,
    )  # fmt: skip
