"""Second thoughts about a session: take an answer back, doubt what was learned, begin anew, delete."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gustibus.onboarding import TRAITS, Step, deciding_pair, telling_pair
from gustibus.onboarding.turns import Question
from gustibus.service.conditions import NONE, Condition
from gustibus.service.interviews import (
    BEFORE,
    LIFETIME,
    PARTS,
    Interview,
    asked_from,
    comparison_id,
    go_on,
    read_interview,
    step_of,
    turns_of,
    written,
    written_of,
)
from gustibus.service.problems import Problem, invalid
from gustibus.store import (
    Connection,
    SessionRow,
    add_question,
    delete_answers,
    delete_session,
    drop_unanswered,
    empty_session,
    get_questions,
    get_session,
    lock_session,
    mark_stale,
    take_back,
)

if TYPE_CHECKING:
    from gustibus.onboarding import QuestionPool
    from gustibus.service.serving import Serving
    from gustibus.service.state import State

MOST = 100
"""Questions of one session, doubts included."""
_TRIES = 5
_PATIENCE = 5.0  # seconds for a fit before a reply


class Erased(NamedTuple):
    """What was removed of a session."""

    row: SessionRow
    """As it was."""
    questions: int
    comparisons: int


async def undo(state: State, serving: Serving, session: str, *, seq: int) -> tuple[Interview, Step]:
    """Take the last answer back, so that its question waits again; a second time changes nothing.

    Raises:
        Problem: 404 or 409 when that is not the question of the last answer, 410.
    """

    def write(conn: Connection) -> None:
        lock_session(conn, session=session)
        now = read_interview(conn, session, serving, whole=False)
        answered, at = len(now.session.turns), seq - now.before
        if now.row.state != "open":
            raise Problem("conflict", "The session is closed; its answers stay as they are")
        if at > answered:
            raise Problem("not_found", f"Question {seq} has not been asked in this session")
        if at < max(0, answered - 1):
            last = now.before + answered - 1
            detail = f"Only the last answer can be taken back, that to question {last}"
            if answered == 0:
                detail = "Answers under an earlier version of the model are not taken back"
            raise Problem("conflict", detail)
        if at < answered:
            take_back(conn, session=session, seq=at)

    await state.threads.write(write)
    return await _now(state, serving, session)


async def _now(state: State, serving: Serving, session: str) -> tuple[Interview, Step]:
    now = await state.threads.read(lambda conn: read_interview(conn, session, serving))
    return now, await step_of(state, serving, now)


async def doubt(
    state: State, serving: Serving, session: str, *, trait: str | None, direction: int | None
) -> tuple[Interview, Step]:
    """Ask one more pair about something that a closed session has taught.

    Args:
        state: of the process.
        serving: the model.
        session: id.
        trait: name of a tendency, or None.
        direction: index of a direction, or None.

    Raises:
        Problem: 404, 409 when the session is open or no pair is left, 410, 422.
    """
    _check(serving, trait, direction)
    for _ in range(_TRIES):
        now = await state.threads.read(lambda conn: read_interview(conn, session, serving))
        if now.row.state == "open":
            raise Problem("conflict", "The session is open; there is nothing to doubt yet")
        if now.waiting is not None:
            return now, await step_of(state, serving, now)
        asked = now.session.asked()
        if len(asked) >= MOST:
            raise Problem("conflict", f"The session has {MOST} questions; no more are asked")

        pool = await asked_from(state, serving, now.row.settings)
        row = await state.threads.compute(partial(_pair, serving, pool, trait, direction, asked))
        if row is None:
            raise Problem("conflict", "There is no pair left that would tell")
        question = Question(len(asked), row, bool(secrets.randbits(1)), "doubt")
        if await state.threads.write(partial(_add, serving=serving, before=now, q=question)):
            return await _now(state, serving, session)
        state.meter.retry("session")
    raise Problem("conflict", "Other requests keep changing this session; try again")


def _check(serving: Serving, trait: str | None, direction: int | None) -> None:
    if (trait is None) == (direction is None):
        raise invalid("", "expected exactly one of trait and direction")
    known = [one.name for one in TRAITS]
    if trait is not None and trait not in known:
        raise invalid("/trait", f"expected one of {known}, got {trait!r}")
    if direction is not None and direction >= serving.model.user_dim:
        last = serving.model.user_dim - 1
        raise invalid("/direction", f"expected a number from 0 to {last}, got {direction}")


def _pair(
    serving: Serving, pool: QuestionPool, trait: str | None, direction: int | None, asked: list[int]
) -> int | None:
    """The row of a pair that would tell."""
    if trait is not None:
        return telling_pair(pool, trait, asked)
    assert direction is not None, "one of both is given"
    return deciding_pair(serving.model, pool, direction, asked)


def _add(conn: Connection, serving: Serving, before: Interview, q: Question) -> bool:
    lock_session(conn, session=before.row.id)
    now = read_interview(conn, before.row.id, serving, whole=False)
    if now.seen != before.seen:
        return False
    drop_unanswered(conn, session=before.row.id)  # what waited when the session was closed
    add_question(
        conn, session=before.row.id, seq=q.seq, row=q.row, swapped=q.swapped, reason=q.reason
    )
    return True


async def restart(state: State, serving: Serving, session: str) -> tuple[Interview, Step]:
    """Forget every answer of a session and ask its first question again, with other draws.

    Raises:
        Problem: 404 or 410.
    """

    def write(conn: Connection) -> str:
        lock_session(conn, session=session)
        row = read_interview(conn, session, serving, whole=False).row
        _drop_answers(conn, row)
        _drop_parts(conn, row)
        kept = {k: v for k, v in row.settings.items() if k not in {BEFORE, PARTS}}
        settings = {**kept, "seed": secrets.randbits(31)}
        empty_session(conn, session=session, settings=settings, lifetime=LIFETIME)
        return row.user

    user = await state.threads.write(write)
    await state.refits.wait([user], _PATIENCE)
    return await asking(state, serving, session)


async def asking(state: State, serving: Serving, session: str) -> tuple[Interview, Step]:
    """A session with the question that waits; an open one without gets its next question.

    That is one that was begun anew by a process which ended before it could ask.
    """
    for _ in range(_TRIES):
        now, step = await _now(state, serving, session)
        if now.row.state != "open" or now.waiting is not None:
            return now, step
        await state.threads.write(
            partial(_ask, state=state, serving=serving, before=now, step=step)
        )
        if step.question is None:
            await written(state, serving, session)
    raise Problem("conflict", "Other requests keep changing this session; try again")


def _ask(conn: Connection, state: State, serving: Serving, before: Interview, step: Step) -> None:
    lock_session(conn, session=before.row.id)
    now = read_interview(conn, before.row.id, serving, whole=False)
    if now.seen == before.seen:
        go_on(conn, state, serving, now.row, now.session, step)


async def erase(state: State, session: str, condition: Condition = NONE) -> Erased:
    """Remove a session with its questions and answers, and fit the person without them.

    Works whatever the model in service is.

    Raises:
        Problem: 404 when there is no such session, 412 when it is in another state than the condition says.
    """

    def write(conn: Connection) -> Erased:
        lock_session(conn, session=session)
        row = get_session(conn, session=session)
        if row is None:
            raise Problem("not_found", f"There is no session {session!r}")
        turns = turns_of(row, get_questions(conn, session=session))
        condition.refuse(written_of(row, *turns), f"The session {session!r}")
        questions, removed = _drop_parts(conn, row)
        removed += _drop_answers(conn, row)
        return Erased(row, questions + delete_session(conn, session=session), removed)

    erased = await state.threads.write(write)
    await state.refits.wait([erased.row.user], _PATIENCE)
    return erased


def _drop_parts(conn: Connection, row: SessionRow) -> tuple[int, int]:
    """Remove what a session asked under earlier versions; how many questions and comparisons those were."""
    questions = removed = 0
    for name in row.settings.get(PARTS, ()):
        part = get_session(conn, session=name)
        if part is not None:
            removed += _drop_answers(conn, part)
            questions += delete_session(conn, session=name)
    return questions, removed


def _drop_answers(conn: Connection, row: SessionRow) -> int:
    """Remove the comparisons that a session's answers became."""
    asked = get_questions(conn, session=row.id)
    names = [comparison_id(row.id, question.seq) for question in asked]
    removed = delete_answers(conn, user=row.user, client_ids=names)
    if removed:
        mark_stale(conn, user=row.user)
    return removed
