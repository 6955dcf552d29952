"""Replies that are given again when a client repeats a request under one idempotency key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select

from gustibus.store.lookup import one_of
from gustibus.store.tables import TENANT, idempotency, reply_users
from gustibus.store.upsert import insert_or_ignore, insert_or_update

LIFETIME = timedelta(hours=24)


class Stored(NamedTuple):
    """A reply that was given."""

    status: int
    body: bytes
    matches: bool
    """Whether the request was the same."""


def find_reply(
    conn: Connection, *, caller: str, key: str, route: str, body_sha256: bytes
) -> Stored | None:
    """The reply to an earlier request under a key, None without one."""
    mine = _is(caller, key) & (idempotency.c.expires_at > datetime.now(UTC))
    row = conn.execute(select(idempotency).where(mine)).first()
    if row is None:
        return None
    return Stored(row.status, row.reply, row.route == route and row.body_sha256 == body_sha256)


def keep_reply(
    conn: Connection, *, caller: str, key: str, route: str, body_sha256: bytes, status: int,
    reply: bytes, users: Iterable[str] = (),
) -> bool:  # fmt: skip
    """Keep a reply in the transaction of its effect; False when another request was faster.

    The caller undoes its transaction then, so that there is one effect.
    """
    now = datetime.now(UTC)
    conn.execute(delete(idempotency).where(_is(caller, key), idempotency.c.expires_at <= now))
    people, until = sorted(set(users)), now + LIFETIME
    row = {
        "tenant_id": TENANT, "caller": caller, "key": key, "route": route,
        "body_sha256": body_sha256, "status": status, "reply": reply, "users": people,
        "expires_at": until,
    }  # fmt: skip
    if not insert_or_ignore(conn, idempotency, [row], returning=idempotency.c.key):
        return False
    named = [
        {"tenant_id": TENANT, "user_id": user, "caller": caller, "key": key, "expires_at": until}
        for user in people
    ]
    insert_or_update(conn, reply_users, named)
    return True


class Named(NamedTuple):
    """A reply that names people."""

    caller: str
    key: str
    users: list[str]


def replies_about(conn: Connection, *, user: str) -> list[Named]:
    """The replies that name a person."""
    whose = (reply_users.c.tenant_id == TENANT) & (reply_users.c.user_id == user)
    found = []
    for caller, key in conn.execute(select(reply_users.c.caller, reply_users.c.key).where(whose)):
        users = conn.execute(select(idempotency.c.users).where(_is(caller, key))).scalar() or []
        if user in users:  # or the key is of another reply by now
            found.append(Named(caller, key, users))
    return found


def delete_replies(conn: Connection, *, user: str) -> int:
    """Remove the replies that name a person; returns how many."""
    found = replies_about(conn, user=user)
    for caller, key, users in found:
        conn.execute(delete(idempotency).where(_is(caller, key)))
        same = (reply_users.c.caller == caller) & (reply_users.c.key == key)
        named = same & one_of(reply_users.c.user_id, users)
        conn.execute(delete(reply_users).where(reply_users.c.tenant_id == TENANT, named))
    whose = (reply_users.c.tenant_id == TENANT) & (reply_users.c.user_id == user)
    conn.execute(delete(reply_users).where(whose))
    return len(found)


def purge_replies(conn: Connection) -> int:
    """Forget replies that are too old; returns how many."""
    now = datetime.now(UTC)
    named = (reply_users.c.tenant_id == TENANT) & (reply_users.c.expires_at <= now)
    conn.execute(delete(reply_users).where(named))
    old = (idempotency.c.tenant_id == TENANT) & (idempotency.c.expires_at <= now)
    return int(conn.execute(delete(idempotency).where(old)).rowcount)


def _is(caller: str, key: str) -> ColumnElement[bool]:
    mine = (idempotency.c.tenant_id == TENANT) & (idempotency.c.caller == caller)
    return mine & (idempotency.c.key == key)
