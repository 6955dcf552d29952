"""Matchings over HTTP: the library's decisions, once an arrival, the same after any kill."""

from __future__ import annotations

import random
import threading
import time

import httpx
import numpy as np
import pytest

from gustibus.matching import Matcher, place_creatives, position_auction
from gustibus.service.matchers import take
from tests.service.harness import Service, database, running

RULE = {"rule": "balance", "capacity": [3, 2, 4], "weight": [1.0, 2.0, 0.5]}


def rows(count, seed=0, items=3):
    rng = np.random.default_rng(seed)
    return [
        sorted(rng.choice(items, rng.integers(1, items + 1), replace=False).tolist())
        for _ in range(count)
    ]


def make(http, name, **spec):
    reply = http.put(f"/v1/rank/matchings/{name}", json=spec or RULE)
    assert reply.status_code == 201, reply.text
    return f"/v1/rank/matchings/{name}"


def test_decisions_are_those_of_the_library(texts_http):
    path = make(texts_http, "plain")
    matcher = Matcher("balance", capacity=RULE["capacity"], weight=RULE["weight"])
    stream = rows(12)
    expected = [matcher.arrive(np.array(row))[0] for row in stream]
    reply = texts_http.post(f"{path}/arrivals", json={
        "arrivals": [{"id": f"v-{i}", "items": row} for i, row in enumerate(stream)]})  # fmt: skip
    found = reply.json()
    assert [one["item"] for one in found["data"]] == expected
    assert found["sequence"] == 12
    state = texts_http.get(path).json()
    assert state["totals"]["value"] == matcher.stats()["value"]
    assert (state["items"], state["sequence"], state["rule"]) == (3, 12, "balance")


def test_an_arrival_is_decided_once(texts_http):
    path = make(texts_http, "once")
    first = texts_http.post(f"{path}/arrivals", json={"arrivals": [{"id": "a", "items": [0, 1]}]})
    again = texts_http.post(f"{path}/arrivals", json={
        "arrivals": [{"id": "a", "items": [2]}, {"id": "b", "items": [1]}, {"id": "b", "items": [0]}],
    }).json()["data"]  # fmt: skip
    assert again[0]["item"] == first.json()["data"][0]["item"]
    assert [one["replayed"] for one in again] == [True, False, True]
    assert again[1]["item"] == again[2]["item"] == 1
    assert texts_http.get(path).json()["sequence"] == 2


def test_outcomes_items_and_expiry_are_events_of_the_log(texts_http):
    path = make(texts_http, "late", rule="stochastic_balance", capacity=[1, 1], late="reserve")
    decided = texts_http.post(f"{path}/arrivals", json={"arrivals": [
        {"id": "a", "items": [0], "values": [0.5], "deadline": 10.0},
        {"id": "b", "items": [0, 1], "values": [0.5, 0.4], "deadline": 20.0},
    ]}).json()["data"]  # fmt: skip
    assert [one["item"] for one in decided] == [0, 1]
    done = texts_http.post(f"{path}/outcomes", json={
        "outcomes": [{"attempt": decided[1]["attempt"], "success": True}]})  # fmt: skip
    assert done.status_code == 200, done.text
    assert texts_http.post(f"{path}/expire", json={"now": 15.0}).json()["expired"] == 1
    assert texts_http.post(f"{path}/items", json={"capacity": [2]}).json()["first"] == 2
    log = texts_http.get(f"{path}/events?limit=3").json()
    assert [e["kind"] for e in log["data"]] == ["arrival", "arrival", "outcome"]
    assert log["has_more"] is True
    rest = texts_http.get(f"{path}/events?after=3").json()["data"]
    assert [e["kind"] for e in rest] == ["expiry", "items"]
    assert texts_http.get(path).json()["totals"]["successes"] == 1


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_a_matching_is_told_under_a_key_happens_once(engine, tmp_path):
    """Two processes: one does not know which keys are at work in the other."""
    with (
        database(engine, tmp_path) as url,
        running(url, tmp_path, gustibus_workers="2") as service,
        service.client() as http,
    ):
        path = make(http, "told", rule="stochastic_balance", capacity=[9], late="reserve")
        arrivals = [{"id": f"v-{n}", "items": [0], "values": [0.5]} for n in range(8)]
        decided = http.post(f"{path}/arrivals", json={"arrivals": arrivals}).json()["data"]
        sequence = len(decided)
        for number, one in enumerate(decided):
            outcomes = {"outcomes": [{"attempt": one["attempt"], "success": True}]}
            for suffix, body in (("items", {"capacity": [2]}), ("outcomes", outcomes)):
                key = {"Idempotency-Key": f"{suffix}-{number}"}
                replies = at_once(service, f"{path}/{suffix}", body, key)
                sequence += 1
                assert {reply.json()["sequence"] for reply in replies} == {sequence}
                assert len({reply.content for reply in replies}) == 1
                replayed = [reply.headers.get("idempotency-replayed") for reply in replies]
                assert replayed.count(None) == 1
        assert http.get(path).json()["sequence"] == sequence
        assert http.get(path).json()["items"] == 1 + len(decided)
        for other, body in ((path, {"capacity": [3]}), (make(http, "other"), {"capacity": [2]})):
            mixed = http.post(f"{other}/items", json=body, headers={"Idempotency-Key": "items-0"})
            assert (mixed.status_code, mixed.json()["code"]) == (422, "idempotency_mismatch")
        expiry = [
            http.post(f"{path}/expire", json={"now": 1.0}, headers={"Idempotency-Key": "late"})
            for _ in range(2)
        ]
        assert expiry[0].json() == expiry[1].json()
        for again in range(2):  # what is refused is not kept under the key
            key = {"Idempotency-Key": "refused"}
            body = {"outcomes": [{"attempt": 10**6 + again, "success": True}]}
            refused = http.post(f"{path}/outcomes", json=body, headers=key)
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid_field")
        added = http.post(f"{path}/items", json={"capacity": [1]}, headers=key).json()
        assert added == {"sequence": sequence + 2, "first": 1 + len(decided), "expired": None}
        replayed = replay(http, path)
        assert len(replayed) == 2 + len(decided)


def at_once(service, path, body, headers, copies=6):
    """The replies to one write that is sent several times at once, until each is answered."""
    replies = []

    def send():
        with service.client(service.key) as http:
            while True:
                reply = http.post(path, json=body, headers=headers)
                if reply.status_code != 409:
                    break
                assert reply.json()["code"] == "idempotency_in_progress"
                time.sleep(0.01)
        assert reply.status_code == 200, reply.text
        replies.append(reply)

    threads = [threading.Thread(target=send) for _ in range(copies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(replies) == copies
    return replies


def replay(http, path):
    """The matcher that the log tells of."""
    spec = http.get(path).json()["spec"]
    matcher = Matcher(spec["rule"], capacity=spec["capacity"], late=spec["late"])
    for event in http.get(f"{path}/events?limit=1000").json()["data"]:
        assert take(matcher, event["kind"], event["body"]) == event["decision"]
    return matcher


def test_values_come_from_a_model(texts_http, texts_model):
    from gustibus.scoring import Scorer

    candidates = ["warm and short", "a formal, long and dry answer"]
    path = make(texts_http, "scored", rule="greedy", capacity=[1, 1])
    texts_http.post(f"{path}/arrivals", json={"arrivals": [
        {"id": "a", "items": [0, 1], "candidates": candidates, "user": "trained-0", "prompt": "Well?"},
    ]})  # fmt: skip
    event = texts_http.get(f"{path}/events").json()["data"][0]
    reward = Scorer(texts_model).score("Well?", candidates, user="trained-0")
    np.testing.assert_allclose(event["body"]["values"], 1 / (1 + np.exp(-reward)), rtol=1e-5)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_place_in_the_log_may_be_as_large_as_a_number_is(engine, tmp_path):
    with (
        database(engine, tmp_path) as url,
        running(url, tmp_path) as service,
        service.client() as http,
    ):
        http.put("/v1/rank/matchings/m", json={"rule": "balance", "capacity": [1]})
        path = "/v1/rank/matchings/m/events"
        assert http.get(path, params={"after": (1 << 53) - 1}).json()["data"] == []
        assert http.get(path, params={"after": 1 << 64}).json()["code"] == "invalid_field"


def test_a_matching_is_made_once_and_removed(texts_http):
    path = make(texts_http, "kept")
    assert texts_http.put(path, json=RULE).status_code == 200
    other = texts_http.put(path, json=RULE | {"capacity": [1, 1, 1]})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    names = [m["id"] for m in texts_http.get("/v1/rank/matchings?limit=1000").json()["data"]]
    assert "kept" in names
    assert names == sorted(names)
    assert texts_http.delete(path).status_code == 204
    assert texts_http.get(path).status_code == 404
    assert texts_http.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("suffix", "body"),
    [
        ("arrivals", {"arrivals": [{"id": "x", "items": [0]}, {"id": "y", "items": [9]}]}),
        ("arrivals", {"arrivals": [{"id": "x", "items": [0, 0]}]}),
        ("arrivals", {"arrivals": [{"id": "x", "items": [0], "values": [1.0, 2.0]}]}),
        ("arrivals", {"arrivals": [{"id": "x", "items": [0], "candidates": []}]}),
        ("outcomes", {"outcomes": [{"attempt": 5, "success": True}]}),
        ("items", {"capacity": [1.5]}),
    ],
)
def test_what_is_refused_changes_nothing(texts_http, suffix, body):
    name = f"refused-{suffix}-{abs(hash(str(body))) % 10**8}"
    path = make(texts_http, name)
    reply = texts_http.post(f"{path}/{suffix}", json=body)
    assert reply.status_code == 422, reply.text
    state = texts_http.get(path).json()
    assert (state["sequence"], state["totals"]["value"]) == (0, 0)
    assert texts_http.get(f"{path}/events").json()["data"] == []


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"rule": "nothing", "capacity": [1]}, "rule"),
        ({"rule": "balance"}, "capacity"),
        ({"rule": "balance", "capacity": [0, 0]}, "room"),
        ({"rule": "balance", "capacity": [1], "weight": [-1]}, "weight"),
    ],
)
def test_a_matching_that_cannot_be_is_refused(texts_http, spec, word):
    reply = texts_http.put("/v1/rank/matchings/broken", json=spec)
    assert reply.status_code == 422
    assert word in reply.json()["detail"]
    assert texts_http.get("/v1/rank/matchings/broken").status_code == 404


def test_positions_are_those_of_the_library(texts_http):
    p, values = [[0.5, 0.3], [0.4, 0.2], [0.6, 0.1]], [2.0, 1.0, 0.5]
    found = texts_http.post("/v1/rank/positions", json={"p": p, "values": values}).json()
    expected = position_auction("mnl", p, values)
    assert [tuple(pair) for pair in found["pairs"]] == list(expected.pairs)
    np.testing.assert_allclose(found["payment"], expected.payment)
    free = texts_http.post("/v1/rank/positions", json={
        "p": p, "values": values, "method": "cascade_greedy", "payments": False}).json()  # fmt: skip
    assert free["value"] == pytest.approx(place_creatives("cascade_greedy", p, values).value)
    assert free["payment"] is None
    many = texts_http.post("/v1/rank/positions", json={"p": p, "values": values, "most": 1 << 70})
    assert many.json() == found
    unknown = texts_http.post("/v1/rank/positions", json={"p": p, "values": values, "method": "x"})
    assert unknown.json()["errors"][0] == {
        "pointer": "/method",
        "detail": "expected one of ['mnl', 'cascade'] where prices are asked for, got 'x'",
    }
    wrong = texts_http.post("/v1/rank/positions", json={"p": p, "values": [1.0]})
    assert wrong.status_code == 422


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_killed_at_random_moments_the_decisions_are_those_of_an_undisturbed_run(engine, tmp_path):
    stream = rows(240, seed=3, items=6)
    items = {"capacity": [50] * 6, "weight": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]}
    calm = Matcher("perturbed_greedy", **items, seed=9)
    expected = [calm.arrive(np.array(row))[0] for row in stream]
    chance = random.Random(0)
    decided: dict[int, int | None] = {}
    kills = place = 0
    with database(engine, tmp_path) as url, running(url, tmp_path) as service:
        with service.client() as http:
            make(http, "kill", rule="perturbed_greedy", **items, seed=9)
        while place < len(stream):
            block = range(place, min(place + 12, len(stream)))
            body = {"arrivals": [{"id": f"v-{i}", "items": stream[i]} for i in block]}
            killer = None
            if chance.random() < 0.3:
                killer = threading.Timer(chance.random() * 0.03, service.kill)
                killer.start()
            try:
                reply = send(service, body)
                decided |= {i: one["item"] for i, one in zip(block, reply["data"], strict=True)}
                place += 12
            except httpx.HTTPError:  # asked again: what was decided is decided
                time.sleep(0.01)
            if killer is not None:
                killer.join()
                kills += 1
                service.start()
        with service.client() as http:
            events = [
                event for start in (0, 100, 200)
                for event in http.get(
                    f"/v1/rank/matchings/kill/events?after={start}&limit=100"
                ).json()["data"]
            ]  # fmt: skip
            value = http.get("/v1/rank/matchings/kill").json()["totals"]["value"]
    assert kills >= 3
    assert [decided[i] for i in range(len(stream))] == expected
    assert [event["decision"]["item"] for event in events] == expected
    assert [event["arrival"] for event in events] == [f"v-{i}" for i in range(len(stream))]
    assert value == calm.stats()["value"]


def send(service: Service, body):
    reply = httpx.post(
        f"{service.base}/v1/rank/matchings/kill/arrivals", json=body, timeout=10,
        headers={"Authorization": f"Bearer {service.key}"},
    )  # fmt: skip
    reply.raise_for_status()
    return reply.json()


def test_two_processes_agree(tmp_path):
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
    stream = rows(120, seed=5, items=4)
    with (
        database("postgresql", tmp_path) as url,
        running(url, folders[0]) as first,
        running(url, folders[1]) as second,
        first.client() as one,
        second.client() as two,
    ):
        make(one, "both", rule="balance", capacity=[20] * 4)
        wrong: list[str] = []

        def feed(http, start):
            for i in range(start, len(stream), 2):
                body = {"arrivals": [{"id": f"v-{i}", "items": stream[i]}]}
                reply = http.post("/v1/rank/matchings/both/arrivals", json=body)
                if reply.status_code != 200:
                    wrong.append(reply.text)

        threads = [threading.Thread(target=feed, args=pair) for pair in ((one, 0), (two, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        state = two.get("/v1/rank/matchings/both").json()
        log = two.get("/v1/rank/matchings/both/events?limit=1000").json()["data"]
    assert not wrong
    assert state["sequence"] == len(log) == len(stream)
    replayed = Matcher("balance", capacity=[20] * 4)
    for event in log:
        assert replayed.arrive(np.array(event["body"]["items"]))[0] == event["decision"]["item"]
    assert replayed.stats()["value"] == state["totals"]["value"]
