"""PostgreSQL tells those who listen what was committed, once a transaction."""

from __future__ import annotations

import asyncio
import contextlib

from gustibus.store import JOB, Store, create_job, listen, put_user
from gustibus.store.changes import note


async def told(store: Store) -> list[str]:
    """What is heard of a transaction that is undone, of one of many changes, and of a new job."""
    heard = []
    stream = listen(store.url)
    assert await anext(stream) == ""
    with contextlib.suppress(RuntimeError), store.write() as conn:
        put_user(conn, user="gone")
        raise RuntimeError
    with store.write() as conn:
        for number in range(200):
            note(conn, "user", [f"u{number}-{n}" for n in range(5)])
    with store.write() as conn:
        create_job(conn, kind="export", params={}, by="test")
    while JOB not in heard:
        heard.append(await anext(stream))
    await stream.aclose()
    return heard


def test_a_transaction_sends_one_message_and_none_when_it_is_undone(migrated_database):
    store = Store(migrated_database)
    try:
        heard = asyncio.run(asyncio.wait_for(told(store), 30))
    finally:
        store.close()
    assert len(heard) == 2
    assert heard[0].isdecimal()
