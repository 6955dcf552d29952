"""How fair rankings are to groups: divergence, exposure, attention, skew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.arguments import real, reals, threads_of
from gustibus.social.grouping import grouping, shares_of
from gustibus.types import integers

if TYPE_CHECKING:
    from gustibus.social.interning import Labels
    from gustibus.types import F64, I64


@dataclass(frozen=True, slots=True)
class FairMetrics:
    """Measures of one ranking, or of many: `*b` is `()` or `(n,)`, `g` the groups."""

    groups: Labels
    ndkl: F64
    """`(*b)`, 0 when every prefix has the wanted shares; natural logarithms."""
    exposure: F64
    """`(*b, g)`, mean of `1 / log2(place + 1)` over the items of a group; 0 for unranked items."""
    attention: F64
    """`(*b, g)`, mean of `100 p (1 - p)^(place - 1)` over the items of a group."""
    skew: F64
    """`(*b, c, g)`, `ln(share of the prefix / wanted share)` at every cutoff."""
    infeasible_index: I64
    """`(*b)`, number of prefixes with a group below the floor of its wanted share."""
    infeasible_count: I64
    """`(*b)`, groups below that floor, summed over prefixes."""

    @property
    def exposure_ratio(self) -> F64:
        """`(*b)`, smallest over largest exposure of a group; 1 is fair."""
        return _ratio(self.exposure)

    @property
    def exposure_difference(self) -> F64:
        """`(*b)`, largest minus smallest exposure of a group; 0 is fair."""
        return np.ptp(self.exposure, axis=-1)

    @property
    def exposure_variance(self) -> F64:
        """`(*b)`, variance of the groups' exposures; 0 is fair."""
        return np.var(self.exposure, axis=-1)

    @property
    def awrf(self) -> F64:
        """`(*b)`, attention-weighted rank fairness: smallest over largest attention of a group."""
        return _ratio(self.attention)

    @property
    def min_skew(self) -> F64:
        """`(*b, c)`, the skew of the group with the smallest one."""
        return self.skew.min(axis=-1)

    @property
    def max_skew(self) -> F64:
        """`(*b, c)`, the skew of the group with the largest one."""
        return self.skew.max(axis=-1)


def _ratio(values: F64) -> F64:
    largest = values.max(axis=-1)
    ratio: F64 = np.divide(
        values.min(axis=-1), largest, out=np.ones_like(largest), where=largest > 0
    )
    return ratio


def fair_metrics(
    ranking: Any,
    groups: Any,
    *,
    shares: Any = None,
    patience: float = 0.5,
    cutoffs: Any = (),
    threads: int | None = None,
) -> FairMetrics:
    """Measures of a ranking `(k,)`, or of many `(n, k)`, in one pass over each.

    Args:
        ranking: Items, best place first, each at most once; they need not all be ranked.
        groups: `(m,)`, a label per item.
        shares: Wanted share of each group, by label or in sorted order of labels; those among all
            items by default.
        patience: Share `p` of attention that the first place takes, in `(0, 1)`.
        cutoffs: Prefixes whose skew is measured.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A wrong argument.

    Examples:
        >>> metrics = fair_metrics([0, 1, 2, 3], ["a", "a", "b", "b"], cutoffs=[2])
        >>> metrics.exposure.round(3).tolist(), float(metrics.exposure_ratio.round(3))
        ([0.815, 0.465], 0.571)
        >>> metrics.attention.tolist(), int(metrics.infeasible_index)
        ([37.5, 9.375], 1)

    Source: Geyik, Ambler and Kenthapadi 2019; Singh and Joachims 2018; Sapiezynski et al. 2019.
    """
    array = np.asarray(ranking)
    single = array.ndim == 1
    rows = integers("ranking", array[None] if single else array, dims=2)
    grouped = grouping(groups)
    cuts = integers(
        "cutoffs", np.asarray(cutoffs, None if np.size(cutoffs) else np.int64), empty=True
    )
    at = 0 if single else slice(None)
    ndkl, exposure, attention, skew, index, count = _core.fair_measures(
        rows, grouped.codes, shares_of(shares, grouped), real("patience", patience), cuts,
        threads_of(threads),
    )  # fmt: skip
    return FairMetrics(
        grouped.names, ndkl[at], exposure[at], attention[at], skew[at], index[at], count[at]
    )


def attention_gap(
    rankings: Any, relevance: Any, *, attention: str = "logarithmic", patience: float = 0.5
) -> float:
    """Amortised individual unfairness: `sum_i |A_i - R_i|`, 0 when attention follows relevance.

    `A` is the attention that each item got over all rankings, `R` its relevance, each scaled to sum
    to one.

    Args:
        rankings: `(n, k)` items, best place first.
        relevance: `(m,)`, at least 0 and not all 0.
        attention: Of a place: `logarithmic`, `1 / log2(place + 1)`; `reciprocal`, `1 / place`;
            `geometric`, `p (1 - p)^(place - 1)`.
        patience: `p` of the geometric attention.

    Raises:
        InputError: A wrong argument; `UnknownNameError` for a kind of attention.

    Source: Biega, Gummadi and Weikum 2018, equation 3.
    """
    rows = integers("rankings", rankings, dims=2)
    values = reals("relevance", relevance)
    if not isinstance(attention, str):
        message = f"attention: expected a name, got {attention!r}"
        raise InputError(message)
    return _core.attention_gap(rows, values, (attention, real("patience", patience)))
