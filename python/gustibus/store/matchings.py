"""Named matchings: a snapshot, and the log of what happened since and before.

The log is the truth: a matching is the replay of its events on the state that it was created with, and
the snapshot only saves time. Whoever appends holds the row, so that processes cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from gustibus.store.lookup import one_of
from gustibus.store.tables import TENANT, matching_events, matchings
from gustibus.store.upsert import batched, insert_or_ignore

_BATCH = 500


@dataclass(frozen=True, slots=True)
class MatchingRow:
    """A matching."""

    id: str
    spec: dict[str, Any]
    """What it was created with."""
    sequence: int
    """Number of the last event; 0 before the first."""
    snapshot: bytes
    snapshot_at: int
    """Number of the last event that the snapshot includes."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EventRow:
    """One thing that happened in a matching."""

    seq: int
    kind: str
    """`arrival`, `outcome`, `items` or `expiry`."""
    arrival_id: str | None
    body: dict[str, Any]
    decision: dict[str, Any]


def create_matching(
    conn: Connection, *, matching: str, spec: Mapping[str, Any], snapshot: bytes
) -> bool:
    """Make a matching; False when there is one of that name."""
    now = datetime.now(UTC)
    row = {
        "tenant_id": TENANT, "id": matching, "spec": dict(spec), "sequence": 0,
        "snapshot": snapshot, "snapshot_at": 0, "created_at": now, "updated_at": now,
    }  # fmt: skip
    return bool(insert_or_ignore(conn, matchings, [row], returning=matchings.c.id))


def get_matching(conn: Connection, *, matching: str, hold: bool = False) -> MatchingRow | None:
    """A matching, None when there is none; `hold` keeps others from changing it until the end."""
    query = select(matchings).where(_is(matching))
    row = conn.execute(query.with_for_update() if hold else query).first()
    return None if row is None else _matching(row)


def list_matchings(conn: Connection, *, after: str = "", limit: int = 100) -> list[MatchingRow]:
    """Matchings by name, those after a name."""
    query = (
        select(matchings)
        .where(matchings.c.tenant_id == TENANT, matchings.c.id > after)
        .order_by(matchings.c.id)
        .limit(limit)
    )
    return [_matching(row) for row in conn.execute(query)]


def delete_matching(conn: Connection, *, matching: str) -> bool:
    """Remove a matching with its log; False when there is none."""
    found = conn.execute(delete(matchings).where(_is(matching))).rowcount > 0
    mine = (matching_events.c.tenant_id == TENANT) & (matching_events.c.matching_id == matching)
    conn.execute(delete(matching_events).where(mine))
    return found


def list_events(
    conn: Connection, *, matching: str, after: int = 0, limit: int | None = None
) -> list[EventRow]:
    """Events with numbers above `after`, in order."""
    query = (
        select(matching_events)
        .where(
            matching_events.c.tenant_id == TENANT,
            matching_events.c.matching_id == matching,
            matching_events.c.seq > after,
        )
        .order_by(matching_events.c.seq)
    )
    rows = conn.execute(query if limit is None else query.limit(limit))
    return [EventRow(r.seq, r.kind, r.arrival_id, r.body, r.decision) for r in rows]


def decided_arrivals(
    conn: Connection, *, matching: str, arrivals: Sequence[str]
) -> dict[str, EventRow]:
    """Those of some arrivals that were decided already, by their ids."""
    found: dict[str, EventRow] = {}
    for some in batched(list(arrivals), _BATCH):
        rows = conn.execute(
            select(matching_events).where(
                matching_events.c.tenant_id == TENANT,
                matching_events.c.matching_id == matching,
                one_of(matching_events.c.arrival_id, some),
            )
        )
        found |= {
            r.arrival_id: EventRow(r.seq, r.kind, r.arrival_id, r.body, r.decision) for r in rows
        }
    return found


def append_events(conn: Connection, *, matching: str, events: Sequence[EventRow]) -> None:
    """Write events; the caller holds the matching."""
    now = datetime.now(UTC)
    rows = [
        {
            "tenant_id": TENANT, "matching_id": matching, "seq": e.seq, "kind": e.kind,
            "arrival_id": e.arrival_id, "body": e.body, "decision": e.decision, "at": now,
        }
        for e in events
    ]  # fmt: skip
    if rows:
        conn.execute(insert(matching_events), rows)


def advance_matching(
    conn: Connection, *, matching: str, sequence: int, snapshot: bytes | None = None
) -> None:
    """Note the number of the last event, and a snapshot that includes it."""
    values: dict[str, Any] = {"sequence": sequence, "updated_at": datetime.now(UTC)}
    if snapshot is not None:
        values |= {"snapshot": snapshot, "snapshot_at": sequence}
    conn.execute(update(matchings).where(_is(matching)).values(**values))


def _is(matching: str) -> Any:
    return (matchings.c.tenant_id == TENANT) & (matchings.c.id == matching)


def _matching(row: Any) -> MatchingRow:
    return MatchingRow(
        row.id, row.spec, row.sequence, row.snapshot, row.snapshot_at, row.created_at,
        row.updated_at,
    )  # fmt: skip
