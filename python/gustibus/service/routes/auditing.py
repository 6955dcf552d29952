"""The audit log: who did what, chained by hashes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from gustibus.service.call import Call, Reply, ok
from gustibus.service.cursors import After, Limit, page_of
from gustibus.service.ids import LAST, Id
from gustibus.service.problems import invalid
from gustibus.service.routing import STORE, Route
from gustibus.store import AuditRow, Connection, hashed_user, list_audit


class AuditQuery(Struct, forbid_unknown_fields=True):
    """Which entries, and which part of the list."""

    object: Annotated[str, Meta(pattern="^[A-Za-z0-9._:@-]{1,160}$" + LAST)] | None = None
    """Entries about one object."""
    user: Id | None = None
    """Entries about one person, who is named in none of them."""
    limit: Limit = 100
    after: After | None = None


class Entry(Struct):
    """Something that was done."""

    seq: int
    at: datetime
    actor: str
    """Id of a key, `cli` or `worker`."""
    action: str
    object: str
    """A person under a keyed hash."""
    detail: Mapping[str, Any]
    request_id: str
    before: str
    """Hash of the entry before, 64 hexadecimal digits."""
    hash: str


class Entries(Struct):
    """A page of the log, the newest first."""

    object: Literal["list"]
    data: list[Entry]
    has_more: bool
    next: str | None


async def list_all(call: Call) -> Reply:
    """A page of the log."""
    query, state = call.query(AuditQuery), call.state
    if query.object is not None and query.user is not None:
        raise invalid("query:user", "expected one of object and user")
    kind = f"audit {query.object or ''} {query.user or ''}"
    cursor = state.cursors.open(kind, query.after)
    after = None if cursor is None else int(cursor)

    def work(conn: Connection) -> list[AuditRow]:
        what = query.object if query.user is None else hashed_user(conn, query.user)
        return list_audit(conn, what=what, after=after, limit=query.limit + 1)

    if query.user is not None:
        call.user = query.user
    # The key of the hashes is made by whoever asks first.
    rows, more = page_of(await state.threads.write(work), query.limit)
    following = state.cursors.seal(kind, str(rows[-1].seq)) if more else None
    return ok(Entries("list", [_show(row) for row in rows], more, following))


def _show(row: AuditRow) -> Entry:
    return Entry(
        row.seq, row.at, row.actor, row.action, row.object, row.detail, row.request_id,
        row.before.hex(), row.hash.hex(),
    )  # fmt: skip


ROUTES = (
    Route(
        "GET", "/v1/audit", "list_audit", "audit:read", list_all, "Operations",
        "Who did what, the newest first.",
        query=AuditQuery, response=Entries, problems=STORE,
    ),
)  # fmt: skip
