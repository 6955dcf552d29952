"""People who are still to be fitted under a version that was promoted are served by the one before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import psycopg
import pytest

from gustibus.artifact import Artifact
from gustibus.service.candidates import Candidate, Embedding, Vector
from gustibus.service.loading import open_model
from gustibus.service.memory import leaves
from gustibus.service.problems import Problem
from gustibus.service.settings import Settings
from gustibus.service.state import State
from gustibus.service.superseded import Superseded, served
from tests.service.harness import Service, database, running, save_texts_model
from tests.service.test_memory import MIB, system
from tests.service.test_model_change import ANSWERS, PROMPT, SHOWN, expected, other_model
from tests.service.test_versions import promote, ready, serving

MOVER = {"user": "mover", "prompt": PROMPT}
PEOPLE = ("mover", "other", "restricted")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> tuple[Path, list[Artifact]]:
    """Two models of texts, each under its digest."""
    root = tmp_path_factory.mktemp("registry")
    first = save_texts_model(root / "one")
    second = other_model(root / "two", first)
    for name, one in (("one", first), ("two", second)):
        shutil.move(root / name, root / one.digest)
    return root, [first, second]


WAITS = """
CREATE TRIGGER waits BEFORE INSERT ON profiles WHEN NEW.user_id = 'mover' AND NEW.model = '{digest}'
BEGIN SELECT RAISE(ABORT, 'a fit that fails'); END
"""
WAITS_POSTGRESQL = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'a fit that fails'; END$$;
CREATE TRIGGER waits BEFORE INSERT ON profiles FOR EACH ROW
WHEN (NEW.user_id = 'mover' AND NEW.model = '{digest}') EXECUTE FUNCTION refuse()
"""


def run(url: str, statement: str) -> None:
    """Change the schema under the server."""
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
            conn.execute("PRAGMA busy_timeout=5000")
            conn.execute(statement)
            conn.commit()
    else:
        with psycopg.connect(url) as conn:
            conn.execute(statement)


@contextlib.contextmanager
def held(http: httpx.Client, url: str, made: list[Artifact]) -> Iterator[None]:
    """The second version is promoted, and the one person cannot be fitted under it yet."""
    statement = WAITS if url.startswith("sqlite") else WAITS_POSTGRESQL
    run(url, statement.format(digest=made[1].digest))
    promote(http, 2)
    serving(http, "default@2")
    yield
    run(url, "DROP TRIGGER waits" + ("" if url.startswith("sqlite") else " ON profiles"))


def refit(http: httpx.Client) -> None:
    """Fit whoever is left; by itself a fit that failed is tried again minutes later."""
    reply = http.post("/v1/jobs", json={"kind": "refit_profiles"},
                      headers={"Idempotency-Key": secrets.token_hex(8)})  # fmt: skip
    assert reply.status_code == 202, reply.text


def answer(http: httpx.Client) -> None:
    """Items, and people who have said the same and are fitted."""
    items = [{"id": f"s-{n}", "text": text, "prompt": PROMPT} for n, text in enumerate(SHOWN)]
    assert http.post("/v1/items:batch?wait=true", json={"items": items}).status_code == 200
    rows = [
        {"user": user, "prompt": prompt, "a": {"text": a}, "b": {"text": b}, "outcome": outcome}
        for user in PEOPLE for prompt, a, b, outcome in ANSWERS
    ]  # fmt: skip
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
    assert reply.status_code == 201, reply.text


def score(http: httpx.Client, user: str = "mover", **more) -> tuple[str, str, list[float]]:
    """The model, the state of the person, and the scores of a reply."""
    body = {"user": user, "prompt": PROMPT, "candidates": SHOWN, **more}
    reply = http.post("/v1/score", json=body)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    return told["model"], told["user"]["state"], [one["score"] for one in told["data"]]


def everything(http: httpx.Client) -> list:
    """What each route that scores for one person says of them, without names and times of replies."""
    asked = {
        "/v1/score": {"candidates": [{"id": f"s-{n}"} for n in range(4)], "return": ["stderr"]},
        "/v1/score ": {"candidates": SHOWN, "normalize": "user", "return": ["basis"]},
        "/v1/best-of-n": {"candidates": SHOWN},
        "/v1/compare": {"a": SHOWN[0], "b": {"id": "s-1"}},
    }
    found = []
    for path, body in asked.items():
        reply = http.post(path.strip(), json={**MOVER, **body})
        assert reply.status_code == 200, reply.text
        told = {k: v for k, v in reply.json().items() if k not in {"id", "created", "usage"}}
        state = told["user"].pop("state")
        found.append((state, told))
    reply = http.post("/v2/rerank", json={"query": PROMPT, "documents": SHOWN, "user": "mover"})
    told = reply.json()
    found.append((told["meta"]["user_state"], (told["model"], told["results"])))
    reply = http.post("/v1/compat/vllm/classify?user=mover", json={"input": SHOWN}).json()
    found.append(("", (reply["model"], [one["probs"] for one in reply["data"]])))
    return found


def vector(http: httpx.Client) -> dict:
    """What the version in service makes of a text, to be sent again."""
    reply = http.post("/v1/encode", json={"candidates": SHOWN[:1], "prompt": PROMPT})
    assert reply.status_code == 200, reply.text
    return {"vector": reply.json()["data"][0]["vector"]}


def until_ready(http: httpx.Client, *, before: str, seconds: float = 30.0) -> list[float]:
    """The scores of the new version once the person is fitted; until then the old one's, or `population`."""
    until = time.monotonic() + seconds
    while (found := score(http))[1] != "ready":
        assert found[:2] == (("default@1", "stale") if before == "stale" else ("default@2", before))
        assert time.monotonic() < until
        time.sleep(0.02)
    assert found[0] == "default@2"
    return found[2]


def told(service: Service, event: str, *, seconds: float = 60.0) -> dict:
    """The last line of the log about something, once it is there."""
    until = time.monotonic() + seconds
    while not (lines := [line for line in service.lines() if line.get("event") == event]):
        assert time.monotonic() < until, f"no {event} in the log"
        time.sleep(0.02)
    return lines[-1]


@contextlib.contextmanager
def over(url: str, folder: Path, models, **settings: str) -> Iterator[Service]:
    with running(
        url, folder, gustibus_models=str(models[0]), gustibus_refresh="0.05", **settings
    ) as service:
        yield service


def test_whoever_waits_for_a_fit_is_scored_by_the_version_before_to_the_bit(tmp_path, models):
    url = f"sqlite:///{tmp_path}/s.db"
    with over(url, tmp_path, models) as service, service.client() as http:
        ready(http, models[1])
        answer(http)
        before, kept = everything(http), vector(http)
        with_kept = score(http, candidates=[kept])
        assert {state for state, _ in before} == {"ready", ""}
        with held(http, url, models[1]):
            now = everything(http)
            assert {state for state, _ in now} == {"stale", ""}
            assert [one for _, one in now] == [one for _, one in before]
            assert "default@1" in str(now)
            assert "default@2" not in str(now)
            assert score(http, "nobody")[:2] == ("default@2", "population")
            person = http.get("/v1/users/mover").json()
            assert (person["state"], person["fitted_comparisons"]) == ("stale", len(ANSWERS))
            requests = [{**MOVER, "candidates": SHOWN}, {"prompt": PROMPT, "candidates": SHOWN}]
            batch = http.post("/v1/score:batch", json={"requests": requests}).json()["data"]
            assert [one["reply"]["model"] for one in batch] == ["default@1", "default@2"]
            # By which version candidates can be served decides, and a version that is named.
            assert score(http, candidates=[kept]) == (*("default@1", "stale"), with_kept[2])
            assert score(http, candidates=[vector(http)])[:2] == ("default@2", "population")
            assert score(http, model="default@1")[:2] == ("default@1", "stale")
            assert score(http, model="default@2")[:2] == ("default@2", "population")
            mixed = {**MOVER, "candidates": [kept, vector(http)]}
            assert http.post("/v1/score", json=mixed).json()["code"] == "invalid_field"
            gone = {**MOVER, "candidates": [{"id": "nothing"}]}
            assert http.post("/v1/score", json=gone).json()["code"] == "not_found"
            assert "gustibus_people_stale" in http.get("/metrics").text
            assert "gustibus_people_stale 0.0" not in http.get("/metrics").text
        refit(http)
        after = until_ready(http, before="stale")
        np.testing.assert_allclose(after, expected(models[1][1]), rtol=1e-4, atol=1e-4)
        assert np.abs(np.array(after) - with_kept[2][0]).max() > 0.01
        assert told(service, "reloaded")["stale"] == len(PEOPLE)
        assert told(service, "let_go")["model"] == "default@1"
        assert "gustibus_people_stale 0.0" in http.get("/metrics").text
        reply = http.post("/v1/score", json={**MOVER, "candidates": [kept]})
        assert reply.json()["code"] == "invalid_field"  # nothing of the old version is left


def test_whoever_was_reset_stays_so_under_a_version_that_is_promoted(tmp_path, models):
    with over(f"sqlite:///{tmp_path}/s.db", tmp_path, models) as service, service.client() as http:
        ready(http, models[1])
        answer(http)
        assert http.post("/v1/users/mover/profile:reset").status_code == 200
        promote(http, 2)
        serving(http, "default@2")
        until = time.monotonic() + 60
        while score(http, "other")[:2] != ("default@2", "ready"):
            assert time.monotonic() < until
        refit(http)
        while http.get("/v1/jobs").json()["data"][0]["state"] != "succeeded":
            assert time.monotonic() < until
            time.sleep(0.02)
        assert score(http)[:2] == ("default@2", "population")
        assert http.get("/v1/users/mover").json()["fitted_comparisons"] == 0
        prompt, a, b, outcome = ANSWERS[0]
        row = {"user": "mover", "prompt": prompt, "a": a, "b": f"{b} more", "outcome": outcome}
        reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": [row]})
        assert reply.status_code == 201, reply.text
        assert http.get("/v1/users/mover").json()["fitted_comparisons"] == len(ANSWERS) + 1


def test_the_version_before_serves_nobody_longer_than_it_may(tmp_path, models):
    url = f"sqlite:///{tmp_path}/s.db"
    settings = {"gustibus_keep_stale": "2.5"}
    with over(url, tmp_path, models, **settings) as service:
        with service.client() as http:
            ready(http, models[1])
            answer(http)
            with held(http, url, models[1]):
                assert score(http)[:2] == ("default@1", "stale")
                told(service, "let_go")
                nobody = score(http, "nobody")
                assert score(http) == nobody
                assert nobody[:2] == ("default@2", "population")
                service.kill()
        service.start()
        with service.client() as http:
            after = until_ready(http, before="population")
        np.testing.assert_allclose(after, expected(models[1][1]), rtol=1e-4, atol=1e-4)
        assert not [line for line in service.lines() if line.get("event") == "let_go"]


def test_a_further_version_that_needs_the_room_has_the_version_before_let_go(tmp_path, models):
    """One of 4 TiB, nearly all of it a hole, which does not fit then either."""
    root, made = tmp_path / "models", models[1]
    shutil.copytree(models[0], root)
    third = replace(made[0], reference=made[0].reference[:-1]).save(root / "three")
    shutil.move(root / "three", root / third.digest)
    url = f"sqlite:///{tmp_path}/s.db"
    with over(url, tmp_path, (root, made)) as service, service.client() as http:
        ready(http, [*made, third])
        answer(http)
        with held(http, url, made):
            assert score(http)[:2] == ("default@1", "stale")
            os.truncate(root / third.digest / "people.safetensors", 1 << 42)
            promote(http, 3)
            assert told(service, "let_go")["model"] == "default@1"
            until = time.monotonic() + 60
            while not (found := http.get("/v1/models/default").json())["problem"]:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert found["serving"] == "default@2"
            assert score(http)[:2] == ("default@2", "population")
            promote(http, 1)  # who is fitted under it from before is ready at once
            serving(http, "default@1")
            assert score(http)[:2] == ("default@1", "ready")


def test_processes_agree_and_what_is_changed_meanwhile_holds_under_either_version(tmp_path, models):
    with (
        database("postgresql", tmp_path) as url,
        over(url, tmp_path, models, gustibus_workers="2") as service,
        service.client() as http,
    ):
        ready(http, models[1])
        everywhere(service, lambda found: found[0] == "default@1", user="nobody")
        answer(http)
        everywhere(service, lambda found: found[:2] == ("default@1", "ready"))
        before = score(http)[2]
        with held(http, url, models[1]):
            everywhere(service, lambda found: found[0] == "default@2", user="nobody")
            everywhere(service, lambda found: found == ("default@1", "stale", before))
            assert http.delete("/v1/items/s-3").status_code == 200
            everywhere(service, lambda reply: reply.status_code == 404, item="s-3")
            everywhere(service, lambda found: found[:2] == ("default@2", "ready"), user="other")
            assert http.post("/v1/users/restricted:restrict").status_code == 200
            everywhere(
                service, lambda found: found[:2] == ("default@2", "restricted"), user="restricted"
            )
            everywhere(service, lambda found: found == ("default@1", "stale", before))
        refit(http)
        everywhere(service, lambda found: found[:2] == ("default@2", "ready"))


def everywhere(
    service: Service, holds, *, user: str = "mover", item: str = "", seconds: float = 20
) -> None:
    """Wait until each of many connections, which processes share out, finds something."""
    until, streak = time.monotonic() + seconds, 0
    limits = httpx.Limits(max_keepalive_connections=0)
    with service.client(service.key, limits=limits) as http:
        while streak < 12:
            if item:
                found = http.post("/v1/score", json={**MOVER, "candidates": [{"id": item}]})
            else:
                found = score(http, user)
            streak = streak + 1 if holds(found) else 0
            assert time.monotonic() < until, found
            if not streak:
                time.sleep(0.02)


def test_where_no_memory_is_left_the_version_before_is_not_kept(tmp_path):
    root = system(tmp_path, available=300)
    where = {"proc": root / "proc", "cgroups": root / "groups"}
    assert leaves(300 * MIB, **where)
    assert not leaves(301 * MIB, **where)
    assert leaves(1 << 50, proc=tmp_path / "none", cgroups=tmp_path / "none")


def state_of(folder: Path, **settings: str) -> State:
    state = State(Settings(warm=False, log=False, **settings))
    state.serve(open_model(state, folder, None))
    return state


GIVEN = {
    "text": "a text", "id": Candidate(id="s-1"), "vector": Candidate(vector=Vector("m")),
    "embedding": Candidate(embedding=Embedding("")),
}  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "settings", "kinds"),
    [
        ("the same", {}, {"text", "id", "vector", "embedding"}),
        ("another", {}, {"text", "id", "vector"}),
        ("another", {"encoder_url": "http://127.0.0.1:9"}, {"id", "vector"}),
    ],
)
def test_candidates_that_another_encoder_makes_are_not_taken_for_those_of_the_version_before(
    tmp_path, texts_folder, texts_model, encoder, settings, kinds
):
    spec = {**texts_model.card["encoder"]}
    if encoder == "another":
        spec["fingerprint"] = "0" * 8
    replace(texts_model, card={**texts_model.card, "encoder": spec}).save(tmp_path / "new")

    async def ask() -> set[str]:
        old, new = state_of(texts_folder, **settings), state_of(tmp_path / "new")
        old.people.put("mover", np.ones(4), count=5, version=1)
        new.superseded = Superseded(old, new, {"mover", "gone"}, seconds=60.0)
        call = SimpleNamespace(state=new)

        async def by() -> State:
            return call.state

        async def fails(code: str) -> State:
            if call.state is old:
                raise Problem(code, "not under this version")
            return call.state

        found = {
            kind for kind, one in GIVEN.items()
            if await served(call, by, user="mover", model="default", given=[one]) is old
        }  # fmt: skip
        for user in (None, "other", "gone"):
            assert await served(call, by, user=user, model="default", given=[]) is new
        assert new.superseded.pending == {"mover"}
        for code in ("not_found", "invalid_field", "item_pending", "encoder_unavailable"):
            found_by = await served(
                call, partial(fails, code), user="mover", model="default", given=[]
            )
            assert found_by is new
        for code in ("queue_full", "rate_limited"):
            with pytest.raises(Problem, match="not under this version"):
                await served(call, partial(fails, code), user="mover", model="default", given=[])
        assert (call.state, old.open) == (new, 0)
        new.superseded.end()
        assert await served(call, by, user="mover", model="default", given=[]) is new
        for state in (old, new):
            state.serving.close()
        return found

    assert asyncio.run(ask()) == kinds
