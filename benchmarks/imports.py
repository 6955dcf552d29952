"""Rows a second of an import, and whether memory stays flat, on SQLite and PostgreSQL.

Usage: python benchmarks/imports.py [--rows 100000] [--people 10000] [--folder FOLDER]
A log of comparisons of items by id is read line by line and committed a thousand rows at a time through the
functions that `gustibus import` and `PUT /v1/imports/{import}/data` use; the next batch is read while one is
committed, as the service does. CPU is of this process; what PostgreSQL's server uses is not in it. A second
pass over the same log finds duplicates alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time

from gustibus.data.answers import Answer, answer_of
from gustibus.data.streaming import rows_of
from gustibus.store import Intake, NewItem, Store, put_items, take_answers, upgrade
from store import database

ITEMS = 200
BATCH = 1000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--folder", help="where files go; default a temporary one")
    chosen = parser.parse_args()
    print(f"{'engine':<12}{'pass':<8}{'rows/s':>9}{'CPU us/row':>12}{'kept':>9}{'MiB grown':>11}")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        log = Path(folder) / "log.jsonl"
        write(log, chosen.rows, chosen.people)
        report("sqlite", f"sqlite:///{folder}/bench.db", log)
        with database() as url:
            if url is not None:
                report("postgresql", url, log)


def write(path: Path, rows: int, people: int) -> None:
    """A log."""
    with path.open("w") as file:
        for n in range(rows):
            row = {"id": f"r{n}", "user": f"u{n * 7919 % people}", "item_a": f"i{n % ITEMS}",
                   "item_b": f"i{(n + 3) % ITEMS}", "outcome": "ab"[n % 2]}  # fmt: skip
            file.write(json.dumps(row) + "\n")


def report(engine: str, url: str, log: Path) -> None:
    """Both passes on one engine."""
    upgrade(url)
    store = Store(url)
    with store.write() as conn:
        items = [NewItem(f"i{n}", "text", None, (), None) for n in range(ITEMS)]
        put_items(conn, rows=items, model="")
    for name in ("first", "again"):
        before, began, cpu = resident(), perf_counter(), process_time()
        rows, kept = run(store, log)
        took, used = perf_counter() - began, process_time() - cpu
        grown = (resident() - before) / 2**20
        print(f"{engine:<12}{name:<8}{rows / took:>9,.0f}{used / rows * 1e6:>12.1f}{kept:>9}"
              f"{grown:>11.1f}", flush=True)  # fmt: skip
    store.close()


def run(store: Store, log: Path) -> tuple[int, int]:
    """Import a log; rows, and how many were kept."""
    rows = kept = 0
    waiting: Future[Intake] | None = None
    with ThreadPoolExecutor(1) as pool:
        found = answers(log)
        while batch := tuple(islice(found, BATCH)):
            if waiting is not None:
                kept += waiting.result().accepted
            waiting = pool.submit(keep, store, batch)
            rows += len(batch)
        if waiting is not None:
            kept += waiting.result().accepted
    return rows, kept


def answers(log: Path) -> Iterator[Answer]:
    """The records of a log."""
    for row in rows_of(log):
        assert isinstance(row.values, dict)
        yield answer_of(row.values, place=f"{log}:{row.number}")


def keep(store: Store, batch: tuple[Answer, ...]) -> Intake:
    """Commit a batch."""
    with store.write() as conn:
        return take_answers(conn, answers=batch)


def resident() -> int:
    """Resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
