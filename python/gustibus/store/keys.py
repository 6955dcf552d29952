"""Keys of the HTTP API, and secrets that the store keeps for its processes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from gustibus.errors import NotFoundError
from gustibus.store.changes import note
from gustibus.store.ids import ulid
from gustibus.store.tables import TENANT, api_keys, settings, usage_daily
from gustibus.store.upsert import insert_or_ignore

KEY_PREFIX = "gustibus_live_"
"""What every key begins with, before its id, `_` and its secret; scanners for secrets know it by that."""


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
    created_at: datetime
    secret_text: str | None = None
    """The whole key; known only to the call that made it."""
    models: tuple[str, ...] | None = None
    """Names of the models that it is for; None for every model."""
    cidrs: tuple[str, ...] | None = None
    """Ranges of the addresses that it may come from; None for everywhere."""
    revision: int = 1
    """One more with every change."""
    trusted: bool = False
    """Whether the share of its answers in a training is not capped."""
    last_used_day: date | None = None
    """The last day, in UTC, of which usage is kept; None for a key that was never used."""


_last_used = (
    select(func.max(usage_daily.c.day))
    .where(usage_daily.c.tenant_id == TENANT, usage_daily.c.key_id == api_keys.c.id)
    .scalar_subquery()
    .label("last_used_day")
)  # the end of the key's part of the primary key: one look a key, however many days it has


def create_key(
    conn: Connection, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None,
    models: Iterable[str] | None = None, cidrs: Iterable[str] | None = None,
    trusted: bool = False,
) -> KeyRow:  # fmt: skip
    """A new key `gustibus_live_<id>_<43 characters>`; 256 random bits, kept as SHA-256 only."""
    key, secret, now = ulid().lower(), secrets.token_urlsafe(32), datetime.now(UTC)
    row = KeyRow(
        key, name, hashlib.sha256(secret.encode()).digest(), frozenset(scopes), expires_at, None,
        now, f"{KEY_PREFIX}{key}_{secret}", _several(models), _several(cidrs), trusted=trusted,
    )  # fmt: skip
    conn.execute(
        insert(api_keys).values(
            tenant_id=TENANT,
            id=row.id,
            name=name,
            secret_sha256=row.secret_sha256,
            scopes=sorted(row.scopes),
            expires_at=expires_at,
            created_at=now,
            models=row.models,
            cidrs=row.cidrs,
            revision=row.revision,
            trusted=row.trusted,
        )
    )
    note(conn, "key", [row.id])
    return row


def list_keys(conn: Connection, *, after: str = "", limit: int | None = None) -> list[KeyRow]:
    """Keys, revoked ones included, oldest first: those after an id, all of them without a limit."""
    query = (
        select(api_keys, _last_used)
        .where(api_keys.c.tenant_id == TENANT, api_keys.c.id > after)
        .order_by(api_keys.c.id)
    )
    return [_row(row) for row in conn.execute(query if limit is None else query.limit(limit))]


def get_key(conn: Connection, *, key_id: str, hold: bool = False) -> KeyRow | None:
    """A key, None when there is none; `hold` keeps others from changing it until the end."""
    query = select(api_keys, _last_used).where(_is(key_id))
    row = conn.execute(query.with_for_update() if hold else query).first()
    return None if row is None else _row(row)


def change_key(conn: Connection, *, key_id: str, seen: int, **values: Any) -> KeyRow | None:
    """Give a live key other values.

    Args:
        conn: a write transaction.
        key_id: of the key.
        seen: the revision that the caller knows.
        values: of `name`, `scopes`, `expires_at`, `models`, `cidrs` and `trusted`, those that
            change.

    Returns:
        The key; None when its revision is another by now, or it was revoked.
    """
    kept = {name: sorted(value) if name == "scopes" else value for name, value in values.items()}
    here = _is(key_id) & (api_keys.c.revision == seen) & api_keys.c.revoked_at.is_(None)
    if not conn.execute(update(api_keys).where(here).values(**kept, revision=seen + 1)).rowcount:
        return None
    note(conn, "key", [key_id])
    return get_key(conn, key_id=key_id)


def revoke_key(conn: Connection, *, key_id: str) -> None:
    """Make a key useless from now on.

    Raises:
        NotFoundError: there is no such key.
    """
    values = {"revoked_at": datetime.now(UTC), "revision": api_keys.c.revision + 1}
    if conn.execute(update(api_keys).where(_is(key_id)).values(**values)).rowcount == 0:
        message = f"key: there is none with the id {key_id!r}"
        raise NotFoundError(message, where="key_id")
    note(conn, "key", [key_id])


def _is(key_id: str) -> Any:
    return (api_keys.c.tenant_id == TENANT) & (api_keys.c.id == key_id)


def _row(row: Row[Any]) -> KeyRow:
    last = row.last_used_day
    return KeyRow(
        row.id, row.name, row.secret_sha256, frozenset(row.scopes), row.expires_at, row.revoked_at,
        row.created_at, None, _several(row.models), _several(row.cidrs), row.revision, bool(row.trusted),
        None if last is None else date.fromisoformat(last),
    )  # fmt: skip


def _several(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def trusted_keys(conn: Connection) -> frozenset[str]:
    """Ids of the keys whose answers may weigh whatever they do, live ones or not."""
    mine = (api_keys.c.tenant_id == TENANT) & api_keys.c.trusted
    return frozenset(conn.execute(select(api_keys.c.id).where(mine)).scalars())


def setting(conn: Connection, *, name: str, default: Callable[[], str]) -> str:
    """A value that all processes share; the first one to ask decides it."""
    row = {"tenant_id": TENANT, "name": name, "value": default()}
    wanted = (settings.c.tenant_id == TENANT) & (settings.c.name == name)
    found = conn.execute(select(settings.c.value).where(wanted)).scalar()
    if found is None:
        insert_or_ignore(conn, settings, [row], returning=settings.c.name)
        found = conn.execute(select(settings.c.value).where(wanted)).scalar_one()
    return str(found)
