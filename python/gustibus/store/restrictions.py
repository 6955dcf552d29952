"""People whose processing is restricted: their answers are stored, and nothing is learned from them.

Such a person has no profile, under no model, and none can be written; so that whoever reads profiles takes
them for anybody. Nothing that they say is added until the restriction is lifted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, literal_column, select, update

from gustibus.store.erasure import wait_for_many
from gustibus.store.lookup import among
from gustibus.store.people import reset_profile
from gustibus.store.quarantines import held_in_quarantine
from gustibus.store.tables import ACTIVE, QUARANTINED, RESTRICTED, TENANT, users
from gustibus.store.upsert import batched

_FEW = 500  # people who are asked about by name
_users = users

WITHHELD = "the person's processing is restricted; nothing of them is taken until that is lifted"


def restrict_user(conn: Connection, *, user: str) -> bool:
    """Keep a person's answers and use them no more; their profiles and places on maps go.

    Who adds answers of a person, or fits them, holds their row; this waits for them, and they for this, so
    that none is added and no profile is written afterwards.

    Returns:
        False when it was so before, and for nobody.
    """
    return _change(conn, user, before=(ACTIVE, QUARANTINED), after=RESTRICTED)


def unrestrict_user(conn: Connection, *, user: str) -> bool:
    """Lift a restriction; whoever works on the store fits the person from all answers. False without one.

    Somebody who was in quarantine is in it again.
    """
    return _change(conn, user, before=(RESTRICTED,), after=ACTIVE)


def _change(conn: Connection, user: str, *, before: tuple[str, ...], after: str) -> bool:
    wait_for_many(conn)
    mine = (_users.c.tenant_id == TENANT) & (_users.c.id == user)
    state = conn.execute(select(_users.c.state).where(mine).with_for_update()).scalar()
    if state not in before:
        return False
    if after == ACTIVE and held_in_quarantine(conn, user=user):
        after = QUARANTINED
    conn.execute(update(_users).where(mine).values(state=after))
    reset_profile(conn, user=user)
    return True


def restricted_users(conn: Connection) -> list[str]:
    """Everybody whose processing is restricted."""
    return list(conn.execute(restricted()).scalars())


def restricted_among(conn: Connection, *, users: Iterable[str]) -> set[str]:
    """Which of some people are restricted.

    A few are looked up by name. For very many it is as a rule cheaper to read who is restricted at all.
    """
    wanted = set(users)
    if len(wanted) > _FEW:
        some = conn.execute(restricted().limit(_FEW + 1)).scalars().all()
        if len(some) <= _FEW:
            return wanted.intersection(some)
    found: set[str] = set()
    for part in batched(sorted(wanted), _FEW):
        found.update(conn.execute(restricted().where(among(conn, _users.c.id, part))).scalars())
    return found


def restricted() -> Select[Any]:
    """Names of everybody whose processing is restricted, from an index of them alone."""
    # Written out, because a parameter would keep engines from that index.
    state = _users.c.state == literal_column(f"'{RESTRICTED}'")
    return select(_users.c.id).where(_users.c.tenant_id == TENANT, state)
