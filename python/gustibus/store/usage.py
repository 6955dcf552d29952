"""How much each key has used on each day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update

from gustibus.store.tables import TENANT, usage_daily
from gustibus.store.upsert import insert_or_ignore


class Usage(NamedTuple):
    """Of one key on one day."""

    key: str
    day: str
    """As `2026-01-31`, in UTC."""
    units: int
    requests: int


def add_usage(conn: Connection, *, day: str, used: Mapping[str, tuple[int, int]]) -> None:
    """Add units and requests of keys to what a day has."""
    for key, (units, requests) in sorted(used.items()):  # one order everywhere: no deadlock
        fresh = {
            "tenant_id": TENANT, "key_id": key, "day": day, "units": units, "requests": requests
        }  # fmt: skip
        if insert_or_ignore(conn, usage_daily, [fresh], returning=usage_daily.c.day):
            continue
        mine = (usage_daily.c.key_id == key) & (usage_daily.c.day == day)
        more = {
            "units": usage_daily.c.units + units, "requests": usage_daily.c.requests + requests
        }  # fmt: skip
        conn.execute(
            update(usage_daily).where(usage_daily.c.tenant_id == TENANT, mine).values(**more)
        )


def list_usage(
    conn: Connection, *, first: date | None = None, last: date | None = None,
    after: tuple[str, str] | None = None, limit: int = 100,
) -> list[Usage]:  # fmt: skip
    """Usage by day and key, both days included."""
    day, key = usage_daily.c.day, usage_daily.c.key_id
    query: Any = select(key, day, usage_daily.c.units, usage_daily.c.requests)
    query = query.where(usage_daily.c.tenant_id == TENANT)
    if first is not None:
        query = query.where(day >= first.isoformat())
    if last is not None:
        query = query.where(day <= last.isoformat())
    if after is not None:
        query = query.where((day > after[0]) | ((day == after[0]) & (key > after[1])))
    return [Usage(*row) for row in conn.execute(query.order_by(day, key).limit(limit))]


def remove_old_usage(conn: Connection, *, before: datetime, limit: int = 5000) -> int:
    """Remove the usage of days that had ended before a time.

    Args:
        conn: a write transaction.
        before: the time.
        limit: most rows, each of a key and day.

    Returns:
        How many were removed; fewer than the limit when no more are left.
    """
    day, key = usage_daily.c.day, usage_daily.c.key_id
    mine = usage_daily.c.tenant_id == TENANT
    first = before.astimezone(UTC).date().isoformat()
    oldest = select(day, key).where(mine, day < first).order_by(day, key).limit(limit)
    rows = conn.execute(oldest).all()
    if rows:
        through, last = rows[-1]
        # The first of these conditions is one that the index finds.
        old = (day <= through) & ((day < through) | (key <= last))
        conn.execute(delete(usage_daily).where(mine, old))
    return len(rows)
