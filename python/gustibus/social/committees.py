"""Committees: `k` items for people with rankings, approval sets or utilities, under bounds on groups."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, UnknownNameError
from gustibus.social.approvals import ApprovalProfile
from gustibus.social.bounds import Bounded, Limits, Policies, item_numbers, resolve
from gustibus.social.interning import is_number
from gustibus.social.profile import Profile
from gustibus.social.utilities import UtilityProfile
from gustibus.types import F64, doubles

AnyProfile: TypeAlias = Profile | ApprovalProfile | UtilityProfile

_METHODS = (
    "auto", "greedy", "plain", "swap", "exact", "milp", "stochastic", "single_peaked",
)  # fmt: skip
_ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "geom2": ("geometric", {"p": 2.0}),
    "borda_cc": ("cc", {}),
    "chamberlin_courant": ("cc", {}),
    "facility_location": ("cc", {}),
    "utilitarian": ("sum", {}),
    "rule_x": ("equal_shares", {}),
    "mes": ("equal_shares", {}),
    "equal_shares_with_av_completion": ("equal_shares", {"completion": "av"}),
    "equal_shares_with_increment_completion": ("equal_shares", {"completion": "increment"}),
    "equal_shares_without_completion": ("equal_shares", {"completion": "none"}),
    "seqgreedy_cc": ("seqcc", {}),
    "minimax_av": ("minimaxav", {}),
    "seq_phragmen": ("seqphragmen", {}),
    "phragmen": ("seqphragmen", {}),
    "seq_pav": ("seqpav", {}),
    "seq_cc": ("seqcc", {}),
    "kborda": ("k_borda", {}),
    "l_min_cc": ("egalitarian_cc", {}),
}


class Rule(NamedTuple):
    """A row of the table of rules."""

    name: str
    ballots: str
    source: str
    laws: tuple[str, ...]


class Step(NamedTuple):
    """One decision of a rule."""

    item: int
    """The item that was added; by reverse rules, taken out."""
    gain: float
    """What it added or cost: a gain in value, a price, a load."""


@dataclass(frozen=True, slots=True)
class Committee:
    """A committee, how good it is known to be, and how it came about."""

    members: tuple[int, ...]
    """Items, sorted."""
    labels: tuple[Hashable, ...]
    """Their names."""
    value: float | None
    """What the rule maximises (`minimaxav`: minimises); None for rules that maximise nothing."""
    upper_bound: float | None
    """No committee within the bounds has a better value."""
    optimal: bool
    """Whether the value is known to be best."""
    steps: tuple[Step, ...]
    tied: tuple[tuple[int, ...], ...]
    """All tied committees, where `resolute=False` asked for them."""
    complete: bool
    """False when `tied` or the search was cut short by `max_committees` or `time_limit`."""
    rule: str
    method: str
    transform: str | None = None
    """How utilities of different people were made comparable."""

    @property
    def gap(self) -> float | None:
        """How far the value can be from the best, relative to the bound."""
        if self.value is None or self.upper_bound is None:
            return None
        if self.optimal:
            return 0.0
        return abs(self.upper_bound - self.value) / max(abs(self.upper_bound), 1e-300)


class _Params(NamedTuple):
    vector: F64 | None
    t: int | None
    p: float | None
    completion: str | None


def committee(
    profile: AnyProfile,
    k: int,
    *,
    rule: str = "cc",
    groups: Any = None,
    lower: Limits = None,
    upper: Limits = None,
    bounds: Policies = None,
    method: str = "auto",
    resolute: bool = True,
    max_committees: int = 1000,
    vector: Any = None,
    t: int | None = None,
    p: float | None = None,
    completion: str | None = None,
    epsilon: float = 0.1,
    seed: int = 0,
    time_limit: float | None = None,
    threads: int | None = None,
) -> Committee:
    """Chooses `k` items.

    Args:
        profile: Rankings, approval sets or utilities.
        k: Size of the committee, from 0 to the number of items.
        rule: A name of `committee_rules()`; each has rows for the kinds of ballots that it works on.
        groups: One name or set of names per item, or a mapping from names to items.
        lower: Fewest members by group. Floats are shares of the committee.
        upper: Most members by group.
        bounds: Policies such as `"proportional"`, `at_most(None, 1 / 3)`; the tightest bounds count.
        method: For rules that maximise: `exact`, `greedy`, `swap` (greedy, then exchanges), `plain`
            (greedy without laziness, for comparison), `milp` (needs scipy; any bounds), `stochastic`
            (greedy among random samples, for very many items), `single_peaked` (exact in polynomial
            time for `cc` on such rankings, without bounds), or `auto`: exact where that is cheap, else
            swaps or greedy. Sequential rules have one method.
        resolute: Whether one committee is enough; otherwise `tied` lists all: every optimum of exact
            methods, every outcome of breaking ties for the others.
        max_committees: Most committees to list.
        vector: Scores of places or factors of members, for rules that take them.
        t: How many places or members count, for rules that take it.
        p: Power of `lp_borda`, base of `geometric`.
        completion: How `equal_shares` fills seats that nobody can afford: `seqphragmen`, `av`,
            `increment` or `none`; for utilities `sum`, `increment` or `none`.
        epsilon: The share of the value that `stochastic` may lose beyond greedy, in expectation.
        seed: Of the samples.
        time_limit: Seconds after which exact search returns the best so far.
        threads: Number of threads; every core by default. Results do not depend on it.

    Returns:
        The committee; ties go to the lowest items.

    Raises:
        InfeasibleError: no committee meets the bounds; the message names one that cannot be met.
        InputError: an argument is malformed, as `k` above the number of items.
        UnknownNameError: the rule is in no row for these ballots.

    Examples:
        >>> ballots = ApprovalProfile([{"a", "b"}] * 6 + [{"c"}] * 3, labels="abcd")
        >>> committee(ballots, 3, rule="av").labels, committee(ballots, 3, rule="pav").labels
        (('a', 'b', 'c'), ('a', 'b', 'c'))
        >>> committee(ballots, 2, rule="pav", groups=[1, 1, 2, 2], upper=1).labels
        ('a', 'c')
    """
    kind = _kind(profile)
    k = _whole("k", k, 0)
    name, own = _rule(rule, kind)
    given = {"vector": _vector(vector), "t": t, "p": p, "completion": completion}
    params = _Params(**{**given, **own})
    if method not in _METHODS:
        raise UnknownNameError.of("method", method, _METHODS)
    if threads is not None:
        _whole("threads", threads, 1)
    bounded = _bounded(profile, k, groups, lower, upper, bounds)
    cap = _whole("max_committees", max_committees, 1)
    if method == "milp":
        from gustibus.social.committee_milp import solve

        if not resolute:
            message = "resolute: expected True with method 'milp', got False"
            raise InputError(message)
        out = solve(profile, kind, name, k, bounded, params, time_limit)
    else:
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 < epsilon < 1:
            message = f"epsilon: expected a number above 0 and below 1, got {epsilon!r}"
            raise InputError(message)
        sampling = (float(epsilon), _whole("seed", seed, 0))
        first, second = _core.elect(
            name, profile.handle, k, bounded, params, method, resolute, cap, sampling, time_limit,
            threads,
        )  # fmt: skip
        out = (*first, *second)
    return _result(profile, name, out)


def _result(profile: AnyProfile, rule: str, out: tuple[Any, ...]) -> Committee:
    members, value, upper, optimal, steps, tied, complete, method = out
    members = tuple(sorted(members))
    return Committee(
        members=members,
        labels=tuple(profile.labels[item] for item in members),
        value=value,
        upper_bound=upper,
        optimal=optimal,
        steps=tuple(Step(*step) for step in steps),
        tied=tuple(tuple(one) for one in tied),
        complete=complete,
        rule=rule,
        method=method,
        transform=profile.transform if isinstance(profile, UtilityProfile) else None,
    )


def committee_value(
    profile: AnyProfile,
    members: Any,
    *,
    rule: str = "cc",
    vector: Any = None,
    t: int | None = None,
    p: float | None = None,
) -> float | None:
    """What a committee is worth under a rule; None where the rule maximises nothing.

    Raises:
        InputError: an item is unknown or stands twice.
        UnknownNameError: the rule is in no row for these ballots.
    """
    name, own = _rule(rule, _kind(profile))
    given = {"vector": _vector(vector), "t": t, "p": p, "completion": None}
    numbers = item_numbers(members, profile.labels, "members")
    return _core.committee_score(name, profile.handle, _Params(**{**given, **own}), numbers)


def price_of_fairness(profile: AnyProfile, k: int, **options: Any) -> float:
    """The share of the value that bounds cost: `1 - F(bounded) / F(free)`.

    Exact where both committees are optimal; below 0 only where they are not. Options are those of
    `committee`.

    Raises:
        InputError: the rule maximises nothing, or what `committee` raises.
    """
    fair = committee(profile, k, **options)
    bounds = ("groups", "lower", "upper", "bounds")
    free = committee(profile, k, **{n: v for n, v in options.items() if n not in bounds})
    if fair.value is None or free.value is None:
        message = f"rule: expected one that maximises a value, got {fair.rule!r}"
        raise InputError(message)
    return 1 - fair.value / free.value if free.value else 0.0


def committee_rules() -> tuple[Rule, ...]:
    """Every rule, a row for each kind of ballots that it works on."""
    return tuple(Rule(n, b, s, tuple(laws)) for n, b, s, laws in _core.committee_rules())


def _kind(profile: Any) -> str:
    for kind, ballots in (
        (Profile, "rankings"), (ApprovalProfile, "approvals"), (UtilityProfile, "utilities"),
    ):  # fmt: skip
        if isinstance(profile, kind):
            return ballots
    message = (
        "profile: expected a Profile, ApprovalProfile or UtilityProfile, "
        f"got {type(profile).__name__}"
    )
    raise InputError(message)


def _rule(rule: str, kind: str) -> tuple[str, dict[str, Any]]:
    name = rule.lower().replace("-", "_")
    name, own = _ALIASES.get(name, (name, {}))
    known = [row.name for row in committee_rules() if row.ballots == kind]
    if name not in known:
        raise UnknownNameError.of(f"committee rule on {kind}", rule, known)
    return name, own


def _bounded(
    profile: AnyProfile, k: int, groups: Any, lower: Limits, upper: Limits, bounds: Policies
) -> list[Bounded]:
    if groups is None and lower is None and upper is None and bounds is None:
        return []
    m = profile.n_items
    if k > m:
        message = f"k: expected a number from 0 to {m}, got {k}"
        raise InputError(message)
    return resolve(
        m, k, labels=profile.labels, groups=groups, lower=lower, upper=upper, bounds=bounds
    )


def _whole(name: str, value: Any, least: int) -> int:
    if not is_number(value) or value < least:
        message = f"{name}: expected a whole number of at least {least}, got {value!r}"
        raise InputError(message)
    return int(value)


def _vector(vector: Any) -> F64 | None:
    if vector is None:
        return None
    try:
        return np.array(doubles(vector))
    except (TypeError, ValueError) as error:
        message = f"vector: expected numbers, got {vector!r:.60}"
        raise InputError(message) from error
