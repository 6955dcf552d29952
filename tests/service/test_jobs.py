"""Jobs: asked for over HTTP, done by whoever holds the lease, taken up when a worker dies."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update

from gustibus.service.work.imports import File
from gustibus.store import Store, create_job, finish_job, take_job, upgrade
from gustibus.store.tables import jobs
from tests.service.harness import Service, database, running
from tests.service.test_imports import records

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="module", params=ENGINES)
def served(request, tmp_path_factory, vectors_folder, vectors_model, features) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp(f"jobs-{request.param}")
    (folder / "files").mkdir()
    (folder / "logs").mkdir()
    with (
        database(request.param, folder) as url,
        running(
            url, folder, gustibus_model=str(vectors_folder), gustibus_files=str(folder / "files"),
            gustibus_import_folder=str(folder / "logs"), gustibus_lease="2",
        ) as service,
    ):  # fmt: skip
        with service.client() as http:
            batch = [
                {"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)
            ]
            assert http.post("/v1/items:batch", json={"items": batch}).status_code == 200
        yield service


@pytest.fixture
def http(served):
    with served.client() as client:
        yield client


def ask(http: httpx.Client, key: str, **body) -> dict:
    reply = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
    assert reply.status_code == 202, reply.text
    return reply.json()


def ended(http: httpx.Client, job: str, *, seconds: float = 20.0) -> dict:
    until = time.monotonic() + seconds
    while (found := http.get(f"/v1/jobs/{job}").json())["state"] in {"queued", "running"}:
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def answer(http: httpx.Client, user: str, count: int) -> None:
    rows = [{"user": user, "a": {"id": f"item-{n}"}, "b": {"id": f"item-{n + 1}"}, "outcome": "a"}
            for n in range(count)]  # fmt: skip
    assert http.post("/v1/comparisons", json={"comparisons": rows}).status_code == 201


def test_an_export_is_followed_and_read(http):
    answer(http, "ann", 5)
    job = ask(http, "export", kind="export", user="ann")
    with http.stream("GET", f"/v1/jobs/{job['id']}/events") as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        told = [json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: ")]
    assert told[-1]["state"] == "succeeded"
    assert told[-1]["result"]["rows"] == 5
    lines = http.get(f"/v1/jobs/{job['id']}/result").text.splitlines()
    assert [json.loads(line)["item_a"] for line in lines] == [f"item-{n}" for n in range(5)]
    assert ask(http, "export", kind="export", user="ann")["id"] == job["id"]


def test_a_job_needs_a_key_a_kind_and_the_scopes_of_what_it_does(http, served):
    assert http.post("/v1/jobs", json={"kind": "export"}).status_code == 400
    reply = http.post("/v1/jobs", json={"kind": "dance"}, headers={"Idempotency-Key": "d"})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field")
    from tests.service.harness import new_key

    key = new_key(served.url, "jobs")
    served.settle(key)
    with served.client(key) as less:
        for body in ({"kind": "export"}, {"kind": "delete_user", "user": "x"}):
            reply = less.post("/v1/jobs", json=body, headers={"Idempotency-Key": "l"})
            assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")
    assert http.get("/v1/jobs/job_none").status_code == 404


def test_a_file_of_the_operators_folder_is_imported_and_no_other(http, served):
    log = served.folder / "logs" / "log.jsonl"
    log.write_bytes(b"".join(records(1500, user="filed")))
    job = ask(http, "import", kind="import", file="log.jsonl")
    found = ended(http, job["id"])
    assert found["state"] == "succeeded", found
    assert (found["result"]["accepted"], found["result"]["rejected"]) == (1500, 0)
    for name in ("../jobs.db", "/etc/hostname", "none.jsonl", "x" * 512, ".", "log.jsonl/x"):
        reply = http.post("/v1/jobs", json={"kind": "import", "file": name},
                          headers={"Idempotency-Key": name[:99]})  # fmt: skip
        assert reply.status_code == 422, reply.text


def test_a_packed_file_is_unpacked_and_a_torn_one_is_told(http, served):
    lines = b"".join(records(9000, user="gz"))
    whole = gzip.compress(lines[:100_000]) + gzip.compress(lines[100_000:])  # of two members
    (served.folder / "logs" / "log.jsonl.gz").write_bytes(whole)
    found = ended(http, ask(http, "packed", kind="import", file="log.jsonl.gz")["id"])
    assert found["state"] == "succeeded", found
    assert (found["result"]["rows"], found["result"]["accepted"]) == (9000, 9000)
    assert found["done"] == 9000
    told = http.get(f"/v1/imports/{found['result']['import']}").json()
    assert (told["state"], told["resume_from"]) == ("done", len(lines))  # bytes as unpacked
    kept = sum(http.get(f"/v1/users/gz-{n}").json()["comparisons"] for n in range(7))
    assert kept == 9000
    (served.folder / "logs" / "torn.jsonl.gz").write_bytes(whole[:-300])
    (served.folder / "logs" / "other.jsonl.gz").write_bytes(lines)
    for name in ("torn", "other"):
        found = ended(http, ask(http, name, kind="import", file=f"{name}.jsonl.gz")["id"])
        assert found["state"] == "failed"
        assert f"{name}.jsonl.gz: cannot be unpacked" in found["error"]


def test_a_packed_file_goes_on_from_any_byte_of_what_is_in_it(tmp_path):
    data = b"".join(records(900, user="from"))
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(data))

    async def rest(start: int) -> bytes:
        return b"".join([piece async for piece in File(tmp_path / "log.jsonl.gz", start)])

    for start in (0, 1, len(data) // 2, len(data)):
        assert asyncio.run(rest(start)) == data[start:]


def test_the_removal_of_a_person_takes_exports_along(http, served):
    answer(http, "leaving", 3)
    answer(http, "staying", 1)
    job = ask(http, "everybody", kind="export")
    assert ended(http, job["id"])["state"] == "succeeded"
    own = ask(http, "own", kind="export", user="leaving")
    assert ended(http, own["id"])["state"] == "succeeded"
    removal = ask(http, "leave", kind="delete_user", user="leaving")
    done = ended(http, removal["id"])
    assert done["result"]["removed"]["comparisons"] == 3
    assert http.get(f"/v1/jobs/{own['id']}").status_code == 404
    assert http.get(f"/v1/jobs/{job['id']}/result").status_code == 409
    for path in (served.folder / "files").iterdir():
        assert "leaving" not in path.read_text()
    again = ended(http, ask(http, "again", kind="export")["id"])
    assert again["state"] == "succeeded"


def test_a_job_whose_worker_is_not_heard_of_is_taken_up(http, served):
    store = Store(served.url)
    with store.write() as conn:
        job = create_job(conn, kind="refit_profiles", params={}, by="test")
        taken = take_job(conn, owner="dead", kinds=["refit_profiles"], lease=timedelta(seconds=1))
    store.close()
    assert taken is not None
    if taken.id != job.id:  # another refit was waiting
        return
    assert http.get(f"/v1/jobs/{job.id}").json()["state"] == "running"
    found = ended(http, job.id)
    assert (found["state"], found["attempts"]) == ("succeeded", 2)


def worker(service: Service) -> subprocess.Popen:
    environment = {
        **os.environ, "GUSTIBUS_DATABASE": service.url, "GUSTIBUS_REFRESH": "0.1",
        **service.environment, "GUSTIBUS_LOG": "0",
    }  # fmt: skip
    code = "from gustibus.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, "worker"], env=environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.flaky(reruns=2)
def test_a_killed_workers_job_is_finished_by_another(
    tmp_path, vectors_folder, vectors_model, features, engine
):
    (tmp_path / "log.jsonl").write_bytes(b"".join(records(30_000, user="w")))
    with (
        database(engine, tmp_path) as url,
        running(
            url, tmp_path, gustibus_model=str(vectors_folder), gustibus_worker="0",
            gustibus_import_folder=str(tmp_path), gustibus_lease="1",
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        batch = [{"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)]
        http.post("/v1/items:batch", json={"items": batch})
        job = ask(http, "k", kind="import", file="log.jsonl")
        store = Store(url)
        first = worker(service)
        try:
            until = time.monotonic() + 60
            rows = 0
            while rows == 0:
                assert time.monotonic() < until
                rows = http.get("/v1/comparisons", params={"limit": 1}).json()["data"] != []
                time.sleep(0.01)
        finally:
            first.kill()
            first.wait(20)
        assert http.get(f"/v1/jobs/{job['id']}").json()["state"] == "running"
        second = worker(service)
        try:
            found = ended(http, job["id"], seconds=90)
        finally:
            second.terminate()
            assert second.wait(30) == 0
            store.close()
        assert found["state"] == "succeeded", found
        assert found["attempts"] == 2
        assert (found["result"]["accepted"], found["result"]["duplicates"]) == (30_000, 0)


def test_jobs_are_cancelled(http, served):
    log = served.folder / "logs" / "long.jsonl"
    log.write_bytes(b"".join(records(60_000, user="long")))
    job = ask(http, "long", kind="import", file="long.jsonl")
    after = ask(http, "after", kind="export", user="ann")
    assert http.post(f"/v1/jobs/{after['id']}:cancel").json()["state"] in {"cancelled", "queued"}
    http.post(f"/v1/jobs/{job['id']}:cancel")
    assert ended(http, job["id"])["state"] == "cancelled"
    assert http.get(f"/v1/jobs/{after['id']}").json()["state"] == "cancelled"
    listed = http.get("/v1/jobs", params={"state": "cancelled", "limit": 1}).json()
    assert listed["has_more"]
    assert listed["data"][0]["id"] == after["id"]


def test_jobs_that_ended_long_ago_are_forgotten_also_where_none_has_a_file(
    tmp_path, vectors_folder, vectors_model
):
    url = f"sqlite:///{tmp_path}/old.db"
    upgrade(url)
    store = Store(url)
    with store.write() as conn:
        old, new = (create_job(conn, kind="refit_profiles", params={}, by="k").id for _ in range(2))
        for job, days in ((old, 31), (new, 29)):
            take_job(conn, owner="w", kinds=["refit_profiles"])
            finish_job(conn, job=job, owner="w", state="succeeded", done=1)
            ended = datetime.now(UTC) - timedelta(days=days)
            conn.execute(update(jobs).where(jobs.c.id == job).values(finished_at=ended))
    with (
        running(url, tmp_path, gustibus_model=str(vectors_folder)) as service,
        service.client() as http,
    ):
        until = time.monotonic() + 60
        while http.get(f"/v1/jobs/{old}").status_code != 404:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert http.get(f"/v1/jobs/{new}").json()["state"] == "succeeded"
    store.close()
