"""Orders that disagree least with the ballots."""

from __future__ import annotations

from collections.abc import Iterable

from gustibus.errors import InputError
from gustibus.social.decisions import Decision, Subject, decide
from gustibus.social.linear_ordering import kemeny_milp
from gustibus.social.profile import Profile


def kemeny(
    subject: Subject,
    *,
    method: str = "auto",
    all_optimal: bool = False,
    time_limit: float | None = None,
    starts: int | None = None,
    kicks: int | None = None,
    nodes: int | None = None,
    split: bool = True,
    seed: int = 0,
    threads: int | None = None,
) -> Decision:
    """The strict order with the least total Kendall distance from the ballots.

    Items that majorities order one after the other are split off first, and so are tied ones: the
    cycles that remain are solved one by one. Where an optimum is not proven, `gap` says how far away
    it can be.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        method: `subsets`, exact up to 24 items in a cycle; `branch`, branch and bound up to 64;
            `milp`, exact by an integer program, which needs SciPy; `local`, iterated local search;
            `auto` takes the first for up to 22 items, then the second, then the last.
        all_optimal: Whether to list every optimal order in `orders`, up to 12 items in a cycle.
        time_limit: Seconds after which a search returns its best.
        starts: Orders that a local search starts from, Borda's and Copeland's first; 4 by default.
        kicks: Kicks of a local search from each; 200 for up to 64 items and 20 for more by default.
        nodes: Most nodes of branch and bound; two million by default.
        split: Whether to split first, which changes the time alone.
        seed: Of random starts and kicks.
        threads: Number of threads; every core by default.

    Returns:
        `order` is the lexicographically first optimal one of `subsets`, also across up to 24 items
        that ties leave free. `winners` are all items that come first in some optimal order of
        cycles that were solved by `subsets`, and the first item of others. `value` is the distance,
        `lower_bound` and `gap` what is proven.

    Raises:
        InputError: The method does not reach so many items, or an option is out of range.

    Examples:
        >>> kemeny(Profile([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]])).order
        (0, 1, 2)

    Source: Kemeny 1959; Young and Levenglick 1978; Betzler et al. 2009; Ali and Meila 2012; bounds by
    Groetschel, Juenger and Reinelt 1984, weighed as by Chambolle and Pock 2011.
    """
    if method == "milp":
        if all_optimal:
            message = "all_optimal: expected False for method 'milp', got True"
            raise InputError(message)
        return kemeny_milp(subject, time_limit=time_limit, seed=seed, threads=threads)
    options = {
        "method": method,
        "all_optimal": all_optimal,
        "starts": starts,
        "kicks": kicks,
        "nodes": nodes,
        "split": split,
        "seed": seed,
    }
    return decide(subject, "kemeny", options=options, time_limit=time_limit, threads=threads)


def slater(
    subject: Subject,
    *,
    method: str = "auto",
    all_optimal: bool = False,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Decision:
    """The strict order that reverses the fewest majorities; options are those of `kemeny`.

    Source: Slater 1961.
    """
    options = {"method": method, "all_optimal": all_optimal, "seed": seed}
    return decide(subject, "slater", options=options, time_limit=time_limit, threads=threads)


def weak_kemeny(
    profile: Profile,
    *,
    scheme: str = "unifying",
    p: float = 0.5,
    before: Iterable[float] | None = None,
    tied: Iterable[float] | None = None,
    method: str = "auto",
    kicks: int | None = None,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Decision:
    """The weak order that disagrees least with partial and weak ballots.

    A pair costs by how a ballot treats it: `a` above `b`, below, tied; only `a` ranked, only `b`,
    neither. Where `a` comes before `b` in the consensus, the schemes below cost `before`, where both
    are tied `tied`; all unranked items are as the scheme says, whatever the profile's `unranked` is.

    | scheme | before | tied |
    | --- | --- | --- |
    | `unifying` (unranked items tied at the end) | 0, 1, p, 0, 1, p | p, p, 0, p, p, 0 |
    | `induced` (ranked pairs alone count) | 0, 1, p, 0, 0, 0 | p, p, 0, 0, 0, 0 |
    | `pseudo_distance` | 0, 1, p, 0, 1, 0 | p, p, 0, p, p, 0 |

    Args:
        profile: Ballots of any kind.
        scheme: A row of the table.
        p: Cost of a pair tied on one side alone, from 0 to 1.
        before: Six costs in place of the scheme's.
        tied: Likewise; equal for both orders.
        method: `exact` for up to 14 items, `local`, or `auto`: the former where it reaches.
        kicks: Kicks of a local search; 50 by default.
        time_limit: Seconds after which a local search returns its best.
        seed: Of the kicks.
        threads: Number of threads; every core by default.

    Returns:
        `ranking` is the weak order, `value` its cost; `lower_bound` and `gap` are what is proven.

    Raises:
        InputError: An option is out of range, or the method does not reach so many items.

    Example:
        >>> weak_kemeny(Profile([[["a", "b"], ["c"]], [["a"], ["b"], ["c"]]])).ranking
        (('a', 'b'), ('c',))

    Source: Fagin et al. 2004, section 3.1; Brancotte et al. 2015; Andrieu et al. 2021.
    """
    options = {
        "scheme": scheme,
        "p": p,
        "before": None if before is None else list(before),
        "tied": None if tied is None else list(tied),
        "method": method,
        "kicks": kicks,
        "seed": seed,
    }
    return decide(profile, "weak_kemeny", options=options, time_limit=time_limit, threads=threads)


def pick_a_perm(profile: Profile, *, threads: int | None = None) -> Decision:
    """The ballot with the least total distance from all, at most twice that of the best order.

    Ties within a ballot, its unranked items among them, are ordered as by Borda's rule. Of several best
    ballots the lexicographically first is taken. `value`, `lower_bound` and `gap` are as for `kemeny`.

    Source: Ailon, Charikar and Newman 2008, section 1.
    """
    return decide(profile, "pick_a_perm", threads=threads)


def chanas(subject: Subject, *, threads: int | None = None) -> Decision:
    """The order where sorting by insertion ends, also after a reversal; starts from Borda's.

    `value`, `lower_bound` and `gap` are as for `kemeny`.

    Source: Chanas and Kobylanski 1996.
    """
    return decide(subject, "chanas", threads=threads)


def mc4(subject: Subject, *, threads: int | None = None) -> Decision:
    """Items by how often a walk is at them that goes where a majority prefers to be.

    From an item the walk looks at another at random and goes there if a majority prefers it, half of
    the time if it is tied. Sets that beat all others come first, as the walk never leaves them; scores
    are shares within such a set, raised by the number of sets below.

    Source: Dwork, Kumar, Naor and Sivakumar 2001, section 3.2.
    """
    return decide(subject, "mc4", threads=threads)


def footrule(profile: Profile, *, threads: int | None = None) -> Decision:
    """The strict order with the least sum of displacements from the ballots, which is `value`.

    Tied items stand at the mean of their places. The Kendall distance of this order is at most twice
    that of the best one.

    Raises:
        InputError: Unranked items are ignored and so have no place.

    Source: Dwork, Kumar, Naor and Sivakumar 2001, section 4.
    """
    return decide(profile, "footrule", threads=threads)
