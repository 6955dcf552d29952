"""Second thoughts in an onboarding session: undo, doubt, begin anew, delete, a fresh token."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Literal

from msgspec import Meta, Struct

from gustibus.onboarding import TRAITS
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import model_of
from gustibus.service.carrying import carried
from gustibus.service.problems import Problem
from gustibus.service.revisions import doubt, erase, restart, undo
from gustibus.service.routes.onboarding import SessionReply, count_answer, show
from gustibus.service.routing import STORE, Nothing, Route
from gustibus.service.sessions import page_of
from gustibus.store import get_session


class Undo(Struct, forbid_unknown_fields=True):
    """Which answer is taken back: it must be the last one."""

    seq: Annotated[int, Meta(ge=0, le=99_999)]
    """Number of its question."""


Trait = Annotated[
    str, Meta(max_length=64, extra_json_schema={"enum": [one.name for one in TRAITS]})
]


class Doubt(Struct, forbid_unknown_fields=True):
    """What is doubted: one of both."""

    trait: Trait | None = None
    """Of a tendency."""
    direction: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    """Index of a direction."""


class SessionDeleted(Struct):
    """A session that is no more; the person was fitted again without its answers."""

    id: str
    object: Literal["onboarding.session"]
    deleted: Literal[True]
    questions: int
    comparisons: int


class SessionToken(Struct):
    """A token that lets a page run a session for another half an hour."""

    id: str
    object: Literal["onboarding.token"]
    token: str
    token_expires_at: int
    """Seconds since the epoch."""
    url: str
    """Of the page that runs the session, relative to this service; it holds the token."""


async def post_undo(call: Call) -> Reply:
    """Take the last answer back; sent again, it changes nothing more."""
    body, state = call.read(Undo), call.state
    count_answer(call)
    serving = model_of(state, "default")
    session = call.param("session")
    now, step = await carried(
        state, serving, session, partial(undo, state, serving, session, seq=body.seq)
    )
    call.about(now.row)
    return ok(show(state, serving, now.row, now.waiting, step))


async def post_doubt(call: Call) -> Reply:
    """Ask one more pair about something that was learned."""
    body, state = call.read(Doubt), call.state
    count_answer(call)
    serving = model_of(state, "default")
    session = call.param("session")
    ask = partial(doubt, state, serving, session, trait=body.trait, direction=body.direction)
    now, step = await carried(state, serving, session, ask)
    call.about(now.row)
    return ok(show(state, serving, now.row, now.waiting, step))


async def post_restart(call: Call) -> Reply:
    """Forget the answers of a session and begin it anew."""
    state = call.state
    count_answer(call)
    serving = model_of(state, "default")
    session = call.param("session")
    now, step = await carried(state, serving, session, partial(restart, state, serving, session))
    call.about(now.row)
    return ok(show(state, serving, now.row, now.waiting, step))


async def renew(call: Call) -> Reply:
    """Another token of a session, for a link or a page that is still open."""
    state, session = call.state, call.param("session")
    row = await state.threads.read(lambda conn: get_session(conn, session=session))
    if row is None:
        raise Problem("not_found", f"There is no session {session!r}")
    call.about(row)
    if row.expires_at <= datetime.now(UTC):
        raise Problem("session_expired", "The session is more than 7 days old; begin another")
    token, expires = state.sessions.issue(session)
    return ok(SessionToken(session, "onboarding.token", token, expires, page_of(token)))


async def delete(call: Call) -> Reply:
    """Remove a session and everything that came out of it."""
    session = call.param("session")
    erased = await erase(call.state, session, call.condition)
    call.about(erased.row)
    return ok(
        SessionDeleted(session, "onboarding.session", True, erased.questions, erased.comparisons)  # noqa: FBT003 - positional record
    )


_ONE = "/v1/onboarding/sessions/{session}"
_PROBLEMS = ("not_found", "conflict", "session_expired", "not_ready", "rate_limited", *STORE)

ROUTES = (
    Route(
        "POST", _ONE + ":undo", "undo_answer", "onboard", post_undo, "Onboarding",
        "Take the last answer back; its question waits again.",
        request=Undo, response=SessionReply, problems=_PROBLEMS, session=True, example={"seq": 3},
    ),
    Route(
        "POST", _ONE + ":doubt", "doubt_result", "onboard", post_doubt, "Onboarding",
        "Ask one more pair about something that a finished session has taught.",
        request=Doubt, response=SessionReply, problems=_PROBLEMS, session=True,
        example={"trait": "length"},
    ),
    Route(
        "POST", _ONE + ":restart", "restart_session", "onboard", post_restart, "Onboarding",
        "Forget the answers of a session and begin it anew.",
        request=Nothing, optional=True, response=SessionReply, problems=_PROBLEMS, session=True,
    ),
    Route(
        "POST", _ONE + ":renew", "renew_token", "onboard", renew, "Onboarding",
        "Another token of a session, good for half an hour.",
        request=Nothing, optional=True, response=SessionToken,
        problems=("not_found", "session_expired", *STORE), session=True,
    ),
    Route(
        "DELETE", _ONE, "delete_session", "onboard", delete, "Onboarding",
        "Remove a session with its answers, and fit the person without them.",
        response=SessionDeleted, problems=("not_found", *STORE), session=True, tagged=True,
    ),
)  # fmt: skip
