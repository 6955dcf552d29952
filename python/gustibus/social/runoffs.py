"""Rules that drop items round by round, or widen the circle of places that count."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from gustibus.social.decisions import Decision, decide
from gustibus.social.profile import Profile


def instant_runoff(
    profile: Profile,
    *,
    tie: str = "all",
    order: Iterable[Hashable] | None = None,
    seed: int | None = None,
    exit_on_majority: bool = True,
    cap: int = 100_000,
    threads: int | None = None,
) -> Decision:
    """Winners when the items with the fewest first places leave, round by round.

    Args:
        profile: Ballots; a ballot counts for its best item that remains, equally for tied ones.
        tie: Whether `all` lowest leave together unless none would remain, only the last of them in an
            `order`, or, with `put`, every one in a universe of its own, whose winners all win.
        order: Labels in the order that breaks ties; that of the profile by default.
        seed: Draws a random order instead.
        exit_on_majority: Whether an item with more than half of the votes that still count wins at
            once; the winner is the same, the order of the others may not be.
        cap: Most sets of items to look at where `tie` is `put`.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: All universes need more than `cap` sets.

    Source: Ware 1871.
    """
    options = {
        "tie": tie,
        "order": order,
        "seed": seed,
        "exit_on_majority": exit_on_majority,
        "cap": cap,
    }
    return decide(profile, "instant_runoff", options=options, threads=threads)


def smith_irv(
    profile: Profile,
    *,
    tie: str = "all",
    order: Iterable[Hashable] | None = None,
    seed: int | None = None,
    exit_on_majority: bool = True,
    cap: int = 100_000,
    threads: int | None = None,
) -> Decision:
    """Instant runoff within the Smith set.

    Args:
        profile: Ballots; a ballot counts for its best item that remains, equally for tied ones.
        tie: Whether `all` lowest leave together unless none would remain, only the last of them in an
            `order`, or, with `put`, every one in a universe of its own, whose winners all win.
        order: Labels in the order that breaks ties; that of the profile by default.
        seed: Draws a random order instead.
        exit_on_majority: Whether an item with more than half of the votes that still count wins at
            once; the winner is the same, the order of the others may not be.
        cap: Most sets of items to look at where `tie` is `put`.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: All universes need more than `cap` sets.

    Source: Green-Armytage 2011.
    """
    options = {
        "tie": tie,
        "order": order,
        "seed": seed,
        "exit_on_majority": exit_on_majority,
        "cap": cap,
    }
    return decide(profile, "smith_irv", options=options, threads=threads)


def benham(
    profile: Profile,
    *,
    threads: int | None = None,
) -> Decision:
    """Winners of instant runoff stopped once a remaining item beats all others that remain.

    Source: Green-Armytage 2011.
    """
    return decide(profile, "benham", threads=threads)


def bottom_two_runoff(
    profile: Profile,
    *,
    order: Iterable[Hashable] | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Decision:
    """Winners when, of the two items with the fewest first places, the head-to-head loser leaves.

    Ties are broken by `order`, or by a random one of `seed`.
    """
    options = {"order": order, "seed": seed}
    return decide(profile, "bottom_two_runoff", options=options, threads=threads)


def coombs(
    profile: Profile,
    *,
    exit_on_majority: bool = True,
    threads: int | None = None,
) -> Decision:
    """Winners when the items with the most last places leave, round by round.

    Args:
        profile: Ballots; items that a ballot leaves out share its last place.
        exit_on_majority: Whether an item with more than half of the votes that still count wins at
            once; the winner is the same, the order of the others may not be.
        threads: Number of threads; every core by default.

    Source: Coombs 1964.
    """
    return decide(
        profile, "coombs", options={"exit_on_majority": exit_on_majority}, threads=threads
    )


def runoff(
    profile: Profile,
    *,
    threads: int | None = None,
) -> Decision:
    """Winners of a second round between the two items with the most first places.

    Where ties leave open who meets, the winners of all pairs win.
    """
    return decide(profile, "runoff", threads=threads)


def supplementary_vote(
    profile: Profile,
    *,
    threads: int | None = None,
) -> Decision:
    """As `runoff`, but a ballot's third and later items never count."""
    return decide(profile, "supplementary_vote", threads=threads)


def bucklin(
    profile: Profile,
    *,
    threads: int | None = None,
) -> Decision:
    """Winners when the first `k` places count, for the least `k` that gives some item a majority.

    Source: Hoag and Hallett 1926.
    """
    return decide(profile, "bucklin", threads=threads)


def simplified_bucklin(
    profile: Profile,
    *,
    threads: int | None = None,
) -> Decision:
    """As `bucklin`, but every item that reaches a majority wins."""
    return decide(profile, "simplified_bucklin", threads=threads)


hare = instant_runoff
