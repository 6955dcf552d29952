"""What the store's recurring work costs as more and more has been asked, on SQLite and PostgreSQL.

Usage: python benchmarks/growth.py [--questions 10000 100000 1000000] [--engines sqlite postgresql]
                                   [--folder FOLDER]
People are asked twelve of 2,000 questions each. "plain" reads every question to count who saw what, as
once a day; "counts" reads what transactions have noted, as every ten seconds; "ask" keeps an answer's next
question with its count, in one durable transaction. Milliseconds, the median of several; of the clock,
and of the processor that this process takes (SQLite works in it, PostgreSQL beside it).
PostgreSQL is looked for where `PG*` say, else at 127.0.0.1 as postgres; a database is made and dropped.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from gustibus.store import (
    Connection,
    Store,
    add_question,
    exposure,
    exposure_is_off,
    lock_session,
    settle_exposure,
    upgrade,
)
from gustibus.store.tables import questions, sessions
from gustibus.store.upsert import insert_or_ignore
from store import database

EACH, POOL, MODEL = 12, 2000, "m" * 64
_BATCH = 2000  # sessions written together


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--folder", help="where SQLite's file goes; default a temporary one")
    chosen = parser.parse_args()
    print(f"{'engine':<12}{'questions':>10}{'plain':>16}{'counts':>16}{'ask':>16}"
          "   ms of the clock, of the processor")  # fmt: skip
    if "sqlite" in chosen.engines:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            report("sqlite", f"sqlite:///{folder}/growth.db", chosen.questions)
    if "postgresql" in chosen.engines:
        with database() as url:
            if url is not None:
                report("postgresql", url, chosen.questions)


def report(engine: str, url: str, sizes: list[int]) -> None:
    """A line for each size, in one store that grows."""
    upgrade(url)
    store, people = Store(url), 0
    for size in sorted(sizes):
        fill(store, people, people := size // EACH)
        for _ in range(3):  # as after hours of answers that were not added up yet
            time(store.write, asking(people))
        with store.read() as conn:
            assert not exposure_is_off(conn)
        plain = time(store.read, exposure_is_off, times=3)
        counts = time(store.read, lambda conn: exposure(conn, model=MODEL))
        asked = time(store.write, asking(people))
        told = "".join(f"{clock:>9.2f}{own:>7.2f}" for clock, own in (plain, counts, asked))
        print(f"{engine:<12}{size:>10,}{told}", flush=True)
    store.close()


def fill(store: Store, first: int, last: int) -> None:
    """People with a session of twelve answered questions each, and the counts of all."""
    now, rng = datetime.now(UTC), np.random.default_rng(first)
    for start in range(first, last, _BATCH):
        part = range(start, min(start + _BATCH, last))
        begun = [
            {"tenant_id": "default", "id": f"ses_{number:026}", "user_id": f"u-{number}",
             "model": MODEL, "state": "open", "settings": {}, "created_at": now,
             "expires_at": now + timedelta(days=7)}
            for number in part
        ]  # fmt: skip
        asked = [
            {"tenant_id": "default", "session_id": f"ses_{number:026}", "seq": seq, "row": row,
             "swapped": False, "reason": "info", "answer": "left", "ms": 900, "asked_at": now,
             "answered_at": now}
            for number in part
            for seq, row in enumerate(rng.choice(POOL, EACH, replace=False).tolist())
        ]  # fmt: skip
        with store.write() as conn:
            insert_or_ignore(conn, sessions, begun, returning=sessions.c.id)
            insert_or_ignore(conn, questions, asked, returning=questions.c.seq)
    if store.dialect == "postgresql":
        with store.write() as conn:
            conn.exec_driver_sql("ANALYZE onboarding_sessions, onboarding_questions")
    with store.write() as conn:
        settle_exposure(conn)


def asking(people: int) -> Callable[[Connection], Any]:
    """One more question of somebody, another one each time."""
    rng = np.random.default_rng()
    turn: Iterator[int] = iter(rng.permutation(people).tolist())

    def ask(conn: Connection) -> None:
        session = f"ses_{next(turn):026}"
        lock_session(conn, session=session)
        row = int(rng.integers(POOL))
        add_question(conn, session=session, seq=int(rng.integers(EACH, 1 << 30)), row=row,
                     swapped=False, reason="info")  # fmt: skip

    return ask


def time(
    begin: Callable[[], Any], work: Callable[[Connection], Any], *, times: int = 101
) -> tuple[float, float]:
    """Milliseconds of a transaction, of the clock and of the processor."""
    clocks, owns = [], []
    for _ in range(times):
        clock, own = perf_counter(), process_time()
        with begin() as conn:
            work(conn)
        clocks.append(1e3 * (perf_counter() - clock))
        owns.append(1e3 * (process_time() - own))
    return median(clocks), median(owns)


if __name__ == "__main__":
    main()
