"""Several seats by single transferable votes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from gustibus.social.decisions import Decision, decide
from gustibus.social.profile import Profile


def stv(
    profile: Profile,
    seats: int,
    *,
    quota: str = "droop",
    transfer: str = "weighted",
    decimals: int = 9,
    order: Iterable[Hashable] | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Decision:
    """Items elected to seats by single transferable votes.

    Elected items keep a quota of votes; what is above it is handed on to the next item of the ballots,
    the largest surplus first. Where there is none, the item with the fewest votes leaves. Votes are
    whole numbers of a smallest fraction, so that counts can be followed by hand and ties are ties.

    Args:
        profile: Ballots; tied items share a ballot equally.
        seats: From 1 to `m`.
        quota: `droop`, `floor(V / (k + 1)) + 1`; `exact_droop`, just above `V / (k + 1)`; or `hare`,
            `V / k`, for `V` votes and `k` seats.
        transfer: What a surplus consists of: all ballots of the item at the same share of their
            `weighted` value, or each at the same value (`inclusive`); those of the `last_parcel`
            alone; or whole ballots at `random`.
        decimals: Digits after the point that a vote keeps, from 0 to 9; the rest is dropped. 5 with
            `weighted` and `droop` are the rules of Scottish local elections.
        order: Labels in the order that breaks ties which no earlier stage breaks; that of the profile
            by default.
        seed: Draws ballots where `transfer` is `random`.
        threads: Number of threads; every core by default.

    Raises:
        InputError: An option is out of range.

    Source: Tideman 1995; Scottish Statutory Instrument 2007/42.
    """
    options = {
        "seats": seats,
        "quota": quota,
        "transfer": transfer,
        "decimals": decimals,
        "order": _all(profile, order),
        "seed": seed,
    }
    return decide(profile, "stv", options=options, threads=threads)


def meek(
    profile: Profile,
    seats: int,
    *,
    order: Iterable[Hashable] | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Decision:
    """Items elected to seats when each elected item keeps a share of what reaches it.

    Shares are found anew until every elected item has the quota, `V / (k + 1)` of the votes that are
    not exhausted, within a relative 1e-9.

    Args:
        profile: Ballots without ties.
        seats: From 1 to `m`.
        order: Labels in the order that breaks ties; that of the profile by default.
        seed: Draws a random order instead.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A ballot ties items, or an option is out of range.

    Source: Meek 1969; Hill, Wichmann and Woodall 1987.
    """
    options = {"seats": seats, "order": order, "seed": seed}
    return decide(profile, "meek", options=options, threads=threads)


def warren(
    profile: Profile,
    seats: int,
    *,
    order: Iterable[Hashable] | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Decision:
    """Items elected to seats when each elected item keeps the same price from each ballot that can pay it.

    Shares are found anew until every elected item has the quota, `V / (k + 1)` of the votes that are
    not exhausted, within a relative 1e-9.

    Args:
        profile: Ballots without ties.
        seats: From 1 to `m`.
        order: Labels in the order that breaks ties; that of the profile by default.
        seed: Draws a random order instead.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A ballot ties items, or an option is out of range.

    Source: Warren 1994; Hill and Warren 2005.
    """
    options = {"seats": seats, "order": order, "seed": seed}
    return decide(profile, "warren", options=options, threads=threads)


def _all(profile: Profile, order: Iterable[Hashable] | None) -> Iterable[Hashable]:
    """An order of all labels, so that the seed does not draw one."""
    return profile.labels if order is None else order
