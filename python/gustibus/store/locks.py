"""Taking turns on one row, or on what one person is asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from gustibus.store.tables import TENANT, sessions

_PERSON = 0x67757378  # first half of the advisory locks of PostgreSQL that are of one person


def lock_session(conn: Connection, *, session: str) -> bool:
    """Let no other transaction change a session until this one ends; False when there is none.

    Other sessions of the person wait too, for whether a pair is new to them depends on all of these. On
    SQLite a write transaction is alone from its beginning, so there is nothing to lock.
    """
    mine = (sessions.c.tenant_id == TENANT) & (sessions.c.id == session)
    held = [_held(sessions.c.user_id)] if conn.dialect.name == "postgresql" else []
    return (
        conn.execute(select(sessions.c.id, *held).where(mine).with_for_update()).first() is not None
    )


def lock_sessions_of(conn: Connection, *, user: str) -> None:
    """Let no other transaction change sessions of a person, or begin one, until this one ends."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(_held(user)))


def _held(user: Any) -> Any:
    return func.pg_advisory_xact_lock(_PERSON, func.hashtext(user))
