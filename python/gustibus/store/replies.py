"""Replies that are given again when a client repeats a request under one idempotency key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, select

from gustibus.store.tables import TENANT, idempotency
from gustibus.store.upsert import insert_or_ignore

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
    mine = (
        (idempotency.c.tenant_id == TENANT)
        & (idempotency.c.caller == caller)
        & (idempotency.c.key == key)
        & (idempotency.c.expires_at > datetime.now(UTC))
    )
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
    old = (idempotency.c.tenant_id == TENANT) & (idempotency.c.expires_at <= now)
    conn.execute(
        delete(idempotency).where(old, idempotency.c.caller == caller, idempotency.c.key == key)
    )
    row = {
        "tenant_id": TENANT, "caller": caller, "key": key, "route": route,
        "body_sha256": body_sha256, "status": status, "reply": reply,
        "users": sorted(set(users)), "expires_at": now + LIFETIME,
    }  # fmt: skip
    return bool(insert_or_ignore(conn, idempotency, [row], returning=idempotency.c.key))


def purge_replies(conn: Connection) -> int:
    """Forget replies that are too old; returns how many."""
    old = idempotency.c.expires_at <= datetime.now(UTC)
    return int(conn.execute(delete(idempotency).where(old)).rowcount)
