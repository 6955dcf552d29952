"""Keys of the HTTP API, and secrets that the store keeps for its processes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select, update

from gustibus.errors import NotFoundError
from gustibus.store.changes import note
from gustibus.store.ids import ulid
from gustibus.store.tables import TENANT, api_keys, settings
from gustibus.store.upsert import insert_or_ignore


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as it is stored."""

    id: str
    name: str
    secret_sha256: bytes
    """Of the 43 characters at the end of the key."""
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    secret_text: str | None = None
    """The whole key; known only to the call that made it."""


def create_key(
    conn: Connection, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> KeyRow:
    """A new key `gustibus_live_<id>_<43 characters>`; 256 random bits, kept as SHA-256 only."""
    key, secret = ulid().lower(), secrets.token_urlsafe(32)
    row = KeyRow(
        key, name, hashlib.sha256(secret.encode()).digest(), frozenset(scopes), expires_at, None,
        f"gustibus_live_{key}_{secret}",
    )  # fmt: skip
    conn.execute(
        insert(api_keys).values(
            tenant_id=TENANT,
            id=row.id,
            name=name,
            secret_sha256=row.secret_sha256,
            scopes=sorted(row.scopes),
            expires_at=expires_at,
            created_at=datetime.now(UTC),
        )
    )
    note(conn, "key", [row.id])
    return row


def list_keys(conn: Connection) -> list[KeyRow]:
    """Every key, revoked ones included, oldest first."""
    rows = conn.execute(
        select(api_keys).where(api_keys.c.tenant_id == TENANT).order_by(api_keys.c.id)
    )
    return [
        KeyRow(r.id, r.name, r.secret_sha256, frozenset(r.scopes), r.expires_at, r.revoked_at)
        for r in rows
    ]


def revoke_key(conn: Connection, *, key_id: str) -> None:
    """Make a key useless from now on.

    Raises:
        NotFoundError: there is no such key.
    """
    mine = (api_keys.c.tenant_id == TENANT) & (api_keys.c.id == key_id)
    done = conn.execute(update(api_keys).where(mine).values(revoked_at=datetime.now(UTC)))
    if done.rowcount == 0:
        message = f"key: there is none with the id {key_id!r}"
        raise NotFoundError(message, where="key_id")
    note(conn, "key", [key_id])


def setting(conn: Connection, *, name: str, default: Callable[[], str]) -> str:
    """A value that all processes share; the first one to ask decides it."""
    row = {"tenant_id": TENANT, "name": name, "value": default()}
    wanted = (settings.c.tenant_id == TENANT) & (settings.c.name == name)
    found = conn.execute(select(settings.c.value).where(wanted)).scalar()
    if found is None:
        insert_or_ignore(conn, settings, [row], returning=settings.c.name)
        found = conn.execute(select(settings.c.value).where(wanted)).scalar_one()
    return str(found)
