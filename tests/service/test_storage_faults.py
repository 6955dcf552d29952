"""A disk that fails or a database that takes no writes: refusals that say so, and nothing lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest

from gustibus.service.journal import Journal
from gustibus.store import Store
from tests.service.faulty_disk import FAULTS, GROW, Fault, FaultyDisk
from tests.service.harness import DIM, Service, postgres, running
from tests.service.test_database_kill import installed
from tests.service.test_imports import NDJSON, begin, records
from tests.service.test_kill import WRITERS, Writer, everything

TURNS = 2
"""How often a fault comes and goes."""
REFUSALS = 3
"""Of every writer, while a fault lasts."""


class Scoring(threading.Thread):
    """Asks for the scores of a person again and again, and keeps what is not as it was."""

    def __init__(self, service: Service, wanted: list[float]) -> None:
        super().__init__(daemon=True)
        self.service, self.wanted = service, wanted
        self.done = threading.Event()
        self.asked = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        with self.service.client() as http:
            while not self.done.is_set():
                reply = http.post("/v1/score", json=ASKED)
                self.asked += 1
                if reply.status_code != 200 or scores(reply) != self.wanted:
                    self.wrong.append(f"{reply.status_code} {reply.text}")
                time.sleep(0.01)


ASKED = {"user": "known", "candidates": [{"id": "x"}, {"id": "y"}]}


def scores(reply: httpx.Response) -> list[float]:
    return [row["score"] for row in reply.json()["data"]]


def prepared(service: Service) -> list[float]:
    """Items, a person with a profile of their own, and their scores."""
    with service.client() as http:
        items = [{"id": n, "embedding": [float(k)] * DIM} for k, n in enumerate("xy")]
        assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        row = {"user": "known", "a": {"id": "y"}, "b": {"id": "x"}, "outcome": "a"}
        reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": [row] * 3})
        assert reply.json()["profiles"] == "ready"
        found = scores(http.post("/v1/score", json=ASKED))
    assert found[0] != found[1]
    return found


def refused(reply: httpx.Response) -> None:
    """503 `read_only`, with the time to wait."""
    assert reply.status_code == 503, reply.text
    assert reply.json()["code"] == "read_only", reply.text
    assert int(reply.headers["retry-after"]) >= 1


def every_write_is_refused(http: httpx.Client, *, name: str) -> None:
    """Writes of each kind; `name` is new."""
    refused(http.put(f"/v1/users/{name}", json={"attributes": {"x": "y"}}))
    refused(http.put(f"/v1/items/{name}", json={"embedding": [1.0] * DIM}))
    refused(http.post("/v1/onboarding/sessions", json={"user": name}))
    refused(http.delete("/v1/users/known"))
    refused(http.post("/v1/users/known/profile:reset"))
    row = {"user": name, "a": {"id": "x"}, "b": {"id": "y"}, "outcome": "tie"}
    for headers in ({}, {"Idempotency-Key": name}):
        refused(http.post("/v1/comparisons", json={"comparisons": [row]}, headers=headers))
    body = {"kind": "refit_profiles"}
    refused(http.post("/v1/jobs", json=body, headers={"Idempotency-Key": name}))
    refused(http.post("/v1/imports", json={}, headers={"Idempotency-Key": f"{name}-import"}))
    refused(http.post("/v1/keys", json={"name": name, "scopes": ["score"]}))


def progress(writers: list[Writer], *, what: str, seconds: float = 20.0) -> None:
    """Wait until every writer has one acknowledgement, or some refusals, more than now."""

    def counts() -> list[int]:
        return [len(getattr(writer, what)) for writer in writers]

    wanted = [count + (REFUSALS if what == "refusals" else 1) for count in counts()]
    until = time.monotonic() + seconds
    while any(now < goal for now, goal in zip(counts(), wanted, strict=True)):
        assert time.monotonic() < until, (what, counts(), [writer.wrong[:2] for writer in writers])
        time.sleep(0.01)


def kept_once(service: Service, writers: list[Writer]) -> int:
    """Every acknowledged answer is there once; returns how many there are."""
    kept = 0
    with service.client() as http:
        for writer in writers:
            assert not writer.wrong, writer.wrong[:3]
            found = everything(http, f"u{writer.number}")
            by_source = {row["source"]: row["id"] for row in found}
            assert len(by_source) == len(found), "an answer was kept twice"
            for name, told in writer.acknowledged.items():
                assert by_source.get(name) == told, f"{name} was acknowledged, and is not there"
            kept += len(found)
    return kept


@contextlib.contextmanager
def busy(service: Service, wanted: list[float]) -> Iterator[list[Writer]]:
    """Writers and a reader of scores, which at the end has met nothing but what was wanted."""
    done, reader = threading.Event(), Scoring(service, wanted)
    writers = [Writer(service, number, done) for number in range(WRITERS)]
    for thread in (reader, *writers):
        thread.start()
    try:
        yield writers
    finally:
        done.set()
        reader.done.set()
        for thread in (reader, *writers):
            thread.join(20)
    assert not reader.wrong, reader.wrong[:3]
    assert reader.asked > 20


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_refuses_writes_until_it_works_again(
    tmp_path, vectors_folder, vectors_model, fault
):
    disk = FaultyDisk(tmp_path, "service.db")
    with running(
        f"sqlite:///{tmp_path}/service.db", tmp_path, gustibus_model=str(vectors_folder),
        **disk.environment,
    ) as service:  # fmt: skip
        wanted = prepared(service)
        with busy(service, wanted) as writers:
            for turn in range(TURNS):
                progress(writers, what="acknowledged")
                with disk.failing(FAULTS[fault]):
                    progress(writers, what="refusals")
                    before = [len(writer.acknowledged) for writer in writers]
                    with service.client(service.key) as http:
                        every_write_is_refused(http, name=f"new-{turn}")
                        assert http.get("/v1/users/known").status_code == 200
                    assert [len(writer.acknowledged) for writer in writers] == before
            progress(writers, what="acknowledged")
        for writer in writers:
            assert len(writer.refusals) >= TURNS * REFUSALS
            for reply in writer.refusals:
                refused(reply)
        kept = kept_once(service, writers)
        service.kill()
        service.start()
        assert kept_once(service, writers) == kept
        with service.client() as http:
            assert http.get("/v1/users?limit=1000").status_code == 200
            for turn in range(TURNS):
                assert http.get(f"/v1/users/new-{turn}").status_code == 404
            found = scores(http.post("/v1/score", json=ASKED))
            assert found == pytest.approx(wanted, abs=1e-6)  # profiles are kept in single precision


def test_a_session_goes_on_behind_a_fault(tmp_path, vectors_folder, vectors_model):
    disk = FaultyDisk(tmp_path, "service.db")
    with (
        running(
            f"sqlite:///{tmp_path}/service.db", tmp_path, gustibus_model=str(vectors_folder),
            **disk.environment,
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        session = http.post("/v1/onboarding/sessions", json={"user": "ann"}).json()
        path, told = f"/v1/onboarding/sessions/{session['id']}", 0
        for fault in FAULTS.values():
            with disk.failing(fault):
                refused(http.put(f"{path}/answers/{told}", json={"answer": "left"}))
            seen = http.get(f"{path}/next").json()
            assert seen["progress"]["answered"] == told
            reply = http.put(f"{path}/answers/{told}", json={"answer": "left"})
            assert reply.status_code == 200, reply.text
            told += 1
        assert http.get(f"{path}/result").json()["answers"] == told


def test_a_service_that_starts_on_a_read_only_file_recovers(
    tmp_path, vectors_folder, vectors_model
):
    """Connections that were opened for reading alone are not used for the first write."""
    disk = FaultyDisk(tmp_path, "service.db")
    with running(
        f"sqlite:///{tmp_path}/service.db", tmp_path, gustibus_model=str(vectors_folder),
        gustibus_secret="s" * 40, **disk.environment,
    ) as service:  # fmt: skip
        wanted = prepared(service)
        service.kill()
        with other_process(service.url), disk.failing(FAULTS["read-only file"]):
            service.start()
            with service.client(service.key) as http:
                row = {"user": "known", "a": {"id": "x"}, "b": {"id": "y"}, "outcome": "tie"}
                began = time.monotonic()
                refused(http.post("/v1/comparisons", json={"comparisons": [row]}))
                assert time.monotonic() - began < 5
                found = scores(http.post("/v1/score", json=ASKED))
                assert found == pytest.approx(wanted, abs=1e-6)
        with service.client() as http:
            reply = http.post("/v1/comparisons", json={"comparisons": [row]})
            assert reply.status_code == 201, reply.text


@contextlib.contextmanager
def other_process(url: str) -> Iterator[None]:
    """Another that has the file open, without which nobody reads a write-ahead log and writes nothing."""
    store = Store(url)
    with store.read() as conn:
        conn.exec_driver_sql("SELECT count(*) FROM users")
        yield
    store.close()


def test_a_removal_is_done_though_the_log_cannot_be_emptied(
    tmp_path, vectors_folder, vectors_model
):
    disk = FaultyDisk(tmp_path, "service.db")
    with (
        running(
            f"sqlite:///{tmp_path}/service.db", tmp_path, gustibus_model=str(vectors_folder),
            **disk.environment,
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        body = {"attributes": {"note": "canary-7f3a"}}
        assert http.put("/v1/users/one", json=body).status_code == 201
        with disk.failing(Fault(errno.EIO, GROW)):
            reply = http.delete("/v1/users/one")
            assert reply.status_code == 200, reply.text
        assert held(tmp_path, b"canary-7f3a"), "the log was emptied, so that nothing was tested"
        until = time.monotonic() + 60
        while held(tmp_path, b"canary-7f3a"):  # writes that find a reader leave it to the next
            assert time.monotonic() < until
            assert http.put("/v1/users/another").status_code in {200, 201}


def held(folder: Path, said: bytes) -> bool:
    """Whether a file of the database holds it."""
    return any(said in path.read_bytes() for path in folder.glob("service.db*"))


@pytest.mark.parametrize("packed", ["lines", "file"])
def test_an_import_goes_on_behind_a_fault(tmp_path, vectors_folder, vectors_model, packed):
    """One that is sent is refused and sent on from where it was; one of a file waits by itself."""
    disk = FaultyDisk(tmp_path, "service.db")
    lines = records(40_000, user="log")
    (tmp_path / "log.ndjson").write_bytes(b"".join(lines))
    with (
        running(
            f"sqlite:///{tmp_path}/service.db", tmp_path, gustibus_model=str(vectors_folder),
            gustibus_import_folder=str(tmp_path), **disk.environment,
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        items = [{"id": f"item-{n}", "embedding": [float(n)] * DIM} for n in range(64)]
        assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        work = {"lines": partial(sent_on, data=b"".join(lines)), "file": waited_for}[packed]
        done = work(disk, http)
        assert (done["rows"], done["accepted"], done["duplicates"]) == (40_000, 40_000, 0)
        found = sum(len(everything(http, f"log-{n}")) for n in range(7))
        assert found == 40_000


def sent_on(disk: FaultyDisk, http: httpx.Client, data: bytes) -> dict:
    made = begin(http, "sent")
    half = data[: len(data) // 2]

    def kept() -> int:
        return http.get(f"/v1/imports/{made['id']}").json()["resume_from"]

    def broken() -> Iterator[bytes]:
        yield half
        until = time.monotonic() + 60
        while not kept():
            assert time.monotonic() < until
            time.sleep(0.005)
        with disk.failing(FAULTS["full disk"]):
            for start in range(len(half), len(data), 1 << 16):
                yield data[start : start + (1 << 16)]
            time.sleep(2)  # until what was read has been refused

    refused(http.put(made["upload"], content=broken(), headers=NDJSON))
    start = kept()
    assert 0 < start < len(data)
    reply = http.put(
        f"{made['upload']}?from={start}", content=data[start:], headers=NDJSON, timeout=60
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


def waited_for(disk: FaultyDisk, http: httpx.Client) -> dict:
    body = {"kind": "import", "file": "log.ndjson"}
    job = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "one"}).json()

    def until(wanted: str, *, done: int = 0) -> dict:
        end = time.monotonic() + 60
        while True:
            seen = http.get(f"/v1/jobs/{job['id']}").json()
            if seen["state"] == wanted and seen["done"] >= done:
                return seen
            assert seen["state"] in {"queued", "running"}, seen
            assert time.monotonic() < end, seen
            time.sleep(0.005)

    until("running")
    with disk.failing(FAULTS["write error"]):
        time.sleep(1)
        assert until("running")["state"] == "running"
    return until("succeeded")["result"]


def test_a_log_on_a_full_disk_goes_on_when_there_is_room():
    full = os.open("/dev/full", os.O_WRONLY)
    reading, writing = os.pipe()
    journal = Journal(b"salt", full)
    journal.event("lost")
    os.dup2(writing, full)
    journal.event("kept")
    assert json.loads(os.read(reading, 1 << 16))["event"] == "kept"
    os.close(reading)
    journal.event("nobody reads this")
    os.close(full)
    os.close(writing)


def test_a_table_that_finds_no_room_to_be_read_from_is_refused(
    tmp_path, vectors_folder, vectors_model
):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    rows = [json.loads(line) for line in records(3, user="table")]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "log.parquet")
    data = (tmp_path / "log.parquet").read_bytes()
    spool = tmp_path / "spool"
    spool.mkdir()
    disk = FaultyDisk(tmp_path, "gustibus-import-")
    with (
        running(
            f"sqlite:///{tmp_path}/service.db", tmp_path, gustibus_model=str(vectors_folder),
            tmpdir=str(spool), **disk.environment,
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        items = [{"id": f"item-{n}", "embedding": [float(n)] * DIM} for n in range(64)]
        assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        made = begin(http, "table", format="parquet")
        kind = {"Content-Type": "application/vnd.apache.parquet"}
        with disk.failing(FAULTS["full disk"]):
            refused(http.put(made["upload"], content=data, headers=kind))
        reply = http.put(made["upload"], content=data, headers=kind)
        assert (reply.status_code, reply.json()["accepted"]) == (200, 3)


@contextlib.contextmanager
def read_only(url: str) -> Iterator[None]:
    """Every new session of a database may only read, as on a standby; the others are ended."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET default_transaction_read_only = off")

        def say(value: str) -> None:
            conn.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')

        say("on")
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()",
            [name],
        )
        try:
            yield
        finally:
            say("off")


def test_a_read_only_postgresql_refuses_writes_until_it_takes_them_again(
    tmp_path, vectors_folder, vectors_model
):
    with (
        postgres() as url,
        running(url, tmp_path, gustibus_model=str(vectors_folder)) as service,
    ):
        wanted = prepared(service)
        cut = 0
        with busy(service, wanted) as writers:
            for turn in range(TURNS):
                progress(writers, what="acknowledged")
                with read_only(url):
                    progress(writers, what="refusals")
                    with service.client(service.key) as http:
                        every_write_is_refused(http, name=f"new-{turn}")
                        assert http.get("/v1/users/known").status_code == 200
                progress(writers, what="acknowledged")
        for reply in (reply for writer in writers for reply in writer.refusals):
            if reply.json()["code"] == "queue_full":  # its session was ended on the way
                cut += 1
            else:
                refused(reply)
        assert cut <= TURNS * 2 * WRITERS
        kept = kept_once(service, writers)
        service.kill()
        service.start()
        assert kept_once(service, writers) == kept


def test_a_full_disk_of_postgresql_refuses_writes_until_there_is_room(
    tmp_path, vectors_folder, vectors_model
):
    """Tables that cannot grow; where its log finds no room PostgreSQL ends, as when it is killed."""
    with installed() as cluster:
        disk = FaultyDisk(cluster.folder, "/data/base/")
        cluster.environment = disk.environment
        cluster.start()
        with running(cluster.url, tmp_path, gustibus_model=str(vectors_folder)) as service:
            wanted = prepared(service)
            with busy(service, wanted) as writers:
                for _ in range(2):
                    progress(writers, what="acknowledged")
                    with disk.failing(FAULTS["full disk"]):
                        progress(writers, what="refusals", seconds=60)
                    progress(writers, what="acknowledged")
            for reply in (reply for writer in writers for reply in writer.refusals):
                refused(reply)
            kept = kept_once(service, writers)
            service.kill()
            service.start()
            assert kept_once(service, writers) == kept
