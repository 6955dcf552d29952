"""Logs that are streamed in: kept as they come, resumed where they broke off, noticed at once."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gustibus.cli.records import Stored
from gustibus.data.answers import answer_of
from gustibus.store import Store
from tests.service.harness import Service, database, running

ENGINES = ("sqlite", "postgresql")
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module", params=ENGINES)
def served(request, tmp_path_factory, vectors_folder, vectors_model, features) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp(f"imports-{request.param}")
    with (
        database(request.param, folder) as url,
        running(url, folder, gustibus_model=str(vectors_folder)) as service,
    ):
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


def records(count: int, *, user: str, start: int = 0) -> list[bytes]:
    return [
        json.dumps({"id": f"{user}-{n}", "user": f"{user}-{n % 7}", "item_a": f"item-{n % 60}",
                    "item_b": f"item-{(n + 3) % 60}", "outcome": "ab"[n % 2]}).encode() + b"\n"
        for n in range(start, start + count)
    ]  # fmt: skip


def begin(http: httpx.Client, key: str, **body) -> dict:
    reply = http.post("/v1/imports", json=body, headers={"Idempotency-Key": key})
    assert reply.status_code == 201, reply.text
    return reply.json()


def fitted(http: httpx.Client, user: str, count: int, *, seconds: float = 10.0) -> float:
    """Seconds until a person's scores rest on this many answers."""
    began = time.monotonic()
    while True:
        reply = http.get(f"/v1/users/{user}")
        if reply.status_code == 200 and reply.json()["fitted_comparisons"] == count:
            return time.monotonic() - began
        assert time.monotonic() < began + seconds, reply.text
        time.sleep(0.05)


def test_a_log_is_kept_and_its_people_are_fitted_at_once(http):
    found = begin(http, "whole")
    lines = records(2100, user="whole")
    lines[5] = b"{broken\n"
    lines[1500] = json.dumps({"user": "whole-0", "item_a": "nothing", "item_b": "item-1",
                              "outcome": "a"}).encode() + b"\n"  # fmt: skip
    lines[2099] = lines[2098].rstrip(b"\n")  # the same again, and no end of line
    reply = http.put(found["upload"], content=b"".join(lines), headers=NDJSON)
    assert reply.status_code == 200, reply.text
    done = reply.json()
    assert (done["state"], done["rows"], done["accepted"]) == ("done", 2100, 2097)
    assert (done["duplicates"], done["rejected"]) == (1, 2)
    assert done["bytes"] == done["resume_from"] == len(b"".join(lines))
    assert http.get(f"/v1/imports/{found['id']}").json() == done
    errors = http.get(f"/v1/imports/{found['id']}/errors", params={"limit": 1}).json()
    assert (errors["data"][0]["row"], errors["data"][0]["code"]) == (6, "invalid_field")
    rest = http.get(f"/v1/imports/{found['id']}/errors", params={"after": errors["next"]}).json()
    assert [(one["row"], one["code"]) for one in rest["data"]] == [(1501, "not_found")]
    kept = sum(b'"user": "whole-1"' in line for line in lines)
    fitted(http, "whole-1", kept)


def test_blank_lines_are_no_records_and_are_counted_as_lines(http):
    found = begin(http, "blank")
    one, two = records(2, user="blank")
    data = b"\n" + one + b" \r\n\n{broken\n" + two + b"\n"
    done = http.put(found["upload"], content=data, headers=NDJSON).json()
    assert (done["rows"], done["accepted"], done["rejected"]) == (3, 2, 1)
    errors = http.get(f"/v1/imports/{found['id']}/errors").json()["data"]
    assert [one["row"] for one in errors] == [5]


def test_a_record_that_has_a_name_twice_is_refused(http):
    found = begin(http, "twice")
    one, two = records(2, user="twice")
    data = one + two.replace(b"{", b'{"outcome": "tie", ', 1)
    done = http.put(found["upload"], content=data, headers=NDJSON).json()
    assert (done["accepted"], done["rejected"]) == (1, 1)
    (error,) = http.get(f"/v1/imports/{found['id']}/errors").json()["data"]
    assert (error["row"], error["code"]) == (2, "invalid_field")
    assert "a name occurs twice in one object" in error["problem"]


def test_a_broken_upload_goes_on_where_it_was_kept(http):
    found = begin(http, "broken")
    data = b"".join(records(9000, user="broken"))

    def breaks():
        for at in range(0, len(data) // 2, 10_000):
            yield data[at : at + 10_000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        http.put(found["upload"], content=breaks(), headers=NDJSON)
    until = time.monotonic() + 60
    while (now := http.get(f"/v1/imports/{found['id']}").json())["rows"] < 4000:
        assert time.monotonic() < until
    assert now["state"] == "open"
    assert data[now["resume_from"] - 1 : now["resume_from"]] == b"\n"
    late = {"from": now["resume_from"] + 1}
    refused = http.put(found["upload"], content=b"x", params=late, headers=NDJSON)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    again = {"from": now["resume_from"] - 500}  # parts may overlap
    done = http.put(
        found["upload"], content=data[now["resume_from"] - 500 :], params=again, headers=NDJSON
    ).json()
    assert (done["state"], done["rows"], done["accepted"]) == ("done", 9000, 9000)
    assert (done["duplicates"], done["rejected"]) == (0, 0)
    reply = http.put(found["upload"], content=data, headers=NDJSON)
    assert reply.status_code == 409


def test_the_same_key_is_the_same_import(http):
    assert begin(http, "same")["id"] == begin(http, "same")["id"]
    refused = http.post("/v1/imports", json={})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_header")


def test_columns_are_mapped_and_unknown_ones_are_named(http):
    wrong = http.post("/v1/imports", json={"columns": {"colour": "x"}},
                      headers={"Idempotency-Key": "w"})  # fmt: skip
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/columns/colour")
    found = begin(http, "mapped", columns={"user": "who"}, source="old log")
    line = {"who": "mapper", "item_a": "item-1", "item_b": "item-2", "outcome": "model_b"}
    done = http.put(found["upload"], content=json.dumps(line).encode(), headers=NDJSON).json()
    assert done["accepted"] == 1, http.get(f"/v1/imports/{found['id']}/errors").text
    row = http.get("/v1/comparisons", params={"user": "mapper"}).json()["data"][0]
    assert (row["outcome"], row["source"]) == ("b", "old log")


def test_parquet_is_read_too(http, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [json.loads(line) for line in records(1200, user="table")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    found = begin(http, "table", format="parquet")
    kind = {"Content-Type": "application/vnd.apache.parquet"}
    bad = http.put(found["upload"], content=b"PAR1 not at all", headers=kind)
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_field")
    assert http.put(found["upload"], content=b"{}", headers=NDJSON).status_code == 415
    data = (tmp_path / "log.parquet").read_bytes()
    done = http.put(found["upload"], content=data, headers=kind).json()
    assert (done["state"], done["accepted"], done["rejected"]) == ("done", 1200, 0)
    assert done["bytes"] == len(data)


PACKED = {**NDJSON, "Content-Encoding": "gzip"}


def test_a_log_may_come_as_gzip_and_goes_on_by_its_own_bytes(http):
    found = begin(http, "packed")
    data = b"".join(records(9000, user="packed"))
    half = gzip.compress(data[: len(data) // 2])
    cut = http.put(found["upload"], content=half[:-200], headers=PACKED)
    assert (cut.status_code, cut.json()["code"]) == (400, "bad_encoding")
    now = http.get(f"/v1/imports/{found['id']}").json()
    assert (now["state"], now["rows"]) == ("open", 4000)
    at = now["resume_from"]
    assert data[:at].count(b"\n") == 4000
    members = gzip.compress(data[at : at + 5000]) + gzip.compress(data[at + 5000 :])
    done = http.put(found["upload"], params={"from": at}, content=members, headers=PACKED).json()
    assert (done["state"], done["accepted"], done["duplicates"]) == ("done", 9000, 0)
    assert done["resume_from"] == len(data)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (gzip.compress(b"\n" * (8 << 20)), "gzip", 413, "body_too_large"),
        (gzip.compress(b" " * (8 << 20)), "gzip", 413, "body_too_large"),
        (b"not gzip at all", "gzip", 400, "bad_encoding"),
        (b"", "gzip", 200, None),
        (b"x", "br", 415, "unsupported_media_type"),
    ],
)
def test_what_is_not_gzip_or_unpacks_to_too_much_is_refused(http, body, encoding, status, code):
    found = begin(http, f"bomb {len(body)} {encoding}")
    reply = http.put(
        found["upload"], content=body, headers={**NDJSON, "Content-Encoding": encoding}
    )
    assert (reply.status_code, reply.json().get("code")) == (status, code)


def test_a_deleted_person_does_not_come_back_by_an_import(http):
    http.put("/v1/users/leaver")
    assert http.delete("/v1/users/leaver").status_code == 200
    line = {"user": "leaver", "item_a": "item-1", "item_b": "item-2", "outcome": "a"}
    found = begin(http, "leaver")
    done = http.put(found["upload"], content=json.dumps(line).encode(), headers=NDJSON).json()
    assert (done["accepted"], done["rejected"]) == (0, 1)
    told = http.get(f"/v1/imports/{found['id']}/errors").text
    assert "user_deleted" in told
    assert "leaver" not in told


def test_all_refused_records_come_as_json_lines_where_these_are_asked_for(http):
    found = begin(http, "many refused")
    assert http.put(found["upload"], content=b"{broken\n" * 2345, headers=NDJSON).status_code == 200
    path = f"/v1/imports/{found['id']}/errors"
    for accept in ("application/x-ndjson", "text/csv, Application/X-NDJSON;q=0.5"):
        reply = http.get(path, headers={"Accept": accept})
        assert reply.headers["content-type"] == "application/x-ndjson"
        told = [json.loads(line) for line in reply.text.splitlines()]
        assert [one["row"] for one in told] == list(range(1, 2346))
    page = http.get(path, params={"limit": 1000}).json()
    assert told[:1000] == page["data"]
    for accept in ("*/*", "application/json", "application/x-ndjson;q=0"):
        assert http.get(path, headers={"Accept": accept}).json()["object"] == "list"
    wrong = http.get(path, params={"limit": 5}, headers={"Accept": "application/x-ndjson"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_field")
    none = http.get("/v1/imports/imp_none/errors", headers={"Accept": "application/x-ndjson"})
    assert (none.status_code, none.json()["code"]) == (404, "not_found")


def test_a_record_without_end_is_refused_before_it_fills_the_memory(http):
    found = begin(http, "endless")
    pieces = (b"x" * 65_536 for _ in range(64))
    reply = http.put(found["upload"], content=pieces, headers=NDJSON)
    assert (reply.status_code, reply.json()["code"]) == (413, "body_too_large")


def test_answers_written_straight_into_the_database_are_noticed(http, served):
    store = Store(served.url)
    answers = [answer_of(json.loads(line), place="x") for line in records(300, user="direct")]
    try:
        assert Stored(store).add(answers).accepted == 300
    finally:
        store.close()
    kept = sum(one.user == "direct-0" for one in answers)
    assert fitted(http, "direct-0", kept) < 6.0


@pytest.mark.parametrize("engine", ENGINES)
def test_an_import_survives_kills(tmp_path, vectors_folder, vectors_model, features, engine):
    """Killed in the middle again and again, every record is kept once."""
    data = b"".join(records(6000, user="killed"))
    with (
        database(engine, tmp_path) as url,
        running(url, tmp_path, gustibus_model=str(vectors_folder)) as service,
    ):
        with service.client() as http:
            batch = [
                {"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)
            ]
            http.post("/v1/items:batch", json={"items": batch})
            found = begin(http, "killed")
        headers = {"Authorization": f"Bearer {service.key}", **NDJSON}
        for kill_at in (0.3, 0.6, 2.0):
            with httpx.Client(base_url=service.base, headers=headers, timeout=60) as http:
                at = http.get(f"/v1/imports/{found['id']}").json()["resume_from"]
                end = int(len(data) * kill_at)

                def pieces(at=at, end=end):
                    for place in range(at, len(data), 20_000):
                        if place > end:
                            service.kill()
                        yield data[place : place + 20_000]

                try:
                    done = http.put(found["upload"], params={"from": at}, content=pieces()).json()
                except httpx.TransportError:
                    service.start()
        assert (done["state"], done["accepted"], done["duplicates"]) == ("done", 6000, 0)
        with service.client() as http:
            counts = [http.get(f"/v1/users/killed-{n}").json()["comparisons"] for n in range(7)]
        assert sum(counts) == 6000


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_memory_does_not_grow_with_the_import(tmp_path, vectors_folder, vectors_model, features):
    """A gigabyte of records; the spec's five take as long as they take."""
    total = 1 << 30
    pad = "x" * 900
    with (
        database("sqlite", tmp_path) as url,
        running(url, tmp_path, gustibus_model=str(vectors_folder), gustibus_worker="0") as service,
        service.client() as http,
    ):
        found = begin(http, "large")

        def pieces():
            sent = n = 0
            while sent < total:
                lines = [
                    json.dumps({"id": f"r{n + k}", "user": f"u{n % 97}", "item_a": "x", "note": pad,
                                "item_b": "y", "outcome": "a"}).encode() for k in range(100)
                ]  # fmt: skip
                n += 100
                piece = b"\n".join(lines) + b"\n"
                sent += len(piece)
                if n == 20_000:
                    before.append(memory(service))
                yield piece

        before: list[int] = []
        done = http.put(found["upload"], content=pieces(), headers=NDJSON, timeout=3500).json()
        assert done["state"] == "done"
        assert memory(service) - before[0] < 64 << 20


def memory(service: Service) -> int:
    """Resident bytes of the server."""
    assert service.process is not None
    return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * 4096
