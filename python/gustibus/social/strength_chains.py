"""Scores of items from comparisons without a likelihood: chains, counts, flows, Elo's ratings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from gustibus import _core
from gustibus.social.strength_data import Comparisons, checked_limits, column, reduced
from gustibus.social.strength_labels import Labels
from gustibus.social.strength_results import Scores, Strengths, strengths_of

CHAINS = ("ilsr", "lsr", "mc1", "mc2", "mc3", "mc4", "rank_centrality")


def spectral(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    chain: str = "ilsr",
    alpha: float = 0.0,
    weights: Any = None,
    ties: Any = None,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    on_disconnected: str = "regularise",
    center: str = "mean",
    tolerance: float = 1e-8,
    max_iter: int = 1000,
    threads: int | None = None,
) -> Strengths:
    """Log of the stationary distribution of a Markov chain from losers to winners.

    Args:
        winners: As for `bradley_terry`.
        losers: Likewise.
        outcomes: Likewise.
        weights: Likewise.
        ties: Likewise.
        tie_weight: Likewise.
        items: Likewise.
        on_disconnected: Likewise.
        center: Likewise.
        tolerance: Likewise, for `ilsr`.
        max_iter: Likewise.
        threads: Likewise.
        chain: `lsr` (rates by wins), `ilsr` (repeated until the scores are those of
            `bradley_terry`), `rank_centrality` (rates by shares of wins), or the chains `mc1` to
            `mc4` of Dwork, Kumar, Naor and Sivakumar for lists of two.
        alpha: Rate added from every item to every other.

    Raises:
        InputError: As for `bradley_terry`.
        UnknownNameError: No such chain.
        InfeasibleError: Items are not connected and `on_disconnected` is `error`.

    Source: Maystre and Grossglauser 2015; Negahban, Oh and Shah 2017; Dwork et al. 2001.
    """
    cells, labels = _cells(winners, losers, outcomes, weights, ties, items, threads)
    out = _core.stationary_strengths(
        cells,
        chain,
        alpha,
        tie_weight,
        on_disconnected,
        checked_limits(tolerance, max_iter),
        threads,
    )
    if alpha > 0:  # the leak connects everything
        component = np.zeros(len(out[0]), np.uint32)
        out = (out[0], component, out[2], *out[3:])
    return strengths_of(
        out, labels, method=chain, on_disconnected=on_disconnected, center=center, anchor=None,
        tie_weight=tie_weight, prior=(0.0, 0.0, 0.0), cells=cells,
    )  # fmt: skip


def rank_centrality(winners: Any, losers: Any, outcomes: Any = None, **options: Any) -> Strengths:
    """`spectral` with the chain `rank_centrality`."""
    return spectral(winners, losers, outcomes, chain="rank_centrality", **options)


def counting(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    win_weight: float = 1.0,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    threads: int | None = None,
) -> Scores:
    """`win_weight` times wins plus `tie_weight` times ties of every item.

    Other arguments, and errors, are those of `bradley_terry`.
    """
    cells, labels = _cells(winners, losers, outcomes, weights, ties, items, threads)
    return _score(cells, labels, "counting", win_weight, tie_weight)


def average_win_rate(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    win_weight: float = 1.0,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    threads: int | None = None,
) -> Scores:
    """Mean over the opponents of every item of the share that it won against them.

    Other arguments, and errors, are those of `bradley_terry`.
    """
    cells, labels = _cells(winners, losers, outcomes, weights, ties, items, threads)
    return _score(cells, labels, "average_win_rate", win_weight, tie_weight)


def pagerank(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    damping: float = 0.85,
    weights: Any = None,
    ties: Any = None,
    win_weight: float = 1.0,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    tolerance: float = 1e-12,
    max_iter: int = 1000,
    threads: int | None = None,
) -> Scores:
    """Time that a walk from losers to winners spends at every item; sums to one.

    Args:
        winners: As for `bradley_terry`.
        losers: Likewise.
        outcomes: Likewise.
        weights: Likewise.
        ties: Likewise.
        items: Likewise.
        damping: Probability of a step along a comparison; otherwise to any item. Items that never
            lost are left for any item.
        win_weight: Weight of a win.
        tie_weight: Weight of a tie, in both directions.
        tolerance: Change of the scores, summed, at which they are final.
        max_iter: Most iterations.
        threads: As for `bradley_terry`.

    Source: Brin and Page 1998.
    """
    cells, labels = _cells(winners, losers, outcomes, weights, ties, items, threads)
    limits = checked_limits(tolerance, max_iter)
    return _score(cells, labels, "pagerank", win_weight, tie_weight, damping, limits)


def eigen(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    win_weight: float = 1.0,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    tolerance: float = 1e-12,
    max_iter: int = 10_000,
    threads: int | None = None,
) -> Scores:
    """An item is as good as those it beat: the leading eigenvector of the wins, of length one.

    Arguments are those of `pagerank`.

    Source: Bonacich 1987.
    """
    cells, labels = _cells(winners, losers, outcomes, weights, ties, items, threads)
    limits = checked_limits(tolerance, max_iter)
    return _score(cells, labels, "eigen", win_weight, tie_weight, 1.0, limits)


def hits(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    win_weight: float = 1.0,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    tolerance: float = 1e-12,
    max_iter: int = 10_000,
    threads: int | None = None,
) -> Scores:
    """Authorities where losers point at winners: good is what those point at who point at the good.

    The leading eigenvector of `W W^T`, with `W` the wins by winner and loser, of length one. Arguments
    are those of `pagerank`.

    Source: Kleinberg 1999.
    """
    cells, labels = _cells(winners, losers, outcomes, weights, ties, items, threads)
    limits = checked_limits(tolerance, max_iter)
    return _score(cells, labels, "hits", win_weight, tie_weight, 1.0, limits)


def elo(
    winners: Any,
    losers: Any,
    outcomes: Any = None,
    *,
    weights: Any = None,
    ties: Any = None,
    tie_weight: float = 0.5,
    items: int | Iterable[Hashable] | None = None,
    initial: float = 1000.0,
    base: float = 10.0,
    scale: float = 400.0,
    k: float = 4.0,
    start: Any = None,
) -> Scores:
    """Ratings after all comparisons, in their order: `R_x += k weight (S_x - E_x)`, `R_y` the opposite.

    `E_x = 1 / (1 + base^((R_y - R_x) / scale))`. The result depends on the order of the rows.

    Args:
        winners: As for `bradley_terry`.
        losers: Likewise.
        outcomes: Likewise.
        weights: Likewise.
        ties: Likewise.
        items: Likewise.
        tie_weight: Score of a tie.
        initial: Rating before the first comparison.
        base: Odds that a difference of `scale` means.
        scale: See `base`.
        k: The most by which one comparison moves a rating.
        start: `(m,)`, ratings to go on from, instead of `initial`.

    Examples:
        >>> elo(["x"], ["y"], k=32).scores.tolist()
        [1016.0, 984.0]

    Source: Elo 1978.
    """
    data = Comparisons.read(winners, losers, outcomes, weights=weights, ties=ties, items=items)
    cells, labels = data.cells(1)  # checks every row
    a, b = data.a, data.b
    if len(labels) != len(data.labels):
        number = np.zeros(len(data.labels), np.uint32)
        where = {label: i for i, label in enumerate(data.labels)}
        number[[where[label] for label in labels]] = np.arange(len(labels), dtype=np.uint32)
        a, b = number[a], number[b]
    begun = None if start is None else column("start", start, len(labels), np.float64)
    constants = (initial, base, scale, k, tie_weight)
    ratings = _core.elo_ratings(a, b, data.outcomes, data.weights, cells.items, begun, constants)
    return Scores(labels, ratings, "elo", 0, converged=True)


def _cells(
    winners: Any,
    losers: Any,
    outcomes: Any,
    weights: Any,
    ties: Any,
    items: int | Iterable[Hashable] | None,
    threads: int | None,
) -> tuple[_core.Cells, Labels]:
    data = Comparisons.read(winners, losers, outcomes, weights=weights, ties=ties, items=items)
    return reduced(data, threads)


def _score(
    cells: _core.Cells,
    labels: Labels,
    rule: str,
    win: float,
    tie: float,
    damping: float = 1.0,
    limits: tuple[float, int] = (0.0, 0),
) -> Scores:
    scores, iterations, converged = _core.score_comparisons(cells, rule, win, tie, damping, limits)
    return Scores(labels, scores, rule, iterations, converged)
