"""Comparisons over HTTP: each once, however often it is sent."""

from __future__ import annotations

import base64
import concurrent.futures
import json

import httpx
import pytest


def row(user="asked", number=None, a="item-0", b="item-1", outcome="a", **more):
    name = {} if number is None else {"id": f"{user}-{number}"}
    return {**name, "user": user, "a": {"id": a}, "b": {"id": b}, "outcome": outcome, **more}


def post(http, rows, key=None, **query):
    headers = {"Idempotency-Key": key} if key else {}
    return http.post("/v1/comparisons", json={"comparisons": rows}, headers=headers, params=query)


def kept(http, user):
    return http.get("/v1/comparisons", params={"user": user, "limit": 1000}).json()["data"]


def test_the_same_answer_sent_again_is_a_duplicate(http):
    first = post(http, [row("dup", 1), row("dup", 2)]).json()
    second = post(http, [row("dup", 1), row("dup", 3)]).json()
    assert (first["accepted"], first["duplicates"]) == (2, 0)
    assert (second["accepted"], second["duplicates"]) == (1, 1)
    assert second["ids"][0] == first["ids"][0]
    assert len(kept(http, "dup")) == 3


def test_one_id_twice_in_a_request_is_kept_once(http):
    reply = post(http, [row("twice", 1), row("twice", 1)]).json()
    assert (reply["accepted"], reply["duplicates"]) == (1, 1)
    assert len(kept(http, "twice")) == 1


def test_another_answer_under_a_known_id_is_a_conflict(http):
    post(http, [row("other", 1, outcome="a")])
    alone = post(http, [row("other", 1, outcome="b")])
    assert (alone.status_code, alone.json()["code"]) == (409, "conflict")
    assert alone.headers["content-type"] == "application/problem+json"
    mixed = post(http, [row("other", 1, outcome="b"), row("other", 2)])
    assert mixed.status_code == 201
    assert mixed.json()["accepted"] == 1
    assert mixed.json()["rejected"][0]["index"] == 0
    assert mixed.json()["rejected"][0]["problem"]["code"] == "conflict"
    assert mixed.json()["ids"][0] is None
    assert [one["outcome"] for one in kept(http, "other")] == ["a", "a"]


def test_answers_without_an_id_are_all_kept(http):
    post(http, [row("free"), row("free")])
    post(http, [row("free")])
    assert len(kept(http, "free")) == 3


def test_an_idempotency_key_gives_the_first_reply_again(http):
    first = post(http, [row("keyed")], key="key-1")
    again = post(http, [row("keyed")], key="key-1")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.content) == (201, first.content)
    assert len(kept(http, "keyed")) == 1
    other = post(http, [row("keyed", outcome="b")], key="key-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_a_reply_that_is_given_again_waits_for_the_profile_as_the_first_did(http):
    first, again = (
        post(http, [row("waited"), row("waited-too")], key="key-wait", wait="profile").json()
        for _ in range(2)
    )
    assert (again["profiles"], again["ids"]) == ("ready", first["ids"])
    for user, version in first["profile_versions"].items():
        assert again["profile_versions"][user] >= version


def test_requests_at_once_under_one_key_have_one_effect(http, service):
    def send(_):
        with httpx.Client(base_url=service.base, headers=http.headers, timeout=20) as own:
            return post(own, [row("rush")], key="key-rush")

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(send, range(24)))
    early = [reply for reply in replies if reply.status_code == 409]  # while the first still ran
    assert {reply.json()["code"] for reply in early} <= {"idempotency_in_progress"}
    done = [reply for reply in replies if reply not in early]
    assert {reply.status_code for reply in done} == {201}
    assert len({reply.content for reply in [*done, send(0)]}) == 1
    assert len(kept(http, "rush")) == 1


def test_good_answers_are_taken_and_bad_ones_are_named(http):
    rows = [
        row("mixed", 1),
        row("mixed", 2, a="no-such-item"),
        row("mixed", 3, outcome="tie"),
        {**row("mixed", 4), "a": {"embedding": [1.0, 2.0]}},
        {**row("mixed", 5), "a": "a text, which this model cannot read"},
        {**row("mixed", 6), "a": {"id": "item-1", "text": "both"}},
    ]
    reply = post(http, rows).json()
    assert reply["accepted"] == 2
    assert [one["index"] for one in reply["rejected"]] == [1, 3, 4, 5]
    codes = [one["problem"]["code"] for one in reply["rejected"]]
    assert codes == ["not_found", "dimension_mismatch", "invalid_field", "invalid_field"]
    pointers = [one["problem"]["errors"][0]["pointer"] for one in reply["rejected"]]
    assert pointers[:2] == ["/comparisons/1/a/id", "/comparisons/3/a/embedding"]


@pytest.mark.parametrize("outcome", ["a", "b", "tie", "both_bad", "skip"])
def test_every_outcome_is_kept_and_a_skip_says_nothing(http, outcome):
    user = f"out-{outcome}"
    post(http, [row(user, 1, outcome=outcome)], wait="profile")
    fitted = http.get(f"/v1/users/{user}").json()["fitted_comparisons"]
    assert kept(http, user)[0]["outcome"] == outcome
    assert fitted == (0 if outcome == "skip" else 1)


def test_embeddings_may_be_compared(http, features):
    packed = {"b64": base64.b64encode(features[1].tobytes()).decode(), "dtype": "f32"}
    body = {**row("raw", 1), "a": {"embedding": features[0].tolist()}, "b": {"embedding": packed}}
    assert post(http, [body], wait="profile").json()["profile_versions"] == {"raw": 1}
    by_id = post(http, [row("raw-id", 1)], wait="profile")
    assert by_id.status_code == 201
    profiles = [http.get(f"/v1/users/{u}/profile").json()["directions"] for u in ("raw", "raw-id")]
    for raw, named in zip(*profiles, strict=True):
        assert raw == pytest.approx(named, abs=1e-6)


def test_details_come_back_and_lists_join_up(http):
    rows = [
        row("told", n, at="2026-01-02T03:04:05+02:00", source="web", strength=2.0, score_id="s-1")
        for n in range(5)
    ]
    post(http, rows)
    first = http.get("/v1/comparisons", params={"user": "told", "limit": 3}).json()
    rest = http.get(
        "/v1/comparisons", params={"user": "told", "limit": 3, "after": first["next"]}
    ).json()
    names = [one["client_id"] for one in first["data"] + rest["data"]]
    assert names == [f"told-{n}" for n in range(5)]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    one = first["data"][0]
    assert one["at"] == "2026-01-02T01:04:05Z"
    assert (one["source"], one["strength"], one["score_id"]) == ("web", 2.0, "s-1")


def test_a_deleted_answer_no_longer_counts(http):
    post(http, [row("undo", 1), row("undo", 2)], wait="profile")
    name = kept(http, "undo")[0]["id"]
    assert http.delete(f"/v1/comparisons/{name}").json()["user"] == "undo"
    assert http.delete(f"/v1/comparisons/{name}").status_code == 404
    post(http, [row("undo", 3, outcome="skip")], wait="profile")  # waits for a fit that is later
    assert http.get("/v1/users/undo").json()["fitted_comparisons"] == 1


def test_at_most_fifty_people_are_waited_for(http):
    rows = [row(f"many-{n}", 1) for n in range(51)]
    reply = post(http, rows, wait="profile")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "query:wait")
    assert http.get("/v1/users/many-0").status_code == 404
    assert len(post(http, rows[:50], wait="profile").json()["profile_versions"]) == 50


def test_a_thousand_answers_fit_in_one_request(http):
    rows = [
        row(f"bulk-{n % 10}", n, a=f"item-{n % 60}", b=f"item-{n % 60 + 1}") for n in range(1000)
    ]
    assert post(http, rows).json()["accepted"] == 1000
    assert post(http, rows).json()["duplicates"] == 1000


def test_the_log_holds_no_names_and_no_texts(http, service):
    post(http, [row("secret-person", 1)])
    http.get("/v1/users/secret-person")
    text = service.log_path.read_text()
    assert "secret-person" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert any(line.get("route") == "/v1/users/{user}" for line in lines)
    assert service.key not in text


@pytest.mark.parametrize("which", [0, 1, 2])
def test_whoever_was_reset_stays_so_when_an_answer_is_taken_away(http, which):
    user = f"reset-then-less-{which}"
    rows = [
        {"user": user, "a": {"id": f"item-{n}"}, "b": {"id": f"item-{n + 9}"}, "outcome": "a"}
        for n in range(3)
    ]
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
    assert reply.status_code == 201, reply.text
    assert http.get(f"/v1/users/{user}").json()["fitted_comparisons"] == 3
    assert http.post(f"/v1/users/{user}/profile:reset").status_code == 200
    kept = http.get("/v1/comparisons", params={"user": user}).json()["data"]
    gone = sorted(row["id"] for row in kept)[which]
    assert http.delete(f"/v1/comparisons/{gone}").status_code == 200
    other = [{**rows[0], "user": f"{user}-after"}]  # who is fitted behind them
    assert http.post("/v1/comparisons?wait=profile", json={"comparisons": other}).status_code == 201
    found = http.get(f"/v1/users/{user}").json()
    assert (found["state"], found["fitted_comparisons"]) == ("population", 0)
    again = [{**rows[0], "a": {"id": "item-20"}}]
    assert http.post("/v1/comparisons?wait=profile", json={"comparisons": again}).status_code == 201
    assert http.get(f"/v1/users/{user}").json()["fitted_comparisons"] == 3
