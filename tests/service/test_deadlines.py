"""Deadlines that are kept, and refusals that say when to come back."""

from __future__ import annotations

import concurrent.futures
import contextlib
import sqlite3
import time

import pytest

from tests.service.harness import running


@pytest.fixture(scope="module")
def served(tmp_path_factory, texts_folder, texts_model):
    folder = tmp_path_factory.mktemp("deadlines")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(texts_folder),
        gustibus_in_flight="2", gustibus_worker="0",
    ) as service:  # fmt: skip
        yield service


@pytest.fixture
def http(served):
    with served.client() as client:
        yield client


@pytest.mark.parametrize("given", ["0", "-5", "1.5", "soon", "60001", ""])
def test_a_deadline_that_is_none_is_refused(http, given):
    reply = http.get("/v1/users", headers={"X-Deadline-Ms": given})
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_header")


def test_a_deadline_that_is_met_changes_nothing(http):
    body = {"prompt": "Well?", "candidates": ["plain", "warm"]}
    plain = http.post("/v1/score", json=body)
    timed = http.post("/v1/score", json=body, headers={"X-Deadline-Ms": "60000"})
    assert timed.status_code == 200
    assert timed.json()["data"] == plain.json()["data"]


def row(name: str) -> dict:
    return {"comparisons": [{"id": name, "user": "late", "prompt": "?", "a": "plain", "b": "warm",
                             "outcome": "a"}]}  # fmt: skip


def test_work_that_has_not_begun_by_its_deadline_never_does(http, served):
    """The store is locked: the first write is at it, those behind are given up and stay undone."""
    other = sqlite3.connect(served.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def send(number: int):
        with served.client(served.key) as client:
            began = time.monotonic()
            reply = client.post(
                "/v1/comparisons", json=row(f"late-{number}"), headers={"X-Deadline-Ms": "400"}
            )
            return reply, time.monotonic() - began

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        first = pool.submit(send, 0)
        time.sleep(0.15)
        rest = [pool.submit(send, number) for number in range(1, 6)]
        found = [job.result(20) for job in (first, *rest)]
    other.execute("ROLLBACK")
    other.close()
    assert {reply.status_code for reply, _ in found} == {504}
    assert {reply.json()["code"] for reply, _ in found} == {"deadline_exceeded"}
    assert max(seconds for _, seconds in found) < 3.0
    assert http.post("/v1/comparisons", json=row("after")).status_code == 201
    rows = http.get("/v1/comparisons", params={"user": "late"}).json()["data"]
    names = {one["client_id"] for one in rows}
    assert "after" in names
    assert len(names) <= 2, "more than the one at the store"


def test_a_wait_that_is_longer_than_the_deadline_is_refused_at_once(http, served):
    """Once it is known how long a write takes, those that cannot be in time are told so."""
    other = sqlite3.connect(served.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def send(number: int, deadline: str):
        with served.client(served.key) as client:
            return client.post(
                "/v1/comparisons", json=row(f"w-{number}"), headers={"X-Deadline-Ms": deadline}
            )

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        slow = [pool.submit(send, number, "20000") for number in range(8)]
        time.sleep(3.0)  # the time of one write is now known to be long
        other.execute("ROLLBACK")
        assert {job.result(30).status_code for job in slow} == {201}
        other.execute("BEGIN IMMEDIATE")
        held = [pool.submit(send, number, "20000") for number in range(10, 16)]
        time.sleep(0.3)
        refused = send(99, "20")
        other.execute("ROLLBACK")
        assert {job.result(30).status_code for job in held} == {201}
    other.close()
    assert refused.status_code in {503, 504}
    if refused.status_code == 503:
        assert refused.json()["code"] == "queue_full"
        assert int(refused.headers["retry-after"]) >= 1


def test_a_key_with_too_many_requests_open_is_told_to_wait(http, served):
    texts = [" ".join(["warm"] * 500) + f" {n}" for n in range(200)]

    def send(number: int):
        with served.client(served.key) as client:
            body = {"prompt": f"{number}?", "candidates": [f"{number} {text}" for text in texts]}
            return client.post("/v1/score", json=body, headers={"X-Deadline-Ms": "60000"})

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        found = list(pool.map(send, range(20)))
    statuses = {reply.status_code for reply in found}
    assert 200 in statuses
    assert statuses <= {200, 429}
    for reply in found:
        if reply.status_code == 429:
            assert reply.json()["code"] == "tenant_concurrency"
            assert int(reply.headers["retry-after"]) >= 1
    assert http.post("/v1/score", json={"candidates": ["plain"]}).status_code == 200


def test_replies_say_what_is_left_of_the_units(http):
    reply = http.post("/v1/score", json={"candidates": ["plain", "warm"]})
    assert reply.headers["ratelimit-policy"] == '"units";q=50000;w=1'
    assert 0 < int(reply.headers["ratelimit"].split("r=")[1].split(";")[0]) <= 100_000
    assert "ratelimit" not in http.get("/v1/users").headers


def test_every_bound_is_told(http):
    told = http.get("/v1/limits").json()
    assert (told["requests_open"], told["deadline_ms"], told["longest_deadline_ms"]) == (
        2, 2000, 60_000
    )  # fmt: skip
    assert told["import_line_bytes"] == 1 << 20


def test_what_was_given_up_before_it_began_is_no_error_in_the_log(
    tmp_path, vectors_folder, vectors_model
):
    url = f"sqlite:///{tmp_path}/s.db"
    model = str(vectors_folder)
    with running(url, tmp_path, gustibus_model=model) as service, service.client() as http:
        with contextlib.closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")

            def put(number: int) -> int:
                deadline = {"X-Deadline-Ms": "300"}
                return http.put(f"/v1/users/late-{number}", headers=deadline).status_code

            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                assert set(pool.map(put, range(4))) <= {503, 504}
            held.execute("ROLLBACK")
        assert http.put("/v1/users/then").status_code == 201
        assert service.stop() == 0
        assert "never retrieved" not in service.log_path.read_text()
