"""Usage: units and requests of each key on each day."""

from __future__ import annotations

import datetime
from typing import Literal

from msgspec import Struct, field

from gustibus.service.call import Call, Reply, ok
from gustibus.service.cursors import After, Limit, page_of
from gustibus.service.routing import STORE, Route
from gustibus.store import list_usage


class UsageQuery(Struct, forbid_unknown_fields=True):
    """Which days, both included, and which part of the list."""

    first: datetime.date | None = field(default=None, name="from")
    last: datetime.date | None = field(default=None, name="to")
    limit: Limit = 100
    after: After | None = None


class Used(Struct):
    """What a key has used on a day, in UTC; the last seconds may be missing."""

    key: str
    """Id of the key; that of one that began a session for what the session's page asks. `page` is of pages
    whose key is not known."""
    day: str
    units: int
    requests: int


class UsagePage(Struct):
    """A page of usage by day and key."""

    object: Literal["list"]
    data: list[Used]
    has_more: bool
    next: str | None


async def list_all(call: Call) -> Reply:
    """A page of usage."""
    query, state = call.query(UsageQuery), call.state
    kind = f"usage {query.first or ''} {query.last or ''}"
    cursor = state.cursors.open(kind, query.after)
    after = None
    if cursor is not None:
        day, _, key = cursor.partition(" ")
        after = (day, key)
    rows, more = page_of(
        await state.threads.read(
            lambda conn: list_usage(
                conn, first=query.first, last=query.last, after=after, limit=query.limit + 1
            )
        ),
        query.limit,
    )
    following = state.cursors.seal(kind, f"{rows[-1].day} {rows[-1].key}") if more else None
    return ok(UsagePage("list", [Used(*row) for row in rows], more, following))


ROUTES = (
    Route(
        "GET", "/v1/usage", "list_usage", "admin", list_all, "Operations",
        "Units and requests of each key on each day.",
        query=UsageQuery, response=UsagePage, problems=STORE,
    ),
)  # fmt: skip
