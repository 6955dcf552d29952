"""Next turns over HTTP, the client and the command line: read with consent alone, and taken back."""

from __future__ import annotations

import json
import sys

import httpx
import numpy as np
import pytest

from gustibus.cli.app import run as cli
from gustibus.client import Client
from gustibus.rewards.implicit import WEIGHT
from tests.service.harness import new_key

GOOD, BAD = "a clear short one", "a formal long one"
PLEASED, CROSS = "That is just what I meant, good.", "You ignored my instructions."


def turns(user, **more):
    both = [{"response": GOOD, "next_turn": PLEASED}, {"response": BAD, "next_turn": CROSS}]
    return [{"user": user, "prompt": "Well?", **one, **more} for one in both]


def send(http, rows, **more):
    reply = http.post("/v1/follow-ups", json={"turns": rows, **more})
    assert reply.status_code == 201, reply.text
    return reply.json()


def kept(http, user):
    return http.get(f"/v1/comparisons?user={user}").json()["data"]


def consent(http, user, *, yes):
    reply = http.put(f"/v1/users/{user}/consent", json={"follow_ups": yes})
    assert reply.status_code == 200, reply.text
    return reply.json()


def scores(http, user):
    body = {"user": user, "prompt": "Well?", "candidates": [GOOD, BAD]}
    return [one["score"] for one in http.post("/v1/score", json=body).json()["data"]]


def test_the_response_with_the_pleased_turn_becomes_weakly_preferred(texts_http):
    told = send(texts_http, turns("fu-given", consent=True))
    assert (told["read"], told["skipped"], told["accepted"], told["duplicates"]) == (2, [], 1, 0)
    (row,) = kept(texts_http, "fu-given")
    assert (row["a"]["text"], row["b"]["text"], row["outcome"]) == (GOOD, BAD, "a")
    assert (row["source"], row["strength"], row["prompt"]) == ("implicit", WEIGHT, "Well?")
    assert told["ids"] == [row["id"]]
    assert PLEASED not in json.dumps(row)  # what was said is not kept
    again = send(texts_http, turns("fu-given", consent=True)[::-1])
    assert (again["accepted"], again["duplicates"], again["ids"]) == (0, 1, told["ids"])


@pytest.mark.parametrize(
    ("said", "flag", "reason"),
    [
        (None, None, "no_consent"), (None, True, ""), (None, False, "no_consent"),
        (True, None, ""), (True, True, ""), (True, False, "no_consent"),
        (False, None, "opted_out"), (False, True, "opted_out"), (False, False, "opted_out"),
    ],
)  # fmt: skip
def test_an_opt_out_decides_then_the_turn_then_what_is_on_record(texts_http, said, flag, reason):
    user = f"fu-{said}-{flag}"
    if said is not None:
        consent(texts_http, user, yes=said)
    told = send(texts_http, turns(user, **({} if flag is None else {"consent": flag})))
    assert [one["reason"] for one in told["skipped"]] == [reason] * 2 * bool(reason)
    assert told["accepted"] == len(kept(texts_http, user)) == (not reason)


def test_what_is_on_record_is_told(texts_http):
    path = "/v1/users/fu-record/consent"
    before = texts_http.get(path).json()
    assert before == {
        "user": "fu-record", "object": "consent", "follow_ups": None, "updated_at": None,
        "removed": 0,
    }  # fmt: skip
    told = consent(texts_http, "fu-record", yes=True)
    assert texts_http.get(path).json() == told
    assert texts_http.get("/v1/users/fu-record").status_code == 200
    (entry,) = [
        one for one in texts_http.get("/v1/audit?limit=1000").json()["data"]
        if one["action"] == "user.consent" and one["request_id"]
    ][-1:]  # fmt: skip
    assert "fu-record" not in json.dumps(entry)
    assert entry["detail"]["follow_ups"] is True


def test_an_opt_out_takes_back_what_turns_taught_and_keeps_it_out_of_every_door(texts_http):
    user = "fu-leaves"
    before = scores(texts_http, user)
    told = texts_http.post("/v1/comparisons?wait=profile", json={"comparisons": [
        {"user": user, "prompt": "Well?", "a": GOOD, "b": BAD, "outcome": "a", "source": "implicit"}
    ]})  # fmt: skip
    assert told.status_code == 201
    assert scores(texts_http, user) != before
    assert consent(texts_http, user, yes=False)["removed"] == 1
    assert kept(texts_http, user) == []
    # a survey answer is still taken, and its fit rests on nothing that was taken back
    answer = {"user": user, "prompt": "Well?", "a": GOOD, "b": BAD, "outcome": "skip"}
    asked = texts_http.post("/v1/comparisons?wait=profile", json={"comparisons": [answer]})
    assert asked.json()["profiles"] == "ready"
    np.testing.assert_allclose(scores(texts_http, user), before, rtol=1e-5, atol=1e-6)
    implicit = {**answer, "outcome": "a", "source": "implicit"}
    refused = texts_http.post("/v1/comparisons", json={"comparisons": [implicit]})
    assert (refused.status_code, refused.json()["code"]) == (409, "opted_out")
    assert refused.json()["errors"][0]["pointer"] == "/comparisons/0/source"
    mixed = texts_http.post("/v1/comparisons", json={"comparisons": [implicit, answer]}).json()
    assert [one["problem"]["code"] for one in mixed["rejected"]] == ["opted_out"]
    begun = texts_http.post("/v1/imports", json={}, headers={"Idempotency-Key": "fu-leaves-1"})
    row = {"user": user, "prompt": "Well?", "chosen": GOOD, "rejected": BAD, "source": "implicit"}
    upload = f"/v1/imports/{begun.json()['id']}/data"
    done = texts_http.put(
        upload, content=json.dumps(row), headers={"Content-Type": "application/x-ndjson"}
    ).json()
    assert (done["accepted"], done["rejected"]) == (0, 1)


def test_one_persons_turns_and_no_touch_nobody_else(texts_http):
    rows = turns("fu-one", consent=True) + turns("fu-two", consent=True)
    assert send(texts_http, rows)["accepted"] == 2
    consent(texts_http, "fu-one", yes=False)
    assert (len(kept(texts_http, "fu-one")), len(kept(texts_http, "fu-two"))) == (0, 1)


def test_the_application_may_judge_turns_itself_and_name_items(http):
    rows = [
        {"user": "fu-items", "prompt": "Well?", "response": {"id": f"item-{n}"}, "valence": v,
         "consent": True} for n, v in ((1, 0.2), (2, 0.9), (3, -0.7))
    ]  # fmt: skip
    assert send(http, rows)["accepted"] == 1
    (row,) = kept(http, "fu-items")
    assert (row["a"]["id"], row["b"]["id"]) == ("item-2", "item-3")
    near = [{**one, "user": "fu-near", "valence": 0.001 * place} for place, one in enumerate(rows)]
    assert send(http, near)["accepted"] == 0
    assert send(http, near, min_gap=0.0)["accepted"] == 1


def test_a_request_that_is_repeated_under_its_key_has_one_effect(texts_http):
    head = {"Idempotency-Key": "fu-once"}
    body = {"turns": turns("fu-once", consent=True)}
    first = texts_http.post("/v1/follow-ups", json=body, headers=head)
    second = texts_http.post("/v1/follow-ups", json=body, headers=head)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.json() == second.json()
    assert len(kept(texts_http, "fu-once")) == 1


WRONG = [
    ({"next_turn": "Hm.", "valence": 1.0}, 422, "/turns/0", "exactly one of next_turn and valence"),
    ({}, 422, "/turns/0", "exactly one of next_turn and valence"),
    ({"response": {"id": "gone"}, "valence": 1.0}, 404, "/turns/0/response/id", "no item"),
    ({"response": {"embedding": [0.0]}, "valence": 1.0}, 422, "/turns/0/response", "an embedding"),
    ({"next_turn": "x" * 40_000}, 413, "/turns/0/next_turn", "longer than"),
    ({"valence": float("nan")}, 400, None, ""),
    ({"valence": 1e7}, 422, "/turns/0/valence", "<= 1000000"),
]


@pytest.mark.parametrize(("more", "status", "pointer", "message"), WRONG)
def test_what_makes_no_sense_is_named(texts_http, more, status, pointer, message):
    row = {"user": "fu-wrong", "response": "text", "consent": True, **more}
    body = json.dumps({"turns": [row]})
    head = {"Content-Type": "application/json"}
    reply = texts_http.post("/v1/follow-ups", content=body, headers=head)
    assert reply.status_code == status, reply.text
    if pointer is not None:
        assert reply.json()["errors"][0]["pointer"] == pointer
    assert message in reply.json()["detail"]


def test_words_need_an_encoder(http):
    rows = [
        {"user": "fu-words", "response": {"id": "item-1"}, "next_turn": "Yes.", "consent": True}
    ]
    reply = http.post("/v1/follow-ups", json={"turns": rows})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == "/turns/0/next_turn"
    assert "send the valence" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("users:write", "PUT", "/v1/users/fu-scope/consent", {"follow_ups": True}),
        ("users:read", "GET", "/v1/users/fu-scope/consent", None),
        ("ingest", "POST", "/v1/follow-ups", {"turns": turns("fu-scope")}),
    ],
)
def test_each_route_needs_its_own_scope(texts, texts_http, scope, method, path, body):
    others = [one for one in ("users:write", "users:read", "ingest", "score") if one != scope]
    for scopes, allowed in (([scope], True), (others, False)):
        key = new_key(texts.url, *scopes)
        texts.settle(key)
        head = {"Authorization": f"Bearer {key}"}
        reply = httpx.request(method, f"{texts.base}{path}", json=body, headers=head)
        assert (reply.status_code != 403) == allowed


def test_a_deleted_person_is_neither_read_nor_asked(texts_http):
    send(texts_http, turns("fu-gone", consent=True))
    consent(texts_http, "fu-gone", yes=True)
    removed = texts_http.delete("/v1/users/fu-gone").json()["removed"]
    assert (removed["consents"], removed["comparisons"]) == (1, 1)
    told = send(texts_http, turns("fu-gone", consent=True))
    assert [one["reason"] for one in told["skipped"]] == ["user_deleted"] * 2
    reply = texts_http.put("/v1/users/fu-gone/consent", json={"follow_ups": True})
    assert (reply.status_code, reply.json()["code"]) == (410, "user_deleted")


def test_the_client_sends_turns_and_consent(texts, texts_http):
    with Client(texts.base, texts.key) as client:
        assert client.users.consent("fu-client").follow_ups is None
        assert client.users.put_consent("fu-client", follow_ups=True).follow_ups is True
        told = client.comparisons.follow_ups(turns("fu-client"), min_gap=0.01)
        assert (told.read, told.accepted, told.skipped) == (2, 1, ())
        assert client.users.put_consent("fu-client", follow_ups=False).removed == 1
        told = client.comparisons.follow_ups(turns("fu-client", consent=True))
        assert [(one.index, one.reason) for one in told.skipped] == [
            (0, "opted_out"), (1, "opted_out"),
        ]  # fmt: skip


@pytest.mark.parametrize("where", ["--url", "--database"])
def test_the_command_line_shows_and_changes_consent(texts, texts_http, monkeypatch, capsys, where):
    user, place = f"fu-cli{where}", texts.base if where == "--url" else texts.url
    monkeypatch.setenv("GUSTIBUS_KEY", texts.key)

    def run(*more):
        assert cli(["users", "consent", user, where, place, *more]) == 0
        return capsys.readouterr().out

    assert run() == f"{user}: nothing on record\n"
    send(texts_http, turns(user, consent=True))
    assert run("--follow-ups") == f"{user}: yes\n"
    assert run("--no-follow-ups") == f"{user}: no; 1 comparisons removed\n"
    assert json.loads(run("--json"))["follow_ups"] is False
    assert kept(texts_http, user) == []
    sys.stdout.flush()
