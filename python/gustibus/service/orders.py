"""One order for all: by a rule, and with groups the nearest order within bounds on every prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct, field

from gustibus.errors import InfeasibleError, InputError, UnknownNameError
from gustibus.service.problems import invalid, pointer_to
from gustibus.service.voters import MAX_CHOICES, Ballots, Choice, Name, Voters
from gustibus.social import (
    Decision,
    Profile,
    UtilityProfile,
    closest_fair_ranking,
    decide,
    fair_consensus,
    rules,
)
from gustibus.types import I64

ORDERED_BY = ("rankings", "utilities", "users")
"""Kinds of ballots that have an order."""
CONSENSUS = "fair_consensus"
"""The method that looks for an order within the bounds from the beginning."""
_QUICK = 0.25  # seconds for a rule to show what is wrong with its options
_CONSENSUS_SOURCE = "Chakraborty, Das, Khan and Subramanian 2022, section 4"

OptionValue = bool | float | str | list[float | str]


class Certificate(Struct, omit_defaults=True):
    """What is known of the quality of a result."""

    optimal: bool | None = None
    """Whether it is proven to be best; left out for rules that optimise nothing."""
    value: float | None = None
    bound: float | None = None
    """No result is better than this."""
    gap: float | None = None
    properties: list[str] = []
    """Laws of the rule that hold for every profile."""


class AggregateResult(Struct):
    """A weak order: `ranking` in buckets of ties, `order` with ties broken."""

    winners: list[Choice]
    ranking: list[list[Choice]]
    order: list[Choice]
    scores: dict[str, float] | None


class Fairness(Struct):
    """What the bounds changed."""

    before: list[Choice] | None
    """The rule's own order; null for `fair_consensus`."""
    exchanged: int | None
    """Pairs of items that the bounds turned round, the fewest possible; null for `fair_consensus`."""


class AggregateReply(Struct):
    """The order, and what is known of it."""

    result: AggregateResult
    certificate: Certificate
    method: str
    source: str
    transform: str | None
    unknown_users: list[str]
    seed: int | None
    """That the options name; none without: ties then go by the order of the names, and searches begin
    from a seed of the rule's own, so that the same request has the same reply."""
    fairness: Fairness | None = None
    """Null without groups."""


Counts = Annotated[list[Annotated[int, Meta(ge=0, le=MAX_CHOICES)]], Meta(max_length=MAX_CHOICES)]


class AggregateRequest(Voters, kw_only=True):
    """One order for all.

    With `groups` the reply is the order within bounds that is nearest to the rule's, in pairs of items that
    change sides. Bounds are on the number of items of each group among the first 1, 2, … `k` places.
    """

    method: Annotated[str, Meta(max_length=64)] = "schulze"
    """A rule of `gustibus.social.rules()`, or with groups `fair_consensus`: an order within the bounds that
    is near all ballots, which have to be full and strict."""
    unranked: Literal["last", "ignore", "average"] = "last"
    options: dict[str, OptionValue] = field(default_factory=dict)
    """Options of the rule, as `gustibus.social.rules()` lists them."""
    groups: dict[Name, list[Choice]] | None = None
    """Members of each group, by name or by place; every item is in one."""
    shares: dict[Name, Annotated[float, Meta(ge=0, le=1)]] | None = None
    """Wanted share of each group: prefixes have from floor to ceiling of it. That among the items without."""
    lower: dict[Name, Counts] | None = None
    """Instead of shares: least number of members in every prefix, `k` numbers."""
    upper: dict[Name, Counts] | None = None
    """The largest number."""
    k: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    """Places whose prefixes are bounded; all without."""


def check_order(body: AggregateRequest) -> None:
    """Refuse a method that is not known, and bounds on no groups.

    Raises:
        Problem: 422.
    """
    if body.groups is None:
        if body.method == CONSENSUS:
            raise invalid(
                "/groups", f"the method {CONSENSUS!r} needs the groups that it is fair to"
            )
        for name in ("shares", "lower", "upper", "k"):
            if getattr(body, name) is not None:
                raise invalid(
                    f"/{name}", "bounds need the groups that they are about; send groups too"
                )
    if body.method == CONSENSUS and body.options:
        raise invalid(
            "/options", f"expected none for the method {CONSENSUS!r}, got {sorted(body.options)}"
        )


def try_order(body: AggregateRequest, ballots: Ballots) -> None:
    """Refuse what would fail however much time it had, as far as that is quick to see.

    Raises:
        InputError: the ballots, the options or the groups are wrong; `UnknownNameError` for a rule that is
            not known; `InfeasibleError` where no order is within the bounds.
    """
    known = rules()
    if body.method not in known and body.method != CONSENSUS:
        raise UnknownNameError.of("rule", body.method, known)
    labels = ballots().labels
    if body.method != CONSENSUS:
        alone = Profile(
            [list(range(len(labels)))]
        )  # one voter, of whom most rules see the order at once
        with suppress(InfeasibleError):
            decide(alone, body.method, options=body.options, time_limit=_QUICK)
    if body.groups is not None:
        closest_fair_ranking(range(len(labels)), groups_of(body.groups, labels), **_bounds(body))


def order_of(
    body: AggregateRequest, ballots: Ballots, left: Callable[[], float], unknown: list[str]
) -> AggregateReply:
    """The reply to a request.

    Args:
        body: what is wanted, checked.
        ballots: makes them.
        left: seconds that are left, from the first question on.
        unknown: people of whom nothing is known.

    Raises:
        InputError: a wrong argument, named; `InfeasibleError` where no order is within the bounds.
    """
    left()  # the time begins
    profile, transform = ballots(), None
    if isinstance(profile, UtilityProfile):
        transform = profile.transform
        profile = Profile.from_scores(
            profile.values, weights=profile.weights, labels=profile.labels
        )
    assert isinstance(profile, Profile), "approvals are refused before"
    of = None if body.groups is None else groups_of(body.groups, profile.labels)
    if of is not None and body.method == CONSENSUS:
        return _consensus(body, profile, of, transform, unknown)
    found = decide(profile, body.method, options=body.options, time_limit=left())
    row = rules()[found.rule]
    scores = None
    if found.scores is not None:
        scores = {str(n): float(s) for n, s in zip(found.labels, found.scores, strict=True)}
    seed = body.options.get("seed")
    told = int(seed) if isinstance(seed, int | float) else None
    if of is None:
        result = AggregateResult(
            choices(found.winners), [choices(bucket) for bucket in found.ranking],
            choices(found.order), scores,
        )  # fmt: skip
        certificate = Certificate(
            found.optimal, found.value, found.lower_bound, found.gap, list(row.laws)
        )
        return AggregateReply(result, certificate, found.rule, row.source, transform, unknown, told)
    return _nearest(body, found, of, scores, AggregateReply(
        AggregateResult([], [], [], scores), Certificate(bound=found.lower_bound), found.rule,
        row.source, transform, unknown, told,
    ))  # fmt: skip


def _nearest(
    body: AggregateRequest, found: Decision, of: list[str], scores: dict[str, float] | None,
    reply: AggregateReply,
) -> AggregateReply:  # fmt: skip
    """The order within the bounds that is nearest to a rule's; laws of the rule do not hold for it."""
    before = found.order_ids
    order = closest_fair_ranking(before, of, **_bounds(body))
    reply.result = _strict([found.labels[i] for i in order], scores)
    reply.fairness = Fairness(choices(found.order), _exchanged(before, order))
    return reply


def _consensus(
    body: AggregateRequest, profile: Profile, of: list[str], transform: str | None,
    unknown: list[str],
) -> AggregateReply:  # fmt: skip
    found = fair_consensus(profile, of, **_bounds(body))
    gap = found.distance / found.lower_bound - 1 if found.lower_bound else None
    proven = found.distance <= found.lower_bound
    return AggregateReply(
        _strict(found.ranking, None),
        Certificate(proven, found.distance, found.lower_bound, 0.0 if proven else gap),
        CONSENSUS, _CONSENSUS_SOURCE, transform, unknown, None, Fairness(None, None),
    )  # fmt: skip


def _strict(labels: Sequence[Any], scores: dict[str, float] | None) -> AggregateResult:
    order = choices(labels)
    return AggregateResult(order[:1], [[one] for one in order], order, scores)


def _bounds(body: AggregateRequest) -> dict[str, Any]:
    return {"k": body.k, "shares": body.shares, "lower": body.lower, "upper": body.upper}


def _exchanged(before: I64, after: I64) -> int:
    """Pairs of items that stand the other way round."""
    place = np.empty(len(after), np.int64)
    place[after] = np.arange(len(after))
    moved = place[before]
    return int(np.triu(moved[:, None] > moved[None, :], 1).sum())


def groups_of(groups: Mapping[str, Sequence[Choice]], labels: Sequence[Any]) -> list[str]:
    """The group of each item.

    Args:
        groups: members of each, by label or by place.
        labels: of the items.

    Raises:
        InputError: a member that is no item, an item in two groups or in none.
    """
    number = {label: place for place, label in enumerate(labels)}
    of: list[str | None] = [None] * len(labels)
    for name, members in groups.items():
        for row, member in enumerate(members):
            where = pointer_to("groups", name, row)
            place = number.get(member)
            if place is None and isinstance(member, int) and 0 <= member < len(labels):
                place = member
            if place is None:
                message = f"groups: expected an item's name or place, got {member!r}"
                raise InputError(message, where=where)
            if of[place] is not None:
                message = f"groups: expected every item in one group, got {member!r} in two"
                raise InputError(message, where=where)
            of[place] = name
    if None in of:
        message = f"groups: expected every item in a group, got none for {labels[of.index(None)]!r}"
        raise InputError(message, where="/groups")
    return [name for name in of if name is not None]


def choices(labels: Sequence[Any]) -> list[Choice]:
    """Names, or places as integers of Python."""
    return [choice(label) for label in labels]


def choice(label: Any) -> Choice:
    """A name, or a place as an integer of Python."""
    return label if isinstance(label, str) else int(label)
