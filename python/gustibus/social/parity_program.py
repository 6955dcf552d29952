"""Consensus rankings with parity of pairs between groups, by an integer program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import InfeasibleError
from gustibus.social.arguments import real
from gustibus.social.consensus import kemeny
from gustibus.social.fair_rankings import attribute_groups, intersection, repair_parity
from gustibus.social.linear_ordering import Program
from gustibus.social.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gustibus.social.grouping import Grouping
    from gustibus.social.interning import Labels
    from gustibus.types import F64, I64

SLACK = 1e-9
"""By how much rounding may break a bound on gaps."""


@dataclass(frozen=True, slots=True)
class ParityConsensus:
    """A ranking whose gaps are small and that is near all ballots."""

    order: I64
    """`(m,)`, items, best place first."""
    ranking: Labels
    """The same by label."""
    distance: float
    """Weighted Kendall distance to all ballots."""
    lower_bound: float
    """No ranking within the gaps has a smaller distance."""
    optimal: bool
    """Whether that is proven of this one."""


def parity_consensus(
    profile: Profile | Any,
    attributes: Any,
    *,
    delta: float = 0.1,
    time_limit: float | None = None,
    threads: int | None = None,
) -> ParityConsensus:
    """The ranking nearest to all ballots among those with gaps of at most `delta`.

    The gaps are those of `pairwise_parity`, of every attribute and, where there are several, of their
    intersections. Solved by HiGHS, the constraints on triples being added as they are needed; meant for
    up to about 50 items. Ctrl-C ends it between two rounds of HiGHS, which cannot be interrupted.

    Args:
        profile: Ballots of any kind: a `Profile`, or what makes one.
        attributes: Labels `(m,)` in the order of the profile's labels, or attribute to labels for several.
        delta: Largest gap, at least 0.
        time_limit: Seconds after which the best ranking known is returned: the consensus without bounds
            as `repair_parity` mends it.
        threads: Number of threads of the search that comes first; every core by default.

    Raises:
        InputError: A wrong argument.
        InfeasibleError: No ranking has such gaps, or none was found in time.
        MissingExtraError: SciPy is not installed.

    Examples:
        >>> ballots = [[0, 1, 2, 3], [0, 1, 3, 2], [1, 0, 2, 3]]
        >>> parity_consensus(ballots, ["a", "a", "b", "b"], delta=0.0).distance
        8.0

    Source: Cachel, Rundensteiner and Harrison 2022, section 4 (Fair-Kemeny).
    """
    votes = profile if isinstance(profile, Profile) else Profile(profile)
    named = attribute_groups(attributes, votes.n_items)
    most, end = real("delta", delta), None if time_limit is None else monotonic() + time_limit
    free = kemeny(votes, time_limit=time_limit, threads=threads).order_ids
    mended = repair_parity(free, attributes, delta=most)
    program = Program(votes.support()[np.ix_(free, free)])
    program.bound(*_rows(named, free, most))
    places, bound, proven = program.solve(end)
    if places is None and proven:
        message = f"delta: no ranking has gaps of at most {most:g}"
        raise InfeasibleError(message)
    if places is None and not mended.converged:
        message = f"time_limit: found no ranking with gaps of at most {most:g} in {time_limit} s"
        raise InfeasibleError(message)
    order = mended.order if places is None else free[places]
    distance = _distance(votes.support(), order)
    bound = distance if proven else min(bound, distance)
    ranking = tuple(votes.labels[item] for item in order.tolist())
    return ParityConsensus(order, ranking, distance, bound, proven)


def _distance(support: F64, order: I64) -> float:
    return float(np.triu(support[np.ix_(order, order)].T, 1).sum())


def _rows(named: Mapping[Hashable, Grouping], order: I64, most: float) -> tuple[F64, F64]:
    """Rows `(r, pairs)` and their upper ends: differences of the shares that two groups win of their pairs.

    Pairs are those of places `i < j` of `order`; the unknown of a pair is 1 where it stays so.
    """
    m = len(order)
    above, below = np.triu_indices(m, 1)
    every = [*named.values(), *([intersection(named)] if len(named) > 1 else [])]
    rows, ends = [], []
    for grouped in every:
        codes = np.asarray(grouped.codes)[order]
        shares = []
        for group in range(grouped.count):
            size = int((codes == group).sum())
            if 0 < size < m:
                pairs = size * (m - size)
                first, second = codes[above] == group, codes[below] == group
                # a pair that is turned around is won by the lower item
                shares.append((
                    (first.astype(float) - second) / pairs,
                    float((second & ~first).sum()) / pairs,
                ))  # fmt: skip
        for i, (won, base) in enumerate(shares):
            for other, other_base in shares[:i]:
                rows += [won - other, other - won]
                ends += [most + SLACK - (base - other_base), most + SLACK + (base - other_base)]
    return np.array(rows).reshape(-1, len(above)), np.array(ends)
