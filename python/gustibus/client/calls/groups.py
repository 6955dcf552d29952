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
class Fairness:
    """What bounds on groups changed of an order: the rule's own, and pairs of items that were turned round."""

    before: tuple[Choice, ...] | None
    exchanged: int | None


@dataclass(frozen=True, slots=True)
class Aggregated:
    """One order for all, and what is known of it."""

    result: Order
    certificate: Certificate
    method: str
    source: str
    transform: str | None
    unknown_users: tuple[str, ...]
    seed: int | None = None
    """That ties were broken by or a search began from, where one was given."""
    fairness: Fairness | None = None
    """None without groups."""


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
    seed: int | None = None
    """None where nothing was drawn."""


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
    groups: Mapping[str, Sequence[Choice]] | None = None,
    shares: Mapping[str, float] | None = None,
    lower: Mapping[str, Sequence[int]] | None = None,
    upper: Mapping[str, Sequence[int]] | None = None,
    k: int | None = None,
    prompt: Prompt | None = None,
    model: str = "default",
    transform: str | None = None,
    time_limit: float = 2.0,
    idempotency_key: str | None = None,
) -> Request[Aggregated]:
    """One order for all, from exactly one of rankings, utilities, and users with candidates.

    With `groups`, members of each by name or place, the order is the nearest to the rule's whose first 1 to
    `k` places have each group's share of them, or from `lower` to `upper` members.

    `as_job`, with the same arguments, queues a job in place of that, which may take a `time_limit` of up to an
    hour; `idempotency_key` names it for 24 hours, so that asking again for the same gives the same job.

    Example:
        found = client.rank.aggregate([["a", "b", "c"], ["b", ["a", "c"]]], method="borda")
        found.result.winners
        client.rank.aggregate(
            [["a", "b", "c", "d"]], groups={"x": ["a", "b"], "y": ["c", "d"]}
        ).fairness.exchanged
        queued = client.rank.aggregate.as_job([["a", "b"]], method="kemeny", time_limit=600)
        client.jobs.wait(queued, timeout=60).result.order
    """
    body = body_of(
        rankings=rankings, utilities=utilities, users=users, candidates=_sent(candidates),
        method=method, labels=labels, weights=weights, unranked=unranked, options=options,
        groups=groups, shares=shares, lower=lower, upper=upper, k=k, prompt=prompt, model=model,
        transform=transform, time_limit=time_limit,
    )  # fmt: skip
    return Request(
        "POST", "/v1/rank/aggregate", decoder(Aggregated), body=body, key=idempotency_key
    )


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
    idempotency_key: str | None = None,
) -> Request[Chosen]:
    """A committee of `k`, within bounds on groups, from exactly one kind of ballots.

    `as_job` queues a job in place of that, as it does for `aggregate`.

    Example:
        found = client.rank.committee(2, approvals=[["a", "b"], ["b"], ["d"]], audit=["ejr+"])
        found.result.members, found.certificate.optimal, found.audit["ejr+"].holds
        queued = client.rank.committee.as_job(1, approvals=[["a"], ["a", "b"]])
        client.jobs.wait(queued, timeout=60).result.members
    """
    body = body_of(
        k=k, approvals=approvals, rankings=rankings, utilities=utilities, users=users,
        candidates=_sent(candidates), rule=rule, groups=groups, lower=lower, upper=upper,
        policies=list(policies), method=method, audit=list(audit), labels=labels, weights=weights,
        prompt=prompt, model=model, transform=transform, time_limit=time_limit,
    )  # fmt: skip
    return Request("POST", "/v1/rank/committee", decoder(Chosen), body=body, key=idempotency_key)


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
