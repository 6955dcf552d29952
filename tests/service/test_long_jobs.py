"""Bulk scoring, evaluation and training as jobs: done by processes of their own, taken up after a kill."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from sqlalchemy import update

from gustibus.artifact import Artifact, People, find_trained
from gustibus.encoders import load_encoder
from gustibus.errors import MissingExtraError
from gustibus.service.settings import Settings
from gustibus.service.work.children import require
from gustibus.service.work.placing import marks_of, place, settle
from gustibus.store import Store, get_job, hasher, hashing_key, register_version, upgrade
from gustibus.store.tables import users
from tests.service.harness import (
    TASTES,
    Service,
    new_key,
    responses,
    running,
    save_texts_model,
)

pq = pytest.importorskip("pyarrow.parquet")
CROWD, ITEMS, PEOPLE, EACH = 60_000, 24, 40, 16
TEXTS = responses(ITEMS, seed=11)
SOME = {"kind": "bulk_score", "tag": "even", "users": ["user-1", "p-00007", "user-0", "user-1"],
        "top": 3}  # fmt: skip
FIT = {"family": "bt", "questions": 0}


class Workers:
    """The one process that works on the jobs of a service; it can be killed and begun again."""

    def __init__(self, service: Service) -> None:
        self._environment = {
            **os.environ, "GUSTIBUS_DATABASE": service.url, "GUSTIBUS_REFRESH": "0.05",
            **service.environment, "GUSTIBUS_LOG": "0",
        }  # fmt: skip
        self.process = self.begin()

    def begin(self) -> subprocess.Popen[bytes]:
        code = "from gustibus.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code, "worker"], env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return self.process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory) -> Path:
    """A folder of models with one of texts whose training knew very many people."""
    root = tmp_path_factory.mktemp("models")
    small = save_texts_model(root / "small")
    rng = np.random.default_rng(3)
    people = People(
        tuple(f"p-{n:05}" for n in range(CROWD)),
        rng.standard_normal((CROWD, TASTES)).astype(np.float32),
        np.zeros((0, TASTES, TASTES), np.float32), np.full(CROWD, 9, np.int32),
    )  # fmt: skip
    made = replace(small, people=people).save(root / "new")
    (root / "new").rename(root / made.digest)
    return root


@pytest.fixture(scope="module")
def served(tmp_path_factory, crowded) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("long")
    for name in ("files", "logs"):
        (folder / name).mkdir()
    digest = next(path.name for path in crowded.iterdir() if len(path.name) == 64)
    golden = write_golden(folder, Artifact.load(crowded / digest))
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_models=str(crowded), gustibus_worker="0",
        gustibus_files=str(folder / "files"), gustibus_import_folder=str(folder / "logs"),
        gustibus_lease="1", gustibus_refresh="0.05", gustibus_golden=str(golden),
        gustibus_golden_groups="team",
    ) as service, service.client() as http:  # fmt: skip
        assert http.post("/v1/models/default/versions", json={"digest": digest}).status_code == 201
        assert http.post("/v1/models/default/versions/1:validate").status_code == 200
        moved = http.put("/v1/models/default/aliases/champion", json={"version": 1},
                         headers={"If-None-Match": "*"})  # fmt: skip
        assert moved.status_code == 200, moved.text
        wait_until(lambda: http.get("/v1/models/default").json()["serving"] == "default@1")
        fill(http)
        yield service


def write_golden(folder: Path, artifact: Artifact) -> Path:
    """What sixty people of two teams would say if they were as a model takes the population to be."""
    values = artifact.model.represent(load_encoder("hashing", dim=64).encode(TEXTS))[:, 0]
    rng, path = np.random.default_rng(8), folder / "golden.jsonl"
    pairs = [tuple(rng.permutation(ITEMS)[:2]) for _ in range(60)]
    rows = [
        {"user": f"g-{n}", "prompt": "", "response_a": TEXTS[a], "response_b": TEXTS[b],
         "outcome": "a" if values[a] > values[b] else "b", "team": "few" if n < 9 else "many"}
        for n, (a, b) in enumerate(pairs)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def workers(served) -> Iterator[Workers]:
    found = Workers(served)
    yield found
    found.kill()


@pytest.fixture
def http(served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def wait_until(holds, *, seconds: float = 60.0, pause: float = 0.02) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(pause)


def fill(http: httpx.Client) -> None:
    """Items with texts, and answers of people whose tastes go by the words."""
    batch = [
        {"id": f"item-{n}", "text": text, "tags": ["even"] if n % 2 == 0 else []}
        for n, text in enumerate(TEXTS)
    ]
    assert http.post("/v1/items:batch", json={"items": batch}).status_code == 200
    rng = np.random.default_rng(5)
    features = load_encoder("hashing", dim=64).encode(TEXTS)
    shared = rng.standard_normal(64)
    rows = []
    for person in range(PEOPLE):
        values = features @ (shared + rng.standard_normal(64))
        pairs = [(a, b) for a in range(ITEMS) for b in range(a)]
        for number, at in enumerate(rng.permutation(len(pairs))[:EACH]):
            a, b = pairs[at]
            rows.append({
                "user": f"user-{person}", "a": {"id": f"item-{a}"}, "b": {"id": f"item-{b}"},
                "outcome": "a" if values[a] > values[b] else "b", "id": f"answer-{person}-{number}",
                "strength": 1 + number % 3,
            })  # fmt: skip
    for start in range(0, len(rows), 200):
        told = http.post("/v1/comparisons", json={"comparisons": rows[start : start + 200]})
        assert told.status_code == 201, told.text


def ask(http: httpx.Client, key: str, **body) -> dict:
    reply = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": key})
    assert reply.status_code == 202, reply.text
    return reply.json()


def ended(http: httpx.Client, job: dict, *, seconds: float = 90.0) -> dict:
    found = job

    def over() -> bool:
        nonlocal found
        found = http.get(f"/v1/jobs/{job['id']}").json()
        return found["state"] not in {"queued", "running"}

    wait_until(over, seconds=seconds)
    return found


def table(http: httpx.Client, job: dict) -> dict[str, list]:
    reply = http.get(f"/v1/jobs/{job['id']}/result")
    assert reply.headers["content-type"] == "application/vnd.apache.parquet"
    return pq.read_table(io.BytesIO(reply.content)).to_pydict()


def left_of(served: Service, job: dict) -> set[str]:
    """Endings of what a job has left in the folder of results."""
    return {
        path.name.replace(job["id"], "")
        for path in (served.folder / "files").glob(f"*{job['id']}*")
    }


def test_the_best_of_some_people_are_those_of_the_library(http, served, workers):
    job = ask(http, "some", **SOME)
    found = ended(http, job)
    assert found["state"] == "succeeded", found
    assert (found["done"], found["total"]) == (3, 3)
    assert {name: found["result"][name] for name in ("people", "candidates", "top")} == {
        "people": 3, "candidates": ITEMS // 2, "top": 3,
    }  # fmt: skip
    told = table(http, job)
    assert told["user"] == ["p-00007", "user-0", "user-1"]  # by name, each once
    for user, items, scores in zip(told["user"], told["items"], told["scores"], strict=True):
        body = {"user": user, "candidates": [{"id": f"item-{n}"} for n in range(0, ITEMS, 2)]}
        wanted = [one["score"] for one in http.post("/v1/score", json=body).json()["data"]]
        best = np.argsort(-np.array(wanted), kind="stable")[:3]
        assert items == [f"item-{2 * n}" for n in best]
        np.testing.assert_allclose(scores, np.array(wanted)[best], atol=1e-4)
    assert left_of(served, job) == {".parquet", ".lock"}


def test_everybody_is_scored_in_the_same_bytes_though_the_worker_is_killed(http, served, workers):
    (served.folder / "logs" / "new.jsonl").write_text(
        "".join(json.dumps({"id": f"c{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS))
    )
    body = {"kind": "bulk_score", "file": "new.jsonl", "prompt": "Say something.", "top": 2}
    straight = ended(http, ask(http, "straight", **body))
    assert straight["state"] == "succeeded", straight
    killed = ask(http, "killed", **body)
    first = served.folder / "files" / f"{killed['id']}.work" / "part-00001.parquet"
    wait_until(first.is_file, pause=0.0005)
    workers.kill()
    assert http.get(f"/v1/jobs/{killed['id']}").json()["state"] == "running"
    assert left_of(served, killed) == {".work", ".lock"}
    written = first.stat().st_mtime_ns
    workers.begin()
    wait_until((first.parent / "part-00002.parquet").is_file, pause=0.001)
    assert first.stat().st_mtime_ns == written  # it is not made again
    found = ended(http, killed)
    assert (found["state"], found["attempts"]) == ("succeeded", 2), found
    assert found["result"] == straight["result"]
    assert found["done"] == found["total"] == CROWD + PEOPLE
    one, other = (http.get(f"/v1/jobs/{job['id']}/result").content for job in (straight, killed))
    assert one == other
    names = table(http, killed)["user"]
    assert names == sorted(names)
    assert len(set(names)) == CROWD + PEOPLE


def test_a_training_becomes_a_version_though_the_worker_is_killed(http, served, workers):
    store = Store(served.url)
    with store.write() as conn:
        hashed = hasher(hashing_key(conn))
        conn.execute(update(users).where(users.c.id == "user-9").values(state="quarantined"))
    try:
        job = ask(http, "learn", kind="train", **FIT)
        kept = served.folder / "files" / f"{job['id']}.work" / "answers.jsonl"
        wait_until(kept.is_file, pause=0.001)
        workers.kill()
        answers = kept.read_bytes()
        late = {"user": "user-1", "a": {"id": "item-0"}, "b": {"id": "item-1"}, "outcome": "a"}
        assert http.post("/v1/comparisons", json={"comparisons": [late]}).status_code == 201
        workers.begin()
        found = ended(http, job)
    finally:
        with store.write() as conn:
            conn.execute(update(users).where(users.c.id == "user-9").values(state="active"))
        store.close()
    assert (found["state"], found["attempts"]) == ("succeeded", 2), found
    result = found["result"]
    assert (result["id"], result["version"]) == ("default@2", 2)
    assert result["left_out"] == {"skipped": 0, "without_text": 0, "of_others": EACH}
    assert (result["people_given"], result["comparisons_given"]) == (39, 39 * EACH)  # as it began
    assert len(answers.splitlines()) == 39 * EACH
    version = http.get("/v1/models/default/versions/2").json()
    assert (version["state"], version["digest"]) == ("validated", result["digest"])
    assert http.get("/v1/models/default").json()["serving"] == "default@1"  # it is not promoted
    assert str(served.folder) not in json.dumps(version["card"])
    made = Artifact.load(Path(served.environment["GUSTIBUS_MODELS"]) / result["digest"])
    assert made.card["encoder"]["name"] == "hashing"  # as the version in service has it
    assert (made.strengths.column, len(made.card["strengths"]["losses"])) == ("strength", 3)
    assert {row.tobytes() for row in made.trained.people} == {hashed(u) for u in made.people.ids}
    assert "user-9" not in made.people.ids
    assert (result["key_share"], result["limited_keys"]) == (1.0, {})  # all are of one key
    assert (made.card["influence"], made.card["run"]["limit_people"]) == ([], True)
    folder = Path(served.environment["GUSTIBUS_MODELS"]) / result["digest"]
    for user, learned in ((made.people.ids[0], True), ("user-9", False)):
        found = find_trained(folder, user=user, hashed=hashed(user), key=made.trained.key)
        assert (user, found) == (user, learned)
    assert find_trained(folder, user="user-9", hashed=hashed("user-9"), key="another") is None
    assert 0 < len(made.trained.comparisons) < 39 * EACH  # the rest is held out
    noted = [one["action"] for one in http.get("/v1/audit?limit=1000").json()["data"]]
    assert noted.count("model.register") == 2
    assert left_of(served, job) == {".lock"}


def test_a_version_is_judged_on_what_it_was_not_trained_on(http, served, workers):
    found = ended(http, ask(http, "judge", kind="evaluate", version=2, draws=1))
    assert found["state"] == "succeeded", found
    figures = found["result"]["figures"]
    assert set(figures) == {"trained_on"}  # the new people are fewer than ten
    accuracy = figures["trained_on"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    reply = http.get(f"/v1/jobs/{found['id']}/result")
    assert reply.headers["content-type"] == "application/json"
    report = reply.json()
    assert report["people"]["seen"] == accuracy["people"]
    text = http.get(f"/v1/jobs/{found['id']}/result", params={"format": "markdown"})
    assert text.headers["content-type"] == "text/markdown"
    assert "# Evaluation on store" in text.text
    few = [{"user": f"x-{n}", "prompt": "", "response_a": "one", "response_b": "two", "outcome": "a"}
           for n in range(9)]  # fmt: skip
    (served.folder / "logs" / "few.jsonl").write_text("\n".join(map(json.dumps, few)) + "\n")
    found = ended(http, ask(http, "few", kind="evaluate", file="few.jsonl"))
    assert found["state"] == "failed"
    assert "needs 10 people of one kind" in found["error"]


def test_a_version_that_is_worse_on_the_golden_set_is_not_promoted(http, served, workers):
    champion = "/v1/models/default/aliases/champion"

    def promote(**more) -> httpx.Response:
        seen = {"If-Match": http.get(champion).headers["etag"]}
        return http.put(champion, json={"version": 2, **more}, headers=seen)

    reply = promote()
    assert (reply.status_code, reply.json()["code"]) == (409, "gate_failed")
    assert "version 2 was not judged on the golden set" in reply.json()["detail"]
    found = ended(http, ask(http, "golden", kind="evaluate", version=2, golden=True))
    assert found["state"] == "succeeded", found
    one, two = (http.get(f"/v1/models/default/versions/{n}").json()["golden"] for n in (1, 2))
    assert found["result"]["golden"] == two
    assert (one["digest"], one["overall"]["answers"]) == (two["digest"], 60)
    assert {name: group["people"] for name, group in one["groups"].items()} == {"many": 51}
    assert one["overall"]["accuracy"] == 1.0 > two["overall"]["accuracy"] + 0.02
    reply = promote()
    assert (reply.status_code, reply.json()["code"]) == (409, "gate_failed")
    told = [f"{100 * figures['overall']['accuracy']:.2f} %" for figures in (one, two)]
    assert all(figure in reply.json()["detail"] for figure in (*told, "group 'many'"))
    assert reply.json()["detail"].count("; group") == len(found["result"]["refused"]) - 1 == 1
    assert http.get(champion).json()["version"] == 1
    forced = promote(force=True)
    assert (forced.status_code, forced.json()["version"]) == (200, 2)
    noted = next(one for one in http.get("/v1/audit?limit=1000").json()["data"]
                 if one["action"] == "model.promote")  # fmt: skip
    assert noted["detail"] == {"version": 2, "before": 1, "forced": True}
    back = http.post("/v1/models/default:rollback", headers={"If-Match": forced.headers["etag"]})
    assert (back.status_code, back.json()["version"]) == (200, 1)  # what was served is no candidate
    wait_until(lambda: http.get("/v1/models/default").json()["serving"] == "default@1")


def test_a_job_is_stopped_at_once_with_its_process(http, served, workers):
    job = ask(http, "stop", kind="train", **FIT)
    wait_until(lambda: http.get(f"/v1/jobs/{job['id']}").json()["state"] == "running")
    assert http.post(f"/v1/jobs/{job['id']}:cancel").status_code == 200
    assert ended(http, job)["state"] == "cancelled"
    children = Path(f"/proc/{workers.process.pid}/task/{workers.process.pid}/children")
    if children.exists():
        wait_until(lambda: children.read_text().split() == [])


def test_a_model_that_does_not_become_a_version_is_removed(http, served, workers):
    """Its worker dies between the end of the process that learns and the version, and the job is cancelled."""
    models = Path(served.environment["GUSTIBUS_MODELS"])
    before = set(models.iterdir())
    versions = http.get("/v1/models/default/versions").json()["data"]
    job = ask(http, "placed", kind="train", **FIT, seed=8)
    wait_until(lambda: ".work" in left_of(served, job), pause=0.001)
    workers.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: any(len(path.name) == 64 for path in set(models.iterdir()) - before))
    (made,) = set(models.iterdir()) - before
    assert f".{made.name}.placed" in left_of(served, job)
    http.post(f"/v1/jobs/{job['id']}:cancel")
    workers.kill()
    workers.begin()
    assert ended(http, job)["state"] in {"cancelled", "failed"}
    workers.kill()
    workers.begin()  # which looks for what is left
    wait_until(lambda: not left_of(served, job))
    assert set(models.iterdir()) == before
    assert http.get("/v1/models/default/versions").json()["data"] == versions


def test_a_model_that_somebody_else_has_a_use_for_stays(tmp_path):
    settings = Settings(files=str(tmp_path / "files"), models=str(tmp_path / "models"))
    Path(settings.files).mkdir()
    Path(settings.models).mkdir()
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "card.json").write_text("{}")
    (tmp_path / "models" / "by-hand").mkdir()
    for job, digest in (("job_1", "left"), ("job_1", "version"), ("job_1", "shared"),
                        ("job_2", "shared"), ("job_1", "by-hand")):  # fmt: skip
        place(settings, job, whole, digest)
    url = f"sqlite:///{tmp_path}/s.db"
    upgrade(url)
    store = Store(url)
    with store.write() as conn:
        register_version(conn, model="another", digest="version")
        settle(conn, settings, marks_of(settings, {"job_1"}))
    models = {path.name for path in Path(settings.models).iterdir()}
    assert models == {"version", "shared", "by-hand"}
    assert [path.name for path in Path(settings.files).glob("job_*")] == ["job_2.shared.placed"]
    with store.write() as conn:
        settle(conn, settings, marks_of(settings, {"job_2"}))
    assert {path.name for path in Path(settings.models).iterdir()} == {"version", "by-hand"}
    store.close()


def test_what_is_missing_is_said_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gustibus\[train\]'"):
        require("torch", "train")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"kind": "bulk_score"}, 422, ""),
        ({"kind": "bulk_score", "items": ["item-0"], "tag": "even"}, 422, ""),
        ({"kind": "bulk_score", "items": ["item-0", "none"]}, 404, "/items/1"),
        ({"kind": "bulk_score", "tag": "even", "users": ["user-0", "none"]}, 404, "/users/1"),
        ({"kind": "bulk_score", "tag": "even", "prompt": "x"}, 422, "/prompt"),
        ({"kind": "bulk_score", "tag": "even", "top": 0}, 422, "/top"),
        ({"kind": "bulk_score", "tag": "even", "people": []}, 422, "/people"),
        ({"kind": "bulk_score", "file": "../s.db"}, 422, "/file"),
        ({"kind": "bulk_score", "file": "readme.txt"}, 422, "/file"),
        ({"kind": "evaluate", "version": 99}, 422, "/version"),
        ({"kind": "evaluate", "draws": 0}, 422, "/draws"),
        ({"kind": "evaluate", "file": "none.jsonl"}, 422, "/file"),
        ({"kind": "evaluate", "golden": True, "file": "few.jsonl"}, 422, "/golden"),
        ({"kind": "train", "family": "dance"}, 422, "/family"),
        ({"kind": "train", "family": "bt", "options": {"dance": 1}}, 422, "/options/dance"),
        ({"kind": "train", "options": {"dance": 1}}, 422, "/options"),
        ({"kind": "train", "minutes": 0}, 422, "/minutes"),
        ({"kind": "train", "split": "given"}, 422, "/split"),
        ({"kind": "train", "options": {"a": ["\x00"]}}, 422, "/options/a/0"),
        ({"kind": "train", "device": "cuda"}, 422, "/device"),
    ],
)
def test_a_wrong_field_is_pointed_at(http, served, body, status, pointer):
    (served.folder / "logs" / "readme.txt").write_text("x")
    reply = http.post("/v1/jobs", json=body, headers={"Idempotency-Key": json.dumps(body)[:200]})
    assert (reply.status_code, reply.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert reply.json()["errors"][0]["pointer"] == pointer, reply.text


def test_each_kind_needs_the_scopes_of_what_it_does(http, served):
    kinds = {"bulk_score": "users:read", "evaluate": "models:read", "train": "models:write"}
    less = new_key(served.url, "jobs", "ingest")
    served.settle(less)
    with served.client(less) as client:
        for kind, scope in kinds.items():
            body = {"kind": kind} | ({"tag": "even"} if kind == "bulk_score" else {})
            reply = client.post("/v1/jobs", json=body, headers={"Idempotency-Key": kind})
            assert (reply.status_code, scope in reply.text) == (403, True), reply.text


def test_somebody_who_is_deleted_is_in_no_result(http, served, workers):
    some = ask(http, "some", **SOME)  # as above, where that has run
    assert ended(http, some)["state"] == "succeeded"
    assert http.delete("/v1/users/user-1").status_code == 200
    assert http.get(f"/v1/jobs/{some['id']}").json()["state"] == "cancelled"
    assert http.get(f"/v1/jobs/{some['id']}/result").status_code == 409
    assert left_of(served, some) == {".lock"}
    store = Store(served.url)
    with store.read() as conn:
        assert get_job(conn, job=some["id"]).params["users"] == ["p-00007", "user-0"]
    store.close()


def test_somebody_whose_processing_is_restricted_is_in_no_result(http, served, workers):
    trained = "p-00003"  # whom the training knows
    assert http.post(f"/v1/users/{trained}:restrict").status_code == 200
    try:
        named = ask(http, "named", **{**SOME, "users": [trained, "user-2"]})
        assert ended(http, named)["state"] == "succeeded"
        assert table(http, named)["user"] == ["user-2"]
    finally:
        http.post(f"/v1/users/{trained}:unrestrict")
