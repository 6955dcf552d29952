"""Onboarding over HTTP: durable, resumable, and the same questions in every process."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from sqlalchemy import update

from gustibus.onboarding import Session, Settings, Stopping, advance
from gustibus.store import Store
from gustibus.store.tables import sessions
from tests.service.harness import new_key, running

SESSIONS = "/v1/onboarding/sessions"


def begin(http, user, **more):
    reply = http.post(SESSIONS, json={"user": user, **more})
    assert reply.status_code == 201, reply.text
    return reply.json()


def put(http, session, seq, said, **more):
    path = f"{SESSIONS}/{session}/answers/{seq}"
    return http.put(path, json={"answer": said, **more})


def run(http, session, *, until=100, said="left"):
    """Answer until the session ends, and return the last reply."""
    reply = http.get(f"{SESSIONS}/{session}/next").json()
    while reply["state"] == "open" and reply["question"]["seq"] < until:
        reply = put(http, session, reply["question"]["seq"], said, ms=1000).json()
    return reply


def test_a_session_runs_to_its_end_and_places_the_person(http, vectors_model):
    session = begin(http, "on-1", max_questions=6)
    assert session["question"]["seq"] == 0
    assert session["progress"]["answered"] == 0
    last = run(http, session["id"])
    assert (last["state"], last["question"]) == ("finished", None)
    assert last["stop"] in {"max_questions", "gain", "information"}
    assert last["profile_version"] == 1
    assert last["progress"]["confidence"] > session["progress"]["confidence"]
    person = http.get("/v1/users/on-1").json()
    assert person["comparisons"] == person["fitted_comparisons"] == last["progress"]["answered"]
    rows = http.get("/v1/comparisons", params={"user": "on-1"}).json()["data"]
    assert {row["source"] for row in rows} == {"onboarding"}
    result = http.get(f"{SESSIONS}/{session['id']}/result").json()
    assert result["answers"] == last["progress"]["answered"]
    assert result["confidence"] == pytest.approx(last["progress"]["confidence"], abs=1e-6)
    assert result["words"]
    for one in result["directions"]:
        assert len(one["examples"]) == 2


def test_the_questions_are_those_of_the_library(http, vectors_model):
    session = begin(http, "on-2", seed=77, max_questions=5)
    said = ["left", "right", "tie", "left"]
    pool = vectors_model.pool
    state = Session(Settings(77, stopping=Stopping(2, 5)))
    question = session["question"]
    for seq, one in enumerate(said):
        step = advance(vectors_model.model, pool, state)
        assert step.question.seq == seq
        if seq == 0:  # later ones depend on what other people were shown
            assert question == step.question.show(pool)
        row = pool.ids.index(question["id"])
        swapped = question["left"]["text"] != pool.texts_a[row]
        reply = put(http, session["id"], seq, one).json()
        asked = type(step.question)(seq, row, swapped, question["reason"])
        state = state.answered(asked, one)
        after = advance(vectors_model.model, pool, state)
        assert reply["progress"]["confidence"] == pytest.approx(after.progress.confidence)
        question = reply["question"]
        if question is None:
            break


def test_the_profile_is_where_the_library_places_the_answers(http, vectors_model):
    session = begin(http, "on-3", max_questions=5)
    shown, said = [], ["left", "right", "left", "both_bad", "skip"]
    reply = session
    for one in said:
        if reply["question"] is None:
            break
        shown.append((reply["question"], one))
        reply = put(http, session["id"], reply["question"]["seq"], one).json()
    pool = vectors_model.pool
    a, b, target = [], [], []
    for question, one in shown:
        if one == "skip":
            continue
        row = pool.ids.index(question["id"])
        left_is_a = question["left"]["text"] == pool.texts_a[row]
        a.append(pool.a[row])
        b.append(pool.b[row])
        target.append(0.5 if one == "both_bad" else float((one == "left") == left_is_a))
    wanted = vectors_model.model.place(np.stack(a), np.stack(b), np.array(target))[0]
    found = http.get("/v1/users/on-3/profile").json()["directions"]
    np.testing.assert_allclose([d["mean"] for d in found], wanted.mean, rtol=1e-4, atol=1e-5)


def test_a_restart_in_the_middle_changes_nothing(tmp_path, vectors_folder, vectors_model):
    with running(
        f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(vectors_folder)
    ) as service:
        with service.client() as http:
            session = begin(http, "on-4", max_questions=8)
            before = run(http, session["id"], until=4)
        service.kill()
        service.start()
        with service.client(session["token"]) as page:  # the token outlives the process
            after = page.get(f"{SESSIONS}/{session['id']}/next").json()
            assert after["question"] == before["question"]
            assert after["progress"].pop("confidence") == pytest.approx(
                before["progress"].pop("confidence"), rel=1e-12
            )  # sums may be taken in another order by another process
            assert after["progress"] == before["progress"]
            last = run(page, session["id"])
        assert last["state"] == "finished"
        with service.client() as http:
            assert http.get("/v1/users/on-4").json()["comparisons"] == last["progress"]["answered"]


def test_an_answer_can_be_changed_until_the_session_closes(http):
    session = begin(http, "on-5", max_questions=4)
    first = put(http, session["id"], 0, "left").json()
    second = put(http, session["id"], 1, "left").json()
    undone = put(http, session["id"], 0, "right").json()
    assert undone["question"] == second["question"]
    assert undone["progress"]["answered"] == 2
    assert undone["progress"]["confidence"] != second["progress"]["confidence"]
    assert first["question"]["seq"] == 1
    last = run(http, session["id"])
    changed = put(http, session["id"], 0, "left")
    assert (changed.status_code, changed.json()["code"]) == (409, "conflict")
    same = put(http, session["id"], 0, "right")  # sent again: it is what is kept
    assert (same.status_code, same.json()["state"]) == (200, "finished")
    rows = http.get("/v1/comparisons", params={"user": "on-5"}).json()["data"]
    assert len(rows) == last["progress"]["answered"]
    shown, kept = session["question"], rows[0]
    on_left = "a" if shown["left"]["text"] == kept["a"]["text"] else "b"
    assert kept["outcome"] != on_left  # the first answer ended as the right side


def test_an_answer_sent_twice_counts_once(http):
    session = begin(http, "on-6")
    first = put(http, session["id"], 0, "left", ms=500).json()
    again = put(http, session["id"], 0, "left", ms=500).json()
    assert first["question"] == again["question"]
    assert again["progress"]["answered"] == 1


def test_the_person_may_stop_at_any_time(http):
    session = begin(http, "on-7")
    put(http, session["id"], 0, "left")
    done = http.post(f"{SESSIONS}/{session['id']}:finish").json()
    assert (done["state"], done["stop"], done["question"]) == ("finished", "person", None)
    assert done["profile_version"] == 1
    assert http.post(f"{SESSIONS}/{session['id']}:finish").json()["stop"] == "person"
    assert http.get("/v1/users/on-7").json()["fitted_comparisons"] == 1


def test_a_token_opens_one_session_and_nothing_else(http, service):
    mine, other = begin(http, "on-8"), begin(http, "on-9")
    with service.client(mine["token"]) as page:
        assert put(page, mine["id"], 0, "left").status_code == 200
        assert put(page, other["id"], 0, "left").status_code == 401
        assert page.get("/v1/users/on-8").status_code == 401
        assert page.post("/v1/score", json={"candidates": [{"id": "item-0"}]}).status_code == 401
    forged = mine["token"][:-2] + ("AA" if not mine["token"].endswith("AA") else "BB")
    with service.client(forged) as page:
        assert put(page, mine["id"], 0, "left").status_code == 401


def test_questions_can_be_fetched_ahead(http):
    session = begin(http, "on-10")
    ahead = http.get(f"{SESSIONS}/{session['id']}/next?prefetch=2").json()
    assert ahead["question"] == session["question"]
    assert set(ahead["after"]) == {"left", "right"}
    assert ahead["after"]["left"]["seq"] == 1


def test_a_pair_that_was_not_asked_is_refused(http):
    session = begin(http, "on-11")
    wrong = put(http, session["id"], 0, "left", id="another pair")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "conflict")
    assert put(http, session["id"], 0, "left", id=session["question"]["id"]).status_code == 200
    ahead = put(http, session["id"], 5, "left")
    assert (ahead.status_code, ahead.json()["code"]) == (404, "not_found")


def test_a_second_session_starts_from_what_is_known(http):
    first = begin(http, "on-12", max_questions=6)
    last = run(http, first["id"])
    second = begin(http, "on-12")
    assert second["progress"]["confidence"] == pytest.approx(
        last["progress"]["confidence"], abs=0.02
    )


def test_creating_under_a_key_creates_once(http):
    headers = {"Idempotency-Key": "session-1"}
    first, second = (
        http.post(SESSIONS, json={"user": "on-13"}, headers=headers).json() for _ in range(2)
    )
    assert first == second


def test_a_model_without_questions_says_so(tmp_path, vectors_model):
    from dataclasses import replace

    replace(vectors_model, pool=None).save(tmp_path / "bare")
    with (
        running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(tmp_path / "bare")
        ) as service,
        service.client() as http,
    ):
        reply: httpx.Response = http.post(SESSIONS, json={"user": "x"})
        assert (reply.status_code, reply.json()["code"]) == (409, "conflict")


def test_what_a_page_asks_is_charged_to_the_key_that_began_the_session(tmp_path, vectors_folder):
    url = f"sqlite:///{tmp_path}/s.db"
    with running(url, tmp_path, gustibus_model=str(vectors_folder)) as service:
        with service.client(beginning := new_key(url, "onboard")) as http:
            service.settle(beginning)
            session = begin(http, "on-14")
            before = begin(http, "on-15")
            store = Store(url)
            with store.write() as conn:  # as those of before keys were noted are
                conn.execute(
                    update(sessions).where(sessions.c.id == before["id"]).values(key_id=None)
                )
            store.close()
        with service.client(session["token"]) as page:
            assert put(page, session["id"], 0, "left").status_code == 200
            assert page.post(f"{SESSIONS}/{session['id']}:undo", json={"seq": 0}).status_code == 200
            assert page.get(f"{SESSIONS}/{session['id']}/result").status_code == 200
            assert page.delete(f"{SESSIONS}/{session['id']}").status_code == 200
            assert page.get(f"{SESSIONS}/{session['id']}/next").status_code == 404
        with service.client(before["token"]) as page:
            assert put(page, before["id"], 0, "left").status_code == 200
        assert service.stop() == 0  # which writes down what was counted
        lines = [line for line in service.lines() if str(line.get("route")).startswith(SESSIONS)]
        asked = [line for line in lines if line["method"] != "POST" or "undo" in line["route"]]
        named = [(line.get("session_id"), line.get("key_id")) for line in asked]
        assert named == [(session["id"], None)] * 5 + [(before["id"], None)]
        key = beginning.split("_")[2]
        assert [line["key_id"] for line in lines if "key_id" in line] == [key, key]
        service.start()
        with service.client() as http:
            used = {row["key"]: row["requests"] for row in http.get("/v1/usage").json()["data"]}
        assert used.pop("page") == 2  # of the session that has no key, and of one that is gone
        assert used.pop(key) >= 2 + 4
        assert not [name for name in used if name.startswith("ses_")]
