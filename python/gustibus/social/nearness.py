"""How near items are to beating all others, and whether ballots fall into one line."""

from __future__ import annotations

from gustibus import _core
from gustibus.social.decisions import Decision, decide
from gustibus.social.interning import Labels
from gustibus.social.profile import Profile


def young(
    profile: Profile,
    *,
    variant: str = "weak",
    cap: int = 500_000,
    time_limit: float | None = None,
    threads: int | None = None,
) -> Decision:
    """Winners by the fewest voters to leave out; scores are their number with the sign turned.

    Exact, and NP-hard: meant for few items, or few kinds of ballots.

    Args:
        profile: Ballots of any kind with whole weights.
        variant: Whether the item then loses to no other (`weak`), or beats all (`strict`); an item that
            no ballots make a winner costs all voters.
        cap: Most nodes of the search.
        time_limit: Seconds after which the search is given up.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: The search needs more than `cap` nodes, or more time.
        InputError: Weights are not whole.

    Example:
        >>> young(Profile([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]])).scores.tolist()
        [0.0, -2.0, -2.0]

    Source: Young 1977; Rothe, Spakowski and Vogel 2003 for the variants.
    """
    options = {"variant": variant, "cap": cap}
    return decide(profile, "young", options=options, time_limit=time_limit, threads=threads)


def dodgson(
    profile: Profile,
    *,
    cap: int = 500_000,
    time_limit: float | None = None,
    threads: int | None = None,
) -> Decision:
    """Winners by the fewest exchanges of neighbours on ballots until they beat all others.

    Exact, and NP-hard: meant for few items. Scores are the number of exchanges with the sign turned.

    Args:
        profile: Full strict rankings with whole weights.
        cap: Most nodes of the search.
        time_limit: Seconds after which the search is given up.
        threads: Number of threads; every core by default.

    Raises:
        InfeasibleError: The search needs more than `cap` nodes, or more time.
        InputError: Ballots are partial or weak, or weights are not whole.

    Example:
        >>> dodgson(Profile([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]])).scores.tolist()
        [-1.0, -2.0, -3.0]

    Source: Dodgson 1876; Bartholdi, Tovey and Trick 1989.
    """
    options = {"cap": cap}
    return decide(profile, "dodgson", options=options, time_limit=time_limit, threads=threads)


def single_peaked_axis(profile: Profile) -> Labels | None:
    """Labels along a line on which every ballot falls off on both sides of its best item, if any.

    Takes `O(n m)`. `committee(..., rule="cc", method="single_peaked")` is exact on such profiles.

    Raises:
        InputError: Ballots are partial or weak.

    Example:
        >>> single_peaked_axis(Profile([["a", "b", "c"], ["c", "b", "a"]]))
        ('a', 'b', 'c')

    Source: Bartholdi and Trick 1986; Escoffier, Lang and Ozturk 2008.
    """
    axis = _core.social_axis(profile.handle)
    return None if axis is None else tuple(profile.labels[item] for item in axis)
