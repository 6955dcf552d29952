"""People whose answers look as if nobody with a taste gave them: kept out of trainings, and served as before.

They keep their profile and may go on answering. An operator lifts the quarantine; what they had said by
then is not held against them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select, update

from gustibus.store.changes import note
from gustibus.store.erasure import wait_for_many
from gustibus.store.lookup import among
from gustibus.store.tables import ACTIVE, QUARANTINED, TENANT, comparisons, quarantines, users
from gustibus.store.upsert import batched, insert_or_update

_PAGE = 500
_users = users


class QuarantineRow(NamedTuple):
    """Why somebody is or was in quarantine."""

    reasons: tuple[str, ...]
    put_at: datetime
    lifted_at: datetime | None
    """None while it holds."""
    lifted_through: str
    """Id of the last answer that the operator could judge by; empty without any, and while it holds."""


def quarantine_user(conn: Connection, *, user: str, reasons: Sequence[str]) -> bool:
    """Keep a person's answers out of trainings until an operator lifts that.

    Returns:
        False for somebody who is in quarantine already, whose processing is restricted, and for nobody.
    """
    mine = _is(user) & (_users.c.state == ACTIVE)
    put = conn.execute(update(_users).where(mine).values(state=QUARANTINED)).rowcount
    if not put:
        return False
    row = {
        "tenant_id": TENANT, "user_id": user, "reasons": list(reasons),
        "put_at": datetime.now(UTC), "lifted_at": None, "lifted_through": None,
    }  # fmt: skip
    insert_or_update(conn, quarantines, [row])
    note(conn, "user", [user])
    return True


def release_user(conn: Connection, *, user: str) -> bool:
    """End a quarantine, also of somebody whose processing is restricted by now; False without one.

    Whoever works on the store fits the person again.
    """
    wait_for_many(conn)
    state = conn.execute(select(_users.c.state).where(_is(user)).with_for_update()).scalar()
    if state is None:
        return False
    said = (comparisons.c.tenant_id == TENANT) & (comparisons.c.user_id == user)
    last = conn.execute(select(func.max(comparisons.c.id)).where(said)).scalar()
    lifted = {"lifted_at": datetime.now(UTC), "lifted_through": last or ""}
    held = _of(user) & quarantines.c.lifted_at.is_(None)
    ended = conn.execute(update(quarantines).where(held).values(**lifted)).rowcount
    mine = _is(user) & (_users.c.state == QUARANTINED)
    freed = conn.execute(update(_users).where(mine).values(state=ACTIVE)).rowcount
    if not ended and not freed:
        return False
    note(conn, "user", [user])
    return True


def held_in_quarantine(conn: Connection, *, user: str) -> bool:
    """Whether somebody's quarantine has not been lifted, whatever else is the matter with them."""
    held = _of(user) & quarantines.c.lifted_at.is_(None)
    return conn.execute(select(quarantines.c.user_id).where(held)).scalar() is not None


def quarantines_of(conn: Connection, *, users: Sequence[str]) -> dict[str, QuarantineRow]:
    """The quarantines of those of some people who are or were in one."""
    found: dict[str, QuarantineRow] = {}
    for part in batched(sorted(users), _PAGE):
        mine = (quarantines.c.tenant_id == TENANT) & among(conn, quarantines.c.user_id, part)
        for row in conn.execute(select(quarantines).where(mine)):
            found[row.user_id] = QuarantineRow(
                tuple(row.reasons), row.put_at, row.lifted_at, row.lifted_through or ""
            )
    return found


def quarantined_users(conn: Connection) -> list[str]:
    """Everybody who is in quarantine, whatever else is the matter with them."""
    return list(conn.execute(quarantined()).scalars())


def quarantined() -> Select[Any]:
    """Names of everybody who is in quarantine."""
    held = (quarantines.c.tenant_id == TENANT) & quarantines.c.lifted_at.is_(None)
    return select(quarantines.c.user_id).where(held)


def _is(user: str) -> Any:
    return (_users.c.tenant_id == TENANT) & (_users.c.id == user)


def _of(user: str) -> Any:
    return (quarantines.c.tenant_id == TENANT) & (quarantines.c.user_id == user)
