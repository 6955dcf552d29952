"""Restriction of a person's processing over HTTP, the client and the command line."""

from __future__ import annotations

import asyncio
import json
import time

import numpy as np
import pytest

from gustibus.cli.app import run as cli
from gustibus.client import ApiConflictError, AsyncClient, Client
from gustibus.store import Store, verify_audit
from tests.service.browser import chromium
from tests.service.harness import Service, database, new_key, running

SESSIONS = "/v1/onboarding/sessions"
PAIR = {"a": {"id": "item-1"}, "b": {"id": "item-2"}, "outcome": "a"}


def answers(user, count=1):
    return [{**PAIR, "user": user, "b": {"id": f"item-{n + 2}"}} for n in range(count)]


def learn(http, user, count=4):
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": answers(user, count)})
    assert reply.json()["profiles"] == "ready", reply.text


def change(http, user, what, **options):
    reply = http.post(f"/v1/users/{user}:{what}", **options)
    assert reply.status_code == 200, reply.text
    return reply.json()


def scored(http, user):
    body = {
        "candidates": [{"id": f"item-{n}"} for n in range(6)],
        **({"user": user} if user else {}),
    }
    told = http.post("/v1/score", json=body).json()
    return told["user"], [one["score"] for one in told["data"]]


def refusal(reply):
    return reply.status_code, reply.json()["code"]


def actions(http, user):
    return [one["action"] for one in http.get(f"/v1/audit?user={user}").json()["data"]]


def test_scores_fall_back_to_the_population_and_come_back_with_all_answers(http):
    user = "re-scores"
    learn(http, user)
    _, before = scored(http, user)
    _, anybody = scored(http, None)
    assert before != anybody
    told = change(http, user, "restrict")
    assert (told["state"], told["comparisons"], told["fitted_comparisons"]) == ("restricted", 4, 0)
    who, now = scored(http, user)
    assert (who["state"], who["comparisons"], now) == ("restricted", 0, anybody)
    two = [{"id": "item-1"}, {"id": "item-2"}]
    best = http.post("/v1/best-of-n", json={"user": user, "candidates": two}).json()
    compared = http.post("/v1/compare", json={"user": user, "a": two[0], "b": two[1]}).json()
    population = http.post("/v1/compare", json={"a": two[0], "b": two[1]}).json()
    assert best["user"]["state"] == compared["user"]["state"] == "restricted"
    assert compared["p_a"] == population["p_a"]
    ranked = http.post("/v1/rerank", json={"user": user, "query": "", "documents": two}).json()
    assert ranked["meta"]["user_state"] == "restricted"
    voters = {"users": [user, "re-nobody"], "candidates": two, "method": "borda"}
    decided = http.post("/v1/rank/aggregate", json=voters)
    assert decided.status_code == 200, decided.text
    assert set(decided.json()["unknown_users"]) == {user, "re-nobody"}
    told = change(http, user, "unrestrict")
    assert (told["state"], told["fitted_comparisons"]) == ("learning", 4)
    np.testing.assert_allclose(scored(http, user)[1], before, rtol=1e-6)


def test_it_is_said_again_without_effect_put_does_not_lift_it_and_each_change_is_audited(http):
    user = "re-again"
    learn(http, user)
    first = change(http, user, "restrict", json={})
    assert change(http, user, "restrict")["profile_version"] == first["profile_version"]
    assert (
        http.put(f"/v1/users/{user}", json={"attributes": {"a": 1}}).json()["state"] == "restricted"
    )
    assert http.post(f"/v1/users/{user}/profile:reset").json()["state"] == "restricted"
    assert http.get(f"/v1/users/{user}").json()["state"] == "restricted"
    assert http.get(f"/v1/users/{user}/profile").json()["information"] == 0
    change(http, user, "unrestrict")
    lifted = change(http, user, "unrestrict")
    assert lifted["fitted_comparisons"] == 4
    assert actions(http, user) == ["user.unrestrict", "user.restrict"]


@pytest.mark.parametrize("what", ["restrict", "unrestrict"])
def test_nobody_is_404_and_unknown_fields_are_refused(http, service, what):
    assert refusal(http.post(f"/v1/users/re-never:{what}")) == (404, "not_found")
    wrong = http.post(f"/v1/users/re-never:{what}", json={"until": 1})
    assert refusal(wrong) == (422, "invalid_field")
    assert wrong.json()["errors"][0]["pointer"] == "/until"
    with service.client(new_key(service.url, "users:read")) as reader:
        service.settle(reader.headers["authorization"].removeprefix("Bearer "))
        assert refusal(reader.post(f"/v1/users/re-never:{what}")) == (403, "forbidden")


def test_nothing_is_asked_of_them_and_nothing_they_say_is_taken(http):
    user = "re-asked"
    learn(http, user, 1)
    opened = http.post(SESSIONS, json={"user": user}).json()
    place = f"{SESSIONS}/{opened['id']}"
    change(http, user, "restrict")
    for reply in (
        http.post(f"/v1/users/{user}:next-pair"),
        http.post(SESSIONS, json={"user": user}),
        http.get(f"{place}/next"),
        http.put(f"{place}/answers/0", json={"answer": "left"}),
        http.post(f"{place}:finish"),
        http.post(f"{place}:restart"),
        http.get(f"{place}/result"),
        http.post("/v1/comparisons", json={"comparisons": answers(user, 2)}),
    ):
        assert refusal(reply) == (409, "restricted"), reply.url
    assert [one["pointer"] for one in reply.json()["errors"]] == [
        "/comparisons/0/user", "/comparisons/1/user",
    ]  # fmt: skip
    body = {"comparisons": [*answers(user), *answers("re-other")]}
    mixed = http.post("/v1/comparisons", json=body).json()
    assert (mixed["accepted"], [one["problem"]["code"] for one in mixed["rejected"]]) == (
        1, ["restricted"],
    )  # fmt: skip
    turn = {"user": user, "response": {"id": "item-1"}, "valence": 1, "consent": True}
    told = http.post("/v1/follow-ups", json={"turns": [turn]}).json()
    assert told["skipped"] == [{"index": 0, "reason": "restricted"}]
    change(http, user, "unrestrict")
    assert http.get(f"{place}/next").json()["question"] == opened["question"]
    answered = http.put(f"{place}/answers/0", json={"answer": "left"})
    assert answered.status_code == 200, answered.text


def test_the_compare_page_says_that_nothing_is_asked(http, service):
    session = http.post(SESSIONS, json={"user": "re-page"}).json()
    change(http, "re-page", "restrict")
    with chromium() as browser:
        page = browser.new_page(base_url=service.base)
        page.goto(session["url"])
        page.get_by_role("heading", name="Nothing is asked now").wait_for(timeout=15_000)


def test_an_import_refuses_their_rows_one_by_one(http):
    change(http, _met(http, "re-import"), "restrict")
    begun = http.post("/v1/imports", json={}, headers={"Idempotency-Key": "re-import"}).json()
    rows = [{"id": f"re-import-{n}", "user": user, "item_a": "item-1", "item_b": "item-2",
             "outcome": "a"} for n, user in enumerate(["re-import", "re-free"])]  # fmt: skip
    done = http.put(
        f"/v1/imports/{begun['id']}/data", content="\n".join(map(json.dumps, rows)),
        headers={"Content-Type": "application/x-ndjson"},
    ).json()  # fmt: skip
    assert (done["accepted"], done["rejected"]) == (1, 1)
    (refused,) = http.get(f"/v1/imports/{begun['id']}/errors").json()["data"]
    assert (refused["row"], refused["code"]) == (1, "restricted")


def _met(http, user):
    assert http.put(f"/v1/users/{user}").status_code in {200, 201}
    return user


def test_maps_and_what_is_taken_for_training_leave_them_out_and_their_own_data_does_not(http):
    user = "re-training"
    learn(http, user)

    def on_map():
        return http.get("/v1/admin/map").json()["people"]

    known = settled(on_map)
    change(http, user, "restrict")
    assert on_map() == known - 1
    everybody = http.get("/v1/comparisons?limit=1000&newest=1").json()["data"]
    training = http.get("/v1/comparisons?limit=1000&newest=1&restricted=0").json()["data"]
    taken = http.get("/v1/admin/comparisons.ndjson").text
    assert user in {one["user"] for one in everybody}
    assert user not in {one["user"] for one in training}
    assert user not in taken
    own = http.get(f"/v1/admin/comparisons.ndjson?user={user}").text
    assert len(own.splitlines()) == 4
    kinds = [
        json.loads(line)["kind"] for line in http.post(f"/v1/users/{user}:export").iter_lines()
    ]
    assert kinds.count("comparison") == 4
    gone = everybody[[one["user"] for one in everybody].index(user)]["id"]
    assert http.delete(f"/v1/comparisons/{gone}").status_code == 200
    assert http.get(f"/v1/users/{user}").json()["comparisons"] == 3
    assert http.delete(f"/v1/users/{user}").json()["removed"]["comparisons"] == 3
    assert scored(http, user)[0]["state"] == "population"
    assert http.put(f"/v1/users/{user}").json()["state"] == "population"  # begins anew


def test_people_of_the_training_whom_the_service_has_not_met_are_restricted_too(http):
    known, before = scored(http, "trained-2")
    change(http, "trained-2", "restrict")
    who, now = scored(http, "trained-2")
    assert (who["state"], now) == ("restricted", scored(http, None)[1])
    fitted = change(http, "trained-2", "unrestrict")["fitted_comparisons"]
    assert fitted == known["comparisons"] >= 3
    np.testing.assert_allclose(scored(http, "trained-2")[1], before, rtol=1e-4, atol=1e-4)


def test_both_clients_restrict_and_lift(http, service):
    user = "re-client"
    learn(http, user)
    with Client(service.base, service.key) as client:
        assert client.users.restrict(user).state == "restricted"
        with pytest.raises(ApiConflictError, match="restricted"):
            client.users.next_pair(user)
        mine = client.comparisons.list(limit=1000, restricted=False).data
        assert user not in {one.user for one in mine}
        assert client.users.unrestrict(user).fitted_comparisons == 4

    async def lift():
        async with AsyncClient(service.base, service.key) as client:
            await client.users.restrict(user)
            return await client.users.unrestrict(user)

    assert asyncio.run(lift()).state == "learning"


def settled(look):
    """What is found again half a second later: fits of others may still be coming."""
    found, before = look(), None
    while found != before:
        time.sleep(0.5)
        found, before = look(), found
    return found


def until(look, wanted, seconds=20.0):
    """Wait until another process has read what was written."""
    end = time.monotonic() + seconds
    while (found := look()) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.05)


def test_every_process_learns_of_it_one_that_starts_later_too(
    tmp_path, vectors_folder, vectors_model
):
    def state(http):
        return scored(http, "ann")[0]["state"]

    place = {"gustibus_model": str(vectors_folder)}
    with database("postgresql", tmp_path) as url, running(url, tmp_path, **place) as one:
        with one.client() as http:
            items = [{"id": f"item-{n}", "embedding": row}
                     for n, row in enumerate(np.eye(6).tolist())]  # fmt: skip
            assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
            learn(http, "ann")
            change(http, "ann", "restrict")
            (folder := tmp_path / "other").mkdir()
            other = Service(url, folder, one.environment)
            try:
                other.start()
                with other.client(one.key) as there:
                    assert state(there) == "restricted"
                    assert change(there, "ann", "unrestrict")["fitted_comparisons"] == 4
                    until(lambda: state(http), "learning")
                    change(http, "ann", "restrict")
                    until(lambda: state(there), "restricted")
                    assert cli(["users", "unrestrict", "ann", "--database", url]) == 0
                    until(lambda: scored(there, "ann")[0]["comparisons"], 4)
                    until(lambda: scored(http, "ann")[0]["comparisons"], 4)
            finally:
                other.kill()
        store = Store(url)
        with store.read() as conn:
            assert verify_audit(conn) is None
        store.close()


@pytest.fixture(params=["service", "database"])
def target(request, monkeypatch, http, service):
    """Flags that name a service, or its database."""
    monkeypatch.delenv("GUSTIBUS_URL", raising=False)
    monkeypatch.delenv("GUSTIBUS_DATABASE", raising=False)
    monkeypatch.setenv("GUSTIBUS_KEY", service.key)
    chosen = {"service": ["--url", service.base], "database": ["--database", service.url]}
    return chosen[request.param]


def test_the_command_line_restricts_shows_exports_lifts_and_deletes(target, http, capsys, request):
    user = f"re-cli-{request.node.callspec.id}"
    learn(http, user, 2)

    def told(*arguments, code=0):
        assert cli([*arguments, *target]) == code
        return capsys.readouterr().out

    def show():
        return json.loads(told("users", "show", user, "--json"))

    assert json.loads(told("users", "restrict", user, "--json"))["state"] == "restricted"
    assert told("users", "restrict", user) == f"{user}: restricted, 2 comparisons kept\n"
    assert (show()["state"], show()["comparisons"]) == ("restricted", 2)
    assert user not in told("export")
    assert len(told("export", "--user", user).splitlines()) == 2
    rows = json.loads(told("users", "export", user, "--json"))
    assert [one["kind"] for one in rows].count("comparison") == 2
    assert json.loads(told("users", "unrestrict", user, "--json"))["state"] != "restricted"
    assert "user.unrestrict" in actions(http, user)
    assert told("users", "delete", user, "--yes").startswith(f"removed {user}: ")
    for verb in ("show", "export", "restrict", "unrestrict"):
        told("users", verb, user, code=3)
    told("users", "delete", user, "--yes", code=3)
