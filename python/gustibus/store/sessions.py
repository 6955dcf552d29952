"""Onboarding sessions: what was asked, what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, select, true, update

from gustibus.store.engine import SCRUB
from gustibus.store.erasure import hold_users
from gustibus.store.exposure import (
    count_question,
    count_session,
    uncount_questions,
    uncount_session,
)
from gustibus.store.ids import ulid
from gustibus.store.locks import lock_sessions_of
from gustibus.store.lookup import among
from gustibus.store.tables import TENANT, questions, sessions
from gustibus.store.upsert import batched, insert_or_ignore

_USERS = 500


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session."""

    id: str
    user: str
    model: str
    """Digest of the model whose pool is asked from."""
    state: str
    """`open` or `finished`."""
    settings: dict[str, Any]
    stop: str | None
    """Why it ended."""
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    key: str | None = None
    """Id of the key that began it; None for sessions of before keys were noted."""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question of a session."""

    seq: int
    row: int
    """Of the pool."""
    swapped: bool
    reason: str
    answer: str | None
    ms: int | None


class Given(NamedTuple):
    """An answer to a question of a session."""

    session: str
    question: QuestionRow
    answered_at: datetime


def given_in_sessions(
    conn: Connection, *, users: Sequence[str], limit: int = 20_000
) -> dict[str, list[Given]]:
    """The last answers of some people in their sessions, open ones included, under any model.

    Args:
        conn: a transaction.
        users: people.
        limit: most answers of all of them together; the newest sessions first.
    """
    found: dict[str, list[Given]] = {}
    same = (questions.c.tenant_id == sessions.c.tenant_id) & (
        questions.c.session_id == sessions.c.id
    )
    for part in batched(sorted(users), _USERS):
        mine = (sessions.c.tenant_id == TENANT) & among(conn, sessions.c.user_id, part)
        query = (
            select(sessions.c.user_id, questions)
            .select_from(sessions.join(questions, same))
            .where(mine, questions.c.answer.is_not(None))
            .order_by(sessions.c.id.desc(), questions.c.seq)
            .limit(limit)
        )
        for row in conn.execute(query):
            asked = QuestionRow(row.seq, row.row, bool(row.swapped), row.reason, row.answer, row.ms)
            given = Given(row.session_id, asked, row.answered_at)
            found.setdefault(row.user_id, []).append(given)
    return found


def create_session(
    conn: Connection, *, user: str, model: str, settings: Mapping[str, Any], lifetime: timedelta,
    key: str | None = None,
) -> SessionRow:  # fmt: skip
    """A new session, begun with a key.

    Raises:
        ConflictError: the person was deleted.
    """
    now = datetime.now(UTC)
    hold_users(conn, users=[user])
    row = {
        "tenant_id": TENANT, "id": f"ses_{ulid()}", "user_id": user, "model": model,
        "state": "open", "settings": dict(settings), "created_at": now,
        "expires_at": now + lifetime, "key_id": key,
    }  # fmt: skip
    lock_sessions_of(conn, user=user)
    conn.execute(sessions.insert().values(**row))
    count_session(conn, session=str(row["id"]))
    found = get_session(conn, session=str(row["id"]))
    assert found is not None, "it was just written"
    return found


def get_session(conn: Connection, *, session: str) -> SessionRow | None:
    """A session, None when there is none of that id."""
    row = conn.execute(select(sessions).where(_is(session))).first()
    return None if row is None else _session(row)


def get_questions(conn: Connection, *, session: str) -> list[QuestionRow]:
    """The questions of a session in the order in which they were asked."""
    mine = (questions.c.tenant_id == TENANT) & (questions.c.session_id == session)
    rows = conn.execute(select(questions).where(mine).order_by(questions.c.seq))
    return [_question(row) for row in rows]


def add_question(
    conn: Connection, *, session: str, seq: int, row: int, swapped: bool, reason: str
) -> QuestionRow:
    """Keep a question when it is asked; if another process was faster, its question counts."""
    value = {
        "tenant_id": TENANT, "session_id": session, "seq": seq, "row": row, "swapped": swapped,
        "reason": reason, "asked_at": datetime.now(UTC),
    }  # fmt: skip
    if insert_or_ignore(conn, questions, [value], returning=questions.c.seq):
        count_question(conn, session=session, seq=seq, row=row)
    mine = (questions.c.tenant_id == TENANT) & (questions.c.session_id == session)
    found = conn.execute(select(questions).where(mine, questions.c.seq == seq)).one()
    return _question(found)


def set_answer(conn: Connection, *, session: str, seq: int, answer: str, ms: int | None) -> bool:
    """Keep an answer, or change it; False when no such question was asked."""
    mine = (
        (questions.c.tenant_id == TENANT)
        & (questions.c.session_id == session)
        & (questions.c.seq == seq)
    )
    values = {"answer": answer, "ms": ms, "answered_at": datetime.now(UTC)}
    return bool(conn.execute(update(questions).where(mine).values(**values)).rowcount)


def drop_unanswered(conn: Connection, *, session: str) -> None:
    """Forget a question that was asked and not answered, as when an earlier answer changes."""
    _drop_questions(conn, session, questions.c.answer.is_(None))


def take_back(conn: Connection, *, session: str, seq: int) -> None:
    """Forget an answer: its question waits again, and what was asked after it is forgotten."""
    _drop_questions(conn, session, questions.c.seq > seq)
    mine = (questions.c.tenant_id == TENANT) & (questions.c.session_id == session)
    nothing = {"answer": None, "ms": None, "answered_at": None}
    conn.execute(update(questions).where(mine & (questions.c.seq == seq)).values(**nothing))


def empty_session(
    conn: Connection, *, session: str, settings: Mapping[str, Any], lifetime: timedelta
) -> int:
    """Begin a session anew without its questions, and return how many those were."""
    values = {
        "state": "open", "stop": None, "closed_at": None, "settings": dict(settings),
        "expires_at": datetime.now(UTC) + lifetime,
    }  # fmt: skip
    conn.execute(update(sessions).where(_is(session)).values(**values))
    return _drop_questions(conn, session, true())


def split_session(
    conn: Connection, *, session: SessionRow, model: str, settings: Mapping[str, Any],
    lifetime: timedelta,
) -> SessionRow:  # fmt: skip
    """Give what a session has asked so far to a finished session of its own, which is returned.

    The session itself is of another model from now on, has asked nothing, and names its parts in `parts` of
    its settings. What was asked counts as it did.

    Args:
        conn: a write transaction that holds the session.
        session: as it is.
        model: digest of the other model.
        settings: of the session from now on.
        lifetime: for which it can be taken up again, from now.
    """
    now = datetime.now(UTC)
    part = {
        "tenant_id": TENANT, "id": f"ses_{ulid()}", "user_id": session.user, "model": session.model,
        "state": "finished", "settings": dict(session.settings), "stop": "model",
        "created_at": session.created_at, "expires_at": session.expires_at, "closed_at": now,
        "key_id": session.key,
    }  # fmt: skip
    conn.execute(sessions.insert().values(**part))
    mine = (questions.c.tenant_id == TENANT) & (questions.c.session_id == session.id)
    conn.execute(update(questions).where(mine).values(session_id=part["id"]))
    parts = [*settings.get("parts", ()), part["id"]]
    values = {
        "model": model, "settings": {**settings, "parts": parts}, "expires_at": now + lifetime,
    }  # fmt: skip
    conn.execute(update(sessions).where(_is(session.id)).values(**values))
    count_session(conn, session=session.id)
    found = get_session(conn, session=str(part["id"]))
    assert found is not None, "it was just written"
    return found


def delete_session(conn: Connection, *, session: str) -> int:
    """Remove a session, and return how many questions it had."""
    removed = _drop_questions(conn, session, true())
    gone = sessions.delete().where(_is(session)).returning(sessions.c.user_id, sessions.c.model)
    for user, model in conn.execute(gone).all():
        uncount_session(conn, user=user, model=model)
    conn.info[SCRUB] = True
    return removed


def _drop_questions(conn: Connection, session: str, which: ColumnElement[bool]) -> int:
    """Remove some questions of a session; returns how many."""
    mine = (questions.c.tenant_id == TENANT) & (questions.c.session_id == session)
    dropped = questions.delete().where(mine, which).returning(questions.c.seq, questions.c.row)
    gone = conn.execute(dropped).all()
    uncount_questions(conn, session=session, rows=[row for seq, row in gone if seq > 0])
    return len(gone)


def close_session(conn: Connection, *, session: str, stop: str) -> bool:
    """End a session; False when it had ended before."""
    values = {"state": "finished", "stop": stop, "closed_at": datetime.now(UTC)}
    mine = _is(session) & (sessions.c.state == "open")
    return bool(conn.execute(update(sessions).where(mine).values(**values)).rowcount)


def _question(row: Row[Any]) -> QuestionRow:
    return QuestionRow(row.seq, row.row, row.swapped, row.reason, row.answer, row.ms)


def _is(session: str) -> Any:
    return (sessions.c.tenant_id == TENANT) & (sessions.c.id == session)


def _session(row: Row[Any]) -> SessionRow:
    return SessionRow(
        row.id, row.user_id, row.model, row.state, dict(row.settings), row.stop, row.created_at,
        row.expires_at, row.closed_at, row.key_id,
    )  # fmt: skip
