"""What other processes wrote is told, all of it, whatever the order of commits."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select, update

from gustibus.store import Change, Store, position, purge_changes, put_user, since
from gustibus.store.changes import note
from gustibus.store.tables import changes
from tests.store.follow import follow


def write(store: Store, *names: str) -> None:
    with store.write() as conn:
        note(conn, "user", names)


def look(store: Store, cursor: int) -> tuple[int, set[str]]:
    with store.read() as conn:
        cursor, told = since(conn, cursor)
    return cursor, {change.name for change in told}


def test_changes_after_a_position_are_told_once(store):
    write(store, "before")
    with store.read() as conn:
        cursor = position(conn)
    write(store, "a", "b", "a")
    write(store, "c")
    told: list[str] = []
    until = time.monotonic() + 60
    while not {"a", "b", "c"} <= set(told) and time.monotonic() < until:
        cursor, names = look(store, cursor)
        told += names
    # Where an older transaction runs elsewhere, what was written before may be told again.
    assert sorted(set(told) - {"before"}) == ["a", "b", "c"]
    assert len(told) == len(set(told))
    assert look(store, cursor)[1] == set()


def test_a_change_that_is_undone_is_not_told(store):
    with store.read() as conn:
        cursor = position(conn)

    def fail() -> None:
        with store.write() as conn:
            put_user(conn, user="ann")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert look(store, cursor)[1] == set()


def test_kinds_are_told_apart(store):
    with store.read() as conn:
        cursor = position(conn)
    with store.write() as conn:
        note(conn, "user", ["x"])
        note(conn, "item", ["x", "y"])
        note(conn, "key", [])
    told = follow(store, cursor, 3)[1]
    assert sorted(told) == [Change("item", "x"), Change("item", "y"), Change("user", "x")]


def test_a_commit_that_comes_late_is_not_missed(migrated_database):
    """The one that began first ends last: its row has the lower number and appears later."""
    store = Store(migrated_database)
    with store.read() as conn:
        cursor = position(conn)
    with store.write() as slow:
        note(slow, "user", ["slow"])
        write(store, "fast")
        cursor, first = look(store, cursor)
        cursor, second = look(store, cursor)
    # What began later waits for transactions of other tests over the same server, too.
    left = 2 - len(first | second)
    third = {change.name for change in follow(store, cursor, left)[1]}
    store.close()
    assert "slow" not in first | second
    assert {"slow", "fast"} <= first | second | third


def test_nothing_is_missed_while_many_write(store):
    writers, each = 4, 30
    told: list[str] = []
    running = threading.Event()
    running.set()

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        for step in range(each):
            with store.write() as conn:
                note(conn, "user", [f"{number}-{step}-early"])
                if rng.random() < 0.3:  # hold the transaction open while others commit
                    for _ in range(20):
                        conn.exec_driver_sql("SELECT 1")
                note(conn, "user", [f"{number}-{step}-late"])

    def read(start: int) -> None:
        cursor = start
        while running.is_set():
            cursor, names = look(store, cursor)
            told.extend(names)
        rest = 2 * writers * each - len(told)
        told.extend(change.name for change in follow(store, cursor, rest)[1])

    with store.read() as conn:
        start = position(conn)
    reader = threading.Thread(target=read, args=(start,))
    threads = [threading.Thread(target=work, args=(number,)) for number in range(writers)]
    for thread in (reader, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    running.clear()
    reader.join()
    wanted = {
        f"{number}-{step}-{part}"
        for number in range(writers)
        for step in range(each)
        for part in ("early", "late")
    }
    assert set(told) == wanted
    assert len(told) == len(wanted)  # and nothing twice


def test_old_changes_are_forgotten(store):
    write(store, "a", "b")
    with store.write() as conn:
        assert purge_changes(conn) == 0
        assert purge_changes(conn, age=timedelta(seconds=-1)) == 2
    cursor, told = look(store, 0)
    assert told == set()
    write(store, "c")
    assert follow(store, cursor)[1] == [Change("user", "c")]


def test_more_changes_are_forgotten_than_are_looked_at_together(store):
    names = [f"n{number}" for number in range(2500)]
    write(store, *names)
    with store.write() as conn:
        old = datetime.now(UTC) - timedelta(days=2)
        conn.execute(update(changes).where(changes.c.name != "n2400").values(at=old))
        assert purge_changes(conn) == 2499
        assert [row.name for row in conn.execute(select(changes.c.name))] == ["n2400"]
        assert purge_changes(conn) == 0
