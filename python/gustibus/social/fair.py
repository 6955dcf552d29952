"""Re-ranking that is fair to groups of items, and the tables of FA*IR."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.arguments import real, reals, seed_of, whole
from gustibus.social.grouping import Grouping, bounds_of, grouping, shares_of
from gustibus.types import integers

if TYPE_CHECKING:
    from gustibus.social.interning import Labels
    from gustibus.types import I64

_ALIASES = {
    "detconstsort": "det_const_sort",
    "detcons": "det_cons",
    "detgreedy": "det_greedy",
    "detrelaxed": "det_relaxed",
    "epsilongreedy": "epsilon_greedy",
    "fa*ir": "fa_ir",
    "fair": "fa_ir",
}


def fair_methods() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Methods of `fair_rerank`: name to source and laws.

    Examples:
        >>> sorted(fair_methods())[:3]
        ['closest', 'det_cons', 'det_const_sort']
    """
    return {name: (source, tuple(laws)) for name, source, laws in _core.fairness_tables()["rerank"]}


@dataclass(frozen=True, slots=True)
class FairTable:
    """How many protected items every prefix needs, and what that means."""

    minimum: I64
    """`(k,)`, least number of protected items in the first `i + 1` places."""
    alpha: float
    """The significance that the table was made with, after the correction."""
    failure: float
    """Probability that a ranking drawn by fair coins misses some prefix."""


def fair_table(
    k: int, p: float, alpha: float, *, adjust: bool = True, parity: bool = False
) -> FairTable:
    """The FA*IR table of `k` places for a protected share `p` at significance `alpha`.

    `minimum[i - 1]` is the smallest `x` with `P(Binomial(i, p) <= x) >= alpha'`. The probability that
    coins miss some prefix is computed exactly.

    Args:
        k: Number of places, from 1.
        p: Share of protected items, in `(0, 1)`.
        alpha: Wanted probability that a fair ranking fails, in `(0, 1)`.
        adjust: Whether to lower the significance until that probability is as near `alpha` as a
            table comes; otherwise `alpha' = alpha`.
        parity: Leave out a step of the table at the last place, as a widely used implementation does.

    Raises:
        InputError: A number out of range.

    Examples:
        >>> table = fair_table(20, 0.25, 0.1)
        >>> table.minimum.tolist()
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]
        >>> round(table.alpha, 6)
        0.078125

    Source: Zehlike, Bonchi, Castillo, Hajian, Megahed and Baeza-Yates 2017, sections 3 and 4.
    """
    return FairTable(
        *_core.fair_table(whole("k", k), real("p", p), real("alpha", alpha), adjust, parity)
    )


def fail_probability(minimum: Any, p: float, *, parity: bool = False) -> float:
    """Probability that coins of probability `p` miss some prefix of a table of least counts.

    Args:
        minimum: `(k,)`, rising whole numbers of at most their place.
        p: In `(0, 1)`.
        parity: As in `fair_table`.

    Raises:
        InputError: A falling table, or a number out of range.

    Source: Zehlike et al. 2017, section 4; here by an exact recurrence over prefixes.
    """
    return _core.fail_probability(integers("minimum", minimum), real("p", p), parity)


@dataclass(frozen=True, slots=True)
class Reranking:
    """Items in a fair order, and what the order promises."""

    order: I64
    """`(k,)`, items, best place first."""
    method: str
    groups: Labels
    """Names of the groups, in the order of the columns of `lower`."""
    lower: I64
    """`(k, g)`, least number of items of each group in every prefix; no rows where none is promised."""
    alpha: float | None
    """The significance that `fa_ir` used."""
    failure: float | None
    """Probability that a ranking drawn by fair coins or dice would have failed its test."""


def fair_rerank(
    scores: Any,
    groups: Any,
    k: int | None = None,
    *,
    method: str = "det_const_sort",
    shares: Any = None,
    protected: Hashable | Iterable[Hashable] | None = None,
    lower: Any = None,
    upper: Any = None,
    alpha: float = 0.1,
    adjust: bool = True,
    epsilon: float = 0.1,
    parity: bool = False,
    seed: int = 0,
    time_limit: float | None = None,
) -> Reranking:
    """The best `k` items in an order that is fair to groups.

    Args:
        scores: `(m,)`, higher for better items; ties go to the lower index.
        groups: `(m,)`, a label per item.
        k: Places to fill; all items by default.
        method: A name in `fair_methods()`. `closest` has the least Kendall distance to the order by
            scores within the bounds; `det_const_sort` keeps the floor of every share in every prefix
            while each group has items; `fa_ir` passes a statistical test at every prefix, with a tree
            of tables for several protected groups; `quota_merge` keeps the bounds at place `k` only.
        shares: Wanted share of each group, by label or in sorted order of labels; those among the
            items by default. For `fa_ir` the share of the unprotected group is not read.
        protected: Label, or labels, of the protected groups, for `fa_ir`; exactly one group is left.
            Not needed when labels are `False` and `True` or 0 and 1.
        lower: `(k, g)` or by label `(k,)`: least number of items in every prefix, instead of shares.
        upper: The largest number.
        alpha: Significance of `fa_ir`, in `(0, 1)`.
        adjust: Whether `fa_ir` corrects it for the number of prefixes.
        epsilon: Probability, at each place, of an exchange with a random later one, for
            `epsilon_greedy`.
        parity: Do as published: `fa_ir` as in `fair_table`; `det_const_sort` may then push an item one
            place past the prefix that it was needed for.
        seed: For `epsilon_greedy`.
        time_limit: Seconds, at least 0, after which the order is given up; none by default.

    Raises:
        InputError: A wrong argument; `InfeasibleError` when the items cannot meet the bounds, or the
            time limit is over before there is an order; `UnknownNameError` for a method.

    Examples:
        >>> scores, groups = [9, 8, 7, 6, 5, 4], ["a", "a", "a", "b", "b", "b"]
        >>> fair_rerank(scores, groups, 4, shares={"a": 0.5, "b": 0.5}).order.tolist()
        [0, 3, 1, 4]

    Source: the rows of `fair_methods()`.
    """
    values = reals("scores", scores)
    grouped = grouping(groups, len(values))
    k = len(values) if k is None else whole("k", k, most=len(values))
    method = _ALIASES.get(method, method)
    if method == "fa_ir":
        grouped = _unprotected_first(grouped, protected)
        wanted = shares_of(shares, grouped)
        wanted[0] = max(0.0, 1.0 - wanted[1:].sum())
    else:
        wanted = shares_of(shares, grouped)
    table = bounds_of(grouped, k, shares, lower, upper)
    if table is not None and method not in ("closest", "quota_merge"):
        message = f"lower: expected a method with bounds, closest or quota_merge, got {method!r}"
        raise InputError(message)
    order, promised, used, failure = _core.fair_rerank(
        method, values, grouped.codes, wanted, k, table, real("alpha", alpha), adjust, parity,
        real("epsilon", epsilon), seed_of(seed), time_limit,
    )  # fmt: skip
    tested = method == "fa_ir"
    return Reranking(
        order,
        method,
        grouped.names,
        promised,
        used if tested else None,
        failure if tested else None,
    )


def _unprotected_first(grouped: Grouping, protected: Any) -> Grouping:
    """Groups in the order that FA*IR wants: the one unprotected group, then the others."""
    names = grouped.names
    if protected is None:
        if not set(names) <= {0, 1}:  # equal to False and True as well
            message = f"protected: expected the protected groups among {names}, got none"
            raise InputError(message)
        return grouped.reordered((0, 1))
    many = isinstance(protected, list | tuple | set | frozenset | np.ndarray)
    wanted = set(protected) if many else {protected}
    rest = [name for name in names if name not in wanted]
    unknown = wanted - set(names)
    if len(rest) != 1 or (unknown and many) or not wanted:
        message = f"protected: expected all groups but one of {names}, got {protected!r}"
        raise InputError(message)
    known = [name for name in names if name in wanted]
    return grouped.reordered((rest[0], *known, *unknown))
