"""Versions are promoted and rolled back under load: no request fails, and no reply mixes two."""

from __future__ import annotations

import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from gustibus.artifact import Artifact, People
from gustibus.cli.app import run
from gustibus.models.hierarchical import Hierarchical
from gustibus.posterior import GaussianPrior
from gustibus.store import Store, create_key, register_version, upgrade
from tests.service.harness import DIM, Service, database, model_of, running

ENGINES = ("sqlite", "postgresql")


class Terminal(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        return True


def variant(folder: Path, *, seed: int, tastes: int) -> Artifact:
    """A model with rewards of its own, and as many directions as it wants."""
    rng = np.random.default_rng(seed)
    base = model_of(DIM, seed=seed)
    model: Hierarchical = replace(
        base, basis=rng.standard_normal((DIM, tastes)).astype(np.float32),
        prior=GaussianPrior.standard(tastes),
    )  # fmt: skip
    card = {"name": folder.name, "family": "hierarchical", "version": "0", "encoder": None,
            "created": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    items = rng.standard_normal((20, DIM)).astype(np.float32)
    return Artifact(model, card, People.empty(tastes), model.represent(items)).save(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, list[Artifact]]:
    """A folder of models, each under its digest."""
    root = tmp_path_factory.mktemp("registry")
    made = []
    for number, tastes in enumerate((3, 5)):
        artifact = variant(root / "new", seed=40 + number, tastes=tastes)
        (root / "new").rename(root / artifact.digest)
        made.append(artifact)
    return root, made


@pytest.fixture(params=ENGINES)
def served(request, tmp_path, models) -> Iterator[Service]:
    with (
        database(request.param, tmp_path) as url,
        running(url, tmp_path, gustibus_models=str(models[0]), gustibus_refresh="0.05") as service,
    ):
        yield service


def promote(http: httpx.Client, version: int) -> dict:
    now = http.get("/v1/models/default/aliases/champion")
    headers = (
        {"If-Match": now.headers["etag"]} if now.status_code == 200 else {"If-None-Match": "*"}
    )
    reply = http.put(
        "/v1/models/default/aliases/champion", json={"version": version}, headers=headers
    )
    assert reply.status_code == 200, reply.text
    return reply.json()


def serving(http: httpx.Client, label: str, *, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while (found := http.get("/v1/models/default").json())["serving"] != label:
        assert time.monotonic() < until, found
        time.sleep(0.02)


def ready(http: httpx.Client, made: list[Artifact]) -> None:
    """Both versions registered and validated, the first one served."""
    for number, artifact in enumerate(made, start=1):
        reply = http.post("/v1/models/default/versions", json={"digest": artifact.digest})
        assert reply.status_code in {200, 201}, reply.text
        assert reply.json()["version"] == number
        reply = http.post(f"/v1/models/default/versions/{number}:validate")
        assert reply.json()["state"] == "validated", reply.text
    promote(http, 1)
    serving(http, "default@1")


@pytest.mark.parametrize("name", ["Tastes", ".tastes", "geschmäcker", "-a", "a" * 65, "a b", ""])
def test_a_name_that_no_model_may_have_is_refused_at_the_start(tmp_path, models, name):
    settings = {"gustibus_models": str(models[0]), "gustibus_model_name": name}
    with (
        pytest.raises(AssertionError, match="GUSTIBUS_MODEL_NAME: expected 1 to 64 of a-z"),
        running(f"sqlite:///{tmp_path}/s.db", tmp_path, **settings),
    ):
        pass


@pytest.mark.parametrize("has", ["versions", "keys"])
def test_a_name_that_a_store_has_from_before_goes_on(tmp_path, models, has):
    url = f"sqlite:///{tmp_path}/s.db"
    upgrade(url)
    store = Store(url)
    with store.write() as conn:
        if has == "versions":
            register_version(conn, model="Tastes", digest=models[1][0].digest)
        else:
            create_key(conn, name="old", scopes=("score",), models=("Tastes",))
    store.close()
    settings = {"gustibus_models": str(models[0]), "gustibus_model_name": "Tastes"}
    with running(url, tmp_path, **settings) as service, service.client() as http:
        assert http.get("/v1/models/Tastes/versions").status_code == 200


def test_a_process_is_ready_where_the_model_that_is_promoted_is_loaded(tmp_path, models):
    root = tmp_path / "models"
    shutil.copytree(models[0], root)
    settings = {"gustibus_models": str(root), "gustibus_refresh": "0.05"}
    with running(f"sqlite:///{tmp_path}/s.db", tmp_path, **settings) as service:
        with service.client() as http:
            assert http.get("/readyz").status_code == 200  # none is promoted
            assert http.get("/v1/version").json()["aliases"] == {}
            digest = models[1][0].digest
            http.post("/v1/models/default/versions", json={"digest": digest})
            http.post("/v1/models/default/versions/1:validate")
            shutil.move(root / digest, tmp_path / "away")
            promote(http, 1)
            until = time.monotonic() + 60
            while http.get("/readyz").status_code == 200:
                assert time.monotonic() < until
                time.sleep(0.02)
            told = http.get("/readyz").json()
            assert told["detail"] == "The model that is promoted is not loaded"
            version = http.get("/v1/version").json()
            assert (version["model"], version["aliases"]) == (None, {"champion": 1})
        shutil.move(tmp_path / "away", root / digest)
        service.stop()
        service.start()
        with service.client() as http:
            assert http.get("/readyz").status_code == 200
            http.put("/v1/models/default/aliases/next", json={"version": 1},
                     headers={"If-None-Match": "*"})  # fmt: skip
            until = time.monotonic() + 60
            while http.get("/v1/version").json()["aliases"] != {"champion": 1, "next": 1}:
                assert time.monotonic() < until
                time.sleep(0.02)


def test_versions_are_registered_promoted_and_rolled_back(served, models):
    with served.client() as http:
        nothing = http.post("/v1/score", json={"candidates": [{"embedding": [0.0] * DIM}]})
        assert nothing.json()["code"] == "not_ready"
        ready(http, models[1])
        again = http.post("/v1/models/default/versions", json={"digest": models[1][0].digest})
        assert (again.status_code, again.json()["version"]) == (200, 1)
        promote(http, 2)
        serving(http, "default@2")
        info = f'{{digest="{models[1][1].digest[:12]}",model="default",version="2"}} 1.0'
        assert f"gustibus_model_info{info}" in http.get("/metrics").text.splitlines()
        body = {"candidates": [{"embedding": [1.0] * DIM}], "model": "default@champion"}
        assert http.post("/v1/score", json=body).json()["model"] == "default@2"
        assert http.post("/v1/score", json={**body, "model": "default@1"}).status_code == 404
        etag = http.get("/v1/models/default/aliases/champion").headers["etag"]
        back = http.post("/v1/models/default:rollback", headers={"If-Match": etag})
        assert (back.json()["version"], back.json()["previous"]) == (1, 2)
        serving(http, "default@1")
        stale = http.post("/v1/models/default:rollback", headers={"If-Match": etag})
        assert (stale.status_code, stale.json()["code"]) == (412, "etag_mismatch")
        bare = http.post("/v1/models/default:rollback")
        assert (bare.status_code, bare.json()["code"]) == (428, "etag_required")
        other = http.post("/v1/models/default:rollback", headers={"If-None-Match": etag})
        assert (other.status_code, other.json()["code"]) == (400, "bad_header")
        held = http.delete("/v1/models/default/versions/1")
        assert (held.status_code, held.json()["code"]) == (409, "alias_in_use")
        assert http.delete("/v1/models/default/versions/2").status_code == 200
        assert http.get("/v1/models/default/versions/2").status_code == 404
        etag = http.get("/v1/models/default/aliases/champion").headers["etag"]
        back = http.post("/v1/models/default:rollback", headers={"If-Match": etag})
        assert (back.status_code, back.json()["code"]) == (409, "conflict")
        assert "default@2" in back.json()["detail"]
        assert http.get("/v1/models/default/versions/1").json()["card"]["family"] == "hierarchical"
        assert http.get("/v1/models/other").status_code == 404
    served.stop()
    served.start()  # a process that starts serves what was promoted
    with served.client() as http:
        assert http.get("/v1/models/default").json()["serving"] == "default@1"


def test_an_alias_of_what_is_served_is_asked_for_and_forgotten(served, models):
    base, first, body = "/v1/models/default/aliases/", {"If-None-Match": "*"}, {"version": 1}
    asked = {"candidates": [{"embedding": [1.0] * DIM}], "model": "default@spare"}
    with served.client() as http:
        ready(http, models[1])
        assert http.post("/v1/score", json=asked).status_code == 404
        assert http.put(base + "spare", json=body, headers=first).status_code == 200
        until = time.monotonic() + 60
        while (reply := http.post("/v1/score", json=asked)).status_code == 404:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert reply.json()["model"] == "default@1"
        promote(http, 2)
        serving(http, "default@2")
        assert http.post("/v1/score", json=asked).status_code == 404, "it points at another version"
        held = http.delete("/v1/models/default/versions/1")
        assert (held.status_code, held.json()["code"]) == (409, "alias_in_use")
        for name, headers, status in (
            ("spare", {}, 428), ("spare", {"If-Match": '"7"'}, 412), ("none", {"If-Match": '"1"'}, 404),
            ("champion", {"If-Match": '"2"'}, 409), ("spare", {"If-Match": '"1"'}, 200),
            ("spare", {"If-Match": '"1"'}, 404),
        ):  # fmt: skip
            reply = http.delete(base + name, headers=headers)
            assert reply.status_code == status, (name, headers, reply.text)
        assert http.get(base + "spare").status_code == 404
        assert http.delete("/v1/models/default/versions/1").status_code == 200


def test_a_damaged_version_is_neither_validated_nor_served(tmp_path, models):
    root = tmp_path / "models"
    shutil.copytree(models[0], root)
    with (
        running(f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_models=str(root)) as service,
        service.client() as http,
    ):
        ready(http, models[1])
        with (root / models[1][1].digest / "model.safetensors").open("ab") as file:
            file.write(b"x")
        refused = http.post("/v1/models/default/versions/2:validate")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        promote(http, 2)  # it was whole when it was validated
        until = time.monotonic() + 60
        while not (found := http.get("/v1/models/default").json())["problem"]:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert found["serving"] == "default@1"
        assert http.post(
            "/v1/score", json={"candidates": [{"embedding": [1.0] * DIM}]}
        ).status_code == 200  # fmt: skip


class Asker(threading.Thread):
    """Scores without a pause, and compares every reply with what its model says."""

    def __init__(self, service: Service, expected: dict[str, np.ndarray], done: threading.Event):
        super().__init__(daemon=True)
        self.service, self.expected, self.done = service, expected, done
        self.asked: dict[str, int] = {}
        self.wrong: list[str] = []

    def run(self) -> None:
        rows = [{"embedding": row.tolist()} for row in ROWS]
        with self.service.client(self.service.key) as http:
            while not self.done.is_set():
                reply = http.post("/v1/score", json={"user": "ann", "candidates": rows})
                if reply.status_code != 200:
                    self.wrong.append(reply.text)
                    continue
                told = reply.json()
                label = told["model"]
                self.asked[label] = self.asked.get(label, 0) + 1
                scores = np.array([one["score"] for one in told["data"]])
                if not np.allclose(scores, self.expected[label], rtol=1e-5, atol=1e-5):
                    self.wrong.append(f"{label}: {scores}")


ROWS = np.random.default_rng(3).standard_normal((6, DIM)).astype(np.float32)


def reload_under_load(service: Service, made: list[Artifact], reloads: int) -> dict[str, int]:
    expected = {
        f"default@{number}": one.model.utility(
            np.zeros(one.model.user_dim), one.model.represent(ROWS)
        )
        for number, one in enumerate(made, start=1)
    }
    with service.client() as http:
        ready(http, made)
        done = threading.Event()
        askers = [Asker(service, expected, done) for _ in range(4)]
        for asker in askers:
            asker.start()
        for number in range(reloads):
            promote(http, 2 - number % 2)
            serving(http, f"default@{2 - number % 2}")
        done.set()
    asked: dict[str, int] = {}
    for asker in askers:
        asker.join(20)
        assert not asker.wrong, asker.wrong[:3]
        for label, count in asker.asked.items():
            asked[label] = asked.get(label, 0) + count
    return asked


def test_ten_reloads_under_load_fail_no_request_and_mix_no_reply(served, models):
    asked = reload_under_load(served, models[1], 10)
    assert min(asked[f"default@{number}"] for number in (1, 2)) > 5


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundred_reloads_under_load_fail_no_request_and_give_their_memory_back(served, models):
    def memory() -> int:
        assert served.process is not None
        return int(Path(f"/proc/{served.process.pid}/statm").read_text().split()[1]) * 4096

    reload_under_load(served, models[1], 4)
    before, began = memory(), time.monotonic()
    asked = reload_under_load(served, models[1], 100)
    print({"asked": asked, "seconds": time.monotonic() - began, "grown": memory() - before})
    assert memory() < 1.05 * before


def test_people_are_fitted_again_under_the_version_that_is_promoted(served, models):
    with served.client() as http:
        ready(http, models[1])
        rng = np.random.default_rng(1)
        items = [{"id": f"i-{n}", "embedding": rng.standard_normal(DIM).tolist()} for n in range(8)]
        assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        rows = [{"user": "ann", "a": {"embedding": rng.standard_normal(DIM).tolist()},
                 "b": {"embedding": rng.standard_normal(DIM).tolist()}, "outcome": "a"}]  # fmt: skip
        rows += [{"user": "bob", "a": {"id": "i-0"}, "b": {"id": "i-1"}, "outcome": "a"}]
        reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
        assert reply.status_code == 201, reply.text
        profile = http.get("/v1/users/ann/profile").json()
        assert len(profile["directions"]) == 3
        promote(http, 2)
        serving(http, "default@2")
        profile = http.get("/v1/users/ann/profile").json()
        assert profile["model"] == "default@2"
        assert len(profile["directions"]) == 5


def test_the_command_line_registers_and_promotes(served, models, tmp_path, capsys, monkeypatch):
    folder = tmp_path / "trained"
    artifact = variant(folder, seed=77, tastes=2)
    with served.client() as http:
        ready(http, models[1])
        monkeypatch.setenv("GUSTIBUS_KEY", served.key)
        url = ["--url", served.base]
        root = tmp_path / "root"
        root.symlink_to(models[0])
        assert run(["models", "register", str(folder), "--root", str(root), *url]) == 0
        assert f"default@3 {artifact.digest[:12]} validated" in capsys.readouterr().out
        assert run(["models", "validate", "3", "--json", *url]) == 0
        assert json.loads(capsys.readouterr().out)["digest"] == artifact.digest
        assert run(["models", "diff", "1", str(folder), "--json", *url]) == 0
        assert json.loads(capsys.readouterr().out)["digest"] == [
            models[1][0].digest, artifact.digest,
        ]  # fmt: skip
        assert run(["models", "validate", "9", *url]) == 3
        terminal = Terminal("no\n")
        monkeypatch.setattr("sys.stdin", terminal)
        assert run(["models", "promote", "3", *url]) == 1
        assert "Serve version 3 to everybody, now 1, before none? [y/N]" in capsys.readouterr().err
        assert run(["models", "promote", "3", "--yes", *url]) == 0
        serving(http, "default@3")
        terminal.seek(0)
        assert run(["models", "rollback", *url]) == 1
        told = capsys.readouterr().err
        assert "Serve what was served before to everybody, now 3, before 1? [y/N]" in told
        monkeypatch.setattr("sys.stdin", io.StringIO())  # a script is not asked
        assert run(["models", "rollback", *url]) == 0
        serving(http, "default@1")
    shutil.rmtree(models[0] / artifact.digest)
