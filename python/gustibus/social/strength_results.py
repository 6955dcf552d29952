"""What strength models return."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import InputError, UnknownNameError
from gustibus.social.strength_labels import Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gustibus import _core
    from gustibus.types import F64, I64

CENTRES = ("first", "geometric", "mean", "sum")
ALIKE = 1e-12
"""Relative difference below which scores that were summed are equal."""
ALIKE_FITS = 1e-7
"""Difference below which log strengths that were fitted are equal."""


TIED = ("davidson", "rao_kupper", "thurstone")
"""Models of comparisons with a parameter for ties."""


class DisconnectedWarning(UserWarning):
    """Comparisons do not say how strong some items are relative to others."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One number per item, larger is better.

    Attributes:
        labels: Label of every item, `(m,)`.
        scores: `(m,)`.
        method: How they were found.
        iterations: Steps that it took, 0 where there are none.
        converged: Whether the scores are final.
    """

    labels: Labels
    scores: F64
    method: str
    iterations: int
    converged: bool

    @property
    def levels(self) -> I64:
        """Place `(m,)` of every item, from 0; items with equal scores share one."""
        return _levels(self._keys(), self._alike())

    def _keys(self) -> tuple[NDArray[Any], F64]:
        return np.zeros(len(self.scores), np.int64), self.scores

    def _alike(self) -> float:
        return ALIKE * max(float(np.abs(self.scores).max(initial=0)), 1e-300)

    @property
    def order(self) -> list[Any]:
        """Labels, best first; ties by number of the item."""
        return [self.labels[i] for i in np.argsort(self.levels, kind="stable").tolist()]

    @property
    def ranking(self) -> list[list[Any]]:
        """Labels in buckets of equal scores, best first."""
        levels = self.levels
        buckets: list[list[Any]] = [[] for _ in range(int(levels.max(initial=-1)) + 1)]
        for label, level in zip(self.labels, levels.tolist(), strict=True):
            buckets[level].append(label)
        return [bucket for bucket in buckets if bucket]

    @property
    def winners(self) -> list[Any]:
        """Labels of all items that share the highest score, in the order of the items."""
        return self.ranking[0] if len(self.labels) else []

    def as_dict(self) -> dict[Any, float]:
        """Score by label."""
        return dict(zip(self.labels, self.scores.tolist(), strict=True))


def _levels(keys: tuple[NDArray[Any], F64], alike: float) -> I64:
    group, scores = keys
    order = np.lexsort((-scores, group))
    breaks = np.zeros(len(order), np.int64)
    same = np.diff(group[order]) == 0
    breaks[1:] = ~(same & (-np.diff(scores[order]) <= alike))
    levels = np.empty_like(breaks)
    levels[order] = np.cumsum(breaks)
    return levels


@dataclass(frozen=True, slots=True, eq=False)
class Strengths(Scores):
    """Log strengths of a model of choices.

    Attributes:
        component: `(m,)`, number of the strongly connected component of every item. Lower numbers come
            first: no item has beaten one of a lower component.
        arcs: `(k, 2)`, the pairs of components between which something is known.
        separate: Whether every component was fitted by itself; scores then compare within
            components, and `ranking` lists the components in their order.
        regularised: Weight of the opponent that was added because the items are not connected.
        grad_norm: Largest absolute derivative of the log-likelihood (with its prior) at the end.
        log_likelihood: Of the data.
        parameter: The tie parameter: `nu` of Davidson, `kappa` of Rao and Kupper, the threshold of
            Thurstone's model; NaN without one.
        coefficients: Of covariates, the position first.
        tie_weight: Share of a tie that counted as a win for both.
        prior: `l2`, `opponent` and `pseudo` of the prior, what was added included.
        shift: What was added to the optimum to centre it.
        cells: The comparisons, for bootstraps and covariances; `None` after rankings.
        rankings: The rankings as arrays, likewise; `None` after comparisons.
        prevalence: Weight of ties by number of items, in `davidson_luce`.
    """

    component: NDArray[np.uint32]
    arcs: NDArray[np.uint32]
    separate: bool
    regularised: float
    grad_norm: float
    log_likelihood: float
    parameter: float
    coefficients: F64
    tie_weight: float
    prior: tuple[float, float, float]
    shift: F64
    cells: _core.Cells | None
    rankings: tuple[Any, Any, Any, Any, int] | None
    prevalence: dict[int, float]

    @property
    def connected(self) -> bool:
        """Whether every item has beaten every other, directly or through others."""
        return not self.component.any()

    @property
    def strengths(self) -> F64:
        """`(m,)`, exponentials of the scores."""
        with np.errstate(over="ignore"):
            return np.exp(self.scores)

    def elo(self, *, base: float = 1000.0, scale: float = 400.0) -> F64:
        """`(m,)`, scores on the scale of Elo's ratings: `base + scale * score / ln 10`."""
        ratings: F64 = base + scale * self.scores / np.log(10)
        return ratings

    def win_probabilities(self) -> F64:
        """`(m, m)`, probability that the item of the row beats that of the column, ties apart.

        With a tie parameter the rest to one of the two probabilities of a pair is that of a tie.
        """
        gap = self.scores[:, None] - self.scores[None, :]
        if self.separate:
            gap = np.where(self.component[:, None] == self.component[None, :], gap, 0)
            before = self.component[:, None].astype(np.int64) - self.component[None, :]
            gap = np.where(before == 0, gap, np.where(before < 0, np.inf, -np.inf))
        with np.errstate(over="ignore"):
            odds = np.exp(-gap)
            if self.method == "davidson":
                return 1 / (1 + odds + 2 * self.parameter * np.exp(-0.5 * gap))
            if self.method == "rao_kupper":
                return 1 / (1 + self.parameter * odds)
            if self.method == "davidson_luce":
                return 1 / (1 + odds + self.prevalence.get(2, 0.0) * np.exp(-0.5 * gap))
            if self.method == "thurstone":
                return _normal(gap - self.parameter)
            table: F64 = 1 / (1 + odds)
        return table

    def _keys(self) -> tuple[NDArray[Any], F64]:
        group = self.component if self.separate else np.zeros(len(self.scores), np.uint32)
        return group.astype(np.int64), self.scores

    def _alike(self) -> float:
        return ALIKE_FITS


def _normal(x: F64) -> F64:
    """The normal distribution function; numpy has none."""
    table: F64 = 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(-x / math.sqrt(2))
    return table


def strengths_of(
    out: tuple[Any, ...],
    labels: Labels,
    *,
    method: str,
    on_disconnected: str,
    center: str,
    anchor: tuple[Any, float] | None,
    tie_weight: float,
    prior: tuple[float, float, float],
    cells: _core.Cells | None,
    rankings: tuple[Any, Any, Any, Any, int] | None = None,
    prevalence: dict[int, float] | None = None,
) -> Strengths:
    """A result from what the compiled core returned; warns when items are not connected."""
    theta, component, arcs, regularised, iterations, converged, norm, value, extras = out
    tied = method in TIED
    separate = bool(component.any()) and on_disconnected == "components" and not any(prior)
    if component.any() and not any(prior):
        _warn(int(component.max()) + 1, regularised)
    fit = Strengths(
        labels=labels, scores=theta, method=method, iterations=iterations, converged=converged,
        component=component, arcs=arcs, separate=separate, regularised=regularised,
        grad_norm=norm, log_likelihood=value, parameter=float(extras[0]) if tied else np.nan,
        coefficients=extras[:0] if tied else extras, tie_weight=tie_weight,
        prior=(prior[0], prior[1] + regularised, prior[2]), shift=np.zeros_like(theta), cells=cells,
        rankings=rankings, prevalence=prevalence or {},
    )  # fmt: skip
    return centred(fit, center, anchor)


def _warn(count: int, regularised: float) -> None:
    done = (
        f"an opponent of strength 1 that every item beats and loses to {regularised:g} times was added"
        if regularised
        else "every component was fitted by itself"
    )
    message = (
        f"the comparisons fall into {count} components, between which the strengths that are most "
        f"likely differ without bound; {done}"
    )
    warnings.warn(message, DisconnectedWarning, stacklevel=4)


def centred(fit: Strengths, center: str, anchor: tuple[Any, float] | None) -> Strengths:
    """The same strengths with another origin, in every component that was fitted by itself."""
    if center not in CENTRES:
        raise UnknownNameError.of("center", center, CENTRES)
    group = fit.component if fit.separate else np.zeros_like(fit.component)
    shift = np.zeros_like(fit.scores)
    for part in range(int(group.max(initial=0)) + 1):
        inside = np.flatnonzero(group == part) if fit.separate else slice(None)
        scores = fit.scores[inside]
        if len(scores):
            shift[inside] = -_origin(scores, center)
    if anchor is not None:
        label, value = anchor
        try:
            at = list(fit.labels).index(label)
        except ValueError:
            message = f"anchor: expected a label of the items, got {label!r}"
            raise InputError(message) from None
        same = group == group[at]
        shift[same] = value - fit.scores[at]
    return replace(fit, scores=fit.scores + shift, shift=shift)


def _origin(scores: F64, center: str) -> float:
    if center == "first":
        return float(scores[0])
    if center == "sum":
        top = scores.max()
        return float(top + np.log(np.exp(scores - top).sum()))
    return float(scores.mean())
