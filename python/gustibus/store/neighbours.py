"""Where people are on the map of neighbours of a model, which takes minutes to make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from gustibus.store.erasure import hold_everybody
from gustibus.store.freshness import deleted_among
from gustibus.store.restrictions import restricted_among
from gustibus.store.tables import TENANT, neighbours
from gustibus.types import F64


class Neighbours(NamedTuple):
    """The map of one model."""

    users: list[str]
    """By name."""
    points: F64
    """`(n, 2)`."""
    made_at: datetime | None
    """None while there is no map."""


def put_neighbours(conn: Connection, *, model: str, users: Sequence[str], points: F64) -> int:
    """Replace the map of a model; people who were deleted or restricted meanwhile are not on it.

    Args:
        conn: a write transaction.
        model: digest.
        users: names, all different.
        points: `(n, 2)`.

    Returns:
        People who are on it.
    """
    hold_everybody(conn)
    gone = deleted_among(conn, users=users) | restricted_among(conn, users=users)
    now = datetime.now(UTC)
    conn.execute(delete(neighbours).where(_of(model)))
    rows = [
        {"tenant_id": TENANT, "model": model, "user_id": user, "x": x, "y": y, "made_at": now}
        for user, (x, y) in zip(users, points.tolist(), strict=True)
        if user not in gone
    ]
    if rows:
        conn.execute(insert(neighbours), rows)
    return len(rows)


def get_neighbours(conn: Connection, *, model: str) -> Neighbours:
    """The map of a model, empty when there is none."""
    rows = conn.execute(select(neighbours).where(_of(model)).order_by(neighbours.c.user_id)).all()
    points = np.array([(row.x, row.y) for row in rows], np.float64).reshape(-1, 2)
    return Neighbours([row.user_id for row in rows], points, rows[0].made_at if rows else None)


def _of(model: str) -> ColumnElement[bool]:
    return (neighbours.c.tenant_id == TENANT) & (neighbours.c.model == model)
