"""Onboarding: placing a new person with a few questions."""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gustibus.onboarding import QUESTIONS, Step, Tendency, explain
from gustibus.onboarding.explain import Direction as Known
from gustibus.onboarding.explain import Explanation
from gustibus.onboarding.turns import Answer, Question
from gustibus.service.call import Call, Reply, encode, ok
from gustibus.service.candidates import model_of
from gustibus.service.carrying import Given, carried, carry
from gustibus.service.conditions import tagged
from gustibus.service.ids import Id
from gustibus.service.interviews import (
    BEFORE,
    Interview,
    ModelChanged,
    answer,
    asked_from,
    begin,
    finish,
    informed,
    pool_of,
    posterior_of,
    read_interview,
    step_of,
)
from gustibus.service.locales import Locale, with_locales
from gustibus.service.once import once
from gustibus.service.problems import Problem, invalid
from gustibus.service.returning import check_return, may_return
from gustibus.service.revisions import asking
from gustibus.service.routes.scoring import ModelName
from gustibus.service.routing import STORE, Nothing, Route
from gustibus.service.serving import Serving
from gustibus.service.sessions import page_of
from gustibus.service.state import State, refuse_deleted
from gustibus.service.windows import SharedWindows, Windows
from gustibus.store import Connection, SessionRow, ensure_users

MAX_QUESTIONS = 100

Strategy = Annotated[str, Meta(max_length=64, extra_json_schema={"enum": sorted(QUESTIONS)})]
Count = Annotated[int, Meta(ge=0, le=MAX_QUESTIONS)]


class CreateSession(Struct, forbid_unknown_fields=True):
    """Whom to ask, and how much."""

    user: Id
    model: ModelName = "default"
    min_questions: Count = 2
    max_questions: Annotated[int, Meta(ge=1, le=MAX_QUESTIONS)] = 12
    pool: Literal["default"] = "default"
    strategy: Strategy = "d_opt"
    seed: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] | None = None
    """Of the session's draws; another one for every session where it is left out."""
    locale: Locale | None = None
    """In whose language the page speaks and the questions are, as far as there are any in it."""
    return_url: Annotated[str, Meta(max_length=2000)] | None = None
    """Where the finished page links to: https, at an origin of `GUSTIBUS_RETURN_ORIGINS`."""


class Side(Struct):
    """One side of a question."""

    text: str


class Asked(Struct):
    """A pair as it is shown."""

    id: str
    """Of the pair."""
    seq: int
    """Number in the session; answers are put under it."""
    prompt: str
    left: Side
    right: Side
    reason: Literal["info", "random", "repeat", "doubt"]


class ProgressShown(Struct):
    """Where a session stands."""

    answered: int
    expected_remaining: int
    max: int
    confidence: float
    """Expected accuracy on pairs not asked, 0.5 to 1."""


class SessionReply(Struct, omit_defaults=True):
    """A session with the question that waits for an answer, if it is open."""

    id: str
    object: Literal["onboarding.session"]
    user: str
    model: str
    state: Literal["open", "finished"]
    stop: str | None
    question: Asked | None
    progress: ProgressShown
    created_at: datetime
    expires_at: datetime
    profile_version: int | None = None
    """Of the profile that came out of it."""
    token: str | None = None
    """Lets a page run this session and nothing else; told once."""
    token_expires_at: int | None = None
    """Seconds since the epoch."""
    url: str | None = None
    """Of the page that runs the session, relative to this service; it holds the token."""
    after: dict[str, Asked | None] | None = None
    """What would be asked after each answer, as `prefetch` wants it."""
    locale: str | None = None
    """As the session was begun with."""
    pool_locale: str | None = None
    """In which language its questions are, `*` for every one; left out without a `locale`."""
    return_url: str | None = None
    """Where the finished page links to, while the operator allows it."""


class NextQuery(Struct, forbid_unknown_fields=True):
    """`prefetch=2` adds what would be asked after either side."""

    prefetch: Annotated[int, Meta(ge=0, le=2)] = 0


class PutAnswer(Struct, forbid_unknown_fields=True):
    """What the person said."""

    answer: Literal["left", "right", "tie", "both_bad", "skip"]
    ms: Annotated[int, Meta(ge=0, le=86_400_000)] | None = None
    """Milliseconds that it took."""
    id: Annotated[str, Meta(max_length=400)] | None = None
    """Of the pair that was shown; another one than was asked is refused."""


class ExampleShown(Struct):
    """A pair that a direction decides, the side that this person would take first."""

    prompt: str
    preferred: str
    other: str
    p: float
    population_p: float


class DirectionShown(Struct):
    """How the person differs from the population along one coordinate."""

    index: int
    words: str
    mean: float
    stderr: float
    population_mean: float
    population_sd: float
    certainty: float
    beyond: float
    examples: list[ExampleShown]


class ChosenShown(Struct):
    """A pair of the session, the side that was taken first."""

    prompt: str
    preferred: str
    other: str


class TendencyShown(Struct):
    """Something visible that the answers agree on."""

    trait: str
    more: bool
    words: str
    kept: int
    of: int
    certainty: float
    examples: list[ChosenShown]


class Result(Struct):
    """What was learned, in words and numbers."""

    id: str
    object: Literal["onboarding.result"]
    user: str
    model: str
    state: Literal["open", "finished"]
    words: str
    answers: int
    effective_answers: float
    information: float
    """Nats."""
    confidence: float
    repeated: int
    consistent: int
    careless: float
    tendencies: list[TendencyShown]
    directions: list[DirectionShown]


async def create(call: Call) -> Reply:
    """Begin a session; the reply holds its first question."""
    body, state = call.read(CreateSession), call.state
    call.user = body.user
    serving = model_of(state, body.model)
    if body.strategy not in QUESTIONS:
        detail = f"expected one of {sorted(QUESTIONS)}, got {body.strategy!r}"
        raise invalid("/strategy", detail)
    if body.min_questions > body.max_questions:
        raise invalid("/min_questions", f"more than max_questions, {body.max_questions}")
    settings = await _settings(state, serving, body)
    assert call.caller is not None, "the route needs a key"
    _keep_pace(call, state.begun, call.caller.id, "sessions", "The key begins")
    step, write = await begin(state, serving, user=body.user, settings=settings, key=call.caller.id)

    def work(conn: Connection) -> Reply:
        refuse_deleted(conn, body.user)
        ensure_users(conn, users=[body.user])
        row = write(conn)
        token = state.sessions.issue(row.id)
        shown = show(state, serving, row, step.question, step)
        shown.token, shown.token_expires_at = token
        shown.url = page_of(token.text)
        return Reply(201, encode(shown))

    reply = await once(call, work, users=[body.user])
    if body.user not in state.people:
        state.set_person(body.user, None, count=0, version=0)
        state.newcomers.meet(call.caller.id, body.user)
    _count(state, "created")
    return reply


def count_answer(call: Call) -> None:
    """Count something that changes a session.

    Raises:
        Problem: 429 where that is more than any person does.
    """
    _keep_pace(call, call.state.answered, call.param("session"), "answers", "The session is sent")


def _keep_pace(
    call: Call, windows: Windows | SharedWindows, name: str, what: str, who: str
) -> None:
    wait = windows.count(name)
    if wait > 0.0:
        call.state.meter.reject(what)
        detail = f"{who} too many {what}: {windows.limit} a minute are allowed"
        raise Problem("rate_limited", detail, retry_after=wait)


async def _settings(state: State, serving: Serving, body: CreateSession) -> dict[str, Any]:
    """What is kept of how a session is to be run."""
    pool = pool_of(serving)
    settings: dict[str, Any] = {
        "seed": secrets.randbits(31) if body.seed is None else body.seed,
        "strategy": body.strategy,
        "min_questions": body.min_questions,
        "max_questions": body.max_questions,
    }
    if body.return_url is not None:
        check_return(body.return_url, state.settings.return_origins)
        settings["return_url"] = body.return_url
    if body.locale is not None:
        known = await with_locales(state, serving, pool)
        settings["locale"] = body.locale
        settings["pool_locale"] = known.within(body.locale, least=body.max_questions)[1]
    return settings


def _count(state: State, what: str) -> None:
    counts = state.meter.onboarding
    counts[what] = counts.get(what, 0) + 1


def show(
    state: State, serving: Serving, row: SessionRow, question: Question | None, step: Step
) -> SessionReply:
    """A session as the interface shows it."""
    progress = step.progress
    closed = row.state != "open"
    person = state.people.find(row.user) if closed else None
    back = row.settings.get("return_url")
    return SessionReply(
        id=row.id, object="onboarding.session", user=row.user, model=serving.label,
        state="finished" if closed else "open", stop=row.stop,
        question=None if question is None else _asked(serving, row, question),
        progress=ProgressShown(
            row.settings.get(BEFORE, 0) + progress.answered, 0 if closed else progress.expected_remaining,
            row.settings["max_questions"],
            progress.confidence,
        ),
        created_at=row.created_at, expires_at=row.expires_at,
        profile_version=None if person is None else person.version,
        locale=row.settings.get("locale"), pool_locale=row.settings.get("pool_locale"),
        return_url=back if may_return(back, state.settings.return_origins) else None,
    )  # fmt: skip


def _asked(serving: Serving, session: SessionRow, question: Question) -> Asked:
    pool, row = pool_of(serving), question.row
    left, right = pool.texts_a[row], pool.texts_b[row]
    if question.swapped:
        left, right = right, left
    return Asked(
        pool.ids[row],
        session.settings.get(BEFORE, 0) + question.seq,
        pool.prompts[row],
        Side(left),
        Side(right),
        question.reason,
    )


async def show_next(call: Call) -> Reply:
    """The question that waits."""
    query, state = call.query(NextQuery), call.state
    serving = model_of(state, "default")
    session = call.param("session")
    now, step = await carried(state, serving, session, partial(asking, state, serving, session))
    call.about(now.row)
    shown = show(state, serving, now.row, now.waiting, step)
    if query.prefetch and now.waiting is not None and now.row.state == "open":
        sides: tuple[Answer, ...] = ("left", "right")
        after: dict[str, Asked | None] = {}
        for side in sides[: query.prefetch]:
            question = await _after(state, serving, now, side)
            after[side] = None if question is None else _asked(serving, now.row, question)
        shown.after = after
    return tagged(call, ok(shown), now.written)


async def _after(state: State, serving: Serving, now: Interview, side: Answer) -> Question | None:
    """What would be asked after an answer."""
    from dataclasses import replace

    assert now.waiting is not None, "only an open session looks ahead"
    told = replace(now, session=now.session.answered(now.waiting, side))
    return (await step_of(state, serving, told)).question


async def _read(call: Call) -> tuple[Serving, Interview]:
    serving, session = model_of(call.state, "default"), call.param("session")
    read = partial(read_interview, session=session, serving=serving)
    now = await carried(call.state, serving, session, partial(call.state.threads.read, read))
    call.about(now.row)
    return serving, now


async def put_answer(call: Call) -> Reply:
    """Take an answer; the reply holds the next question, or says why there is none."""
    body, state = call.read(PutAnswer), call.state
    session, number = call.param("session"), call.params["question"]
    count_answer(call)
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise invalid("path:question", "expected the number of a question")
    serving = model_of(state, "default")
    given = Given(int(number), body.answer, body.ms, body.id, call.condition)
    try:
        now, step = await answer(
            state, serving, session, number=given.seq, said=given.said, ms=given.ms,
            pair=given.pair, condition=given.condition,
        )  # fmt: skip
    except ModelChanged:
        await carry(state, serving, session, given)
        now, step = await asking(state, serving, session)
    call.about(now.row)
    _count(state, "answered" if now.row.state == "open" else f"ended_{now.row.stop}")
    return tagged(call, ok(show(state, serving, now.row, now.waiting, step)), now.written)


async def end(call: Call) -> Reply:
    """Close a session and fit the person."""
    state, session = call.state, call.param("session")
    serving = model_of(state, "default")
    now, step = await carried(state, serving, session, partial(finish, state, serving, session))
    call.about(now.row)
    _count(state, "finished")
    return ok(show(state, serving, now.row, None, step))


async def result(call: Call) -> Reply:
    """What a session has taught."""
    state = call.state
    serving, now = await _read(call)
    pool = await asked_from(state, serving, now.row.settings)
    model = informed(state, serving, now.row.user)
    found = await state.threads.compute(
        lambda: explain(model, posterior_of(model, pool, now), pool, turns=now.session.turns)
    )
    return ok(_result(serving, now.row, found))


def _result(serving: Serving, row: SessionRow, found: Explanation) -> Result:
    return Result(
        id=row.id, object="onboarding.result", user=row.user, model=serving.label,
        state="open" if row.state == "open" else "finished", words=found.words,
        answers=found.answers, effective_answers=found.effective_answers,
        information=found.information, confidence=found.confidence, repeated=found.repeated,
        consistent=found.consistent, careless=found.careless,
        tendencies=[_tendency(one) for one in found.tendencies],
        directions=[_direction(one) for one in found.directions],
    )  # fmt: skip


def _tendency(one: Tendency) -> TendencyShown:
    examples = [ChosenShown(e.prompt, e.preferred, e.other) for e in one.examples]
    return TendencyShown(one.trait, one.more, one.words, one.kept, one.of, one.certainty, examples)


def _direction(one: Known) -> DirectionShown:
    examples = [
        ExampleShown(e.prompt, e.preferred, e.other, e.p, e.population_p) for e in one.examples
    ]
    return DirectionShown(
        one.index, one.words, one.mean, one.stderr, one.population_mean, one.population_sd,
        one.certainty, one.beyond, examples,
    )  # fmt: skip


_SESSIONS = "/v1/onboarding/sessions"
_ONE = _SESSIONS + "/{session}"
_PROBLEMS = ("not_found", "conflict", "restricted", "session_expired", "not_ready", *STORE)

ROUTES = (
    Route(
        "POST", _SESSIONS, "create_session", "onboard", create, "Onboarding",
        "Begin a session; the reply holds its first question.",
        request=CreateSession, response=SessionReply, status=201,
        problems=("user_deleted", "rate_limited", *_PROBLEMS), idempotent=True, example={"user": "u-831"},
    ),
    Route(
        "GET", _ONE + "/next", "next_question", "onboard", show_next, "Onboarding",
        "The question that waits for an answer.",
        query=NextQuery, response=SessionReply, problems=_PROBLEMS, session=True, tagged=True,
    ),
    Route(
        "PUT", _ONE + "/answers/{question}", "put_answer", "onboard", put_answer, "Onboarding",
        "Take an answer; the reply holds the next question.",
        request=PutAnswer, response=SessionReply, problems=("rate_limited", *_PROBLEMS), session=True,
        tagged=True, example={"answer": "left", "ms": 5321},
    ),
    Route(
        "POST", _ONE + ":finish", "finish_session", "onboard", end, "Onboarding",
        "Close a session and fit the person.",
        request=Nothing, optional=True, response=SessionReply, problems=_PROBLEMS, session=True,
    ),
    Route(
        "GET", _ONE + "/result", "session_result", "onboard", result, "Onboarding",
        "What was learned, in words and numbers.",
        response=Result, problems=_PROBLEMS, session=True,
    ),
)  # fmt: skip
