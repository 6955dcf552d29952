"""Rows a second of an import, its processor time, and whether memory stays flat.

Usage: python benchmarks/imports.py [--rows 100000] [--people 10000] [--over functions http]
       [--engines sqlite postgresql] [--folder FOLDER]
A log of comparisons of items by id is imported twice; the second pass finds duplicates alone. Over
`functions` it is read line by line and committed a thousand rows at a time in this process, as
`gustibus import` does into a database; the next batch is read while one is committed. Over `http` it is
streamed to a service in a process of its own, as `PUT /v1/imports/{import}/data` takes it. Processor time is
of the process that imports and, on PostgreSQL, of the server's processes for its connections, both from
/proc; memory is what the importing process has grown by.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Thread
from time import perf_counter

import httpx

from gustibus.client import Client
from gustibus.data.answers import Answer, answer_of
from gustibus.data.streaming import rows_of
from gustibus.store import (
    Draft,
    Intake,
    NewItem,
    Store,
    create_key,
    draft_answers,
    put_items,
    take_answers,
    upgrade,
)
from store import database

ITEMS = 200
BATCH = 4000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--over", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--folder", help="where files go; default a temporary one")
    chosen = parser.parse_args()
    print(f"{'engine':<12}{'over':<11}{'pass':<7}{'rows/s':>8}{'own us/row':>12}"
          f"{'server us/row':>15}{'kept':>10}{'MiB grown':>11}{'peak MiB':>10}")  # fmt: skip
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        log = Path(folder) / "log.jsonl"
        write(log, chosen.rows, chosen.people)
        for engine in chosen.engines:
            for over in chosen.over:
                with ENGINES[engine](Path(folder)) as url:
                    if url is not None:
                        report(engine, over, url, log)


def write(path: Path, rows: int, people: int) -> None:
    """A log."""
    with path.open("w") as file:
        for n in range(rows):
            row = {"id": f"r{n}", "user": f"u{n * 7919 % people}", "item_a": f"i{n % ITEMS}",
                   "item_b": f"i{(n + 3) % ITEMS}", "outcome": "ab"[n % 2]}  # fmt: skip
            file.write(json.dumps(row) + "\n")


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A file that is not there yet."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        yield f"sqlite:///{own}/bench.db"


@contextmanager
def postgresql(folder: Path) -> Iterator[str | None]:
    """A database of a server, None where there is none."""
    del folder
    with database() as url:
        yield url


ENGINES = {"sqlite": sqlite, "postgresql": postgresql}


def report(engine: str, over: str, url: str, log: Path) -> None:
    """Both passes on one engine."""
    upgrade(url)
    store = Store(url, writers=1)
    with store.write() as conn:
        items = [NewItem(f"i{n}", "text", None, (), None) for n in range(ITEMS)]
        put_items(conn, rows=items, model="")
    with WAYS[over](store, url) as (pid, run):
        for name in ("first", "again"):
            before, servers, memory, began = (
                seconds(pid),
                backends(store),
                resident(pid),
                perf_counter(),
            )
            rows, kept = run(log, name)
            took, used = perf_counter() - began, seconds(pid) - before
            now, earlier = backends(store), dict(servers)
            served = sum(spent - earlier.get(server, 0.0) for server, spent in now.items())
            grown = (resident(pid) - memory) / 2**20
            print(f"{engine:<12}{over:<11}{name:<7}{rows / took:>8,.0f}{used / rows * 1e6:>12.1f}"
                  f"{served / rows * 1e6:>15.1f}{kept:>10,}{grown:>11.1f}{peak(pid):>10.0f}",
                  flush=True)  # fmt: skip
    store.close()


Run = Callable[[Path, str], tuple[int, int]]
"""Imports a log under a name; rows, and how many were kept."""


@contextmanager
def by_functions(store: Store, url: str) -> Iterator[tuple[int, Run]]:
    """In this process."""
    del url

    def run(log: Path, name: str) -> tuple[int, int]:
        del name
        rows = kept = 0
        waiting: Future[Intake] | None = None
        with ThreadPoolExecutor(1) as pool:
            found = answers(log)
            while batch := draft_answers(tuple(islice(found, BATCH))):
                if waiting is not None:
                    kept += waiting.result().accepted
                waiting = pool.submit(keep, store, batch)
                rows += len(batch)
                if (done := rows // BATCH) & (done - 1) == 0:
                    store.gather_statistics()
            if waiting is not None:
                kept += waiting.result().accepted
        return rows, kept

    yield os.getpid(), run


@contextmanager
def by_http(store: Store, url: str) -> Iterator[tuple[int, Run]]:
    """Over a service without a model, which fits nobody meanwhile."""
    with store.write() as conn:
        key = create_key(conn, name="benchmark", scopes=("ingest",)).secret_text
    environment = {**os.environ, "GUSTIBUS_DATABASE": url, "GUSTIBUS_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gustibus.service.run"],
        env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    log_lines = process.stderr
    port = 0
    for line in log_lines:
        told = json.loads(line)
        port = told.get("port", port)
        if told["event"] == "ready":
            break
    Thread(target=log_lines.read, daemon=True).start()

    def run(log: Path, name: str) -> tuple[int, int]:
        with Client(f"http://127.0.0.1:{port}", key) as client:
            found = client.imports.create(idempotency_key=name)
            with log.open("rb") as data:
                reply = httpx.put(
                    f"{client.base_url}{found.upload}", content=data, timeout=None,
                    headers={"Authorization": f"Bearer {key}",
                             "Content-Type": "application/x-ndjson"},
                )  # fmt: skip
            told = reply.raise_for_status().json()
            return told["rows"], told["accepted"]

    try:
        yield process.pid, run
    finally:
        process.terminate()
        process.wait()


WAYS = {"functions": by_functions, "http": by_http}


def answers(log: Path) -> Iterator[Answer]:
    """The records of a log."""
    for row in rows_of(log):
        assert isinstance(row.values, dict)
        yield answer_of(row.values, place=f"{log}:{row.number}")


def keep(store: Store, batch: list[Draft]) -> Intake:
    """Commit a batch."""
    with store.write() as conn:
        return take_answers(conn, drafts=batch)


def seconds(pid: int) -> float:
    """Processor time of a process, 0 for one that has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def backends(store: Store) -> dict[int, float]:
    """Processor time of each of PostgreSQL's processes for this database."""
    if store.dialect != "postgresql":
        return {}
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    with store.read() as conn:
        return {pid: seconds(pid) for pid in conn.exec_driver_sql(query).scalars()}


def resident(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def peak(pid: int) -> float:
    """Most resident MiB so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
