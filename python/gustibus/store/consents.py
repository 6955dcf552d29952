"""What people said about learning from what they say next, and what follows from a no.

A yes lets turns of the person be read. A no, the opt-out, removes what was read off their turns and
keeps everything of that kind out, whichever way it comes, until they say yes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from gustibus.store.answers import delete_implicit
from gustibus.store.erasure import wait_for_many
from gustibus.store.freshness import mark_stale
from gustibus.store.lookup import among
from gustibus.store.people import ensure_users
from gustibus.store.tables import TENANT, consents, users
from gustibus.store.upsert import batched, insert_or_update

_ROWS = 500


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """What one person said last."""

    user: str
    follow_ups: bool
    """Whether what they say next may be read as a preference; False is an opt-out."""
    updated_at: datetime


def get_consent(conn: Connection, *, user: str) -> ConsentRow | None:
    """What a person said; None where nothing is kept."""
    row = conn.execute(select(consents).where(_of(user))).first()
    return None if row is None else ConsentRow(row.user_id, bool(row.follow_ups), row.updated_at)


def consents_of(conn: Connection, *, users: Sequence[str]) -> dict[str, bool]:
    """What each of these people said; those of whom nothing is kept are left out."""
    found: dict[str, bool] = {}
    for part in batched(sorted(set(users)), _ROWS):
        mine = (consents.c.tenant_id == TENANT) & among(conn, consents.c.user_id, part)
        rows = conn.execute(select(consents.c.user_id, consents.c.follow_ups).where(mine))
        found |= {user: bool(said) for user, said in rows}
    return found


def set_consent(conn: Connection, *, user: str, follow_ups: bool) -> tuple[ConsentRow, int]:
    """Keep what a person says from now on, and remove what an opt-out takes back.

    Who adds comparisons of a person holds their row; this waits for them, and they for this, so that
    none is kept that was read off a turn and comes after the no.

    Returns:
        The row, and how many comparisons were removed.

    Raises:
        ConflictError: the person was deleted.
    """
    if not follow_ups:
        wait_for_many(conn)
    ensure_users(conn, users=[user])
    mine = (users.c.tenant_id == TENANT) & (users.c.id == user)
    conn.execute(select(users.c.id).where(mine).with_for_update())
    row = ConsentRow(user, follow_ups, datetime.now(UTC))
    insert_or_update(conn, consents, [{
        "tenant_id": TENANT, "user_id": user, "follow_ups": follow_ups,
        "updated_at": row.updated_at,
    }])  # fmt: skip
    return row, 0 if follow_ups else _take_back(conn, user)


def _take_back(conn: Connection, user: str) -> int:
    """Remove what was read off a person's turns, and have them fitted again without it."""
    gone = delete_implicit(conn, user=user)
    if gone:
        mark_stale(conn, user=user)
    return gone


def _of(user: str) -> Any:
    return (consents.c.tenant_id == TENANT) & (consents.c.user_id == user)
