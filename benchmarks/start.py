"""How long a process takes to be ready, and what memory it takes, with very many people.

Usage: python benchmarks/start.py [--people 1000000] [--stores URL ...] [--only profiles trained deleted]
                                  [--times 3] [--folder FOLDER]
People have a user vector of 32 numbers under a linear model. "profiles": each has a profile in the store, as
after their answers, written in no order; "trained": they are in the model's training and not in the
store; "deleted": the same after one of them was deleted. A start is a process of its own, from the first
instruction to the line `ready` in its log; "first" is the score of somebody right after it. Told of each:
seconds of the clock and of this process's processor time (PostgreSQL's server works beside it), MiB at the
peak and five seconds after. "cold" has the system read SQLite's file from its disk again.
Stores are made in temporary places, SQLite and PostgreSQL (where `PG*` say, else at 127.0.0.1 as
postgres); those that are named by a URL are filled if nobody is in them, and stay.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import numpy as np
from sqlalchemy import Connection, func, insert, select

from gustibus.artifact import Artifact, People
from gustibus.models.hierarchical import Hierarchical
from gustibus.posterior import Answering, GaussianPrior
from gustibus.store import Store, create_key, delete_user, forget_training, upgrade
from gustibus.store.tables import profiles, users
from serve import Server, free_port
from store import database

DIM, BASIS, SEED = 64, 32, 20
KINDS = ("profiles", "trained", "deleted")
_BATCH = 20_000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Start(NamedTuple):
    """Of one process."""

    ready: float
    """Seconds of the clock."""
    cpu: float
    """Seconds of the processor, of the process."""
    peak: float
    """MiB."""
    steady: float
    """MiB, five seconds later."""
    first: float
    """Milliseconds of the first score."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--times", type=int, default=3, help="starts of each")
    parser.add_argument("--folder", help="where temporary files go; default the system's")
    chosen = parser.parse_args()
    print(f"{chosen.people:,} people x {BASIS}, {os.cpu_count()} cores")
    print(f"{'store':<12}{'people':<10}{'':<6}{'ready s':>9}{'CPU s':>8}{'peak MiB':>10}{'MiB':>7}"
          f"{'first ms':>10}{'load':>7}")  # fmt: skip
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=chosen.folder)))
        for store in chosen.stores:
            url: str | None = store
            if store == "sqlite":
                url = f"sqlite:///{folder}/start.db"
            elif store == "postgresql":
                url = stack.enter_context(database())
            if url is not None:
                report(url, folder, chosen.people, chosen.only, chosen.times)


def report(url: str, folder: Path, people: int, kinds: list[str], times: int) -> None:
    """The lines of one store."""
    upgrade(url)
    for kind in KINDS:
        if kind not in kinds:
            continue
        model = save_model(folder / kind, 0 if kind == "profiles" else people)
        store = Store(url)
        if kind == "profiles" and not count(store):
            fill(store, people, model.digest)
        with store.write() as conn:
            key = (
                create_key(conn, name="benchmark", scopes=["score", "score:raw"]).secret_text or ""
            )
            if kind == "deleted":
                forget_training(conn, user=name(1))
                delete_user(conn, user=name(1))
        dialect = store.dialect
        file = Path(store.url.database or "")
        store.close()
        for turn in range(times + (dialect == "sqlite")):
            cold = turn == times
            if cold:
                forget_pages(file)
            found = start(url, folder / kind, key)
            load = os.getloadavg()[0]
            print(f"{dialect:<12}{kind:<10}{'cold' if cold else '':<6}{found.ready:>9.2f}"
                  f"{found.cpu:>8.2f}{found.peak:>10.0f}{found.steady:>7.0f}{found.first:>10.1f}"
                  f"{load:>7.1f}", flush=True)  # fmt: skip


def name(number: int) -> str:
    """Of somebody."""
    return f"person-{number:07}"


def save_model(folder: Path, people: int) -> Artifact:
    """A model of embeddings, with so many people of the training."""
    rng = np.random.default_rng(SEED)
    model = Hierarchical(
        np.zeros(DIM, np.float32), rng.normal(0, DIM**-0.5, DIM).astype(np.float32),
        rng.normal(0, DIM**-0.5, (DIM, BASIS)).astype(np.float32), GaussianPrior.standard(BASIS),
        Answering(0.02),
    )  # fmt: skip
    trained = People(
        tuple(map(name, range(people))),
        rng.normal(size=(people, BASIS)).astype(np.float32),
        np.zeros((0, BASIS, BASIS), np.float32),
        np.full(people, 20, np.int32),
    )
    card = {"family": "hierarchical", "name": "benchmark", "encoder": None}
    reference = model.represent(rng.normal(size=(64, DIM)).astype(np.float32))
    return Artifact(model, card, trained, reference).save(folder)


def count(store: Store) -> int:
    """Profiles in a store."""
    with store.read() as conn:
        return int(conn.execute(select(func.count()).select_from(profiles)).scalar_one())


def fill(store: Store, people: int, model: str) -> None:
    """People with profiles, in the order in which people answer: by chance."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(people)
    upper = BASIS * (BASIS + 1) // 2
    for begin in range(0, people, _BATCH):
        part = order[begin : begin + _BATCH].tolist()
        means = rng.standard_normal((len(part), BASIS)).astype("<f4")
        spreads = rng.standard_normal((len(part), upper)).astype("<f4")
        with store.write() as conn:
            put(conn, users, [
                {"tenant_id": "default", "id": name(number), "state": "active", "attributes": {},
                 "profile_version": 1, "created_at": _NOW, "updated_at": _NOW}
                for number in part
            ])  # fmt: skip
            put(conn, profiles, [
                {"tenant_id": "default", "user_id": name(number), "model": model, "version": 1,
                 "mean": means[row].tobytes(), "covariance": spreads[row].tobytes(), "count": 20,
                 "fitted_through": f"cmp_{number:026}", "updated_at": _NOW}
                for row, number in enumerate(part)
            ])  # fmt: skip
    if store.dialect == "postgresql":
        with store.write() as conn:
            conn.exec_driver_sql("ANALYZE users, profiles")


def put(conn: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    """Rows; PostgreSQL takes them as a stream."""
    if conn.dialect.name == "sqlite":
        conn.execute(insert(table), rows)
        return
    if not conn.in_transaction():
        conn.begin()  # what goes past the toolkit begins none by itself
    columns = list(rows[0])
    raw: Any = conn.connection.driver_connection
    told = ", ".join(f'"{column}"' for column in columns)
    with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({told}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(["{}" if value == {} else value for value in row.values()])


def forget_pages(file: Path) -> None:
    """Have the system read a file from its disk again."""
    os.sync()
    with file.open("rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def start(url: str, model: Path, key: str) -> Start:
    """Start a process, wait until it is ready, ask it once, and end it."""
    environment = os.environ | {
        "GUSTIBUS_DATABASE": url, "GUSTIBUS_MODEL": str(model), "GUSTIBUS_RATE": "0",
        "GUSTIBUS_PORT": str(free_port()), "GUSTIBUS_DRAIN": "0", "GUSTIBUS_LOG": "true",
    }  # fmt: skip
    began = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gustibus.service.run"], env=environment, stderr=subprocess.PIPE
    )
    server = Server(process, int(environment["GUSTIBUS_PORT"]))
    try:
        for event in events(process):
            if event.get("event") == "ready":
                break
        else:
            raise SystemExit(process.wait())
        ready, cpu = perf_counter() - began, server.cpu()
        assert process.stderr is not None
        threading.Thread(target=process.stderr.read, daemon=True).start()
        first = ask(server.port, key)
        sleep(5)
        status = memory(process.pid)
        return Start(ready, cpu, status["VmHWM"] / 1024, status["VmRSS"] / 1024, 1e3 * first)
    finally:
        process.terminate()
        process.wait()


def events(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What a process logs."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(b"{"):
            yield json.loads(line)
        else:
            sys.stderr.buffer.write(line)


def ask(port: int, key: str) -> float:
    """Seconds of the score of somebody who is not the population."""
    body = {"user": name(0), "candidates": [{"embedding": [0.1] * DIM}]}
    request = Request(
        f"http://127.0.0.1:{port}/v1/score", json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )  # fmt: skip
    began = perf_counter()
    with urlopen(request) as reply:
        told = json.load(reply)
    assert told["user"]["state"] == "ready", told
    return perf_counter() - began


def memory(pid: int) -> dict[str, int]:
    """KiB as the system tells them."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}


if __name__ == "__main__":
    main()
