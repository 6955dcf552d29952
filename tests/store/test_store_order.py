"""Transactions that meet in the same rows take them in one order, so that none waits in a circle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from gustibus.store import (
    Connection,
    NewComparison,
    NewItem,
    Side,
    Store,
    add_comparisons,
    ensure_users,
    put_items,
    put_user,
)

VECTOR = np.zeros(2, np.float32)
Write = Callable[[Connection, list[str]], object]


def comparisons(conn: Connection, names: list[str]) -> None:
    side = Side(None, "t", VECTOR)
    rows = [NewComparison("u", side, side, "a", client_id=name) for name in names]
    add_comparisons(conn, rows=rows, model="m")


def items(conn: Connection, names: list[str]) -> None:
    put_items(conn, rows=[NewItem(name, "t", None, (), VECTOR) for name in names], model="m")


def people(conn: Connection, names: list[str]) -> None:
    ensure_users(conn, users=names)


def waiting(store: Store) -> int:
    with store.read() as conn:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' " \
                "AND datname = current_database()"  # fmt: skip
        return int(conn.exec_driver_sql(query).scalar_one())


@pytest.mark.parametrize("write", [comparisons, items, people])
def test_rows_in_opposite_orders_do_not_lock_each_other_out(migrated_database, write: Write):
    """Both wait for the row in the middle; when it is free, each would hold what the other wants."""
    store = Store(migrated_database)
    name = write.__name__
    low, middle, high = f"{name}-1", f"{name}-2", f"{name}-3"
    with store.write() as conn:
        put_user(conn, user="u")
    done: list[str] = []

    def send(names: list[str]) -> None:
        with store.write() as conn:
            write(conn, names)
        done.append(names[0])

    orders = ([low, middle, high], [high, middle, low])
    threads = [threading.Thread(target=send, args=(names,)) for names in orders]

    def hold_the_middle() -> None:
        with store.write() as conn:
            write(conn, [middle])
            for thread in threads:
                thread.start()
            until = time.monotonic() + 60
            while waiting(store) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        hold_the_middle()
    for thread in threads:
        thread.join()
    store.close()
    assert sorted(done) == [low, high]
