"""Who did what, as a chain.

Each entry carries the hash of the one before, so that none can be altered or taken out without
breaking those after it. The oldest may go once they have been kept for long enough: an entry tells of the
last of them, and the chain is held fast there. People appear under a keyed hash alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from gustibus.store.engine import AUDITED
from gustibus.store.erasure import hashing_key
from gustibus.store.tables import TENANT
from gustibus.store.tables import audit as _audit

_LOCK = 0x67757376  # advisory lock of PostgreSQL: one entry after the other
_BEGINNING = bytes(32)
_PAGE = 1000
_EXPIRED = "audit.expire"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry."""

    seq: int
    at: datetime
    actor: str
    """Id of a key, `cli` or `worker`."""
    action: str
    object: str
    """What it was done to; `user:` and a keyed hash for a person."""
    detail: dict[str, Any]
    request_id: str
    before: bytes
    hash: bytes


def audit(
    conn: Connection, *, actor: str, action: str, what: str, request_id: str = "",
    **detail: str | int | list[str] | None,
) -> None:  # fmt: skip
    """Add an entry in the transaction of its effect.

    Args:
        conn: a write transaction.
        actor: id of a key, `cli` or `worker`.
        action: as `user.delete`.
        what: the object; people through `hashed_user`.
        request_id: finds the line of the log.
        detail: more about it, never the name of a person or a text.
    """
    _take_turns(conn)
    mine = _audit.c.tenant_id == TENANT
    last = conn.execute(select(_audit).where(mine).order_by(_audit.c.seq.desc()).limit(1)).first()
    at = datetime.now(UTC)
    seq, before = (1, _BEGINNING) if last is None else (last.seq + 1, last.hash)
    row = AuditRow(seq, at, actor, action, what, dict(detail), request_id, before, b"")
    conn.execute(
        insert(_audit).values(
            tenant_id=TENANT, seq=seq, at=at, actor=actor, action=action, object=what,
            detail=dict(detail), request_id=request_id, before=before, hash=_hash(row),
        )
    )  # fmt: skip
    conn.info.setdefault(AUDITED, []).append(action)


def hashed_user(conn: Connection, user: str) -> str:
    """A person's name in the audit log."""
    digest = hmac.digest(hashing_key(conn), b"audit " + user.encode(), hashlib.sha256)
    return f"user:{digest.hex()[:32]}"


def list_audit(
    conn: Connection, *, what: str | None = None, after: int | None = None, limit: int = 100
) -> list[AuditRow]:
    """Entries, the newest first.

    Args:
        conn: a transaction.
        what: of one object.
        after: number of the entry before the first.
        limit: most entries.
    """
    query = select(_audit).where(_audit.c.tenant_id == TENANT)
    if what is not None:
        query = query.where(_audit.c.object == what)
    if after is not None:
        query = query.where(_audit.c.seq < after)
    return [_row(row) for row in conn.execute(query.order_by(_audit.c.seq.desc()).limit(limit))]


def _take_turns(conn: Connection) -> None:
    """Let nobody else add an entry until the transaction ends."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def remove_old_audit(conn: Connection, *, before: datetime, limit: int = 5000) -> int:
    """Remove the entries from the oldest on that are of before a time, and add one that tells of it.

    That one holds the number and the hash of the last that went, on which the chain goes on.

    Args:
        conn: a write transaction.
        before: the time.
        limit: most entries.

    Returns:
        How many were removed; fewer than the limit when no more are left.
    """
    _take_turns(conn)
    mine = _audit.c.tenant_id == TENANT
    columns = (_audit.c.seq, _audit.c.at, _audit.c.hash)
    rows = conn.execute(select(*columns).where(mine).order_by(_audit.c.seq).limit(limit)).all()
    old = list(takewhile(lambda row: row.at < before, rows))
    if not old:
        return 0
    audit(
        conn, actor="worker", action=_EXPIRED, what="audit", entries=len(old), through=old[-1].seq,
        hash=old[-1].hash.hex(),
    )  # fmt: skip
    conn.execute(delete(_audit).where(mine, _audit.c.seq <= old[-1].seq))
    return len(old)


def verify_audit(conn: Connection) -> int | None:
    """The number of the first entry that was altered, or follows one that is gone; None if none.

    Where the oldest entries are gone, an entry must tell that they were removed, and of their last.
    """
    first = conn.execute(
        select(_audit).where(_audit.c.tenant_id == TENANT).order_by(_audit.c.seq).limit(1)
    ).first()
    if first is None:
        return None
    before, after = (_BEGINNING, 0) if first.seq == 1 else (first.before, first.seq - 1)
    told, begun = first.seq == 1, (after, before.hex())
    while True:
        mine = (_audit.c.tenant_id == TENANT) & (_audit.c.seq > after)
        rows = conn.execute(select(_audit).where(mine).order_by(_audit.c.seq).limit(_PAGE)).all()
        for found in map(_row, rows):
            if found.seq != after + 1 or found.before != before or found.hash != _hash(found):
                return found.seq
            before, after = found.hash, found.seq
            if found.action == _EXPIRED:
                told |= (found.detail.get("through"), found.detail.get("hash")) == begun
        if len(rows) < _PAGE:
            return None if told else first.seq


def _hash(row: AuditRow) -> bytes:
    told = [
        row.seq, row.at.astimezone(UTC).isoformat(timespec="microseconds"), row.actor, row.action,
        row.object, row.detail, row.request_id,
    ]  # fmt: skip
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(row.before + text.encode()).digest()


def _row(row: Row[Any]) -> AuditRow:
    return AuditRow(
        row.seq, row.at, row.actor, row.action, row.object, dict(row.detail), row.request_id,
        row.before, row.hash,
    )  # fmt: skip
