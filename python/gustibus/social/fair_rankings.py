"""Rankings within bounds that are near others, and parity of pairs between groups."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InfeasibleError, InputError
from gustibus.social.arguments import real, threads_of, whole
from gustibus.social.grouping import Grouping, bounds_of, grouping, share_bounds, shares_of
from gustibus.social.profile import Profile
from gustibus.types import integers

if TYPE_CHECKING:
    from gustibus.social.interning import Labels
    from gustibus.types import I64

_NUMBERED = re.compile(r"\bgroup (\d+)\b")


def closest_fair_ranking(
    ranking: Any,
    groups: Any,
    *,
    k: int | None = None,
    shares: Any = None,
    lower: Any = None,
    upper: Any = None,
) -> I64:
    """The ranking of all items within bounds that has the least Kendall distance to `ranking`.

    Args:
        ranking: `(m,)`, items `0..m-1`, best place first.
        groups: `(m,)`, a label per item.
        k: Prefixes `1..k` are bounded; all by default.
        shares: Wanted share of each group, by label or in sorted order of labels; prefixes have from
            floor to ceiling of them. Those among the items by default.
        lower: `(k, g)` or by label `(k,)`: least number of items in every prefix, instead of shares.
        upper: The largest number.

    Returns:
        `(m,)`, items, best place first.

    Raises:
        InputError: A wrong argument; `InfeasibleError` when no ranking is within the bounds.

    Examples:
        >>> closest_fair_ranking([0, 1, 2, 3], ["a", "a", "b", "b"]).tolist()
        [0, 2, 1, 3]

    Source: Chakraborty, Das, Khan and Subramanian 2022, section 3.
    """
    order = integers("ranking", ranking)
    grouped = grouping(groups, len(order))
    table = _bounds(grouped, k, shares, lower, upper)
    with _groups_by_name(grouped):
        return _core.closest_ranking(order, grouped.codes, grouped.count, table)


@contextmanager
def _groups_by_name(grouped: Grouping) -> Iterator[None]:
    """Call a group by its label in what the core, which knows numbers alone, cannot meet."""
    try:
        yield
    except InfeasibleError as error:
        said = _NUMBERED.sub(lambda of: f"group {grouped.names[int(of[1])]!r}", error.message)
        raise InfeasibleError(said, where=error.where) from None


def _bounds(grouped: Grouping, k: Any, shares: Any, lower: Any, upper: Any) -> tuple[I64, I64]:
    m = len(grouped.codes)
    k = m if k is None else whole("k", k, most=m)
    given = bounds_of(grouped, k, shares, lower, upper)
    return share_bounds(shares_of(shares, grouped), k) if given is None else given


@dataclass(frozen=True, slots=True)
class FairConsensus:
    """A ranking within bounds that is near all ballots."""

    order: I64
    """`(m,)`, items, best place first."""
    ranking: Labels
    """The same by label."""
    distance: float
    """Weighted Kendall distance to all ballots."""
    start: float
    """That of the best ballot's closest ranking within the bounds, a 3-approximation."""
    moves: int
    """Number of moves and exchanges of items that improved it."""
    lower_bound: float
    """No ranking, fair or not, has a smaller distance."""


def fair_consensus(
    profile: Profile | Any,
    groups: Any,
    *,
    k: int | None = None,
    shares: Any = None,
    lower: Any = None,
    upper: Any = None,
    threads: int | None = None,
) -> FairConsensus:
    """A ranking within bounds that has a small Kendall distance to all ballots.

    The best of the ballots' closest rankings within the bounds, improved by moving single items and
    exchanging two as long as the bounds stay kept.

    Args:
        profile: Full strict rankings: a `Profile`, or what makes one.
        groups: `(m,)`, a label per item, in the order of the profile's labels.
        k: Prefixes `1..k` are bounded; all by default.
        shares: As in `closest_fair_ranking`.
        lower: As there.
        upper: As there.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A wrong argument; `InfeasibleError` when no ranking is within the bounds.

    Examples:
        >>> ballots = [[0, 1, 2, 3], [0, 1, 3, 2], [1, 0, 2, 3]]
        >>> fair_consensus(ballots, ["a", "a", "b", "b"]).order.tolist()
        [0, 2, 1, 3]

    Source: Chakraborty, Das, Khan and Subramanian 2022, section 4.
    """
    votes = profile if isinstance(profile, Profile) else Profile(profile)
    grouped = grouping(groups, votes.n_items)
    table = _bounds(grouped, k, shares, lower, upper)
    with _groups_by_name(grouped):
        order, distance, start, moves, bound = _core.fair_consensus(
            votes.handle, grouped.codes, grouped.count, table, threads_of(threads)
        )
    ranking = tuple(votes.labels[item] for item in order.tolist())
    return FairConsensus(order, ranking, distance, start, moves, bound)


@dataclass(frozen=True, slots=True)
class PairwiseParity:
    """How often the items of groups stand above items of other groups."""

    shares: Mapping[Hashable, Mapping[Hashable, float]]
    """By attribute and group: the share of mixed pairs that the group wins; one half is parity."""
    gaps: Mapping[Hashable, float]
    """By attribute: largest minus smallest share (ARP)."""
    intersection: float
    """The same over the intersections of all attributes (IRP)."""

    @property
    def largest(self) -> float:
        """The largest of all gaps."""
        return max(*self.gaps.values(), self.intersection)


def pairwise_parity(ranking: Any, attributes: Any) -> PairwiseParity:
    """Favoured-pair shares of every group of every attribute, and their gaps.

    Args:
        ranking: `(m,)`, items `0..m-1`, best place first.
        attributes: Labels `(m,)`, or attribute to labels for several.

    Raises:
        InputError: A wrong argument.

    Examples:
        >>> parity = pairwise_parity([0, 1, 2, 3], {"kind": ["a", "b", "b", "a"]})
        >>> parity.shares["kind"], parity.gaps["kind"]
        ({'a': 0.5, 'b': 0.5}, 0.0)

    Source: Cachel, Rundensteiner and Harrison 2022 (MANI-Rank), definitions 3 to 6.
    """
    order = integers("ranking", ranking)
    shares: dict[Hashable, dict[Hashable, float]] = {}
    gaps: dict[Hashable, float] = {}
    named = attribute_groups(attributes, len(order))
    for name, grouped in named.items():
        won, gaps[name] = _core.pairwise_parity(order, grouped.codes, grouped.count)
        shares[name] = dict(zip(grouped.names, won.tolist(), strict=True))
    both = intersection(named)
    return PairwiseParity(shares, gaps, _core.pairwise_parity(order, both.codes, both.count)[1])


@dataclass(frozen=True, slots=True)
class ParityRepair:
    """A ranking whose gaps were reduced."""

    order: I64
    """`(m,)`, items, best place first."""
    gap: float
    """The largest gap of any attribute, the intersections among them."""
    swaps: int
    """Number of exchanges."""
    converged: bool
    """Whether every gap is at most `delta`."""


def repair_parity(ranking: Any, attributes: Any, *, delta: float = 0.1) -> ParityRepair:
    """Exchanges near pairs of items until every gap of favoured-pair shares is at most `delta`.

    Args:
        ranking: `(m,)`, items `0..m-1`, best place first.
        attributes: Labels `(m,)`, or attribute to labels for several; intersections count as well.
        delta: Largest gap that is left, at least 0. Few items allow no small gaps: look at
            `converged`.

    Raises:
        InputError: A wrong argument.

    Examples:
        >>> repair_parity([0, 1, 2, 3], ["a", "a", "b", "b"], delta=0.1).order.tolist()
        [2, 0, 1, 3]

    Source: Cachel, Rundensteiner and Harrison 2022, algorithm Make-MR-Fair.
    """
    order = integers("ranking", ranking)
    named = attribute_groups(attributes, len(order))
    every = [*named.values(), *([intersection(named)] if len(named) > 1 else [])]
    codes = np.stack([grouped.codes for grouped in every])
    counts = [grouped.count for grouped in every]
    return ParityRepair(*_core.repair_parity(order, codes, counts, real("delta", delta)))


def attribute_groups(attributes: Any, items: int) -> dict[Hashable, Grouping]:
    """Groups by attribute, from labels `(m,)` or attribute to labels."""
    given = attributes if isinstance(attributes, Mapping) else {"group": attributes}
    if not given:
        message = "attributes: expected at least one, got none"
        raise InputError(message)
    return {
        name: grouping(labels, items, name=f"attributes[{name!r}]")
        for name, labels in given.items()
    }


def intersection(named: Mapping[Hashable, Grouping]) -> Grouping:
    """Groups of items that agree in every attribute."""
    cells = np.stack([grouped.codes for grouped in named.values()], axis=1)
    return grouping([tuple(row) for row in cells.tolist()], name="attributes")
