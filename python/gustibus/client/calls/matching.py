"""Online matching: named, durable, decided arrival by arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import Page, Request, body_of, candidate_of, rows_of, segment


@dataclass(frozen=True, slots=True)
class Matching:
    """A matching as it is."""

    id: str
    rule: str
    items: int
    sequence: int
    totals: dict[str, float]
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about an arrival."""

    id: str
    item: int | None
    attempt: int | None
    sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Decisions:
    """In the order of the arrivals."""

    data: tuple[Decision, ...]
    sequence: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What an event did."""

    sequence: int
    first: int | None = None
    """Number of the first item added."""
    expired: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the log."""

    sequence: int
    kind: str
    arrival: str | None
    body: dict[str, Any]
    decision: dict[str, Any]


_ALL = "/v1/rank/matchings"


def _one(name: str) -> str:
    return f"{_ALL}/{segment(name)}"


def create_matching(
    matching: str,
    rule: str,
    *,
    capacity: Sequence[int] | None = None,
    budget: Sequence[float] | None = None,
    weight: Sequence[float] | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Request[Matching]:
    """Make a matching of exactly one of capacity and budget; the same again changes nothing.

    Example:
        client.rank.matchings.create("reviews", "balance", capacity=[2, 1])
    """
    body = body_of(
        rule=rule, capacity=capacity, budget=budget, weight=weight, seed=seed, **(options or {})
    )
    return Request(
        "PUT", _one(matching), decoder(Matching), body=body, writes=True, key=idempotency_key
    )


def get_matching(matching: str) -> Request[Matching]:
    """A matching as it is.

    Example:
        client.rank.matchings.get("reviews").items
    """
    return Request("GET", _one(matching), decoder(Matching))


def list_matchings(*, limit: int = 100, after: str | None = None) -> Request[Page[Matching]]:
    """Matchings by name.

    Example:
        page = client.rank.matchings.list(limit=10)
        names = [one.id for one in client.rank.matchings.iterate()]
    """
    return Request("GET", _ALL, decoder(Page[Matching]), {"limit": limit, "after": after})


def arrive(
    matching: str, arrivals: Sequence[Mapping[str, Any]], *, model: str = "default"
) -> Request[Decisions]:
    """Decide arrivals `{"id", "items"}` with `values`, or `user` and `candidates`, in order.

    An id that was decided gets its first decision again.

    Example:
        decided = client.rank.matchings.arrive("reviews", [{"id": "v-1", "items": [0, 1]}])
        decided.data[0].item
    """
    rows = [
        {**one, "candidates": [candidate_of(each) for each in one["candidates"]]}
        if one.get("candidates") is not None
        else one
        for one in rows_of("arrivals", arrivals)
    ]
    path = _one(matching) + "/arrivals"
    body = body_of(arrivals=rows, model=model)
    return Request("POST", path, decoder(Decisions), body=body, writes=True)


def report(
    matching: str, outcomes: Mapping[int, bool], *, idempotency_key: str | None = None
) -> Request[Changed]:
    """How attempts ended: whether each succeeded.

    Example:
        client.rank.matchings.create("tries", "stochastic_balance", capacity=[2])
        arrival = {"id": "v-1", "items": [0], "values": [0.5]}
        (decision,) = client.rank.matchings.arrive("tries", [arrival]).data
        client.rank.matchings.report("tries", {decision.attempt: True})
    """
    rows = [{"attempt": attempt, "success": success} for attempt, success in outcomes.items()]
    return Request(
        "POST", _one(matching) + "/outcomes", decoder(Changed), body=body_of(outcomes=rows),
        writes=True, key=idempotency_key,
    )  # fmt: skip


def add_items(
    matching: str,
    capacity: Sequence[float],
    *,
    weight: Sequence[float] | None = None,
    idempotency_key: str | None = None,
) -> Request[Changed]:
    """More items, with a capacity, or budget, each.

    Example:
        client.rank.matchings.add_items("reviews", [3]).first
    """
    body = body_of(capacity=list(capacity), weight=weight)
    return Request(
        "POST", _one(matching) + "/items", decoder(Changed), body=body, writes=True,
        key=idempotency_key,
    )  # fmt: skip


def expire(matching: str, now: float, *, idempotency_key: str | None = None) -> Request[Changed]:
    """Give up attempts whose deadline is before `now`.

    Example:
        client.rank.matchings.expire("tries", now=60.0)
    """
    body = body_of(now=now)
    return Request(
        "POST", _one(matching) + "/expire", decoder(Changed), body=body, writes=True,
        key=idempotency_key,
    )  # fmt: skip


def list_events(matching: str, *, limit: int = 100, after: int = 0) -> Request[Page[Event]]:
    """The log, from which a matching can be replayed.

    Example:
        page = client.rank.matchings.events("reviews", limit=10)
        count = len(list(client.rank.matchings.iterate_events("reviews")))
    """
    query = {"limit": limit, "after": after}
    return Request("GET", _one(matching) + "/events", decoder(Page[Event]), query)


def delete_matching(matching: str) -> Request[None]:
    """Remove a matching with its log.

    Example:
        client.rank.matchings.delete("reviews")
    """
    return Request("DELETE", _one(matching), _nothing, writes=True)


def _nothing(content: bytes) -> None:
    del content
