"""Strengths of items from rankings: models of choice, and rankings broken into comparisons."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, UnknownNameError
from gustibus.social.profile import Profile
from gustibus.social.strength import METHODS
from gustibus.social.strength_data import (
    Rankings,
    checked_limits,
    checked_start,
    checked_threads,
)
from gustibus.social.strength_results import Strengths, strengths_of

RANKING_METHODS = {**METHODS, "newton": 1000, "ilsr": 1000, "lsr": 1}
"""Ways to the maximum, and the most iterations of each; `lsr` only comes near it."""
BREAKINGS = ("adjacent", "full")


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
        InputError: Rankings are empty, tied (see `davidson_luce`), or name an item twice or one that is
            unknown.
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
    _expect_items(data.items)
    if method not in RANKING_METHODS:
        raise UnknownNameError.of("method", method, RANKING_METHODS)
    prior = (l2, opponent, 0.0)
    limits = checked_limits(tolerance, RANKING_METHODS[method] if max_iter is None else max_iter)
    threads = checked_threads(threads)
    out = _core.fit_rankings(
        *data.arrays, method, prior, on_disconnected, limits, checked_start(start), threads
    )
    return strengths_of(
        out, data.labels, method="plackett_luce", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=0.5, prior=prior, cells=None,
        rankings=None if method == "lsr" else data.arrays,
    )  # fmt: skip


def _expect_items(items: Any) -> None:
    if not len(items):
        message = "rankings: expected at least one item, got none"
        raise InputError(message)


def davidson_luce(
    rankings: Any,
    *,
    weights: Any = None,
    items: Iterable[Hashable] | None = None,
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
    """Log strengths from rankings with ties: each place is a choice of one item or several of what is left.

    A choice of a set of `t` items has weight `delta_t` times the geometric mean of their strengths;
    `delta_1` is 1, the others are the `prevalence` of the result. Sizes that never occur are impossible.
    Items that a ranking leaves out were no part of it. With two items per ranking this is `davidson`,
    `delta_2` being `2 nu`; without ties it is `plackett_luce`.

    Args:
        rankings: A `Profile`, or what makes one: lists of labels, best first, in which a list, tuple or set
            ties up to 32 items.
        weights: `(n,)`, how many voters gave each ranking; 1 each by default. Those of a profile are
            its own.
        items: All labels. By default those seen.
        l2: As for `bradley_terry`.
        opponent: Likewise.
        on_disconnected: Likewise; items that tie count as having beaten each other.
        center: Likewise.
        anchor: Likewise.
        tolerance: Likewise.
        max_iter: Likewise.
        start: Likewise.
        threads: Likewise.

    Raises:
        InputError: Rankings are empty, tie too many items, or name one twice.
        InfeasibleError: Ties of a size have no finite weight, or items are not connected and that is
            an error.

    Examples:
        >>> fit = davidson_luce([["x", "y"], [["x", "y"]], [["x", "y"]], ["y", "x"]])
        >>> {size: round(delta, 6) for size, delta in fit.prevalence.items()}
        {2: 2.0}

    Source: Firth, Kosmidis and Turner 2019.
    """
    given = isinstance(rankings, Profile)
    if given and (weights is not None or items is not None):
        message = "weights: expected None with a profile, whose weights and labels are its own"
        raise InputError(message)
    votes = rankings if given else Profile(rankings, weights=weights, labels=items)
    lists, prior = votes.lists(), (l2, opponent, 0.0)
    _expect_items(lists.items)
    threads = checked_threads(threads)
    weighed = np.ascontiguousarray(votes.weights, np.float64)
    arrays = (lists.items, lists.starts, lists.ends, weighed, votes.n_items)
    out, prevalence = _core.fit_tied_rankings(
        *arrays, prior, on_disconnected, checked_limits(tolerance, max_iter), checked_start(start),
        threads,
    )  # fmt: skip
    return strengths_of(
        out, votes.labels, method="davidson_luce", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=0.5, prior=prior, cells=None, rankings=arrays,
        prevalence=dict(prevalence),
    )  # fmt: skip


def break_rankings(
    rankings: Any,
    *,
    breaking: str = "full",
    starts: Any = None,
    chosen: Any = None,
    weights: Any = None,
    items: int | Iterable[Hashable] | None = None,
    unranked: str = "ignore",
    l2: float = 0.0,
    opponent: float = 0.0,
    on_disconnected: str = "regularise",
    center: str = "mean",
    anchor: tuple[Any, float] | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 200,
    threads: int | None = None,
) -> Strengths:
    """`bradley_terry` of the comparisons that rankings contain, a cheap stand-in for `plackett_luce`.

    Comparisons of one ranking are not independent, so the result has no covariance. `full` breaking, also
    of the first places alone (`chosen`), finds the strengths of Plackett and Luce's model when rankings
    are many; `adjacent` breaking does not in general.

    Args:
        rankings: As for `plackett_luce`.
        breaking: `full` compares every chosen item with all that were left, `adjacent` with the next.
        starts: As for `plackett_luce`.
        chosen: Likewise; 1 compares the first of every ranking with the rest.
        weights: Likewise.
        items: Likewise.
        unranked: Likewise.
        l2: As for `bradley_terry`.
        opponent: Likewise.
        on_disconnected: Likewise.
        center: Likewise.
        anchor: Likewise.
        tolerance: Likewise.
        max_iter: Likewise.
        threads: Likewise.

    Raises:
        InputError: As for `plackett_luce`.
        InfeasibleError: Items are not connected and `on_disconnected` is `error`.

    Examples:
        >>> break_rankings([["x", "y", "z"], ["y", "x", "z"], ["x", "z", "y"], ["z", "x", "y"]]).order
        ['x', 'y', 'z']

    Source: Azari Soufiani, Parkes and Xia 2014.
    """
    if breaking not in BREAKINGS:
        raise UnknownNameError.of("breaking", breaking, BREAKINGS)
    data = Rankings.read(
        rankings, starts=starts, chosen=chosen, weights=weights, items=items, unranked=unranked
    )
    _expect_items(data.items)
    prior, threads = (l2, opponent, 0.0), checked_threads(threads)
    cells = _core.break_rankings(*data.arrays, breaking == "adjacent")
    out = _core.fit_strengths(
        cells, "bradley_terry", "newton", 0.5, prior, on_disconnected,
        checked_limits(tolerance, max_iter), None, threads,
    )  # fmt: skip
    return strengths_of(
        out, data.labels, method="bradley_terry", on_disconnected=on_disconnected, center=center,
        anchor=anchor, tie_weight=0.5, prior=prior, cells=None,
    )  # fmt: skip
