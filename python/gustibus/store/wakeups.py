"""Messages of PostgreSQL that there is something to read, for processes that would look a second later.

A message leaves with the transaction that it tells of, so that none comes too early and none of what is
undone. It says little: whoever hears it looks as ever, and whoever misses it looks a second later.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import URL, Connection, func, select

from gustibus.errors import OverloadedError
from gustibus.store.engine import NETWORK

CHANNEL: Final = "gustibus"
JOB: Final = "job"
"""The message that a job waits; every other is the number of a transaction that changed something."""


def tell_job(conn: Connection) -> None:
    """Wake a worker when this transaction is committed; on SQLite nobody can be told."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_notify(CHANNEL, JOB)))


async def listen(url: URL) -> AsyncIterator[str]:
    """What is told, as it comes; the first is empty and means that from now on nothing is missed.

    Args:
        url: of a PostgreSQL database; the connection is one beside those of the store.

    Raises:
        OverloadedError: it cannot be made, or has been lost.
    """
    import psycopg

    _, given = url.get_dialect()().create_connect_args(url)
    named = {"fallback_application_name": f"{CHANNEL} listener", **NETWORK, **given}
    try:
        conn = await psycopg.AsyncConnection.connect(autocommit=True, **named)
        async with conn:
            await conn.execute(f"LISTEN {CHANNEL}")
            yield ""
            async for told in conn.notifies():
                yield told.payload
    except psycopg.Error as error:
        reason = error.sqlstate or "no connection"
        message = f"database: cannot be listened to now ({reason})"
        raise OverloadedError(message, where="database") from error
