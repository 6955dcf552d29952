"""Reading changes as a process does: again and again.

On PostgreSQL a change is told once no older transaction of the whole cluster runs, so other tests
can delay it.
"""

from __future__ import annotations

import time

from gustibus.store import Change, Store, since


def follow(store: Store, cursor: int, count: int = 1) -> tuple[int, list[Change]]:
    """The next cursor and what was told, when `count` changes have been or 20 seconds have passed."""
    told: list[Change] = []
    until = time.monotonic() + 20
    while len(told) < count and time.monotonic() < until:
        with store.read() as conn:
            cursor, more = since(conn, cursor)
        told += [change for change in more if change not in told]
        time.sleep(0 if len(told) >= count else 0.02)
    return cursor, told
