"""Positional rules: points for places."""

from __future__ import annotations

from collections.abc import Sequence

from gustibus.social.decisions import Decision, decide
from gustibus.social.profile import Profile


def plurality(
    profile: Profile,
    *,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by first places.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.
    """
    return decide(profile, "plurality", options={"tie_points": tie_points}, threads=threads)


def veto(
    profile: Profile,
    *,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by fewest last places; also called anti-plurality.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.
    """
    return decide(profile, "veto", options={"tie_points": tie_points}, threads=threads)


def t_approval(
    profile: Profile,
    t: int,
    *,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by how often they are among the first `t`, of which there must be from 1 to `m`.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.
    """
    return decide(
        profile, "t_approval", options={"t": t, "tie_points": tie_points}, threads=threads
    )


def borda(
    profile: Profile,
    *,
    variant: str = "standard",
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by Borda scores.

    Args:
        profile: Ballots.
        variant: `standard` counts the items below, tied ones by half; `one_based` one more for each
            ballot; `symmetric` items below less items above; `domination` items below alone;
            `nondomination` minus the items above. All agree on strict rankings.
        tie_points: Whether tied items share the `mean`, the `high`est or the `low`est of their
            places' points, in the variants `standard` and `one_based`.
        threads: Number of threads; every core by default.

    Raises:
        InputError: An option is no such word.

    Examples:
        >>> borda(Profile([["tea", "milk", "rum"], ["milk", "tea", "rum"]])).scores.tolist()
        [3.0, 0.0, 3.0]

    Source: Borda 1784; weak orders: Terzopoulou and Endriss 2021.
    """
    return decide(
        profile, "borda", options={"variant": variant, "tie_points": tie_points}, threads=threads
    )


def dowdall(
    profile: Profile,
    *,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by the sums of `1 / place`, as in Nauru.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.

    Source: Fraenkel and Grofman 2014.
    """
    return decide(profile, "dowdall", options={"tie_points": tie_points}, threads=threads)


def exponential(
    profile: Profile,
    *,
    base: float = 2.0,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by the sums of `base ** (1 - place)`; `base` is from 1 to a million.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.
    """
    return decide(
        profile, "exponential", options={"base": base, "tie_points": tie_points}, threads=threads
    )


def formula_one(
    profile: Profile,
    *,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by the points of Formula One since 2010: 25, 18, 15, 12, 10, 8, 6, 4, 2, 1.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.
    """
    return decide(profile, "formula_one", options={"tie_points": tie_points}, threads=threads)


def eurovision(
    profile: Profile,
    *,
    tie_points: str = "mean",
    threads: int | None = None,
) -> Decision:
    """Winners by the points of the Eurovision Song Contest: 12, 10, 8, 7, ..., 1.

    A bucket of tied items shares the points of its places: their mean, or with `tie_points` the
    `high`est or `low`est of them.
    """
    return decide(profile, "eurovision", options={"tie_points": tie_points}, threads=threads)


def positional(
    profile: Profile,
    vector: Sequence[float],
    *,
    tie_points: str = "mean",
    allow_nonmonotone: bool = False,
    threads: int | None = None,
) -> Decision:
    """Winners by given points for places.

    Args:
        profile: Ballots.
        vector: `(m,)`, points of the places from the best to the worst, not rising.
        tie_points: Whether tied items share the `mean`, the `high`est or the `low`est points.
        allow_nonmonotone: Whether points may rise.
        threads: Number of threads; every core by default.

    Raises:
        InputError: The vector has another length, rises or is not finite.

    Source: Young 1975.
    """
    options = {"vector": vector, "tie_points": tie_points, "allow_nonmonotone": allow_nonmonotone}
    return decide(profile, "positional", options=options, threads=threads)
