"""What was written, so that other processes can read it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    cast,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
)

from gustibus.store.lookup import listed, one_of
from gustibus.store.tables import TENANT, changes
from gustibus.store.wakeups import CHANNEL

Kind = Literal["user", "item", "key", "model"]

_OLDEST = 1000  # changes that are looked at together
_TRANSACTION: ColumnElement[int] = literal_column("pg_current_xact_id()::text::bigint")


class Change(NamedTuple):
    """Something that has to be read again."""

    kind: Kind
    name: str


def note(conn: Connection, kind: Kind, names: Iterable[str]) -> None:
    """Say within a transaction what it changes; on PostgreSQL those who listen are woken by its commit."""
    now, told = datetime.now(UTC), list(dict.fromkeys(names))
    if not told:
        return
    if conn.dialect.name == "postgresql":
        said: dict[str, Any] = {
            "tenant_id": literal(TENANT), "transaction_id": _TRANSACTION, "kind": literal(kind),
            "name": listed().c.name, "at": literal(now, changes.c.at.type),
        }  # fmt: skip
        kept = insert(changes).from_select(list(said), select(*said.values())).cte("kept")
        # Of several messages that say the same, a transaction sends one.
        wake = select(func.pg_notify(CHANNEL, cast(_TRANSACTION, String))).add_cte(kept)
        conn.execute(wake, {"names": json.dumps(told)})
        return
    rows = [
        {"tenant_id": TENANT, "transaction_id": 0, "kind": kind, "name": name, "at": now}
        for name in told
    ]
    conn.execute(insert(changes), rows)


def position(conn: Connection) -> int:
    """The cursor of now, for `since`."""
    if conn.dialect.name == "postgresql":
        # Transactions finish in another order than they begin. Everything below the oldest that
        # still runs is final, so that is how far a reader may go, and where it goes on.
        oldest = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(conn.execute(oldest).scalar_one())
    return int(conn.execute(select(func.coalesce(func.max(changes.c.seq), 0))).scalar_one())


def since(conn: Connection, cursor: int) -> tuple[int, list[Change]]:
    """What was committed after a cursor, and the next cursor; nothing is left out, ever.

    Args:
        conn: a transaction.
        cursor: from `position` or the last call.
    """
    limit = position(conn)
    if conn.dialect.name == "postgresql":
        new = (changes.c.transaction_id >= cursor) & (changes.c.transaction_id < limit)
    else:
        new = (changes.c.seq > cursor) & (changes.c.seq <= limit)
    rows = conn.execute(
        select(changes.c.kind, changes.c.name).where(changes.c.tenant_id == TENANT, new).distinct()
    )
    return max(cursor, limit), [Change(kind, name) for kind, name in rows]


def purge_changes(conn: Connection, *, age: timedelta = timedelta(days=1)) -> int:
    """Forget changes that every process has read long ago; returns how many.

    From the oldest on, and no further than to the first that is younger.
    """
    gone, before = 0, datetime.now(UTC) - age
    oldest = select(changes.c.seq, changes.c.at).order_by(changes.c.seq).limit(_OLDEST)
    while True:
        rows = conn.execute(oldest).all()
        old = [row.seq for row in rows if row.at < before]
        if old:
            gone += conn.execute(delete(changes).where(one_of(changes.c.seq, old))).rowcount
        if len(old) < _OLDEST:
            return gone
