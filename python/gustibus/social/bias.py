"""Rankings that are biased against groups, and how smooth a rule's scores stay under the bias."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.arguments import real, reals, seed_of, threads_of, whole
from gustibus.social.grouping import Grouping, grouping
from gustibus.social.profile import Profile

if TYPE_CHECKING:
    from gustibus.types import F64

_BiasTuple: TypeAlias = tuple[str, list[float], bool, bool]
_LatentTuple: TypeAlias = tuple[str, float | None, NDArray[np.uint32] | None]


@dataclass(frozen=True, slots=True)
class Swapping:
    """Exchanges of items with worse placed ones of more advantaged groups.

    A ballot has `max` pairs of an item ahead of one of a more advantaged group; `floor(strength * max)`
    pairs are drawn, each with probability proportional to `phi^distance`, and exchanged.

    Source: Boehmer, Celis, Huang, Mehrotra and Vishnoi 2023, the swapping model of the experiments.
    """

    phi: float = 0.5
    """How much likelier near pairs are, in `(0, 1)`."""
    strength: float = 0.9
    """Share of the pairs that is drawn, in `[0, 1]`."""
    weights: str = "initial"
    """`initial`: pairs keep the weights that the ballot starts with, and one drawn twice swaps back, as
    published. `current`: weights follow the ballot, and no pair is swapped back."""
    keep_group_order: bool = False
    """Give the places that a group ends up with to its items in their first order."""

    def at(self, strength: float) -> Swapping:
        """The same with another strength."""
        return replace(self, strength=strength)

    def encode(self) -> _BiasTuple:
        """As the compiled core takes it."""
        if self.weights not in ("initial", "current"):
            message = f"weights: expected 'initial' or 'current', got {self.weights!r}"
            raise InputError(message)
        numbers = [real("phi", self.phi), real("strength", self.strength)]
        return "swapping", numbers, self.weights == "current", bool(self.keep_group_order)


@dataclass(frozen=True, slots=True)
class UtilityBias:
    """Ballots ranked by changed utilities: `factor^g u - shift g + noise z` for an item of group `g`."""

    utilities: str = "uniform"
    """Of a ballot's items: `places` (`m` down to 1), or sorted `gaussian`, `uniform` or `log_normal`
    numbers. Negative utilities rise when they are multiplied: use `shift` with `gaussian`."""
    factor: float = 1.0
    """In `[0, 1]`; 1 is no bias."""
    shift: float = 0.0
    """At least 0."""
    noise: float = 0.0
    """Standard deviation of the error in utilities of disadvantaged items, at least 0."""

    def at(self, strength: float) -> UtilityBias:
        """The same with `factor = 1 - strength`."""
        return replace(self, factor=1.0 - strength)

    def encode(self) -> _BiasTuple:
        """As the compiled core takes it."""
        names = ("factor", "shift", "noise")
        return self.utilities, [real(name, getattr(self, name)) for name in names], False, False


@dataclass(frozen=True, slots=True)
class BlockBias:
    """Items of disadvantaged groups drop by some places, each with a probability."""

    probability: float = 0.5
    """In `[0, 1]`."""
    drop: int = 1
    """How many places, at least 0."""
    keep_group_order: bool = True
    """Give the places that a group ends up with to its items in their first order."""

    def at(self, strength: float) -> BlockBias:
        """The same with another probability."""
        return replace(self, probability=strength)

    def encode(self) -> _BiasTuple:
        """As the compiled core takes it."""
        numbers = [real("probability", self.probability), float(whole("drop", self.drop, least=0))]
        return "block", numbers, False, bool(self.keep_group_order)


Bias: TypeAlias = Swapping | UtilityBias | BlockBias


@dataclass(frozen=True, slots=True)
class Latent:
    """A distribution of unbiased ballots by its name and parameter.

    Names are `impartial`, `anonymous`, `urn`, `mallows`, `norm_mallows`, `walsh`, `conitzer` and
    `single_crossing`.
    """

    name: str
    parameter: float | None = None
    """`alpha` of `urn`, `phi` of `mallows`, the normalised one of `norm_mallows`; drawn anew for every
    election by default."""
    centre: Any = None
    """Best item first, for the Mallows families; rising ids by default."""

    def encode(self, items: int) -> _LatentTuple:
        """As the compiled core takes it."""
        number = None if self.parameter is None else real("parameter", self.parameter)
        if self.centre is None:
            return self.name, number, None
        centre = Profile(np.asarray(self.centre)[None])
        if centre.n_items != items:
            message = f"centre: expected {items} items, got {centre.n_items}"
            raise InputError(message)
        return self.name, number, centre.rankings[0].astype(np.uint32)


def encode_latent(latent: Any, items: int) -> _LatentTuple:
    """A distribution, a name or given rankings as the compiled core takes them.

    Raises:
        InputError: rankings of another number of items, or partial ones.
    """
    if isinstance(latent, str):
        latent = Latent(latent)
    if isinstance(latent, Latent):
        return latent.encode(items)
    profile = latent if isinstance(latent, Profile) else Profile(latent, compact=False)
    if profile.n_items != items:
        message = f"latent: expected rankings of {items} items, got {profile.n_items}"
        raise InputError(message)
    return "rankings", None, profile.rankings.astype(np.uint32).ravel()


def halves(items: int, seed: int) -> Grouping:
    """Items in two groups, 0 and 1, whose halves are drawn by a seed; an odd one is in group 0."""
    order = np.argsort(np.random.Philox(seed).random_raw(items), kind="stable")
    codes = np.zeros(items, np.uint32)
    codes[order[: items // 2]] = 1
    return Grouping(codes, (0, 1))


def ranked_groups(groups: Any, items: int, advantage: Any) -> Grouping:
    """Groups from the most to the least advantaged; sorted labels by default."""
    grouped = grouping(groups, items)
    if advantage is None:
        return grouped
    names = tuple(advantage)
    if sorted(map(repr, names)) != sorted(map(repr, grouped.names)):
        message = f"advantage: expected the groups {grouped.names} in order, got {names}"
        raise InputError(message)
    return grouped.reordered(names)


def apply_bias(
    rankings: Any, groups: Any, bias: Bias, *, advantage: Any = None, seed: int = 0
) -> NDArray[np.uint32]:
    """Biased copies of full strict rankings.

    Args:
        rankings: `(n, m)` items, best place first.
        groups: `(m,)`, a label per item.
        bias: How ballots are biased.
        advantage: Labels of the groups from the most to the least advantaged; sorted by default.
        seed: Ballot `v` reads stream `v` of this seed.

    Returns:
        `(n, m)`, in the order of the ballots given.

    Raises:
        InputError: A wrong argument.

    Examples:
        >>> apply_bias([[1, 0, 3, 2]], [0, 1, 0, 1], BlockBias(probability=1.0)).tolist()
        [[0, 1, 2, 3]]
    """
    profile = Profile(np.asarray(rankings), compact=False)
    rows = profile.rankings.astype(np.uint32)
    if profile.labels != tuple(range(profile.n_items)):
        message = f"rankings: expected items 0 to {profile.n_items - 1}, got {profile.labels}"
        raise InputError(message)
    grouped = ranked_groups(groups, rows.shape[1], advantage)
    return _core.bias_ballots(rows, grouped.codes, grouped.count, bias.encode(), seed_of(seed))


@dataclass(frozen=True, slots=True)
class Smoothness:
    """How much of the truth a rule's scores keep under a bias; `gamma` is a function of `beta`."""

    rule: str
    alpha: float
    """Least expected marginal of an item on a ballot, latent or biased, over `tau1`, in `[0, 1]`."""
    error: float
    """Standard error: deviation of the elections' least marginals over the root of their number."""
    latent: F64
    """`(s, m)`, mean marginals per election at each set; one empty set for separable rules."""
    biased: F64
    """`(s, m)`, the same on biased ballots."""
    betas: F64
    """`(t,)`, where `gamma` steps up."""
    gammas: F64
    """`(t,)`, its values from there."""

    def gamma(self, beta: Any) -> F64:
        """The largest biased ratio over pairs of a group whose latent ratio is at most `beta`.

        0 where no pair qualifies, infinite where a better item has a biased score of 0.
        """
        at = np.searchsorted(self.betas, np.asarray(beta, np.float64), side="right")
        values: F64 = np.concatenate([[0.0], self.gammas])[at]
        return values

    def curve(self, points: int = 100) -> tuple[F64, F64]:
        """`beta` from the smallest over the largest latent score to 1, and `gamma` there."""
        whole("points", points, least=2)
        low = float(self.latent.min() / self.latent.max()) if self.latent.max() > 0 else 0.0
        beta = np.linspace(low, 1.0, points)
        return beta, self.gamma(beta)


def smoothness(
    rule: str,
    *,
    latent: Any = "impartial",
    bias: Bias | None = None,
    groups: Any = None,
    advantage: Any = None,
    items: int = 10,
    voters: int = 10,
    seats: int | None = None,
    elections: int = 500,
    sets: int = 64,
    tau1: float | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Smoothness:
    """Estimates the smoothness of a rule by simulation.

    Args:
        rule: A name in `study_rules()`; rules that are not separable are measured by marginals at
            random sets.
        latent: Where unbiased ballots come from: a name, a `Latent`, or full rankings `(v, m)` (an
            array or `Profile`) that ballots are drawn from.
        bias: How ballots are biased; `Swapping(phi=1e-4, strength=0.9)` by default, as published.
        groups: `(m,)`, a label per item; random halves by default.
        advantage: Labels of the groups from the most to the least advantaged; sorted by default.
        items: Number of items, `m`.
        voters: Ballots of an election.
        seats: Seats of the committee, for `bloc` and for the size of sets; half the items by default.
        elections: Number of elections.
        sets: Number of random sets with fewer than `seats` members.
        tau1: Largest score of an item from a ballot; the rule's own by default (`m - 1` for Borda,
            1 for approvals). The published numbers use `m` throughout.
        seed: Same seed, same numbers, on any number of threads.
        threads: Number of threads; every core by default.

    Raises:
        InputError: A wrong argument; `UnknownNameError` for a rule or distribution.

    Examples:
        >>> borda = smoothness("borda", elections=200, tau1=10)
        >>> bool(0.35 < borda.alpha < 0.45)
        True

    Source: Boehmer, Celis, Huang, Mehrotra and Vishnoi 2023, smoothness; pairs are tested in both orders.
    """
    m = whole("items", items)
    seats = whole("seats", max(1, m // 2) if seats is None else seats, most=m)
    seed = seed_of(seed)
    grouped = halves(m, seed) if groups is None else ranked_groups(groups, m, advantage)
    bias = Swapping(phi=1e-4, strength=0.9) if bias is None else bias
    sizes = (whole("voters", voters), whole("elections", elections), whole("sets", sets), seats)
    out = _core.estimate_smoothness(
        rule, encode_latent(latent, m), bias.encode(), grouped.codes, grouped.count, sizes,
        None if tau1 is None else real("tau1", tau1), seed, threads_of(threads),
    )  # fmt: skip
    return Smoothness(rule, *out)


@dataclass(frozen=True, slots=True)
class RequiredRankings:
    """A sufficient number of rankings, and what it promises with probability `1 - delta`."""

    rankings: float
    """Sufficient, not necessary; infinite where smoothness promises nothing."""
    accuracy: float
    """Relative accuracy of every item's score."""
    ratio: float
    """Share of the best score that the best quota reaches at least."""


def required_rankings(
    alpha: float,
    beta: float,
    gamma: float,
    m: int,
    delta: float = 0.05,
    *,
    accuracy: float | None = None,
) -> RequiredRankings:
    """How many rankings are enough, from smoothness: a sufficient condition, for separable rules.

    With `eta = (1 - gamma) / (1 + gamma)`, `n = 3 ln(4 m / delta) / (alpha eta^2)` rankings make all
    latent and biased item scores accurate to a factor `1 +- eta` with probability `1 - delta` (Chernoff
    and a union over `2 m` sums). Pairs of a group that differ by `beta` are then ranked rightly, and the
    best quota reaches `beta (1 - eta) / (1 + eta)` of the best score. Fewer rankings may do.

    Args:
        alpha: In `[0, 1]`, as in `Smoothness`.
        beta: In `[0, 1]`.
        gamma: `gamma(beta)`; from 1 on nothing is promised.
        m: Number of items.
        delta: Probability of failure, in `(0, 1)`.
        accuracy: A smaller accuracy than `eta`: more rankings, a larger ratio.

    Raises:
        InputError: A number out of range.

    Examples:
        >>> required_rankings(0.4, 0.9, 0.5, 50, 0.1).rankings
        514.0
    """
    numbers = (real("alpha", alpha), real("beta", beta), float(reals("gamma", [gamma])[0]))
    eta = None if accuracy is None else real("accuracy", accuracy)
    return RequiredRankings(
        *_core.required_rankings(numbers, whole("m", m), real("delta", delta), eta)
    )
