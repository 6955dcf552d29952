"""Transactions: durable or not there at all, one clear error when the database cannot be used."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from sqlalchemy.exc import DBAPIError

from gustibus.errors import ConfigError, OverloadedError
from gustibus.store.engine import ReadOnlyError, Store, allow_time

INSERT = "INSERT INTO settings VALUES ('default', '{}', 'x')"


def names(store: Store) -> set[str]:
    with store.read() as conn:
        return set(conn.exec_driver_sql("SELECT name FROM settings").scalars())


def put(store: Store, name: str) -> None:
    with store.write() as conn:
        conn.exec_driver_sql(INSERT.format(name))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("nonsense", "sqlite:///"),
        ("mysql://root@localhost/x", "mysql"),
        ("sqlite://", "file"),
        ("sqlite:///:memory:", "file"),
        ("sqlite:////no/such/folder/x.db", "/no/such/folder"),
    ],
)
def test_other_urls_are_refused(url, expected):
    with pytest.raises(ConfigError, match=expected):
        Store(url)


def test_a_url_in_an_error_shows_no_password():
    with pytest.raises(ConfigError) as caught:
        Store("oracle://gustibus:hunter2@db/x")
    assert "hunter2" not in str(caught.value)


def test_postgresql_without_a_driver_name_means_psycopg():
    store = Store("postgresql://somebody@localhost/x")
    assert store.url.drivername == "postgresql+psycopg"
    assert store.dialect == "postgresql"
    store.close()


def test_an_unreachable_server_is_one_clear_error():
    store = Store("postgresql://nobody@127.0.0.1:1/x")
    with pytest.raises(OverloadedError, match="database"):
        store.ping()
    with pytest.raises(ConfigError, match="cannot be opened"):
        store.check_schema()
    store.close()


def test_a_write_is_seen_afterwards_and_an_exception_undoes_it(store):
    put(store, "kept")

    def fail() -> None:
        with store.write() as conn:
            conn.exec_driver_sql(INSERT.format("lost"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(store) == {"kept"}
    put(store, "after")
    assert names(store) == {"kept", "after"}


def test_a_read_cannot_write(store):
    with pytest.raises(ReadOnlyError), store.read() as conn:
        conn.exec_driver_sql(INSERT.format("stray"))
    assert names(store) == set()


def test_a_missing_table_says_what_to_run(empty_url):
    store = Store(empty_url)
    with pytest.raises(ConfigError, match="gustibus db upgrade"):
        names(store)
    store.close()


def test_a_mistake_in_a_statement_is_not_taken_for_load(store):
    with pytest.raises(DBAPIError), store.read() as conn:
        conn.exec_driver_sql("SELEC 1")


def test_a_reader_sees_one_state_while_a_writer_commits(store):
    put(store, "first")
    with store.read() as conn:
        before = conn.exec_driver_sql("SELECT count(*) FROM settings").scalar()
        put(store, "second")
        after = conn.exec_driver_sql("SELECT count(*) FROM settings").scalar()
    assert (before, after) == (1, 1)
    assert names(store) == {"first", "second"}


def test_sqlite_is_set_up_for_durability(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/x.db")
    with store.read() as conn:
        pragma = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    store.close()
    assert pragma["journal_mode"] == "wal"
    assert pragma["synchronous"] == 2
    assert pragma["busy_timeout"] >= 1000
    assert pragma["foreign_keys"] == 1


def test_readers_of_sqlite_keep_few_pages(tmp_path):
    """Each has its own, and none of them is worth anything when somebody has written."""
    store = Store(f"sqlite:///{tmp_path}/x.db")
    with store.read() as reader, store.write() as writer:
        kept = [conn.exec_driver_sql("PRAGMA cache_size").scalar() for conn in (reader, writer)]
    store.close()
    assert kept == [-512, -2000], "KiB"


def test_writers_of_one_file_wait_for_each_other(store):
    def work(number: int) -> None:
        for step in range(5):
            put(store, f"{number}-{step}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(store)) == 30


def test_two_processes_that_read_before_they_write_do_not_stop_each_other(url):
    def work(number: int) -> None:
        mine = Store(url)  # as another process has it
        for step in range(15):
            with mine.write() as conn:
                conn.exec_driver_sql("SELECT count(*) FROM settings").scalar()
                conn.exec_driver_sql(INSERT.format(f"{number}-{step}"))
        mine.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = Store(url)
    assert len(names(store)) == 45
    store.close()


def test_connections_that_open_a_new_file_at_once_wait_for_each_other(tmp_path):
    reached: list[str] = []

    def work(url: str, gate: threading.Barrier) -> None:
        mine = Store(url)
        gate.wait()
        mine.ping()
        mine.close()
        reached.append(url)

    for number in range(60):
        gate = threading.Barrier(4)
        given = (f"sqlite:///{tmp_path}/{number}.db", gate)
        threads = [threading.Thread(target=work, args=given) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(reached) == 4 * 60


@pytest.mark.parametrize("block", ["read", "write"])
def test_a_connection_that_was_out_while_all_were_closed_is_closed_after_it(migrated_file, block):
    store = Store(f"sqlite:///{migrated_file}")
    with getattr(store, block)() as conn:
        raw = conn.connection.driver_connection
        store.close()
        assert raw.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        raw.execute("SELECT 1")
    store.ping()
    store.close()


def test_a_locked_database_is_one_clear_error(tmp_path, migrated_file, monkeypatch):
    monkeypatch.setattr("gustibus.store.engine.BUSY_SECONDS", 0.2)
    path = tmp_path / "locked.db"
    path.write_bytes(migrated_file.read_bytes())
    store = Store(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        with pytest.raises(OverloadedError, match="locked"):
            put(store, "refused")
        assert time.monotonic() - start < 5
        assert names(store) == set()  # readers are not held up
        other.execute("ROLLBACK")
    put(store, "accepted")
    assert names(store) == {"accepted"}
    store.close()


def test_a_full_disk_is_one_clear_error_and_passes(tmp_path, migrated_file):
    path = tmp_path / "full.db"
    path.write_bytes(migrated_file.read_bytes())
    store = Store(f"sqlite:///{path}")
    with store.write() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ReadOnlyError, match="full") as caught:
        put(store, "x" * 1_000_000)
    assert caught.value.code == "read_only"
    assert names(store) == set()  # reading goes on
    with store.write() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count = 100000")
    put(store, "again")
    assert names(store) == {"again"}
    store.close()


def test_too_many_transactions_at_once_are_refused(url, monkeypatch):
    monkeypatch.setattr("gustibus.store.engine.BUSY_SECONDS", 0.2)
    store = Store(url, readers=1, writers=1)
    with store.read(), pytest.raises(OverloadedError, match="connection"):
        names(store)
    assert names(store) == set()
    store.close()


def test_a_connection_that_the_server_closed_is_replaced(migrated_database):
    store = Store(migrated_database)
    names(store)
    other = Store(migrated_database)

    def lose_it() -> None:
        with store.write() as conn:
            mine = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with other.write() as killer:
                killer.exec_driver_sql(f"SELECT pg_terminate_backend({mine})")
            conn.exec_driver_sql(INSERT.format("lost"))

    with pytest.raises(OverloadedError, match="database"):
        lose_it()
    other.close()
    assert "lost" not in names(store)
    store.close()


def test_a_process_killed_in_a_transaction_leaves_nothing(url, store):
    code = f"""
import sys, time
from gustibus.store.engine import ReadOnlyError, Store, allow_time
store = Store(sys.argv[1])
with store.write() as conn:
    conn.exec_driver_sql("{INSERT.format("done")}")
with store.write() as conn:
    for number in range(1000):
        conn.exec_driver_sql("{INSERT}".format(number))
    print("inside", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert names(store) == {"done"}
    put(store, "next")
    assert names(store) == {"done", "next"}


def test_a_start_is_not_held_to_the_time_of_a_request(store):
    if store.dialect != "postgresql":
        pytest.skip("SQLite bounds no statement")
    for _ in range(2):  # the connection goes back to its pool as it was
        with store.read() as conn:
            show = "SHOW statement_timeout"
            assert conn.exec_driver_sql(show).scalar() == "30s"
            allow_time(conn)
            assert conn.exec_driver_sql(show).scalar() == "0"
