"""`/v1/rank/matchings`: online matching as a named, durable thing."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta, Struct, to_builtins

from gustibus.errors import GustibusError
from gustibus.matching import RULES, Matcher
from gustibus.service.allowance import allowance_of, charge
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import (
    AnyCandidate,
    Prompt,
    model_of,
    represent,
    text_of,
)
from gustibus.service.cursors import Limit, Page, page_of
from gustibus.service.ids import Id
from gustibus.service.matchers import Arrival, Running, no_matching
from gustibus.service.once import given_again, once
from gustibus.service.people import find_person
from gustibus.service.problems import Problem, from_error, invalid
from gustibus.service.routes.scoring import PROBLEMS, ModelName, note
from gustibus.service.routing import STORE, Route
from gustibus.service.voters import decided
from gustibus.store import (
    Connection,
    create_matching,
    delete_matching,
    get_matching,
    list_events,
    list_matchings,
)

MAX_ITEMS = 100_000
MAX_ARRIVALS = 1000
MAX_EDGES = 100_000
"""Edges of one request."""

_SHOWN = "matchings"  # kind of the list, for its cursors

Room = Annotated[float, Meta(ge=0, le=1e12)]
Number = Annotated[int, Meta(ge=0, lt=MAX_ITEMS)]
Count = Annotated[int, Meta(ge=0, le=9 * 10**15)]
Kind = Literal["arrival", "outcome", "items", "expiry"]


class CreateMatching(Struct, forbid_unknown_fields=True):
    """A rule over items with limited room; exactly one of `capacity` and `budget`."""

    rule: Annotated[str, Meta(max_length=64, extra_json_schema={"enum": sorted(RULES)})]
    capacity: Annotated[list[Count], Meta(min_length=1)] | None = None
    budget: Annotated[list[Room], Meta(min_length=1)] | None = None
    weight: list[Room] | None = None
    seed: Annotated[int, Meta(ge=0, lt=1 << 53)] = 0
    seeds: Literal["item", "unit"] | None = None
    range: tuple[float, float] | None = None
    horizon: Annotated[float, Meta(ge=1, le=1e15)] | None = None
    step: Annotated[float, Meta(ge=0, le=1e15)] | None = None
    score: Literal["table", "gompertz"] | None = None
    late: Literal["instant", "reserve", "overbook"] | None = None
    delta: Annotated[float, Meta(ge=0, le=1)] | None = None


class NewArrival(Struct, forbid_unknown_fields=True):
    """Somebody or something arrives; the same id again gets the first decision."""

    id: Id
    items: list[Number]
    """Items that it may go to."""
    values: list[float] | None = None
    """A probability, bid or weight for each of `items`; 1 unless given."""
    user: Id | None = None
    candidates: list[AnyCandidate] | None = None
    """Instead of `values`: what stands for each of `items`; the value is the logistic of the
    person's reward."""
    prompt: Prompt | None = None
    deadline: float | None = None


class Arrivals(Struct, forbid_unknown_fields=True):
    """Arrivals in order; all of them are taken, or none."""

    arrivals: Annotated[list[NewArrival], Meta(min_length=1, max_length=MAX_ARRIVALS)]
    model: ModelName = "default"


class Outcome(Struct, forbid_unknown_fields=True):
    """How an attempt ended."""

    attempt: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
    success: bool


class Outcomes(Struct, forbid_unknown_fields=True):
    """Outcomes in order; all of them are taken, or none."""

    outcomes: Annotated[list[Outcome], Meta(min_length=1, max_length=MAX_ARRIVALS)]


class MoreItems(Struct, forbid_unknown_fields=True):
    """Items added while running, with a capacity, or budget, each."""

    capacity: Annotated[list[Room], Meta(min_length=1, max_length=MAX_ITEMS)]
    weight: list[Room] | None = None


class Expiry(Struct, forbid_unknown_fields=True):
    """Attempts whose deadline is before `now` are given up."""

    now: float


class MatchingState(Struct):
    """A matching as it is."""

    id: str
    object: Literal["matching"]
    rule: str
    items: int
    sequence: int
    totals: dict[str, float]
    spec: dict[str, Any]


class DecisionReply(Struct):
    """What was decided about an arrival."""

    id: str
    item: int | None
    attempt: int | None
    sequence: int
    replayed: bool


class Decisions(Struct):
    """In the order of the arrivals."""

    data: list[DecisionReply]
    sequence: int


class Changed(Struct):
    """What an event did."""

    sequence: int
    first: int | None = None
    """Number of the first item added."""
    expired: int | None = None


class Event(Struct):
    """One entry of the log; replaying the log on the spec gives the matching."""

    sequence: int
    kind: Kind
    arrival: str | None
    body: dict[str, Any]
    decision: dict[str, Any]


class EventsQuery(Struct, forbid_unknown_fields=True):
    """Where to go on, by the number of an entry: who has replayed some knows it; and how much."""

    after: Annotated[int, Meta(ge=0, le=(1 << 53) - 1)] = 0
    limit: Limit = 100


class EventList(Struct):
    """Entries in order."""

    object: Literal["list"]
    data: list[Event]
    has_more: bool
    next: str | None


class MatchingList(Struct):
    """A page of matchings by name."""

    object: Literal["list"]
    data: list[MatchingState]
    has_more: bool
    next: str | None


async def create(call: Call) -> Reply:
    """A new matching, or the one that was made of the same."""
    name, body = call.param("matching"), await call.read_aside(CreateMatching)
    if (body.capacity is None) == (body.budget is None):
        raise invalid("/capacity", "expected exactly one of capacity and budget")
    room: list[Any] = body.capacity if body.capacity is not None else body.budget or []
    if len(room) > MAX_ITEMS:
        raise Problem("too_many_candidates", f"{len(room)} items, at most {MAX_ITEMS} are allowed")
    spec = {k: v for k, v in to_builtins(body).items() if v is not None}
    options = {k: v for k, v in spec.items() if k not in ("rule", "capacity", "budget")}
    if "range" in options:
        options["range"] = tuple(options["range"])
    snapshot = await decided(call, lambda: Matcher(
        body.rule, capacity=body.capacity, budget=body.budget, **options
    ).snapshot(), body)  # fmt: skip

    def work(conn: Connection) -> Reply:
        made = create_matching(conn, matching=name, spec=spec, snapshot=snapshot)
        row = get_matching(conn, matching=name)
        assert row is not None, "it is there now"
        if not made and row.spec != spec:
            raise Problem("conflict", f"There is a matching {name!r} of another kind")
        state = _state(row.id, row.spec, row.sequence, Matcher.resume(row.snapshot))
        return ok(state, 201 if made else 200)

    return await once(call, work)


async def show(call: Call) -> Reply:
    """A matching as it is."""
    name = call.param("matching")
    row, matcher = await call.state.threads.read(lambda conn: call.state.matchers.look(conn, name))
    return ok(_state(row.id, row.spec, row.sequence, matcher))


async def show_all(call: Call) -> Reply:
    """A page of matchings."""
    page, state = call.query(Page), call.state
    after = state.cursors.open(_SHOWN, page.after) or ""
    rows, more = page_of(
        await state.threads.read(
            lambda conn: list_matchings(conn, after=after, limit=page.limit + 1)
        ),
        page.limit,
    )
    data = [
        MatchingState(r.id, "matching", r.spec["rule"], _items(r.spec), r.sequence, {}, r.spec)
        for r in rows
    ]
    following = state.cursors.seal(_SHOWN, rows[-1].id) if more else None
    return ok(MatchingList("list", data, more, following))


async def arrive(call: Call) -> Reply:
    """Decisions about arrivals."""
    name, body = call.param("matching"), await call.read_aside(Arrivals)
    edges = sum(len(one.items) for one in body.arrivals)
    if edges > MAX_EDGES:
        raise Problem("too_many_candidates", f"{edges} edges, at most {MAX_EDGES} are allowed")
    for place, one in enumerate(body.arrivals):
        _refuse_values(one, f"/arrivals/{place}")
    await _encode(call, body)
    arrivals = [
        Arrival(one.id, one.items, await _values(call, body.model, one, place), one.deadline)
        for place, one in enumerate(body.arrivals)
    ]
    call.units += edges // 32 + len(arrivals)

    def work(running: Running) -> Decisions:
        found = running.arrive(arrivals)
        data = [DecisionReply(d.id, d.item, d.attempt, d.sequence, d.replayed) for d in found]
        return Decisions(data, running.sequence)

    return await _change(call, name, work)


async def report(call: Call) -> Reply:
    """Outcomes of attempts."""
    name, body = call.param("matching"), await call.read_aside(Outcomes)

    def work(running: Running) -> Changed:
        for one in body.outcomes:
            running.happen("outcome", {"attempt": one.attempt, "success": one.success})
        return Changed(running.sequence)

    return await _change(call, name, work)


async def add_items(call: Call) -> Reply:
    """More items."""
    name, body = call.param("matching"), await call.read_aside(MoreItems)

    def work(running: Running) -> Changed:
        event = running.happen("items", {"capacity": body.capacity, "weight": body.weight})
        return Changed(running.sequence, first=event.decision["first"])

    return await _change(call, name, work)


async def expire(call: Call) -> Reply:
    """Give up attempts that waited too long."""
    name, body = call.param("matching"), call.read(Expiry)

    def work(running: Running) -> Changed:
        event = running.happen("expiry", {"now": body.now})
        return Changed(running.sequence, expired=event.decision["expired"])

    return await _change(call, name, work)


async def events(call: Call) -> Reply:
    """The log."""
    name, page = call.param("matching"), call.query(EventsQuery)

    def work(conn: Connection) -> list[Any]:
        if get_matching(conn, matching=name) is None:
            raise no_matching(name)
        return list_events(conn, matching=name, after=page.after, limit=page.limit + 1)

    rows, more = page_of(await call.state.threads.read(work), page.limit)
    data = [
        Event(r.seq, r.kind, r.arrival_id, r.body, r.decision)  # the log holds no other kind
        for r in rows
    ]
    return ok(EventList("list", data, more, str(rows[-1].seq) if more else None))


async def remove(call: Call) -> Reply:
    """Remove a matching with its log."""
    name = call.param("matching")
    if not await call.state.threads.write(lambda conn: delete_matching(conn, matching=name)):
        raise no_matching(name)
    return Reply(204, b"")


def _refuse_values(one: NewArrival, at: str) -> None:
    """Refuse candidates beside values, or not one for each item.

    Raises:
        Problem: 422.
    """
    if one.candidates is None:
        return
    if one.values is not None or len(one.candidates) != len(one.items):
        raise invalid(f"{at}/candidates", "expected one for each of items, and no values")


async def _encode(call: Call, body: Arrivals) -> None:
    """Have texts of all arrivals encoded together, so that each then finds its own.

    Raises:
        Problem: they are too many, or cannot be encoded now.
    """
    asked = [
        (one.prompt, said, f"/arrivals/{place}", row)
        for place, one in enumerate(body.arrivals)
        for row, candidate in enumerate(one.candidates or ())
        if (said := _said(candidate)) is not None
    ]
    if not asked:
        return
    serving = model_of(call.state, body.model)
    if not serving.has_encoder:
        return  # which is said of the first of them, by its place
    texts = [
        (
            "" if prompt is None else text_of(prompt, f"{at}/prompt"),
            text_of(said, f"{at}/candidates/{row}"),
        )
        for prompt, said, at, row in asked
    ]
    began = perf_counter()
    _, _, tokens = await serving.represent_each(texts, most=allowance_of(call))
    call.encoding += perf_counter() - began
    charge(call, -(-tokens // 32))


def _said(candidate: AnyCandidate) -> Prompt | None:
    """The text of a candidate, None for one of another kind."""
    if isinstance(candidate, str):
        return candidate
    return candidate.text if candidate.text is not None else candidate.messages


async def _values(call: Call, model: str, one: NewArrival, place: int) -> list[float] | None:
    """Values as they came, or from what a model says of the person and the items."""
    if one.candidates is None:
        return one.values
    at = f"/arrivals/{place}"
    serving = model_of(call.state, model)
    person = await find_person(call, one.user, "population")
    made = await represent(call, serving, one.prompt, one.candidates, pointer=f"{at}/candidates")
    note(call, serving, one.user, made.units)
    reward = serving.model.utility(person.mean, made.vectors)
    chance = 1.0 / (1.0 + np.exp(-np.clip(reward, -30.0, 30.0)))
    values: list[float] = chance.tolist()
    return values


async def _change(
    call: Call, name: str, work: Callable[[Running], Changed | Decisions]
) -> Reply:  # fmt: skip
    """Events in one transaction, and the reply; what the library refuses is a 422."""
    matchers = call.state.matchers
    committed: list[Callable[[], None]] = []

    def effect(conn: Connection) -> Reply:
        result, done = matchers.change(conn, name, work)
        committed.append(done)
        return ok(result)

    try:
        reply = await once(call, effect)
    except GustibusError as error:
        if error.code not in {"invalid_field", "not_finite"}:
            raise
        pointer = error.where if error.where and error.where.startswith("/") else ""
        raise from_error(error, pointer=pointer) from None
    if not given_again(reply):  # else the transaction was undone, or none was begun
        committed[-1]()
    return reply


def _items(spec: dict[str, Any]) -> int:
    return len(spec.get("capacity") or spec.get("budget") or ())


def _state(name: str, spec: dict[str, Any], sequence: int, matcher: Matcher) -> MatchingState:
    totals = {k: float(v) for k, v in matcher.stats().items() if isinstance(v, int | float)}
    return MatchingState(name, "matching", spec["rule"], len(matcher), sequence, totals, spec)


_BAD = ("not_found", "body_too_large", "too_many_candidates", "not_finite", "invalid_field", *STORE)
_PATH = "/v1/rank/matchings/{matching}"
_TAG = "Matching"


def _route(method: str, path: str, operation: str, run: Any, summary: str, **more: Any) -> Route:
    return Route(method, path, operation, "rank", run, _TAG, summary, **more)


ROUTES = (
    _route(
        "PUT", _PATH, "create_matching", create, "Make a matching; the same again changes nothing.",
        request=CreateMatching, response=MatchingState, status=201, also=(200,), body="scoring", patient=True,
        problems=("conflict", *_BAD), idempotent=True,
        example={"rule": "balance", "capacity": [2, 1, 3]},
    ),
    _route(
        "GET", _PATH, "get_matching", show, "A matching as it is.", response=MatchingState,
        problems=_BAD,
    ),
    _route(
        "GET", "/v1/rank/matchings", "list_matchings", show_all, "Matchings by name.",
        query=Page, response=MatchingList, problems=STORE,
    ),
    _route(
        "POST", f"{_PATH}/arrivals", "arrive", arrive,
        "Decide arrivals; an id that was decided gets its first decision.",
        request=Arrivals, response=Decisions, body="scoring", patient=True,
        problems=(*PROBLEMS, "read_only"),
        example={"arrivals": [{"id": "v-1", "items": [0, 2]}]},
    ),
    _route(
        "POST", f"{_PATH}/outcomes", "report_outcomes", report, "How attempts ended.",
        request=Outcomes, response=Changed, problems=_BAD, idempotent=True,
        example={"outcomes": [{"attempt": 0, "success": True}]},
    ),
    _route(
        "POST", f"{_PATH}/items", "add_matching_items", add_items, "More items.",
        request=MoreItems, response=Changed, problems=_BAD, idempotent=True,
        example={"capacity": [1]},
    ),
    _route(
        "POST", f"{_PATH}/expire", "expire_attempts", expire,
        "Give up attempts that waited too long.",
        request=Expiry, response=Changed, problems=_BAD, idempotent=True, example={"now": 12.5},
    ),
    _route(
        "GET", f"{_PATH}/events", "list_matching_events", events,
        "The log, from which a matching can be replayed.",
        query=EventsQuery, response=EventList, problems=_BAD,
    ),
    _route(
        "DELETE", _PATH, "delete_matching", remove, "Remove a matching with its log.", status=204,
        problems=_BAD,
    ),
)  # fmt: skip
