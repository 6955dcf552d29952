"""Rules that look at head-to-head majorities."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from gustibus.social.decisions import Decision, Subject, decide
from gustibus.social.ties import tie_breaker


def condorcet_winner(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The item that beats all others head to head; no winner when there is none.

    Source: Condorcet 1785.
    """
    return decide(subject, "condorcet_winner", threads=threads)


def weak_condorcet_winner(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The items that lose to no other head to head."""
    return decide(subject, "weak_condorcet_winner", threads=threads)


def condorcet_loser(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The item that loses to all others head to head; none when there is none."""
    return decide(subject, "condorcet_loser", threads=threads)


def copeland(
    subject: Subject,
    *,
    t: float | None = None,
    threads: int | None = None,
) -> Decision:
    """Winners by majorities won less majorities lost.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        t: What a tie is worth where a win is worth 1 and a loss nothing, from 0 to 1; 1 is Llull's
            rule. By default wins less losses, which orders like `t=0.5`.
        threads: Number of threads; every core by default.

    Source: Copeland 1951; Llull 1299.
    """
    return decide(subject, "copeland", options={"t": t}, threads=threads)


def minimax(
    subject: Subject,
    *,
    strength: str = "margins",
    threads: int | None = None,
) -> Decision:
    """Winners by their worst defeat; scores are its size with the sign turned.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        strength: What a defeat is worth: its `margins`, the `winning` votes against, or all votes
            against (`opposition`), won or not.
        threads: Number of threads; every core by default.

    Source: Simpson 1969; Kramer 1977.
    """
    return decide(subject, "minimax", options={"strength": strength}, threads=threads)


def black(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The Condorcet winner, or the Borda winners where there is none.

    Source: Black 1958.
    """
    return decide(subject, "black", threads=threads)


def smith_set(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The smallest set whose items beat all others (GETCHA); the ranking goes on with the rest.

    Source: Good 1971; Smith 1973.
    """
    return decide(subject, "smith_set", threads=threads)


def schwartz_set(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The union of the minimal sets that nothing outside beats (GOCHA).

    Source: Schwartz 1972.
    """
    return decide(subject, "schwartz_set", threads=threads)


def uncovered_set(
    subject: Subject,
    *,
    variant: str = "gillies",
    threads: int | None = None,
) -> Decision:
    """The items that no other covers.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        variant: What covering means where there are ties: `gillies` (beats it, and is beaten only by
            what beats it), `fishburn` (is beaten by fewer), `bordes` (beats it and all it beats), or
            `mckelvey` (Gillies and Bordes).
        threads: Number of threads; every core by default.

    Source: Gillies 1959; Fishburn 1977; Bordes 1983; McKelvey 1986; Duggan 2013.
    """
    return decide(subject, "uncovered_set", options={"variant": variant}, threads=threads)


def banks(
    subject: Subject,
    *,
    cap: int = 10_000_000,
    threads: int | None = None,
) -> Decision:
    """The tops of maximal chains of majorities; at most 64 items.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        cap: Most chains to look at.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: The search needs more than `cap` chains.

    Source: Banks 1985.
    """
    return decide(subject, "banks", options={"cap": cap}, threads=threads)


def schulze(
    subject: Subject,
    *,
    strength: str = "margins",
    paths: bool = False,
    threads: int | None = None,
) -> Decision:
    """Winners by strongest paths: no item has a stronger path to them than they to it.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        strength: What a majority is worth: its `margins`, its `winning` votes, or their `ratio` to
            the votes against.
        paths: Whether the decision keeps the strengths of the strongest paths.
        threads: Number of threads; every core by default.

    Source: Schulze 2011, section 2.
    """
    return decide(
        subject, "schulze", options={"strength": strength, "paths": paths}, threads=threads
    )


def split_cycle(
    subject: Subject,
    *,
    strength: str = "margins",
    paths: bool = False,
    threads: int | None = None,
) -> Decision:
    """The items of which every defeat is the weakest part of a cycle.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        strength: What a majority is worth: its `margins`, its `winning` votes, or their `ratio` to
            the votes against.
        paths: Whether the decision keeps the strengths of the strongest paths.
        threads: Number of threads; every core by default.

    Source: Holliday and Pacuit 2023, section 3.
    """
    return decide(
        subject, "split_cycle", options={"strength": strength, "paths": paths}, threads=threads
    )


def ranked_pairs(
    subject: Subject,
    *,
    tie: str = "order",
    order: Iterable[Hashable] | None = None,
    ballot: int | None = None,
    seed: int = 0,
    cap: int = 200_000,
    threads: int | None = None,
) -> Decision:
    """Winners when majorities are locked in from the strongest unless they close a cycle.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        tie: How equal majorities are taken: in an `order` of the items, in that of a `ballot`, or in
            `all` ways, of which the union wins.
        order: Labels in the order that breaks ties; that of the profile by default.
        ballot: Number of the ballot whose order breaks ties; a random one by weight when absent.
        seed: Picks the ballot.
        cap: Most states to look at where `tie` is `all`.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: All ways to break ties need more than `cap` states.

    Source: Tideman 1987; Zavist and Tideman 1989.
    """
    tie, order = tie_breaker(subject, tie, order, ballot, seed)
    options = {"tie": tie, "order": order, "cap": cap}
    return decide(subject, "ranked_pairs", options=options, threads=threads)


def river(
    subject: Subject,
    *,
    tie: str = "order",
    order: Iterable[Hashable] | None = None,
    ballot: int | None = None,
    seed: int = 0,
    cap: int = 200_000,
    threads: int | None = None,
) -> Decision:
    """Winners when majorities are locked in likewise, but only the strongest into each item.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        tie: How equal majorities are taken: in an `order` of the items, in that of a `ballot`, or in
            `all` ways, of which the union wins.
        order: Labels in the order that breaks ties; that of the profile by default.
        ballot: Number of the ballot whose order breaks ties; a random one by weight when absent.
        seed: Picks the ballot.
        cap: Most states to look at where `tie` is `all`.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: All ways to break ties need more than `cap` states.

    Source: Heitzig 2004; Doering, Brill and Heitzig 2025.
    """
    tie, order = tie_breaker(subject, tie, order, ballot, seed)
    options = {"tie": tie, "order": order, "cap": cap}
    return decide(subject, "river", options=options, threads=threads)


def stable_voting(
    subject: Subject,
    *,
    cap: int = 1 << 21,
    threads: int | None = None,
) -> Decision:
    """Winners by the strongest match in which an undefeated item still wins once the other leaves.

    At most 64 items; the work may double with each.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        cap: Most sets of items to look at.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: The search needs more than `cap` sets.

    Source: Holliday and Pacuit 2023, Stable Voting.
    """
    return decide(subject, "stable_voting", options={"cap": cap}, threads=threads)


def simple_stable_voting(
    subject: Subject,
    *,
    cap: int = 1 << 21,
    threads: int | None = None,
) -> Decision:
    """Winners by the strongest match in which any item still wins once the other leaves.

    At most 64 items; the work may double with each.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        cap: Most sets of items to look at.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: The search needs more than `cap` sets.

    Source: Holliday and Pacuit 2023, Stable Voting.
    """
    return decide(subject, "simple_stable_voting", options={"cap": cap}, threads=threads)


def nanson(
    subject: Subject,
    *,
    variant: str = "strict",
    threads: int | None = None,
) -> Decision:
    """Winners when all items below the mean Borda score leave, round by round.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        variant: `strict` drops those below the mean, `weak` those at it too.
        threads: Number of threads; every core by default.

    Source: Nanson 1882; Niou 1987.
    """
    return decide(subject, "nanson", options={"variant": variant}, threads=threads)


def baldwin(
    subject: Subject,
    *,
    tie: str = "all",
    order: Iterable[Hashable] | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Decision:
    """Winners when the item with the lowest Borda score leaves, round by round.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        tie: Whether `all` lowest leave together, or only the last of them in an `order`.
        order: Labels in the order that breaks ties; that of the profile by default.
        seed: Draws a random order instead.
        threads: Number of threads; every core by default.

    Source: Baldwin 1926.
    """
    options = {"tie": tie, "order": order, "seed": seed}
    return decide(subject, "baldwin", options=options, threads=threads)


def maximal_lotteries(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """The items with a chance in an optimal lottery; `lottery` is one such lottery.

    No other lottery is preferred to it by an expected majority; where several are optimal, the
    lottery gives a chance to every item that has one in any.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support.
        threads: Number of threads; every core by default.

    Source: Kreweras 1965; Fishburn 1984.
    """
    return decide(subject, "maximal_lotteries", threads=threads)


def bipartisan_set(
    subject: Subject,
    *,
    threads: int | None = None,
) -> Decision:
    """As `maximal_lotteries`, with majorities of equal strength.

    Source: Laffond, Laslier and Le Breton 1993.
    """
    return decide(subject, "bipartisan_set", threads=threads)


beat_path = schulze
