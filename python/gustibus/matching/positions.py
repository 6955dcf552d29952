"""Auctions for the positions of generated content.

`n` bidders with one creative each, `m` positions. `p[i, j]` is the chance of a click on creative `i`
alone at position `j`; nothing says that it factors. Two models of readers: in `mnl` they choose among
everything shown, or nothing; in `cascade` they read in an order and stop at the first click.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.matching.arrays import rectangular
from gustibus.types import F64

METHODS = ("mnl", "cascade", "cascade_fixed", "cascade_greedy", "cascade_half")
"""Names that `place_creatives` knows; the first two are truthful under `position_auction`."""


@dataclass(frozen=True, slots=True)
class Slate:
    """Who is shown where.

    Attributes:
        pairs: Creative and position of everything shown, in reading order where it matters.
        click: `(n,)`, click chance of every creative.
        value: `sum phi * click`, the expected welfare or revenue.
        payment: `(n,)`, expected payment per view, at least 0 and at most value times click; None
            where the method is not truthful.
    """

    pairs: tuple[tuple[int, int], ...]
    click: F64
    value: float
    payment: F64 | None = None

    @property
    def payment_per_click(self) -> F64:
        """`(n,)` payments divided by click chances, 0 for creatives that are not shown."""
        if self.payment is None:
            message = "payment: not computed; use position_auction"
            raise InputError(message)
        clicked = self.click > 0
        return np.divide(self.payment, self.click, out=np.zeros_like(self.click), where=clicked)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Values spread evenly between two numbers."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """Values with an exponential distribution."""

    mean: float


@dataclass(frozen=True, slots=True)
class Discrete:
    """Finitely many values, rising, with probabilities; ironed where needed."""

    values: tuple[float, ...]
    probabilities: tuple[float, ...]


Law = Uniform | Exponential | Discrete


def place_creatives(
    method: str, p: Any, phi: Any, *, most: int | None = None, time_limit: float | None = None
) -> Slate:
    """The slate of largest `sum phi * click` that a method finds.

    | method | order of reading | result |
    |---|---|---|
    | `mnl` | none | exact |
    | `cascade` | ours | exact on 16 positions; beyond, on the 16 of largest average chance |
    | `cascade_fixed` | first to last | exact, at most 10 positions |
    | `cascade_greedy` | ours | at least 1/3 of the optimum; not truthful |
    | `cascade_half` | first to last | at least 1/2 of the optimum in our order; not truthful |

    Args:
        method: One of `METHODS`.
        p: `(n, m)` chances in `[0, 1]`, below 1 for `mnl`.
        phi: `(n,)`, values or virtual values; creatives at or below 0 are never shown.
        most: Most creatives shown; as many as positions by default.
        time_limit: Seconds after which the search is given up.

    Raises:
        UnknownNameError: no such method.
        InputError: a shape or number is wrong, or there are too many positions.
        InfeasibleError: the slate was not found within the time limit.

    Examples:
        >>> place_creatives("cascade", [[0.9, 0.5], [0.2, 0.1]], [1.0, 5.0]).pairs
        ((1, 0), (0, 1))

    Source: Davis, Gallego and Topaloglu 2013 and Dinkelbach 1967 for `mnl`; derived for the rest.
    """
    chances, values = _checked(p, phi)
    pairs, click, value = _core.place_creatives(
        method, chances, values, _most(most, chances), time_limit
    )
    return Slate(tuple(pairs), click, value)


def position_auction(
    model: str,
    p: Any,
    values: Any,
    *,
    most: int | None = None,
    laws: Sequence[Law] | None = None,
    time_limit: float | None = None,
) -> Slate:
    """A truthful auction: bidding the true value per click is best whatever the others bid.

    Without `laws` the slate maximises welfare and bidders pay what others lose by their being there.
    With `laws`, one per bidder, it maximises expected revenue: bidders are ranked by virtual values and
    pay their value less the integral of their click chance over lower bids.

    Args:
        model: `mnl`, or `cascade` in our order.
        p: `(n, m)` chances in `[0, 1]`, below 1 for `mnl`.
        values: `(n,)`, bids per click at or above 0.
        most: Most creatives shown; as many as positions by default.
        laws: What is believed of each bidder's value.
        time_limit: Seconds after which the auction is given up.

    Raises:
        InputError: a shape or number is wrong.
        InfeasibleError: the payments were not known within the time limit.

    Examples:
        >>> slate = position_auction("mnl", [[0.5], [0.5]], [2.0, 1.0])
        >>> slate.pairs, slate.payment_per_click.tolist()
        (((0, 0),), [1.0, 0.0])

    Source: Vickrey 1961, Clarke 1971 and Groves 1973; Myerson 1981.
    """
    chances, bids = _checked(p, values)
    if np.any(bids < 0):
        message = f"values: expected bids at or above 0, got {bids.min()}"
        raise InputError(message, where="values")
    inputs = None if laws is None else [_law(law) for law in laws]
    (pairs, click, value), payment = _core.position_auction(
        model, chances, bids, _most(most, chances), inputs, time_limit
    )
    return Slate(tuple(pairs), click, value, payment)


def ironed_virtual_values(values: Any, probabilities: Any) -> F64:
    """Virtual values of a distribution over finitely many values, made to rise.

    Args:
        values: `(k,)`, rising, at or above 0.
        probabilities: `(k,)`, positive, summing to 1.

    Raises:
        InputError: values or probabilities are wrong.

    Examples:
        >>> ironed_virtual_values([1, 4, 5, 20], [0.6, 0.05, 0.25, 0.1]).round(4).tolist()
        [-1.1538, -1.1538, -1.0, 20.0]

    Source: Myerson 1981.
    """
    return _core.ironed_virtual_values(
        np.asarray(values, dtype=np.float64).ravel(),
        np.asarray(probabilities, dtype=np.float64).ravel(),
    )


def _checked(p: Any, values: Any) -> tuple[F64, F64]:
    chances, array = rectangular("p", p), rectangular("values", values)
    for name, given, dims in (("p", chances, 2), ("values", array, 1)):
        if given.ndim != dims or given.dtype.kind not in "fiub":
            message = (
                f"{name}: expected {dims} dimension(s) of numbers, "
                f"got {given.dtype} of shape {given.shape}"
            )
            raise InputError(message, where=name)
    return chances.astype(np.float64), array.astype(np.float64)


def _most(most: int | None, p: F64) -> int:
    if most is None:
        return p.shape[1]
    if most < 0:
        message = f"most: expected a whole number at or above 0, got {most}"
        raise InputError(message, where="most")
    return min(most, p.shape[1])


def _law(law: Law) -> tuple[str, list[float], list[float]]:
    match law:
        case Uniform(low, high):
            return "uniform", [low, high], []
        case Exponential(mean):
            return "exponential", [mean], []
        case Discrete(values, probabilities):
            return "discrete", list(values), list(probabilities)
