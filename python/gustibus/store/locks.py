"""Taking turns on one row, or on what one person is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, ScalarSelect, func, select

from gustibus.store.lookup import among
from gustibus.store.tables import TENANT, sessions, users

_users = users  # a function has an argument of that name
_PERSON = 0x67757378  # first half of the advisory locks of PostgreSQL that are of one person


def lock_session(conn: Connection, *, session: str) -> bool:
    """Let no other transaction change a session until this one ends; False when there is none.

    Other sessions of the person wait too, for whether a pair is new to them depends on all of these. On
    SQLite a write transaction is alone from its beginning, so there is nothing to lock.

    The person is held before the session, as a removal does that takes both: in the other order it and a
    session that is being closed, whose answers need the person, would wait in a circle.
    """
    mine = (sessions.c.tenant_id == TENANT) & (sessions.c.id == session)
    held = []
    if conn.dialect.name == "postgresql":
        held = [_held(sessions.c.user_id)]
        lock_person(conn, user=select(sessions.c.user_id).where(mine).scalar_subquery())
    return (
        conn.execute(select(sessions.c.id, *held).where(mine).with_for_update()).first() is not None
    )


def lock_person(conn: Connection, *, user: str | ScalarSelect[str]) -> None:
    """Let nobody delete a person until this transaction ends, or wait until they are gone.

    Comes before anything that a removal takes after the person: their sessions, answers, vectors.
    """
    if conn.dialect.name == "postgresql":
        person = (users.c.tenant_id == TENANT) & (users.c.id == user)
        conn.execute(select(users.c.id).where(person).with_for_update(read=True, key_share=True))


def lock_people(conn: Connection, *, users: Iterable[str]) -> None:
    """The same for many, in one order everywhere: no deadlock."""
    if conn.dialect.name == "postgresql":
        several = (_users.c.tenant_id == TENANT) & among(conn, _users.c.id, sorted(users))
        query = select(_users.c.id).where(several).order_by(_users.c.id)
        conn.execute(query.with_for_update(read=True, key_share=True))


def lock_sessions_of(conn: Connection, *, user: str) -> None:
    """Let no other transaction change sessions of a person, or begin one, until this one ends."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(_held(user)))


def _held(user: Any) -> Any:
    return func.pg_advisory_xact_lock(_PERSON, func.hashtext(user))
