"""People and items over HTTP."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time

import numpy as np
import pytest

from gustibus.scoring import Scorer
from gustibus.store import Store, set_vectors
from tests.service.harness import responses, running
from tests.service.test_remote_encoder import Pooling


def answer(user, number, a, b, outcome="a"):
    return {
        "id": f"{user}-{number}", "user": user, "a": {"id": a}, "b": {"id": b}, "outcome": outcome,
    }  # fmt: skip


def teach(http, user, count=6):
    rows = [answer(user, n, f"item-{n}", f"item-{n + 1}") for n in range(count)]
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
    assert reply.json()["profiles"] == "ready", reply.text
    return reply.json()["profile_versions"][user]


def score(http, user, count=4):
    candidates = [{"id": f"item-{n}"} for n in range(count)]
    return http.post("/v1/score", json={"user": user, "candidates": candidates}).json()


def test_a_person_is_put_read_changed_and_listed(http):
    made = http.put("/v1/users/put-1", json={"attributes": {"locale": "en", "age": 4, "x": None}})
    assert made.status_code == 201
    assert made.json()["attributes"] == {"locale": "en", "age": 4, "x": None}
    assert http.put("/v1/users/put-1").status_code == 200  # a body may be left out
    assert http.get("/v1/users/put-1").json()["attributes"]["locale"] == "en"
    changed = http.put("/v1/users/put-1", json={"attributes": {}})
    assert changed.json()["attributes"] == {}
    names = [one["id"] for one in http.get("/v1/users?limit=1000").json()["data"]]
    assert "put-1" in names
    assert names == sorted(names)


def test_a_list_is_read_in_pages_that_join_up(http):
    for n in range(5):
        http.put(f"/v1/users/page-{n}")
    whole = [one["id"] for one in http.get("/v1/users?limit=1000").json()["data"]]
    found, after = [], None
    while True:
        query = {"limit": 2} | ({"after": after} if after else {})
        page = http.get("/v1/users", params=query).json()
        found += [one["id"] for one in page["data"]]
        after = page["next"]
        if not page["has_more"]:
            assert after is None
            break
    assert found == whole


def test_answers_change_the_profile_and_the_scores(http, vectors_model):
    before = score(http, "taught-1")
    assert before["user"]["state"] == "population"
    version = teach(http, "taught-1")
    after = score(http, "taught-1")
    assert after["user"] == {
        "id": "taught-1", "state": "ready", "comparisons": 6, "profile_version": version,
    }  # fmt: skip
    assert after["data"][0]["score"] != before["data"][0]["score"]
    profile = http.get("/v1/users/taught-1/profile").json()
    assert profile["information"] > 0.5
    assert len(profile["directions"]) == vectors_model.model.user_dim
    for one in profile["directions"]:
        assert one["stderr"] < one["population_sd"]


def test_the_profile_is_where_the_library_places_the_answers(http, vectors_model, features):
    teach(http, "taught-2")
    reps = vectors_model.model.represent(features)
    wanted = vectors_model.model.place(reps[0:6], reps[1:7], np.ones(6))[0]
    found = http.get("/v1/users/taught-2/profile").json()["directions"]
    np.testing.assert_allclose([one["mean"] for one in found], wanted.mean, rtol=1e-5)
    sd = np.sqrt(np.diagonal(wanted.covariance))
    np.testing.assert_allclose([one["stderr"] for one in found], sd, rtol=1e-4)


def test_somebody_of_the_training_keeps_what_the_training_said(http, vectors_model):
    before = score(http, "trained-2")
    assert before["user"]["comparisons"] == 3
    http.post(
        "/v1/comparisons?wait=profile",
        json={"comparisons": [answer("trained-2", 0, "item-8", "item-9", "tie")]},
    )
    after = score(http, "trained-2")
    assert after["user"]["comparisons"] == 4
    gap = [a["score"] - b["score"] for a, b in zip(after["data"], before["data"], strict=True)]
    assert 0 < np.abs(gap).max() < 1.0  # one tie moves them a little, not back to the population


def test_a_reset_forgets_the_fit_and_keeps_the_answers(http):
    version = teach(http, "reset-1")
    reply = http.post("/v1/users/reset-1/profile:reset").json()
    assert reply["state"] == "population"
    assert reply["profile_version"] > version
    assert reply["comparisons"] == 6
    assert score(http, "reset-1")["data"] == score(http, "nobody-at-all")["data"]
    http.post(
        "/v1/comparisons?wait=profile",
        json={"comparisons": [answer("reset-1", 99, "item-20", "item-21")]},
    )
    assert score(http, "reset-1")["user"]["comparisons"] == 7


def test_a_fit_that_is_under_way_does_not_undo_a_reset(http):
    for n in range(10):
        user = f"reset-2-{n}"
        rows = [answer(user, k, f"item-{k}", f"item-{k + 1}") for k in range(3)]
        assert http.post("/v1/comparisons", json={"comparisons": rows}).status_code == 201
        assert http.post(f"/v1/users/{user}/profile:reset").json()["fitted_comparisons"] == 0
        again = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows[:1]})
        assert (again.json()["duplicates"], again.json()["profiles"]) == (1, "ready")  # all done
        assert http.get(f"/v1/users/{user}").json()["fitted_comparisons"] == 0
        assert score(http, user)["user"]["state"] == "population"


def test_an_export_holds_everything(http):
    http.put("/v1/users/export-1", json={"attributes": {"note": "mine"}})
    teach(http, "export-1", 3)
    started = http.post("/v1/onboarding/sessions", json={"user": "export-1"}).json()
    http.put(f"/v1/onboarding/sessions/{started['id']}/answers/0", json={"answer": "left"})
    reply = http.post("/v1/users/export-1:export")
    assert reply.headers["content-type"] == "application/x-ndjson"
    rows = [json.loads(line) for line in reply.text.splitlines()]
    kinds = [row["kind"] for row in rows]
    assert kinds.count("comparison") == 3
    assert {"user", "profile", "session", "question"} <= set(kinds)
    assert kinds.count("question") == 2  # the one answered and the one that waits
    assert rows[kinds.index("user")]["attributes"] == {"note": "mine"}
    trained = [json.loads(x) for x in http.post("/v1/users/trained-0:export").text.splitlines()]
    assert trained[-1]["kind"] == "training"
    assert trained[-1]["comparisons"] == 12


def test_a_long_export_is_whole(http):
    """Longer than what is kept in memory, than a page of the store, and than a piece of the reply."""
    long = "x" * 6_000
    sent = {}
    for start in range(0, 1_200, 150):
        rows = [
            {"id": f"long-{n}", "user": "export-2", "a": {"id": f"item-{n % 64}"}, "b": {"id": "item-9"},
             "outcome": "tie", "prompt": f"{n} {long}"}
            for n in range(start, start + 150)
        ]  # fmt: skip
        sent |= {row["id"]: row["prompt"] for row in rows}
        assert http.post("/v1/comparisons", json={"comparisons": rows}).json()["accepted"] == 150
    reply = http.post("/v1/users/export-2:export")
    assert int(reply.headers["content-length"]) == len(reply.content) > 7_000_000
    rows = [json.loads(line) for line in reply.text.splitlines()]
    kept = [row for row in rows if row["kind"] == "comparison"]
    assert {row["client_id"]: row["prompt"] for row in kept} == sent
    assert len(kept) == len(sent)
    assert [row["id"] for row in kept] == sorted(row["id"] for row in kept)
    nobody = http.post("/v1/users/export-nobody:export")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")


def everything(url):
    """All that can be read from the database, but for messages that live a day."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
        tables = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return repr([
            conn.execute(f'SELECT * FROM "{name}"').fetchall()
            for (name,) in tables if name != "changes"
        ])  # fmt: skip


def test_deletion_removes_everything_and_nobody_comes_back_by_accident(http, service):
    http.put("/v1/users/gone-1", json={"attributes": {"note": "canary-7391"}})
    teach(http, "gone-1", 3)
    started = http.post("/v1/onboarding/sessions", json={"user": "gone-1"}).json()
    removed = http.delete("/v1/users/gone-1").json()["removed"]
    assert removed["comparisons"] == 3
    assert removed["sessions"] == 1
    assert score(http, "gone-1")["user"]["state"] == "population"
    assert http.get("/v1/users/gone-1").status_code == 404
    assert http.delete("/v1/users/gone-1").status_code == 404
    assert http.post("/v1/users/gone-1:export").status_code == 404
    assert http.get(f"/v1/onboarding/sessions/{started['id']}/next").status_code == 404
    again = http.post(
        "/v1/comparisons", json={"comparisons": [answer("gone-1", 0, "item-0", "item-1")]}
    )
    assert (again.status_code, again.json()["code"]) == (410, "user_deleted")
    made = http.post(
        "/v1/score",
        json={"user": "gone-1", "on_unknown_user": "create", "candidates": [{"id": "item-0"}]},
    )
    assert made.json()["code"] == "user_deleted"
    onboarding = http.post("/v1/onboarding/sessions", json={"user": "gone-1"})
    assert onboarding.json()["code"] == "user_deleted"
    assert "canary-7391" not in everything(service.url)
    assert "gone-1" not in everything(service.url)
    assert "gone-1" not in service.log_path.read_text()
    assert http.put("/v1/users/gone-1").status_code == 201  # they come back themselves
    assert http.get("/v1/users/gone-1").json()["comparisons"] == 0


def test_somebody_of_the_training_can_be_deleted_and_comes_back_as_a_stranger(
    tmp_path, vectors_folder, vectors_model
):
    url = f"sqlite:///{tmp_path}/s.db"
    with running(url, tmp_path, gustibus_model=str(vectors_folder)) as service:
        with service.client() as http:
            assert http.get("/v1/users/trained-0").json()["fitted_comparisons"] == 12
            assert http.delete("/v1/users/trained-0").status_code == 200
            assert http.get("/v1/users/trained-0").status_code == 404
        service.stop()
        service.start()  # the model still holds the person; the service must not
        with service.client() as http:
            assert http.get("/v1/users/trained-0").status_code == 404
            assert http.put("/v1/users/trained-0").status_code == 201
            assert http.get("/v1/users/trained-0").json()["fitted_comparisons"] == 0
        service.stop()
        service.start()
        with service.client() as http:
            assert http.get("/v1/users/trained-0").json()["fitted_comparisons"] == 0
            assert http.get("/v1/users/trained-1").json()["fitted_comparisons"] == 20


def test_the_next_pair_is_the_one_that_teaches_most(http):
    own = {"candidates": [{"id": f"item-{n}"} for n in range(6)]}
    pair = http.post("/v1/users/pair-1:next-pair", json=own).json()
    worth = {}
    for a in range(6):
        for b in range(a + 1, 6):
            one = http.post("/v1/users/pair-1:next-pair", json={**own, "pairs": [[a, b]]}).json()
            worth[a, b] = one["information"]
    best = http.post("/v1/users/pair-1:next-pair", json={**own, "strategy": "information"}).json()
    assert (best["a"]["index"], best["b"]["index"]) == max(worth, key=worth.get)
    assert pair["information"] >= 0.8 * max(worth.values())
    pool = http.post("/v1/users/pair-1:next-pair").json()
    other = http.post("/v1/users/pair-1:next-pair", json={"exclude": [pool["id"]]}).json()
    assert pool["a"]["text"]
    assert other["id"] != pool["id"]


def test_an_item_is_put_read_listed_and_deleted(http, features):
    body = {"embedding": features[0].tolist(), "tags": ["x", "y"], "prompt": "Well?"}
    made = http.put("/v1/items/mine-1", json=body)
    assert (made.status_code, made.json()["state"]) == (201, "ready")
    assert http.put("/v1/items/mine-1", json=body).status_code == 200
    assert http.get("/v1/items/mine-1").json()["tags"] == ["x", "y"]
    names = [one["id"] for one in http.get("/v1/items?limit=1000").json()["data"]]
    assert "mine-1" in names
    assert http.delete("/v1/items/mine-1").json()["deleted"] is True
    assert http.get("/v1/items/mine-1").status_code == 404
    gone = http.post("/v1/score", json={"candidates": [{"id": "mine-1"}]})
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert gone.json()["errors"][0]["pointer"] == "/candidates/0/id"


def test_a_batch_of_items_is_put_whole_or_not_at_all(http, features):
    good = {"id": "batch-1", "embedding": features[0].tolist()}
    bad = {"id": "batch-2", "embedding": [1.0]}
    reply = http.post("/v1/items:batch", json={"items": [good, bad]})
    assert reply.json()["errors"][0]["pointer"] == "/items/1/embedding"
    assert http.get("/v1/items/batch-1").status_code == 404


def test_texts_of_items_are_encoded_in_the_background_or_at_once(texts_http):
    said = responses(3, seed=11)
    now = texts_http.put("/v1/items/text-0?wait=true", json={"text": said[0]})
    assert now.json()["state"] == "ready"
    later = texts_http.post("/v1/items:batch", json={"items": [{"id": "text-1", "text": said[1]}]})
    assert later.json() == {"object": "items", "ready": 0, "pending": 1}
    until = time.monotonic() + 60
    while texts_http.get("/v1/items/text-1").json()["state"] == "pending":
        assert time.monotonic() < until
    by_id = texts_http.post(
        "/v1/score", json={"candidates": [{"id": "text-0"}, {"id": "text-1"}]}
    ).json()
    by_text = texts_http.post("/v1/score", json={"candidates": said[:2]}).json()
    assert [d["score"] for d in by_id["data"]] == pytest.approx(
        [d["score"] for d in by_text["data"]], rel=1e-6
    )


def test_answers_about_texts_are_fitted_like_those_about_items(texts_http):
    said = responses(8, seed=12)
    rows = [
        {"user": "reader", "a": said[n], "b": said[n + 1], "outcome": "a", "prompt": "Well?"}
        for n in range(6)
    ]
    reply = texts_http.post("/v1/comparisons?wait=profile", json={"comparisons": rows}).json()
    assert (reply["accepted"], reply["profiles"]) == (6, "ready")
    assert texts_http.get("/v1/users/reader").json()["fitted_comparisons"] == 6


def test_scoring_by_id_waits_for_items_that_have_no_vector_yet(texts, texts_http, texts_model):
    """Words that the encoder has not seen take it so long that the items are pending for a while."""
    rng = np.random.default_rng(3)
    said = {f"awaited-{n}": " ".join(map(str, rng.integers(0, 1 << 40, 2_000))) for n in range(12)}
    batch = [{"id": name, "text": text} for name, text in said.items()]
    assert texts_http.post("/v1/items:batch", json={"items": batch}).json()["pending"] == 12
    ids = [{"id": name} for name in said]
    hasty = texts_http.post("/v1/score", json={"candidates": ids})
    assert (hasty.status_code, hasty.json()["code"]) == (409, "item_pending")
    patient = {"X-Deadline-Ms": "60000"}
    reply = texts_http.post("/v1/score", json={"candidates": ids, "wait": True}, headers=patient)
    assert reply.status_code == 200, reply.text
    wanted = Scorer(texts_model).score("", list(said.values()))
    np.testing.assert_allclose([one["score"] for one in reply.json()["data"]], wanted, rtol=1e-5)
    usage = reply.json()["usage"]
    assert usage["encoded_tokens"] > 12 * 5_000
    assert usage["units"] == 12 + -(-usage["encoded_tokens"] // 32)
    assert "encode;dur" in reply.headers["server-timing"]
    again = texts_http.post("/v1/score", json={"candidates": ids, "wait": True}).json()
    assert again["usage"]["units"] == 12
    assert again["data"] == reply.json()["data"]
    assert texts_http.get("/v1/items/awaited-11").json()["state"] == "ready"


def test_what_is_told_to_be_ready_can_be_used_before_others_are_followed(
    tmp_path, texts_folder, texts_model
):
    """A vector is in the store, of another process or of this one a moment ago, and not in memory."""
    pooling, url = Pooling(), f"sqlite:///{tmp_path}/s.db"
    try:
        with running(
            url, tmp_path, gustibus_model=str(texts_folder), gustibus_encoder_url=pooling.url
        ) as service, contextlib.ExitStack() as stack:  # fmt: skip
            service.client().close()  # now it has a key
            assert service.stop() == 0
            service.environment["GUSTIBUS_REFRESH"] = "60"
            service.start()
            http = stack.enter_context(service.client(service.key))
            pooling.kill()  # nothing that comes now is encoded here
            items = [{"id": f"else-{n}", "text": f"encoded elsewhere, {n}"} for n in range(3)]
            assert http.post("/v1/items:batch", json={"items": items}).json()["pending"] == 3
            both = {"candidates": [{"id": "else-0"}, {"id": "else-1"}]}
            assert http.post("/v1/score", json=both).json()["code"] == "item_pending"
            vectors = np.eye(3, texts_model.model.representation_dim, dtype=np.float32)
            found = {f"else-{n}": vectors[n] for n in range(3)}
            with contextlib.closing(Store(url)) as store, store.write() as conn:
                set_vectors(conn, found=found, model=texts_model.digest)
            assert http.get("/v1/items/else-1").json()["state"] == "ready"
            reply = http.post("/v1/score", json=both)
            assert reply.status_code == 200, reply.text
            row = {"user": "u", "a": {"id": "else-2"}, "b": {"id": "else-0"}, "outcome": "a"}
            kept = http.post("/v1/comparisons?wait=profile", json={"comparisons": [row]})
            assert (kept.status_code, kept.json()["profiles"]) == (201, "ready"), kept.text
    finally:
        pooling.kill()


@pytest.mark.parametrize("path", ["best-of-n", "rerank", "compare", "score:batch"])
def test_every_scoring_by_id_can_wait(texts_http, path):
    rng = np.random.default_rng(sum(map(ord, path)))
    said = " ".join(map(str, rng.integers(0, 1 << 40, 2_500)))
    items = [{"id": f"{path.replace(':', '-')}-{n}", "text": f"{said} {n}"} for n in range(6)]
    assert texts_http.post("/v1/items:batch", json={"items": items}).json()["pending"] == 6
    a, b = ({"id": items[n]["id"]} for n in (4, 5))
    body = {
        "best-of-n": {"candidates": [a, b]}, "rerank": {"query": "", "documents": [a, b]},
        "compare": {"a": a, "b": b}, "score:batch": {"requests": [{"candidates": [a, b], "wait": True}]},
    }[path]  # fmt: skip
    if path != "score:batch":
        body["wait"] = True
    reply = texts_http.post(f"/v1/{path}", json=body, headers={"X-Deadline-Ms": "60000"})
    assert reply.status_code == 200, reply.text
    if path == "score:batch":
        assert reply.json()["data"][0]["status"] == 200


def test_an_item_that_is_not_there_is_not_waited_for(texts_http, http):
    for client in (texts_http, http):
        reply = client.post("/v1/score", json={"candidates": [{"id": "never"}], "wait": True})
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
