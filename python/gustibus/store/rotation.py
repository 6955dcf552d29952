"""Rotation of a key: another that may do the same, and an end of the one that it replaces."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from gustibus.errors import ConflictError
from gustibus.store.auditing import audit
from gustibus.store.keys import KeyRow, change_key, create_key


class Rotation(NamedTuple):
    """Both keys of a rotation; they are live at once until the old one ends."""

    fresh: KeyRow
    """With its secret."""
    old: KeyRow
    """With the end that it has now."""


def rotate_key(
    conn: Connection, *, old: KeyRow, grace: timedelta, actor: str, request_id: str = ""
) -> Rotation:
    """Make a key like another, which goes on for a while, and put both into the audit log.

    The new key has the name, scopes, limits and trust of the old one. It is live for as long as that
    was made for, counted from now; one that never ended is followed by one that never does.

    Args:
        conn: a write transaction that holds the old key.
        old: the key as it was read in it.
        grace: how long the old key goes on; never longer than it would have.
        actor: id of a key, or `cli`.
        request_id: finds the line of the log.

    Raises:
        ConflictError: the old key was revoked or has expired.
    """
    now = datetime.now(UTC)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        message = f"key: {old.id!r} was revoked or has expired; make another instead"
        raise ConflictError(message, where="key")
    until = None if old.expires_at is None else now + (old.expires_at - old.created_at)
    fresh = create_key(
        conn, name=old.name, scopes=old.scopes, expires_at=until, models=old.models,
        cidrs=old.cidrs, trusted=old.trusted,
    )  # fmt: skip
    end = now + grace
    ended = old
    if old.expires_at is None or end < old.expires_at:
        changed = change_key(conn, key_id=old.id, seen=old.revision, expires_at=end)
        assert changed is not None, "the transaction holds the key"
        ended = changed
    limits: dict[str, Any] = {"models": old.models, "cidrs": old.cidrs}
    told = {name: list(values) for name, values in limits.items() if values is not None}
    audit(
        conn, actor=actor, action="key.create", what=fresh.id, request_id=request_id,
        scopes=sorted(fresh.scopes), rotates=old.id, **told, **({"trusted": True} if old.trusted else {}),
    )  # fmt: skip
    audit(
        conn, actor=actor, action="key.change", what=old.id, request_id=request_id,
        rotated_to=fresh.id, expires_at=_noted(ended.expires_at), expires_at_before=_noted(old.expires_at),
    )  # fmt: skip
    return Rotation(fresh, ended)


def _noted(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
