"""Commits a second and CPU per row of the store, on SQLite and PostgreSQL.

Usage: python benchmarks/store.py [--seconds 2] [--folder FOLDER]
Every commit keeps new comparisons with vectors of 32 dimensions through the store's own functions, and
is durable when it is counted. "raw" is the same number of rows of the same bytes through the driver alone: the
most that the engine could give. CPU is of this process; what PostgreSQL's server uses is not in it.
PostgreSQL is looked for where `PG*` say, else at 127.0.0.1 as postgres; a database is made and dropped.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np

from gustibus.store import NewComparison, Side, Store, add_comparisons, ensure_users, upgrade

DIM = 32
PEOPLE = 1000


class Speed(NamedTuple):
    """Of commits of one size."""

    commits: float
    """A second."""
    median: float
    """Milliseconds a commit."""
    high: float
    """99th percentile, ms."""
    cpu: float
    """Microseconds of this process a row."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    parser.add_argument("--folder", help="where SQLite's file goes; default a temporary one")
    chosen = parser.parse_args()
    print(f"{'engine':<12}{'path':<7}{'rows':>6}{'commits/s':>11}{'rows/s':>10}"
          f"{'p50 ms':>9}{'p99 ms':>9}{'CPU us/row':>12}")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        url = f"sqlite:///{folder}/bench.db"
        report("sqlite", url, raw_sqlite(f"{folder}/raw.db"), chosen.seconds)
    with database() as url:
        if url is not None:
            report("postgresql", url, raw_postgres(url), chosen.seconds)


def report(engine: str, url: str, raw: Callable[[int], None], seconds: float) -> None:
    """Both paths of one engine."""
    upgrade(url)
    store = Store(url)
    with store.write() as conn:
        ensure_users(conn, users=[f"u{number}" for number in range(PEOPLE)])
    for path, commit in (("store", through(store)), ("raw", raw)):
        for rows in (1, 20, 1000):
            found = measure(commit, rows, seconds)
            print(
                f"{engine:<12}{path:<7}{rows:>6}{found.commits:>11,.0f}{found.commits * rows:>10,.0f}"
                f"{found.median:>9.2f}{found.high:>9.2f}{found.cpu:>12.1f}", flush=True,
            )  # fmt: skip
    store.close()


def measure(commit: Callable[[int], None], rows: int, seconds: float) -> Speed:
    """Commit for some time."""
    for _ in range(3):
        commit(rows)
    times = []
    start, cpu = perf_counter(), process_time()
    while perf_counter() - start < seconds:
        before = perf_counter()
        commit(rows)
        times.append(perf_counter() - before)
    took, used = perf_counter() - start, process_time() - cpu
    median, high = np.percentile(times, [50, 99]) * 1e3
    return Speed(len(times) / took, float(median), float(high), used / len(times) / rows * 1e6)


def through(store: Store) -> Callable[[int], None]:
    """The way of `POST /v1/comparisons`."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((4096, DIM)).astype(np.float32)
    sent = 0

    def commit(count: int) -> None:
        nonlocal sent
        rows = [
            NewComparison(
                f"u{(sent + place) % PEOPLE}", Side(None, "left text", vectors[place]),
                Side(None, "right text", vectors[place + 1000]), "a",
                client_id=f"c{sent + place}", prompt="a prompt of some length",
            )
            for place in range(count)
        ]  # fmt: skip
        sent += count
        with store.write() as conn:
            ensure_users(conn, users=[row.user for row in rows])
            add_comparisons(conn, rows=rows, model="m" * 64)

    return commit


RAW = (
    "CREATE TABLE raw (id TEXT PRIMARY KEY, client_id TEXT UNIQUE, user_id TEXT, prompt TEXT, "
    "a TEXT, b TEXT, va {bytes}, vb {bytes})"
)


def raw_rows(first: int, count: int) -> list[tuple[object, ...]]:
    """Rows of about the same bytes."""
    data = bytes(4 * DIM)
    return [
        (f"cmp_{first + n:026}", f"c{first + n}", f"u{n}", "a prompt of some length", "left text",
         "right text", data, data)
        for n in range(count)
    ]  # fmt: skip


def raw_sqlite(path: str) -> Callable[[int], None]:
    """Rows through the driver alone."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(RAW.format(bytes="BLOB"))
    sent = 0

    def commit(count: int) -> None:
        nonlocal sent
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO raw VALUES (?,?,?,?,?,?,?,?)", raw_rows(sent, count))
        connection.execute("COMMIT")
        sent += count

    return commit


def raw_postgres(url: str) -> Callable[[int], None]:
    """Rows through the driver alone."""
    import psycopg

    connection = psycopg.connect(url)
    connection.execute(RAW.format(bytes="BYTEA").encode())
    connection.commit()
    sent = 0

    def commit(count: int) -> None:
        nonlocal sent
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO raw VALUES (%s,%s,%s,%s,%s,%s,%s,%s)", raw_rows(sent, count)
            )
        connection.commit()
        sent += count

    return commit


@contextmanager
def database() -> Iterator[str | None]:
    """URL of a PostgreSQL database that is dropped afterwards; None where no server answers."""
    import psycopg

    host, port = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGPORT", "5432")
    user = os.environ.get("PGUSER", "postgres")
    server = f"postgresql://{user}@{host}:{port}"
    name = f"gustibus_bench_{secrets.token_hex(6)}"
    try:
        connection = psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        print(f"postgresql: none answers at {host}:{port} ({str(error).splitlines()[0]})")
        yield None
        return
    with closing(connection):
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield f"{server}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


if __name__ == "__main__":
    main()
