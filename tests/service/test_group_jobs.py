"""Orders within bounds on groups, and decisions that are put into jobs."""

from __future__ import annotations

import random
import time

import pytest

from gustibus.scoring import Scorer
from gustibus.social import (
    Profile,
    UtilityProfile,
    closest_fair_ranking,
    decide,
    fair_consensus,
)

RANKINGS = [["a", "b", "c", "d", "e"]] * 3 + [["b", "a", "d", "c", "e"]] * 2
GROUPS = {"x": ["a", "b", 2], "y": ["d", "e"]}
LABELS = ["x", "x", "x", "y", "y"]
TEXTS = ["warm and short", "a formal, long and dry answer", "plain", "rich sharp funny"]


@pytest.mark.parametrize(
    "bounds",
    [
        {},
        {"k": 2, "shares": {"x": 0.5, "y": 0.5}},
        {"k": 3, "lower": {"x": [0, 0, 0], "y": [0, 1, 2]}},
    ],
)
def test_an_order_with_groups_is_the_nearest_within_their_bounds(texts_http, bounds):
    body = {"rankings": RANKINGS, "method": "borda", "groups": GROUPS, **bounds}
    reply = texts_http.post("/v1/rank/aggregate", json=body)
    assert reply.status_code == 200, reply.text
    found, plain = reply.json(), decide(Profile(RANKINGS), "borda")
    order = closest_fair_ranking(plain.order_ids, LABELS, **bounds)
    assert found["result"]["order"] == [plain.labels[i] for i in order] != list(plain.order)
    assert found["result"]["ranking"] == [[name] for name in found["result"]["order"]]
    assert found["fairness"]["before"] == list(plain.order)
    pairs = [(a, b) for n, a in enumerate(plain.order_ids) for b in plain.order_ids[n + 1 :]]
    place = {item: n for n, item in enumerate(order.tolist())}
    assert found["fairness"]["exchanged"] == sum(place[a] > place[b] for a, b in pairs)
    assert found["certificate"] == {}  # the laws of the rule are of the other order


def test_a_fair_consensus_tells_how_near_it_is(texts_http):
    body = {"rankings": RANKINGS, "method": "fair_consensus", "groups": GROUPS}
    found = texts_http.post("/v1/rank/aggregate", json=body).json()
    expected = fair_consensus(RANKINGS, LABELS)
    assert found["result"]["order"] == list(expected.ranking)
    assert found["certificate"]["value"] == expected.distance
    assert found["certificate"]["bound"] == expected.lower_bound


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"shares": {"x": 0.5}}, "/shares"),
        ({"method": "fair_consensus"}, "/groups"),
        ({"groups": {"x": ["a", "b"]}}, "/groups"),
        ({"groups": {"x": ["a", "nobody"]}}, "/groups/x/1"),
        ({"groups": {"x": list("abcde"), "y": ["a"]}}, "/groups/y/0"),
        ({"groups": GROUPS, "shares": {"x": 0.5}}, "/shares"),
        ({"groups": GROUPS, "shares": {"x": 0.9, "y": 0.9}}, "/shares"),
        ({"groups": GROUPS, "k": 9}, "/k"),
        ({"groups": GROUPS, "k": 2, "lower": {"x": [0], "y": [0]}}, "/lower"),
        ({"groups": GROUPS, "method": "fair_consensus", "options": {"seed": 1}}, "/options"),
        ({"time_limit": 31}, "/time_limit"),
        ({"async": True, "method": "bordda"}, "/method"),
        ({"async": True, "groups": {"x": ["a"]}}, "/groups"),
        ({"async": True, "method": "borda", "options": {"variant": "odd"}}, "/options/variant"),
        ({"async": True, "method": "borda", "options": {"colour": 1}}, "/options/colour"),
        ({"async": True, "method": "positional"}, "/options/vector"),
        ({"async": True, "groups": GROUPS, "k": 2, "lower": {"x": [0], "y": [0]}}, "/lower"),
    ],
)
def test_what_is_wrong_with_groups_is_said_where(texts_http, more, pointer):
    reply = texts_http.post("/v1/rank/aggregate", json={"rankings": RANKINGS, **more})
    assert reply.status_code == 422, reply.text
    assert [one["pointer"] for one in reply.json()["errors"]] == [pointer], reply.text


def test_bounds_that_nothing_meets_are_told_as_such(texts_http):
    bounds = {"k": 2, "upper": {"x": [0, 0], "y": [0, 0]}}
    body = {"rankings": RANKINGS, "groups": GROUPS, **bounds}
    reply = texts_http.post("/v1/rank/aggregate", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "infeasible")


@pytest.mark.parametrize(
    ("path", "sent", "bounds"),
    [
        ("aggregate", {"rankings": RANKINGS}, {"k": 2, "upper": {"x": [0, 0], "y": [0, 0]}}),
        ("committee", {"rankings": RANKINGS, "k": 3}, {"upper": {"x": 1, "y": 1}}),
        ("committee", {"approvals": [list("abcde")], "k": 3}, {"lower": {"y": 3}}),
        ("committee", {"utilities": [[1, 2, 3, 4, 5]], "labels": list("abcde"), "k": 3}, {"lower": {"y": 3}}),
    ],
)  # fmt: skip
def test_no_job_is_made_of_bounds_that_nothing_meets(texts_http, path, sent, bounds):
    body = {**sent, "groups": GROUPS, **bounds, "async": True}
    reply = texts_http.post(f"/v1/rank/{path}", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "infeasible"), reply.text
    if path == "committee":
        at_once = texts_http.post(f"/v1/rank/{path}", json={**body, "async": False})
        assert at_once.json()["errors"] == reply.json()["errors"]


def test_a_job_that_fails_tells_what_kind_of_problem_it_was(texts_http):
    rng = random.Random(0)
    names = [f"n{row}" for row in range(60)]
    body = {"rankings": [rng.sample(names, 60) for _ in range(5)], "method": "simple_stable_voting"}
    job = ended(
        texts_http, texts_http.post("/v1/rank/aggregate", json={**body, "async": True, "time_limit": 0.2})
    )  # fmt: skip
    assert (job["state"], job["error_code"]) == ("failed", "infeasible"), job
    assert "time_limit" in job["error"]


def ended(http, reply):
    assert reply.status_code == 202, reply.text
    job, until = reply.json(), time.monotonic() + 60
    while job["state"] in {"queued", "running"}:
        assert time.monotonic() < until, job
        time.sleep(0.05)
        job = http.get(f"/v1/jobs/{job['id']}").json()
    return job


def test_a_job_ends_with_what_the_request_would_have_been_answered_by(texts_http, texts_model):
    http = texts_http
    sent = {"rankings": RANKINGS, "method": "kemeny", "groups": GROUPS}
    later = {**sent, "async": True, "time_limit": 600}
    keyed = {"Idempotency-Key": "group-job"}
    first = http.post("/v1/rank/aggregate", json=later, headers=keyed)
    again = http.post("/v1/rank/aggregate", json=later, headers=keyed)
    assert again.json()["id"] == first.json()["id"]
    job = ended(http, first)
    assert job["result"] == http.post("/v1/rank/aggregate", json=sent).json(), job

    approvals = [["a", "b"]] * 6 + [["c"]] * 3 + [["d", "c"]] * 2
    sent = {"approvals": approvals, "k": 2, "audit": ["jr"]}
    job = ended(http, http.post("/v1/rank/committee", json={**sent, "async": True}))
    assert job["result"] == http.post("/v1/rank/committee", json=sent).json(), job

    sent = {"users": ["trained-1", "job-nobody"], "candidates": TEXTS, "method": "borda"}
    sent |= {"prompt": "Well?", "async": True}
    job = ended(http, http.post("/v1/rank/aggregate", json=sent))
    scorer = Scorer(texts_model)
    rows = [scorer.score("Well?", TEXTS, user=user) for user in ("trained-1", None)]
    ranks = UtilityProfile(rows, transform="rank").values
    assert job["result"]["result"]["order"] == list(
        decide(Profile.from_scores(ranks), "borda").order
    )
    assert (job["result"]["transform"], job["result"]["unknown_users"]) == ("rank", [])
