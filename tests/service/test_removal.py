"""Somebody who leaves is nowhere any more: tables, memory, files, replies, logs; and stays away."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator

import pytest

from gustibus.store import Store
from gustibus.store.tables import metadata
from tests.service.harness import Service, database, new_key, running

ENGINES = ("sqlite", "postgresql")
CANARY = "canary-7d1f"
TEXT = "unmistakable-words-of-the-canary"


@pytest.fixture(params=ENGINES)
def served(request, tmp_path, texts_folder, texts_model) -> Iterator[Service]:
    (tmp_path / "files").mkdir()
    with (
        database(request.param, tmp_path) as url,
        running(
            url, tmp_path, gustibus_model=str(texts_folder), gustibus_workers="2",
            gustibus_files=str(tmp_path / "files"),
        ) as service,
    ):  # fmt: skip
        yield service


def live(http) -> None:
    """Do everything that leaves a trace."""
    key = {"Idempotency-Key": "k1"}
    http.put(f"/v1/users/{CANARY}", json={"attributes": {"note": TEXT}}, headers=key)
    rows = [{"user": CANARY, "prompt": TEXT, "a": f"{TEXT} {n}", "b": "plain", "outcome": "a",
             "id": f"{CANARY}-{n}", "source": TEXT} for n in range(6)]  # fmt: skip
    posted = http.post(
        "/v1/comparisons?wait=profile",
        json={"comparisons": rows},
        headers={"Idempotency-Key": "k2"},
    )
    assert posted.status_code == 201, posted.text
    session = http.post("/v1/onboarding/sessions", json={"user": CANARY}).json()
    http.put(f"/v1/onboarding/sessions/{session['id']}/answers/0", json={"answer": "left"})
    http.post("/v1/score", json={"user": CANARY, "prompt": "?", "candidates": ["plain"]})
    found = http.post("/v1/imports", json={}, headers={"Idempotency-Key": "k3"}).json()
    lines = [
        {"user": CANARY, "item_a": "nothing", "item_b": "none", "outcome": "a"},
        {"user": CANARY, "prompt": TEXT, "response_a": TEXT, "response_b": "b", "winner": "tie"},
    ]
    data = "\n".join(map(json.dumps, lines))
    done = http.put(
        found["upload"], content=data, headers={"Content-Type": "application/x-ndjson"}
    ).json()
    assert (done["accepted"], done["rejected"]) == (1, 1), done
    for name, body in (("k4", {"kind": "export"}), ("k5", {"kind": "export", "user": CANARY})):
        job = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": name}).json()
        until = time.monotonic() + 60
        while http.get(f"/v1/jobs/{job['id']}").json()["state"] != "succeeded":
            assert time.monotonic() < until
            time.sleep(0.05)
    assert CANARY in http.post(f"/v1/users/{CANARY}:export").text


def everything(url: str) -> str:
    """Every cell of every table."""
    store = Store(url)
    cells = []
    with store.read() as conn:
        for table in metadata.sorted_tables:
            if table.name != "changes":  # which tell other processes, and go within a day
                cells += [repr(row) for row in conn.execute(table.select())]
    store.close()
    return "\n".join(cells)


def test_nothing_holds_somebody_who_was_deleted(served):
    with served.client() as http:
        live(http)
        before = everything(served.url)
        assert CANARY in before
        assert TEXT in before
        assert any(CANARY in path.read_text() for path in (served.folder / "files").iterdir())
        reply = http.delete(f"/v1/users/{CANARY}")
        assert reply.status_code == 200
        removed = reply.json()["removed"]
        assert (removed["users"], removed["comparisons"], removed["sessions"]) == (1, 7, 1)
        assert (removed["import_errors"], removed["files"]) == (1, 2)
        after = everything(served.url)
        assert CANARY not in after
        assert TEXT not in after
        for path in (served.folder / "files").iterdir():
            assert CANARY not in path.read_text()
        log = served.log_path.read_text()
        assert CANARY not in log
        assert TEXT not in log
        until = time.monotonic() + 5
        body = {"user": CANARY, "prompt": "?", "candidates": ["plain"]}
        streak = 0
        while streak < 10:  # in every process
            told = http.post("/v1/score", json=body, headers={"Connection": "close"}).json()
            streak = streak + 1 if told["user"]["state"] == "population" else 0
            assert time.monotonic() < until
        # The same again, from a log that is imported once more or a request that is repeated.
        row = {"user": CANARY, "prompt": "?", "a": "plain", "b": "warm", "outcome": "a"}
        assert http.post("/v1/comparisons", json={"comparisons": [row]}).status_code == 410
        assert CANARY not in everything(served.url)


def test_the_audit_log_tells_of_it_without_a_name_and_cannot_be_altered(served):
    with served.client() as http:
        live(http)
        http.delete(f"/v1/users/{CANARY}")
        found = http.get("/v1/audit", params={"user": CANARY}).json()["data"]
        assert [entry["action"] for entry in found] == ["user.delete", "user.export"]
        assert found[0]["detail"]["comparisons"] == 7
        whole = http.get("/v1/audit").json()["data"]
        assert CANARY not in json.dumps(whole)
        assert [entry["seq"] for entry in whole] == list(range(len(whole), 0, -1))
        assert all(new["before"] == old["hash"] for new, old in itertools.pairwise(whole))
        page = http.get("/v1/audit", params={"limit": 1}).json()
        assert page["has_more"]
        rest = http.get("/v1/audit", params={"after": page["next"]}).json()["data"]
        assert rest == whole[1:]
    from gustibus.cli.app import run
    from gustibus.store.tables import audit as table

    database = ["--database", served.url]
    assert run(["audit", "verify", *database]) == 0
    store = Store(served.url)
    with store.write() as conn:
        conn.execute(table.update().where(table.c.seq == 2).values(actor="somebody else"))
    store.close()
    assert run(["audit", "verify", *database]) == 1


def test_keys_are_made_used_counted_and_revoked(served):
    with served.client() as http:
        body = {"name": "app", "scopes": ["score"]}
        made = http.post("/v1/keys", json=body)
        assert made.status_code == 201, made.text
        key = made.json()
        served.settle(key["secret"])
        with served.client(key["secret"]) as app:
            for _ in range(3):
                told = app.post("/v1/score", json={"candidates": ["plain", "warm"]})
                assert told.status_code == 200
            assert app.get("/v1/keys").status_code == 403
            assert http.delete(f"/v1/keys/{key['id']}").json()["live"] is False
            until = time.monotonic() + 5
            while app.get("/v1/version").status_code != 401:
                assert time.monotonic() < until
                time.sleep(0.05)
        assert key["secret"][-43:] not in everything(served.url)
        listed = {one["id"]: one for one in http.get("/v1/keys").json()["data"]}
        assert "secret" not in listed[key["id"]]
    less = new_key(served.url, "admin")
    served.settle(less)
    with served.client(less) as http:
        more = http.post("/v1/keys", json={"name": "more", "scopes": ["score"]})
        assert (more.status_code, more.json()["code"]) == (403, "forbidden")
    assert served.stop() == 0  # which writes down what was counted
    served.start()
    with served.client() as http:
        rows = http.get("/v1/usage", params={"from": "2020-01-01"}).json()["data"]
        used = {row["key"]: row for row in rows}
        assert used[key["id"]]["requests"] >= 3
        assert used[key["id"]]["units"] >= 6
        told = {row["id"]: row["last_used_day"] for row in http.get("/v1/keys").json()["data"]}
        assert told[key["id"]] == used[key["id"]]["day"]
        assert http.get("/v1/usage", params={"to": "2020-01-01"}).json()["data"] == []
