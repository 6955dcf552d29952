"""Comparisons: what people preferred, written once however often it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.cursors import After, Limit, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.ids import Id
from gustibus.service.once import given_again, once
from gustibus.service.problems import FieldError, Problem, invalid
from gustibus.service.routing import STORE, Route
from gustibus.service.sides import BothSides, NewAnswer, Outcome, sides_of
from gustibus.store import (
    BEGAN_ANEW,
    OPTED_OUT,
    WITHHELD,
    ComparisonRow,
    Connection,
    NewComparison,
    add_drafts,
    delete_comparison,
    deleted_users,
    draft,
    ensure_users,
    list_comparisons,
    mark_stale,
    settled,
)

MAX_COMPARISONS = 1000
MAX_WAITED = 50
"""Most people who are fitted before a reply."""
_PATIENCE = 10.0  # seconds for that


class PostComparisons(Struct, forbid_unknown_fields=True):
    """Answers of one or many people."""

    comparisons: Annotated[list[NewAnswer], Meta(min_length=1, max_length=MAX_COMPARISONS)]
    replayed: bool = False
    """Whether they come from a log, and are not said now: then of somebody who was deleted and has begun
    anew only those are taken whose `created_at`, or else `at`, is later than that."""


class WaitQuery(Struct, forbid_unknown_fields=True):
    """`wait=profile` fits the people touched, at most 50, before the reply."""

    wait: Literal["profile"] | None = None


class RowProblem(Struct):
    """Why one answer was not taken."""

    code: str
    status: int
    detail: str
    errors: list[FieldError]


class Rejected(Struct):
    """An answer that was not taken."""

    index: int
    problem: RowProblem


class ComparisonsReply(Struct, omit_defaults=True):
    """What became of the answers."""

    accepted: int
    duplicates: int
    """Answers that were here before, word for word."""
    rejected: list[Rejected]
    ids: list[str | None]
    """Names of the answers in the order of the request; null for those rejected."""
    profiles: Literal["queued", "ready"]
    profile_versions: dict[str, int] | None = None
    """Of the people fitted before the reply."""


class Sided(Struct, omit_defaults=True):
    """One side of a comparison as it was given; empty for an embedding."""

    id: str | None = None
    text: str | None = None


class Comparison(Struct):
    """A comparison as it is kept."""

    id: str
    object: Literal["comparison"]
    client_id: str | None
    user: str
    prompt: str | None
    a: Sided
    b: Sided
    outcome: Outcome
    strength: float | None
    at: datetime | None
    source: str | None
    score_id: str | None
    created_at: datetime
    key: str | None
    """Id of the key that brought it; null where that is not known."""


class Comparisons(Struct):
    """A page of comparisons, the oldest first unless the newest are asked for."""

    object: Literal["list"]
    data: list[Comparison]
    has_more: bool
    next: str | None


class ListQuery(Struct, forbid_unknown_fields=True):
    """Which comparisons, and which part of the list."""

    user: Id | None = None
    outcome: Outcome | None = None
    source: Annotated[str, Meta(max_length=64)] | None = None
    newest: bool = False
    """Whether the newest comes first."""
    restricted: bool = True
    """Whether those of people whose processing is restricted are among them; not so for training."""
    limit: Limit = 100
    after: After | None = None


class ComparisonDeleted(Struct):
    """A comparison that is no more; its person is fitted again."""

    id: str
    object: Literal["comparison"]
    deleted: Literal[True]
    user: str


async def post(call: Call) -> Reply:
    """Take answers."""
    query = call.query(WaitQuery)
    body = await call.read_aside(PostComparisons)
    users = sorted({row.user for row in body.comparisons})
    if query.wait and len(users) > MAX_WAITED:
        detail = f"{len(users)} people, at most {MAX_WAITED} can be fitted before the reply"
        raise invalid("query:wait", detail)
    state = call.state
    sides = await sides_of(call, body.comparisons)
    taken: set[str] = set()
    kept: list[str] = []

    def work(conn: Connection) -> Reply:
        done = write_answers(conn, call, body.comparisons, sides, replayed=body.replayed)
        taken.update(done.users)
        kept[:] = done.outcomes
        return Reply(201, encode(done.reply))

    reply = await once(call, work, users=users)
    for user in taken:
        if user not in state.people:
            state.set_person(user, None, count=0, version=0)
            state.newcomers.meet("" if call.caller is None else call.caller.id, user)
    if not given_again(reply):
        state.meter.compare("import" if body.replayed else "api", kept)
    if not query.wait:
        state.refits.add(taken)
        return reply
    told = msgspec.json.decode(reply.body, type=ComparisonsReply)
    if not taken:  # a reply that is given again was kept before anybody was fitted
        rows = zip(body.comparisons, told.ids, strict=True)
        taken = {row.user for row, name in rows if name is not None}
    versions = await state.refits.wait(sorted(taken), _PATIENCE)
    if versions is None:
        return reply
    told.profiles, told.profile_versions = "ready", versions
    return reply._replace(body=encode(told))


class Written(NamedTuple):
    """What became of answers."""

    reply: ComparisonsReply
    users: list[str]
    """Whose answers are kept, those included that were there before."""
    outcomes: list[str]
    """Of the answers that were not there before."""


def write_answers(
    conn: Connection,
    call: Call,
    rows: Sequence[NewAnswer],
    sides: Sequence[BothSides | Problem],
    *,
    replayed: bool = False,
) -> Written:
    """Keep the answers that can be kept, and say what became of each.

    Raises:
        Problem: not one answer could be taken.
    """
    state = call.state
    key = None if call.caller is None else call.caller.id
    gone = deleted_users(conn, users={row.user for row in rows})
    refused: dict[int, Problem] = {}
    fresh: dict[int, NewComparison] = {}
    for place, (row, pair) in enumerate(zip(rows, sides, strict=True)):
        if isinstance(pair, Problem):
            refused[place] = pair
        elif row.user in gone:
            pointer = f"/comparisons/{place}/user"
            detail = f"{pointer}: {row.user!r} was deleted"
            refused[place] = Problem("user_deleted", detail, errors=[(pointer, detail)])
        else:
            fresh[place] = NewComparison(
                row.user, pair.a, pair.b, row.outcome, row.id, pair.prompt, row.strength, row.at,
                row.source, row.score_id, row.created_at, key,
            )  # fmt: skip
    ensure_users(conn, users=sorted({row.user for row in fresh.values()}))
    drafts = draft(list(fresh.values()), store_text=state.settings.store_text)
    added = settled(
        conn,
        drafts=drafts,
        added=add_drafts(conn, drafts=drafts, model=state.digest, replayed=replayed),
    )
    ids: list[str | None] = [None] * len(rows)
    people, outcomes = set(), list[str]()
    for place, one in zip(fresh, added, strict=True):
        if one.refused:
            pointer = f"/comparisons/{place}/source"
            refused[place] = Problem(
                "opted_out", f"{pointer}: {OPTED_OUT}", errors=[(pointer, OPTED_OUT)]
            )
            continue
        if one.withheld:
            pointer = f"/comparisons/{place}/user"
            refused[place] = Problem(
                "restricted", f"{pointer}: {WITHHELD}", errors=[(pointer, WITHHELD)]
            )
            continue
        if one.departed:
            pointer = f"/comparisons/{place}"
            refused[place] = Problem(
                "user_deleted", f"{pointer}: {BEGAN_ANEW}", errors=[(pointer, BEGAN_ANEW)]
            )
            continue
        if one.conflict:
            pointer = f"/comparisons/{place}/id"
            detail = f"{pointer}: {rows[place].id!r} was another comparison before"
            refused[place] = Problem("conflict", detail, errors=[(pointer, detail)])
            continue
        ids[place] = one.id
        if not one.duplicate:
            outcomes.append(rows[place].outcome)
        people.add(rows[place].user)
    if len(refused) == len(rows):
        raise _none_taken([refused[place] for place in range(len(rows))])
    rejected = [Rejected(place, _row_problem(refused[place])) for place in sorted(refused)]
    duplicates = len(rows) - len(refused) - len(outcomes)
    reply = ComparisonsReply(len(outcomes), duplicates, rejected, ids, "queued")
    return Written(reply, sorted(people), outcomes)


def _none_taken(problems: Sequence[Problem]) -> Problem:
    """One problem for a request of which nothing was taken: that of the first answer."""
    errors = [error for problem in problems for error in problem.errors]
    return Problem(problems[0].code, problems[0].detail, errors=errors)


def _row_problem(problem: Problem) -> RowProblem:
    errors = [FieldError(pointer, detail) for pointer, detail in problem.errors]
    return RowProblem(problem.code, problem.kind.status, problem.detail, errors)


async def list_all(call: Call) -> Reply:
    """A page of comparisons."""
    query, state = call.query(ListQuery), call.state
    if query.source is not None:
        refuse_unstorable(query.source, "query:source")
    wanted = (query.outcome or "", query.source or "", "newest" if query.newest else "")
    kind = f"comparisons {query.user or ''}" + (f" {wanted}" if any(wanted) else "")
    kind += "" if query.restricted else " unrestricted"
    after = state.cursors.open(kind, query.after)
    rows, more = page_of(
        await state.threads.read(
            lambda conn: list_comparisons(
                conn, user=query.user, outcome=query.outcome, source=query.source, after=after,
                limit=query.limit + 1, newest=query.newest, all_people=query.restricted,
            )
        ),
        query.limit,
    )  # fmt: skip
    following = state.cursors.seal(kind, rows[-1].id) if more else None
    return ok(Comparisons("list", [_show(row) for row in rows], more, following))


def _show(row: ComparisonRow) -> Comparison:
    outcome: Outcome = row.outcome  # type: ignore[assignment]  # only these are written
    return Comparison(
        row.id, "comparison", row.client_id, row.user, row.prompt, Sided(row.a_item, row.a_text),
        Sided(row.b_item, row.b_text), outcome, row.strength, row.at, row.source, row.score_id,
        row.created_at, row.key,
    )  # fmt: skip


async def delete(call: Call) -> Reply:
    """Remove a comparison and fit its person again."""
    name, state = call.param("comparison"), call.state

    def work(conn: Connection) -> str:
        user = delete_comparison(conn, comparison=name)
        if user is None:
            raise Problem("not_found", f"There is no comparison {name!r}")
        mark_stale(conn, user=user)
        return user

    user = await state.threads.write(work)
    call.user = user
    state.refits.add([user])
    return ok(ComparisonDeleted(name, "comparison", True, user))  # noqa: FBT003 - positional record


ROUTES = (
    Route(
        "POST", "/v1/comparisons", "post_comparisons", "ingest", post, "Comparisons",
        "Take answers of one or many people.",
        request=PostComparisons, query=WaitQuery, response=ComparisonsReply, status=201,
        problems=(
            "not_found", "conflict", "item_pending", "user_deleted", "opted_out", "restricted",
            "too_much_text", "too_many_tokens", "dimension_mismatch", "not_finite", "not_ready",
            "encoder_unavailable", *STORE,
        ),
        idempotent=True,
        example={"comparisons": [{
            "id": "c-1", "user": "u-831", "a": {"id": "resp-19"}, "b": {"id": "resp-20"},
            "outcome": "a",
        }]},
    ),
    Route(
        "GET", "/v1/comparisons", "list_comparisons", "users:read", list_all, "Comparisons",
        "Comparisons of one person or of all, by outcome and source where wanted.",
        query=ListQuery, response=Comparisons, problems=STORE,
    ),
    Route(
        "DELETE", "/v1/comparisons/{comparison}", "delete_comparison", "ingest", delete,
        "Comparisons", "Remove a comparison and fit its person again.",
        response=ComparisonDeleted, problems=("not_found", *STORE),
    ),
)  # fmt: skip
