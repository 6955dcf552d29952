"""Somebody leaves: a statement says so, models that held them are named, and no restore brings them back."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gustibus.artifact import Trained
from gustibus.cli.app import run
from gustibus.service.statements import is_signed
from gustibus.store import Store, hasher, hashing_key, key_name, upgrade
from gustibus.store.tables import metadata
from tests.service.harness import Service, database, running, save_texts_model

ENGINES = ("sqlite", "postgresql")
CANARY = "canary-3e8a"
TEXT = "unmistakable-words-of-the-canary"
OTHER = "somebody-else"


def models(root: Path, url: str) -> list[str]:
    """Digests of models: whose training had the canary, had others, tells nothing, is of another store."""
    store = Store(url)
    with store.write() as conn:
        key = hashing_key(conn)
    store.close()
    hashed, base = hasher(key), save_texts_model(root / "new")
    digests = []
    for name, people, made_with in (
        ("with", [CANARY, OTHER, *map(str, range(50))], key_name(key)),
        ("without", [OTHER, *map(str, range(50))], key_name(key)),
        ("silent", None, ""),
        ("foreign", [CANARY], "another key"),
    ):
        trained = None
        if people is not None:
            trained = Trained.of(map(hashed, people), [bytes(32)], key=made_with)
        made = replace(base, card={**base.card, "name": name}, trained=trained).save(root / "next")
        (root / "next").rename(root / made.digest)
        digests.append(made.digest)
    return digests


@pytest.fixture(params=ENGINES)
def served(request, tmp_path) -> Iterator[tuple[Service, list[str]]]:
    (tmp_path / "models").mkdir()
    (tmp_path / "apart").mkdir()
    with database(request.param, tmp_path) as url:
        upgrade(url)
        digests = models(tmp_path / "models", url)
        with running(
            url, tmp_path, gustibus_models=str(tmp_path / "models"),
            gustibus_tombstones=str(tmp_path / "apart" / "stones.jsonl"),
        ) as service:  # fmt: skip
            yield service, digests


def ready(http, digests: list[str]) -> None:
    for digest in digests:
        assert http.post("/v1/models/default/versions", json={"digest": digest}).status_code == 201
    assert http.post("/v1/models/default/versions/1:validate").status_code == 200
    moved = http.put(
        "/v1/models/default/aliases/champion", json={"version": 1}, headers={"If-None-Match": "*"}
    )
    assert moved.status_code == 200, moved.text
    until = time.monotonic() + 30
    while http.get("/v1/models/default").json()["serving"] != "default@1":
        assert time.monotonic() < until
        time.sleep(0.05)


def live(http, user: str) -> None:
    """Answers about items and texts, a session, a restriction that is lifted, an export."""
    http.put(f"/v1/users/{user}", json={"attributes": {"note": TEXT}})
    batch = [
        {"id": f"item-{n}", "text": f"the text of item {n}", "prompt": "Say it."} for n in range(2)
    ]
    assert http.post("/v1/items:batch", json={"items": batch}).status_code == 200
    rows = [
        {"user": user, "a": {"id": "item-0"}, "b": {"id": "item-1"}, "outcome": "a"},
        {"user": user, "prompt": TEXT, "a": f"{TEXT} a", "b": "plain", "outcome": "a"},
    ]
    posted = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
    assert posted.status_code == 201, posted.text
    session = http.post("/v1/onboarding/sessions", json={"user": user})
    assert session.status_code == 201, session.text
    name = session.json()["id"]
    http.put(f"/v1/onboarding/sessions/{name}/answers/0", json={"answer": "left"})
    for change in ("restrict", "unrestrict"):
        assert http.post(f"/v1/users/{user}:{change}").status_code == 200


def everything(url: str) -> str:
    """Every cell of every table but those that tell other processes, and go within a day."""
    with closing(Store(url)) as store, store.read() as conn:
        return "\n".join(
            repr(row)
            for table in metadata.sorted_tables
            if table.name != "changes"
            for row in conn.execute(table.select())
        )


class Copy:
    """A copy of a database that nobody uses, and what brings it back."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._file = url, folder / "copy.db"
        self._name = url.rpartition("/")[2]
        if url.startswith("sqlite"):
            with (
                closing(sqlite3.connect(folder / "service.db")) as source,
                closing(sqlite3.connect(self._file)) as target,
            ):
                source.backup(target)
        else:
            self._run(f'CREATE DATABASE "{self._name}_copy" TEMPLATE "{self._name}"')

    def restore(self) -> None:
        if self._url.startswith("sqlite"):
            for ending in ("", "-wal", "-shm"):
                Path(f"{self._file.parent}/service.db{ending}").unlink(missing_ok=True)
            shutil.copy(self._file, self._file.parent / "service.db")
        else:
            self._run(f'DROP DATABASE "{self._name}" WITH (FORCE)')
            self._run(f'ALTER DATABASE "{self._name}_copy" RENAME TO "{self._name}"')

    def _run(self, statement: str) -> None:
        import psycopg

        server = self._url.rpartition("/")[0] + "/postgres"
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(statement.encode())


def cli(capsys, *arguments: str) -> tuple[int, dict]:
    capsys.readouterr()
    code = run([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_restored_backup_does_not_bring_anybody_back(served, tmp_path, capsys, monkeypatch):
    service, digests = served
    file = tmp_path / "apart" / "stones.jsonl"
    named = ["--database", service.url]
    monkeypatch.setenv("GUSTIBUS_MODELS", str(tmp_path / "models"))
    with service.client() as http:
        ready(http, digests)
        live(http, CANARY)
        http.put(f"/v1/users/{OTHER}")
        lines = [
            json.loads(line) for line in http.post(f"/v1/users/{CANARY}:export").text.splitlines()
        ]
    found = {
        kind: [one for one in lines if one["kind"] == kind] for kind in {o["kind"] for o in lines}
    }
    assert [(one["id"], one["text"], one["prompt"]) for one in found["item"]] == [
        (f"item-{n}", f"the text of item {n}", "Say it.") for n in range(2)
    ]
    pool = json.loads((tmp_path / "models" / digests[0] / "pool.json").read_text())
    for question in found["question"]:
        sides = [pool["texts_a"][question["row"]], pool["texts_b"][question["row"]]]
        shown = [question["left"], question["right"]]
        assert shown == (sides[::-1] if question["swapped"] else sides)
        assert question["prompt"] == pool["prompts"][question["row"]]
    assert [one["action"] for one in found["audit"]] == ["user.unrestrict", "user.restrict"]
    assert [(one["model"], one["digest"]) for one in found["trained_on"]] == [
        ("default@1", digests[0])
    ]
    assert service.stop() == 0
    copy = Copy(service.url, tmp_path)
    service.start()
    with service.client() as http:
        file.rename(tmp_path / "aside") if file.exists() else None
        file.mkdir()  # which nothing can be added to
        refused = http.delete(f"/v1/users/{CANARY}")
        assert (refused.status_code, refused.json()["code"]) == (503, "read_only")
        assert http.get(f"/v1/users/{CANARY}").status_code == 200
        file.rmdir()
        done = http.delete(f"/v1/users/{CANARY}")
        assert done.status_code == 200, done.text
        statement = done.json()["statement"]
        assert statement["removed"] == done.json()["removed"]
        assert statement["trained_on"] == {"default@1": digests[0]}
        assert statement["unknown"] == {"default@3": digests[2], "default@4": digests[3]}
        assert CANARY not in json.dumps(statement)
        versions = http.get("/v1/models/default/versions").json()["data"]
        assert [one["retrain_due"] is not None for one in versions] == [True, False, False, False]
        first = versions[0]["retrain_due"]
        entry = http.get("/v1/audit", params={"user": CANARY}).json()["data"][0]
        assert (entry["detail"]["retrain_due"], entry["object"]) == (
            ["default@1"],
            statement["user"],
        )
        job = http.post(
            "/v1/jobs",
            json={"kind": "delete_user", "user": OTHER},
            headers={"Idempotency-Key": "j"},
        ).json()
        until = time.monotonic() + 30
        while (ended := http.get(f"/v1/jobs/{job['id']}").json())["state"] != "succeeded":
            assert time.monotonic() < until, ended
            time.sleep(0.05)
        told = ended["result"]["statement"]
        assert told["trained_on"] == {"default@1": digests[0], "default@2": digests[1]}
        versions = http.get("/v1/models/default/versions").json()["data"]
        assert [one["retrain_due"] is not None for one in versions] == [True, True, False, False]
        assert versions[0]["retrain_due"] == first  # since the first who left
    assert len(file.read_text().splitlines()) == 4  # each of them, and what trainings say of them
    assert CANARY not in file.read_text()

    for name, whole in (("job.json", ended), ("reply.json", done.json()), ("bare.json", statement)):
        (tmp_path / name).write_text(json.dumps(whole))
        code, said = cli(capsys, "users", "verify", str(tmp_path / name), *named)
        assert (code, said["signed"]) == (0, True), name
    reply = str(tmp_path / "reply.json")
    assert cli(capsys, "users", "verify", reply, "--user", CANARY, *named)[0] == 0
    assert cli(capsys, "users", "verify", reply, "--user", OTHER, *named)[0] == 1
    (tmp_path / "bare.json").write_text(json.dumps({**statement, "trained_on": {}}))
    assert cli(capsys, "users", "verify", str(tmp_path / "bare.json"), *named)[0] == 1
    code, asked = cli(capsys, "users", "trained", CANARY, *named)
    assert (code, asked["trained_on"]) == (0, {"default@1": digests[0]})
    assert asked["not_trained_on"] == {"default@2": digests[1]}
    assert sorted(asked["unknown"]) == ["default@3", "default@4"]

    assert service.stop() == 0
    assert CANARY not in everything(service.url)
    copy.restore()
    back = everything(service.url)
    assert CANARY in back
    assert TEXT in back
    replay = ("db", "tombstones", "replay", str(file), *named)
    assert cli(capsys, *replay) == (
        0, {"file": str(file), "people": 2, "tombstones": 0, "foreign": 0, "broken": 0},
    )  # fmt: skip
    after = everything(service.url)
    assert CANARY not in after
    assert TEXT not in after
    assert OTHER not in after
    if service.url.startswith("sqlite"):
        held = b"".join(path.read_bytes() for path in tmp_path.glob("service.db*"))
        assert TEXT.encode() not in held
    assert cli(capsys, *replay)[1]["people"] == 0
    assert cli(capsys, "db", "tombstones", "export", str(file), *named)[1]["added"] == 0
    assert cli(capsys, "users", "verify", reply, "--user", CANARY, *named)[0] == 0
    service.start()
    with service.client() as http:
        assert http.get(f"/v1/users/{CANARY}").status_code == 404
        row = {"user": CANARY, "prompt": "?", "a": "plain", "b": "warm", "outcome": "a"}
        assert http.post("/v1/comparisons", json={"comparisons": [row]}).status_code == 410
        versions = http.get("/v1/models/default/versions").json()["data"]
        assert [one["retrain_due"] is not None for one in versions] == [True, True, False, False]


def test_a_statement_is_of_its_key_alone():
    from gustibus.service.statements import signed

    told = signed(b"key", {"user": "user:ab", "removed": {"users": 1}})
    assert is_signed(b"key", told)
    assert not is_signed(b"other", told)
    assert not is_signed(b"key", {**told, "removed": {"users": 2}})
    assert not is_signed(b"key", {**told, "more": 1})
    for signature in (None, "", 7, "ä"):
        assert not is_signed(b"key", {**told, "signature": signature})


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["db", "tombstones", "replay", "nowhere", "--database", "{db}"], 3, "no such file"),
        (["db", "tombstones", "export", "/nope/x", "--database", "{db}"], 3, "no folder /nope"),
        (["users", "verify", "nowhere", "--database", "{db}"], 3, "no such file"),
        (["users", "verify", "{folder}/none.json", "--database", "{db}"], 1, "no"),
        (
            ["users", "trained", "ada", "--database", "sqlite:///{folder}/none.db"],
            3,
            "no such file",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, capsys, arguments, code, said):
    url = f"sqlite:///{tmp_path}/own.db"
    upgrade(url)
    (tmp_path / "none.json").write_text("[]")
    given = [one.format(db=url, folder=tmp_path) for one in arguments]
    assert run(given) == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
