"""Retention: what is older than an operator keeps it, removed a part at a time, the oldest first.

What one transaction removes is bounded, so that nobody waits long for it; whoever calls goes on until a part
is not full.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from gustibus.store.answers import delete_rows
from gustibus.store.freshness import mark_all_stale
from gustibus.store.ids import from_moment
from gustibus.store.locks import lock_people, lock_session
from gustibus.store.lookup import one_of
from gustibus.store.sessions import delete_session
from gustibus.store.tables import TENANT, comparisons, sessions
from gustibus.store.upsert import batched

_ROWS = 500


def remove_old_sessions(conn: Connection, *, before: datetime, limit: int = 100) -> int:
    """Remove sessions that were closed, or ran out, before a time; what they taught stays.

    Args:
        conn: a write transaction.
        before: the time.
        limit: most sessions.

    Returns:
        How many there were; fewer than the limit when no more are left.
    """
    ended = func.coalesce(sessions.c.closed_at, sessions.c.expires_at) < before
    # Whatever ended before was begun before, which the key finds.
    old = (sessions.c.tenant_id == TENANT) & (sessions.c.id < f"ses_{_moment(before)}") & ended
    query = select(sessions.c.user_id, sessions.c.id).where(old)
    found = conn.execute(query.order_by(sessions.c.id).limit(limit)).all()
    lock_people(conn, users={user for user, _ in found})
    for _, session in sorted(map(tuple, found)):  # one order for all processes: no deadlock
        if lock_session(conn, session=session) and _is_still(conn, session, ended):
            delete_session(conn, session=session)
    return len(found)


def _is_still(conn: Connection, session: str, ended: ColumnElement[bool]) -> bool:
    """Whether a session that is held by now has not been begun anew meanwhile."""
    mine = (sessions.c.tenant_id == TENANT) & (sessions.c.id == session)
    return conn.execute(select(sessions.c.id).where(mine, ended)).first() is not None


def remove_old_comparisons(
    conn: Connection, *, before: datetime, limit: int = 1000
) -> tuple[int, list[str]]:
    """Remove comparisons that came in before a time; their people are to be fitted without them.

    Args:
        conn: a write transaction.
        before: the time.
        limit: most comparisons.

    Returns:
        How many were found, fewer than the limit when no more are left, and whose they were.
    """
    old = (comparisons.c.tenant_id == TENANT) & (comparisons.c.id < f"cmp_{_moment(before)}")
    query = select(comparisons.c.id, comparisons.c.user_id).where(old)
    found = conn.execute(query.order_by(comparisons.c.id).limit(limit)).all()
    users = sorted({user for _, user in found})
    lock_people(conn, users=users)
    for part in batched([name for name, _ in found], _ROWS):
        delete_rows(conn, (comparisons.c.tenant_id == TENANT) & one_of(comparisons.c.id, part))
    mark_all_stale(conn, users=users)
    return len(found), users


def _moment(at: datetime) -> str:
    return from_moment(at.timestamp())
