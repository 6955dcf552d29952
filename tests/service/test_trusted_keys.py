"""Which key brought an answer is kept, and an operator says whose answers may weigh whatever they do."""

from __future__ import annotations

import json

from gustibus.cli.app import run
from gustibus.store import Store, list_comparisons, trusted_keys


def key_of(http, name):
    """The key of a client, by its name."""
    return next(
        one for one in http.get("/v1/keys?limit=1000").json()["data"] if one["name"] == name
    )


def kept(service, user):
    """The keys of a person's answers, by where those are from."""
    store = Store(service.url)
    try:
        with store.read() as conn:
            return {row.source: row.key for row in list_comparisons(conn, user=user)}
    finally:
        store.close()


def test_an_answer_keeps_the_key_that_brought_it_whichever_way_it_came(service, http):
    made = http.post("/v1/keys", json={"name": "partner", "scopes": ["ingest", "onboard"]}).json()
    service.settle(made["secret"])
    user = "of-a-partner"
    one = {
        "user": user,
        "a": {"id": "item-1"},
        "b": {"id": "item-2"},
        "outcome": "a",
        "source": "app",
    }
    with service.client(made["secret"]) as partner:
        assert partner.post("/v1/comparisons", json={"comparisons": [one]}).status_code == 201
        line = {"user": user, "item_a": "item-3", "item_b": "item-4", "outcome": "b"}
        found = partner.post("/v1/imports", json={}, headers={"Idempotency-Key": "partner"}).json()
        form = {"Content-Type": "application/x-ndjson"}
        reply = partner.put(found["upload"], content=json.dumps(line) + "\n", headers=form)
        assert reply.json()["accepted"] == 1, reply.text
        asked = {"user": user, "min_questions": 1, "max_questions": 1}
        talk = partner.post("/v1/onboarding/sessions", json=asked).json()
    answer = f"/v1/onboarding/sessions/{talk['id']}/answers/0"
    reply = http.put(answer, json={"answer": "left"})  # whose session it is, says who brought it
    assert reply.status_code == 200, reply.text
    assert kept(service, user) == dict.fromkeys(("app", "import", "onboarding"), made["id"])
    listed = http.get("/v1/comparisons", params={"user": user}).json()["data"]
    assert {row["key"] for row in listed} == {made["id"]}


def test_a_key_is_trusted_over_http_and_on_the_command_line_and_both_are_noted(
    service, http, capsys
):
    name = http.post("/v1/keys", json={"name": "ours", "scopes": ["score"]}).json()["id"]
    one = http.get(f"/v1/keys/{name}")
    assert one.json()["trusted"] is False
    seen = {"If-Match": one.headers["etag"]}
    changed = http.patch(f"/v1/keys/{name}", json={"trusted": True}, headers=seen)
    assert (changed.json()["trusted"], changed.json()["revision"]) == (True, 2)
    wrong = http.patch(f"/v1/keys/{name}", json={"trusted": None}, headers={"If-Match": '"2"'})
    assert wrong.status_code == 422
    store = Store(service.url)
    with store.read() as conn:
        assert name in trusted_keys(conn)
    store.close()
    assert run(["keys", "trust", name, "--off", "--database", service.url]) == 0
    assert run(["keys", "trust", "nobody", "--database", service.url]) == 3
    capsys.readouterr()
    assert http.get(f"/v1/keys/{name}").json()["trusted"] is False
    noted = [one for one in http.get("/v1/audit?limit=1000").json()["data"]
             if (one["object"], one["action"]) == (name, "key.change")]  # fmt: skip
    assert [(one["actor"] == "cli", one["detail"]) for one in noted] == [
        (True, {"trusted": False, "trusted_before": True}),
        (False, {"trusted": True, "trusted_before": False}),
    ]
