"""Taking turns on one row."""

from __future__ import annotations

from sqlalchemy import Connection, select

from gustibus.store.tables import TENANT, sessions


def lock_session(conn: Connection, *, session: str) -> bool:
    """Let no other transaction change a session until this one ends; False when there is none.

    On SQLite a write transaction is alone from its beginning, so there is nothing to lock.
    """
    mine = (sessions.c.tenant_id == TENANT) & (sessions.c.id == session)
    return conn.execute(select(sessions.c.id).where(mine).with_for_update()).first() is not None
