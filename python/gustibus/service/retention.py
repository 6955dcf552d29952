"""What is older than the settings keep it, removed in parts between which others have their turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gustibus.store import (
    Connection,
    remove_old_audit,
    remove_old_comparisons,
    remove_old_sessions,
    remove_old_usage,
)

if TYPE_CHECKING:
    from gustibus.service.state import State

_PARTS = 20  # of a kind that are removed at once; the rest comes at the next look
_SESSIONS, _COMPARISONS, _ENTRIES, _USAGE = 100, 1000, 5000, 1000  # in a part

Remove = Callable[[Connection, datetime], tuple[int, Sequence[str]]]
"""Removes a part of what is of before a time: how much that was, and who is to be fitted without it."""


async def remove_old(state: State) -> None:
    """Remove sessions, comparisons, entries of the audit log and usage that were kept for long enough."""
    settings, now = state.settings, datetime.now(UTC)
    # A removal adds an entry itself: by whole days that is one a day, and not one at every look.
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    removed = {
        "sessions": await _in_parts(state, _sessions, now, settings.keep_sessions_days, _SESSIONS),
        "comparisons": await _in_parts(
            state, _comparisons, now, settings.keep_comparisons_days, _COMPARISONS
        ),
        "entries": await _in_parts(state, _entries, midnight, settings.keep_audit_days, _ENTRIES),
        "usage": await _in_parts(state, _usage, now, settings.keep_usage_days, _USAGE),
    }
    if any(removed.values()):
        state.journal.event("removed_old", **removed)


async def _in_parts(state: State, remove: Remove, now: datetime, days: float, full: int) -> int:
    """Remove until a part is not full, and say how much that was; 0 days keep everything."""
    count = 0
    if days == 0:
        return count
    before = now - timedelta(days=days)
    for _ in range(_PARTS):
        removed, users = await state.threads.write(lambda conn: remove(conn, before))
        state.refits.add(users)
        count += removed
        if removed < full:
            break
    return count


def _sessions(conn: Connection, before: datetime) -> tuple[int, Sequence[str]]:
    return remove_old_sessions(conn, before=before, limit=_SESSIONS), []


def _comparisons(conn: Connection, before: datetime) -> tuple[int, Sequence[str]]:
    return remove_old_comparisons(conn, before=before, limit=_COMPARISONS)


def _entries(conn: Connection, before: datetime) -> tuple[int, Sequence[str]]:
    return remove_old_audit(conn, before=before, limit=_ENTRIES), []


def _usage(conn: Connection, before: datetime) -> tuple[int, Sequence[str]]:
    return remove_old_usage(conn, before=before, limit=_USAGE), []
