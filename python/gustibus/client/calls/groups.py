"""What groups decide: orders, committees, fair orders, positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gustibus.client.decoding import decoder
from gustibus.client.wire import Array, Candidate, Prompt, Request, body_of, candidate_of, several

Choice = str | int
"""A name as the ballots give it, or the place of a candidate."""
Ranking = Sequence[str | Sequence[str]]
Utilities = Sequence[Sequence[float]] | Array


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of the quality of a result."""

    optimal: bool | None = None
    value: float | None = None
    bound: float | None = None
    gap: float | None = None
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A weak order: `ranking` in buckets of ties, `order` with ties broken."""

    winners: tuple[Choice, ...]
    ranking: tuple[tuple[Choice, ...], ...]
    order: tuple[Choice, ...]
    scores: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Aggregated:
    """One order for all, and what is known of it."""

    result: Order
    certificate: Certificate
    method: str
    source: str
    transform: str | None
    unknown_users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One decision of a rule: who, and what it added or cost."""

    member: Choice
    gain: float


@dataclass(frozen=True, slots=True)
class Members:
    """A committee."""

    members: tuple[Choice, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """An axiom; where it fails, voters who deserve seats and the names that they agree on."""

    holds: bool | None
    voters: tuple[int, ...] = ()
    members: tuple[Choice, ...] = ()
    seats: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A committee, and what is known of it."""

    result: Members
    certificate: Certificate
    audit: dict[str, Audit]
    price_of_fairness: float | None
    rule: str
    method: str
    source: str
    transform: str | None
    unknown_users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FairOrder:
    """Places of the items, best first."""

    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FairFigures:
    """Measures of an order."""

    ndkl: float
    exposure_ratio: float
    infeasible_index: int


@dataclass(frozen=True, slots=True)
class FairCertificate:
    """What every prefix holds."""

    minimum: dict[str, tuple[int, ...]]
    alpha: float | None
    failure: float | None


@dataclass(frozen=True, slots=True)
class FairReranked:
    """An order that is fair to groups, with its measures before and after."""

    result: FairOrder
    certificate: FairCertificate
    before: FairFigures
    after: FairFigures
    method: str
    seed: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The slate of largest value: pairs of creative and position, and what they pay."""

    pairs: tuple[tuple[int, int], ...]
    click: tuple[float, ...]
    value: float
    payment: tuple[float, ...] | None
    payment_per_click: tuple[float, ...] | None
    method: str


def aggregate(
    rankings: Sequence[Ranking] | None = None,
    *,
    utilities: Utilities | None = None,
    users: Sequence[str] | None = None,
    candidates: Sequence[Candidate] | None = None,
    method: str = "schulze",
    labels: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    unranked: Literal["last", "ignore", "average"] = "last",
    options: Mapping[str, Any] | None = None,
    prompt: Prompt | None = None,
    model: str = "default",
    transform: str | None = None,
    time_limit: float = 2.0,
) -> Request[Aggregated]:
    """One order for all, from exactly one of rankings, utilities, and users with candidates.

    Example:
        found = client.rank.aggregate([["a", "b", "c"], ["b", ["a", "c"]]], method="borda")
        found.result.winners
    """
    body = body_of(
        rankings=rankings, utilities=utilities, users=users, candidates=_sent(candidates),
        method=method, labels=labels, weights=weights, unranked=unranked, options=options,
        prompt=prompt, model=model, transform=transform, time_limit=time_limit,
    )  # fmt: skip
    return Request("POST", "/v1/rank/aggregate", decoder(Aggregated), body=body)


def committee(
    k: int,
    *,
    approvals: Sequence[Sequence[str]] | None = None,
    rankings: Sequence[Ranking] | None = None,
    utilities: Utilities | None = None,
    users: Sequence[str] | None = None,
    candidates: Sequence[Candidate] | None = None,
    rule: str | None = None,
    groups: Mapping[str, Sequence[Choice]] | None = None,
    lower: Mapping[str, float] | None = None,
    upper: Mapping[str, float] | None = None,
    policies: Sequence[Literal["proportional", "equal"]] = (),
    method: Literal["auto", "exact", "greedy", "swap"] = "auto",
    audit: Sequence[Literal["jr", "pjr", "ejr", "ejr+", "priceable"]] = (),
    labels: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    prompt: Prompt | None = None,
    model: str = "default",
    transform: str | None = None,
    time_limit: float = 2.0,
) -> Request[Chosen]:
    """A committee of `k`, within bounds on groups, from exactly one kind of ballots.

    Example:
        found = client.rank.committee(2, approvals=[["a", "b"], ["b"], ["d"]], audit=["ejr+"])
        found.result.members, found.certificate.optimal, found.audit["ejr+"].holds
    """
    body = body_of(
        k=k, approvals=approvals, rankings=rankings, utilities=utilities, users=users,
        candidates=_sent(candidates), rule=rule, groups=groups, lower=lower, upper=upper,
        policies=list(policies), method=method, audit=list(audit), labels=labels, weights=weights,
        prompt=prompt, model=model, transform=transform, time_limit=time_limit,
    )  # fmt: skip
    return Request("POST", "/v1/rank/committee", decoder(Chosen), body=body)


def fair_rerank(
    groups: Sequence[str],
    *,
    scores: Sequence[float] | Array | None = None,
    candidates: Sequence[Candidate] | None = None,
    user: str | None = None,
    k: int | None = None,
    method: str = "det_const_sort",
    shares: Mapping[str, float] | None = None,
    protected: Sequence[str] | None = None,
    alpha: float = 0.1,
    seed: int = 0,
    prompt: Prompt | None = None,
    model: str = "default",
    time_limit: float = 2.0,
) -> Request[FairReranked]:
    """Scored items, or candidates for one person, in an order that is fair to groups.

    It is given up after `time_limit` seconds.

    Example:
        found = client.rank.rerank(["x", "x", "y", "y"], scores=[3.0, 2.0, 1.0, 0.0], k=2)
        found.result.order, found.after.ndkl
    """
    body = body_of(
        groups=list(groups), scores=scores, candidates=_sent(candidates), user=user, k=k,
        method=method, shares=shares, protected=protected, alpha=alpha, seed=seed, prompt=prompt,
        model=model, time_limit=time_limit,
    )  # fmt: skip
    return Request("POST", "/v1/rank/rerank", decoder(FairReranked), body=body)


def positions(
    p: Sequence[Sequence[float]] | Array,
    values: Sequence[float] | Array,
    *,
    method: str = "mnl",
    payments: bool = True,
    most: int | None = None,
    time_limit: float = 2.0,
) -> Request[Placed]:
    """Creatives in positions: click chances `p`, a row a creative, bids per click, and prices.

    The search is given up after `time_limit` seconds.

    Example:
        client.rank.positions([[0.5], [0.4]], [2.0, 1.0]).pairs
    """
    body = body_of(
        p=p, values=values, method=method, payments=payments, most=most, time_limit=time_limit
    )
    return Request("POST", "/v1/rank/positions", decoder(Placed), body=body)


def _sent(candidates: Sequence[Candidate] | None) -> list[Any] | None:
    if candidates is None:
        return None
    return [candidate_of(one) for one in several("candidates", candidates)]
