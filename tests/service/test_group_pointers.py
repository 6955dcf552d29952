"""Requests about groups: errors point at the very entry, and a fair order takes no longer than it may."""

from __future__ import annotations

import time

import pytest

from gustibus.errors import InfeasibleError
from gustibus.service.problems import CODES, Problem
from gustibus.service.voters import MAX_CELLS
from gustibus.social import ApprovalProfile, committee, fair_rerank

APPROVALS = [["a", "b"], ["b", "c"]]


@pytest.mark.parametrize(
    ("groups", "pointer"),
    [
        ({"x": ["a"], "y": ["b", "nobody"]}, "/groups/y/1"),
        ({"x": ["a", "b", "c", "a"]}, "/groups/x/3"),
        ({"a/b~c": ["a", "nobody"]}, "/groups/a~1b~0c/1"),
        ({"": ["a"]}, "/groups"),  # a name that is no name
        ({"x": [0, 7]}, "/groups/x/1"),
        ({"x": [True]}, "/groups/x/0"),
        ({"x": ["a", 1.5]}, "/groups/x/1"),
    ],
    ids=str,
)
def test_an_item_of_a_group_is_pointed_at(texts_http, groups, pointer):
    body = {"approvals": APPROVALS, "k": 1, "groups": groups}
    reply = texts_http.post("/v1/rank/committee", json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["pointer"].startswith(pointer)
    assert pointer == "/groups" or reply.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        ({"lower": {"x": 1.5}}, "/lower/x"),
        ({"lower": {"x": 1}, "upper": {"x": 1.5}}, "/upper/x"),
        ({"lower": {"x": 0.5}, "upper": {"x/y": 2.5, "x": 2}}, "/upper/x~1y"),
    ],
    ids=str,
)
def test_a_limit_that_is_no_number_of_members_is_pointed_at(texts_http, limits, pointer):
    body = {"approvals": APPROVALS, "k": 2, "groups": {"x": ["a"], "x/y": ["b"]}, **limits}
    reply = texts_http.post("/v1/rank/committee", json=body)
    assert reply.status_code == 422, reply.text
    assert reply.json()["errors"][0]["pointer"] == pointer


def test_the_library_points_at_an_item_too():
    profile = ApprovalProfile(APPROVALS, labels=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"^groups: expected items among") as told:
        committee(profile, 1, groups={"x": ["a", "z"]}, upper=1)
    assert told.value.where == "/groups/x/1"


SLOW = {
    "scores": [7919 * n % 60_000 for n in range(60_000)],
    "groups": [f"g{31 * n // 97 % 10}" for n in range(60_000)], "method": "closest",
}  # fmt: skip
"""Takes half a second."""


def test_a_fair_order_ends_at_its_limit(texts_http):
    began = time.monotonic()
    reply = texts_http.post("/v1/rank/rerank", json={**SLOW, "time_limit": 0.01})
    assert (reply.status_code, reply.json()["code"]) == (422, "infeasible"), reply.text
    assert reply.json()["errors"][0]["pointer"] == "/time_limit"
    with pytest.raises(InfeasibleError, match=r"^time_limit: 0 s were over"):
        fair_rerank(SLOW["scores"], SLOW["groups"], method="closest", time_limit=0)
    shares = dict.fromkeys("abcd", 0.25)
    with pytest.raises(InfeasibleError, match=r"^time_limit: 0\.01 s were over"):
        fair_rerank(
            range(400), [*"abcd"] * 100, method="fa_ir", protected=["b", "c", "d"], shares=shares,
            time_limit=0.01,
        )  # fmt: skip
    assert time.monotonic() - began < 30
    for limit in (0, -1, 31):
        wrong = texts_http.post("/v1/rank/rerank", json={**SLOW, "time_limit": limit})
        assert wrong.json()["errors"][0]["pointer"] == "/time_limit"
    assert fair_rerank([2, 1], ["x", "y"], time_limit=10).order.tolist() == [0, 1]


def test_a_fair_order_that_is_late_says_when_to_come_back(texts_http):
    reply = texts_http.post("/v1/rank/rerank", json=SLOW, headers={"X-Deadline-Ms": "100"})
    assert (reply.status_code, reply.json()["code"]) == (504, "deadline_exceeded"), reply.text
    assert int(reply.headers["retry-after"]) == reply.json()["retry_after"] >= 1


def test_tables_that_are_too_large_are_refused_before_any_work(texts_http):
    body = {"scores": list(range(2000)), "groups": [str(n) for n in range(2000)]}
    assert MAX_CELLS < 2000 * 2000
    reply = texts_http.post("/v1/rank/rerank", json=body)
    assert (reply.status_code, reply.json()["code"]) == (413, "too_many_candidates")
    assert texts_http.post("/v1/rank/rerank", json=body | {"k": 20}).status_code == 200


def test_what_says_to_come_back_later_says_when():
    for code, kind in CODES.items():
        problem = Problem(code, "?")
        waits = kind.status in {429, 502, 503, 504}
        assert (problem.retry_after is not None) == waits, code
        assert any(name == b"retry-after" for name, _ in problem.headers) == waits


@pytest.mark.parametrize("transform", ["none", "min_max", "sum", "z", "softmax"])
def test_utilities_that_no_sum_holds_are_refused_and_not_taken_for_equal(texts_http, transform):
    body = {"utilities": [[1e308, -1e308], [1.0, 2.0]], "transform": transform}
    reply = texts_http.post("/v1/rank/aggregate", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field"), reply.text
    assert reply.json()["errors"][0]["pointer"] == "/utilities"


def test_orders_alone_are_taken_from_utilities_of_any_size(texts_http):
    body = {"utilities": [[1e308, -1e308], [1.0, 2.0], [4.0, 3.0]], "transform": "rank"}
    reply = texts_http.post("/v1/rank/aggregate", json=body)
    assert reply.json()["result"]["order"] == [0, 1], reply.text


def test_shares_of_a_sum_are_not_made_of_numbers_below_zero(texts_http):
    """They had a sum below 0, whose shares were all 0: the person liked everything the same."""
    body = {"utilities": [[-1.0, -2.0], [-1.0, -2.0]], "transform": "sum"}
    reply = texts_http.post("/v1/rank/aggregate", json=body)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_field"), reply.text
    assert reply.json()["errors"][0]["pointer"] == "/utilities"
    assert "at least 0" in reply.json()["detail"]


@pytest.mark.parametrize("method", ["borda", "fair_consensus"])
@pytest.mark.parametrize(
    ("bounds", "pointer", "said"),
    [
        ({"lower": {"x": [0, 0, 0], "y": [0, 0, 2]}}, "/lower", "group 'y' needs 2 items"),
        ({"lower": {"x": [0, 2, 2], "y": [0, 1, 1]}}, "/lower", "the lower bounds ask for more"),
        ({"upper": {"x": [0, 0, 0], "y": [1, 1, 1]}}, "/upper", "the upper bounds leave no item"),
        ({"lower": {"x": [2, 2, 2], "y": [0, 0, 0]}, "upper": {"x": [1, 1, 1], "y": [1, 1, 1]}},
         "/lower", "group 'x' needs at least 2 and at most 1"),
        ({"shares": {"x": 0, "y": 0}}, "/shares", "the upper bounds leave no item"),
    ],
)  # fmt: skip
def test_bounds_that_nothing_meets_are_pointed_at_by_their_names(
    texts_http, method, bounds, pointer, said
):
    rankings = [["a", "b", "c"], ["b", "a", "c"]]
    body = {"rankings": rankings, "groups": {"x": ["a", "b"], "y": ["c"]}, "method": method}
    reply = texts_http.post("/v1/rank/aggregate", json={**body, **bounds})
    assert (reply.status_code, reply.json()["code"]) == (422, "infeasible"), reply.text
    assert [one["pointer"] for one in reply.json()["errors"]] == [pointer]
    assert said in reply.json()["detail"]


@pytest.mark.parametrize("more", [{}, {"async": True}])
def test_an_unknown_person_of_several_is_pointed_at(texts_http, more):
    body = {"users": ["trained-0", "nobody-here"], "candidates": ["plain", "warm"], **more}
    reply = texts_http.post("/v1/rank/aggregate", json={**body, "on_unknown_user": "error"})
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found"), reply.text
    assert [one["pointer"] for one in reply.json()["errors"]] == ["/users/1"]
    assert reply.json()["detail"].startswith("/users/1: ")
