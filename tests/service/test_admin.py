"""The numbers of the operator pages: right, in a fixed order, and silent about small groups."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gustibus.service.gate import MAX_DEADLINE_MS
from gustibus.service.instruments import BOUNDS
from gustibus.service.metrics import Meter
from gustibus.service.peoplemap import BLOCK, draw_lots, project
from tests.service.harness import new_key, running
from tests.service.test_onboarding_over_http import begin, put

PEOPLE = 12


@pytest.fixture(scope="module")
def full(tmp_path_factory, vectors_folder, vectors_model, features):
    """A server on which twelve new people have answered six questions each, and two only one."""
    folder = tmp_path_factory.mktemp("admin")
    url = f"sqlite:///{folder}/s.db"
    with running(url, folder, gustibus_model=str(vectors_folder)) as service:
        with service.client() as http:
            items = [
                {"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features)
            ]
            http.post("/v1/items:batch", json={"items": items})
            rng = np.random.default_rng(4)
            sent = []
            for person in range(PEOPLE + 2):
                for number in range(6 if person < PEOPLE else 1):
                    a, b = rng.choice(len(features), 2, replace=False)
                    sent.append({
                        "id": f"{person}-{number}", "user": f"person-{person}",
                        "a": {"id": f"item-{a}"}, "b": {"id": f"item-{b}"},
                        "outcome": "ab"[rng.integers(2)], "source": "test",
                    })  # fmt: skip
            reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": sent})
            assert reply.json()["profiles"] == "ready"
        yield service


@pytest.fixture(scope="module")
def admin(full):
    """A client that may do nothing else."""
    key = new_key(full.url, "admin")
    full.settle(key)
    with full.client(key) as client:
        yield client


def test_the_overview_counts_what_there_is(full, admin):
    admin.get("/v1/admin/nothing")
    found = admin.get("/v1/admin/overview").json()
    assert found["comparisons"] == 6 * PEOPLE + 2
    assert found["people_answered"] == PEOPLE + 2 + 3  # three of the training
    assert found["items"] == 64
    assert found["jobs"] == {}
    assert 0 <= found["counted_seconds_ago"] < 10
    assert found["uptime_seconds"] > 0
    rows = {(row["method"], row["route"]): row for row in found["routes"]}
    assert rows[("POST", "/v1/comparisons")]["requests"] == 1
    assert rows[("POST", "/v1/comparisons")]["failed"] == 0
    assert rows[("GET", "unknown")]["refused"] >= 1
    assert found["requests"] == sum(row["requests"] for row in found["routes"])


def test_a_key_without_the_scope_sees_nothing(full):
    key = new_key(full.url, "users:read", "models:read")
    full.settle(key)
    with full.client(key) as client:
        for path in ("overview", "map", "questions", "models", "comparisons", "people/person-0"):
            assert client.get(f"/v1/admin/{path}").status_code == 403


def test_the_map_shows_people_the_same_way_every_time(full, admin):
    found = admin.get("/v1/admin/map").json()
    assert found["users"] == sorted(found["users"])
    assert found["people"] == PEOPLE + 5
    trained = {f"trained-{n}" for n in range(3)}
    assert set(found["users"]) == {f"person-{n}" for n in range(PEOPLE + 2)} | trained
    assert found["hidden"] == 0
    assert found["state"] == []  # three with few answers are too few to be told apart
    assert all(0 < doubt <= 1 for doubt in found["doubt"])
    assert 0 < found["explained"][1] <= found["explained"][0] <= 1
    assert admin.get("/v1/admin/map").json() == found
    with full.client() as http:
        mean = [d["mean"] for d in http.get("/v1/users/person-0/profile").json()["directions"]]
        other = [d["mean"] for d in http.get("/v1/users/person-1/profile").json()["directions"]]
    at = [found["users"].index(f"person-{n}") for n in (0, 1)]
    drawn = math.hypot(*(found[c][at[0]] - found[c][at[1]] for c in "xy"))
    assert drawn <= np.linalg.norm(np.subtract(mean, other)) + 1e-3


def test_a_person_of_the_map_can_be_looked_up(admin):
    found = admin.get("/v1/admin/people/person-3").json()
    assert found["user"]["fitted_comparisons"] == 6
    assert admin.get("/v1/admin/people/nobody").status_code == 404


def test_questions_come_by_information_page_by_page(admin, vectors_model):
    rows, after, pages = [], None, 0
    while True:
        query = {"limit": 50} | ({} if after is None else {"after": after})
        page = admin.get("/v1/admin/questions", params=query).json()
        rows += page["data"]
        pages, after = pages + 1, page["next"]
        if not page["has_more"]:
            break
    pool = vectors_model.pool
    assert pages == math.ceil(len(pool) / 50)
    assert sorted(row["id"] for row in rows) == sorted(pool.ids)
    value = [row["information"] for row in rows]
    assert value == sorted(value, reverse=True)
    assert sum(row["held_out"] for row in rows) == int(pool.held_out.sum())
    forged = admin.get("/v1/admin/questions", params={"after": "AAAA"})
    assert forged.status_code == 422


def test_rates_of_a_question_are_told_from_ten_people_on(full, admin):
    def first(found):
        return max(found["data"], key=lambda row: row["people"])

    with full.client() as http:
        for person in range(9):
            session = begin(http, f"asked-{person}")
            put(http, session["id"], 0, "skip" if person < 3 else "tie", ms=2000)
        row = first(admin.get("/v1/admin/questions", params={"limit": 1000}).json())
        assert (row["people"], row["skip_rate"], row["seconds"]) == (9, None, None)
        put(http, begin(http, "asked-9")["id"], 0, "both_bad", ms=4000)
    found = admin.get("/v1/admin/questions", params={"limit": 1000}).json()
    row = first(found)
    assert row["people"] == 10
    assert row["skip_rate"] == pytest.approx(0.3)
    assert row["tie_rate"] == pytest.approx(0.6)
    assert row["both_bad_rate"] == pytest.approx(0.1)
    assert row["seconds"] == pytest.approx(2.2)


def test_comparisons_are_filtered_and_turned_over(full, admin):
    def pages(**query):
        rows, after = [], None
        while True:
            more = {} if after is None else {"after": after}
            reply = admin.get("/v1/admin/comparisons", params={"limit": 7, **query, **more}).json()
            rows, after = rows + reply["data"], reply["next"]
            if not reply["has_more"]:
                return rows

    forward, backward = pages(source="test"), pages(source="test", newest="true")
    assert len(forward) == 6 * PEOPLE + 2
    assert [row["id"] for row in backward] == [row["id"] for row in forward][::-1]
    wins = pages(source="test", outcome="a")
    assert wins == [row for row in forward if row["outcome"] == "a"]
    assert len(pages(user="person-0", source="test")) == 6
    assert pages(source="elsewhere") == []
    cursor = admin.get("/v1/admin/comparisons", params={"limit": 2, "outcome": "a"}).json()["next"]
    other = admin.get("/v1/admin/comparisons", params={"outcome": "b", "after": cursor})
    assert other.status_code == 422  # a cursor holds for its own list


def test_models_come_with_their_cards(admin, vectors_model):
    (model,) = admin.get("/v1/admin/models").json()["data"]
    assert model["digest"] == vectors_model.digest
    assert model["card"]["family"] == "hierarchical"
    assert (model["people"], model["questions"]) == (3, len(vectors_model.pool))


def test_the_plane_is_that_of_the_main_directions():
    rng = np.random.default_rng(0)
    means = rng.standard_normal((200, 5)) * [3, 0.1, 2, 0.1, 0.1] + 7
    plane = project(means)
    np.testing.assert_allclose(
        abs(np.corrcoef(plane.points[:, 0], means[:, 0])[0, 1]), 1, atol=1e-2
    )
    np.testing.assert_allclose(
        abs(np.corrcoef(plane.points[:, 1], means[:, 2])[0, 1]), 1, atol=1e-2
    )
    variance = means.var(axis=0)
    np.testing.assert_allclose(plane.explained[0], variance[0] / variance.sum(), atol=0.02)
    order = rng.permutation(200)
    np.testing.assert_allclose(project(means[order]).points, plane.points[order], atol=1e-9)


def test_many_people_are_placed_block_by_block():
    rng = np.random.default_rng(1)
    means = (rng.standard_normal((2 * BLOCK + 7, 3)) * [3, 2, 0.1] + 100).astype(np.float32)
    plane = project(means)
    centred = means.astype(np.float64) - means.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(plane.points, centred @ plane.axes, atol=1e-9)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    np.testing.assert_allclose(abs(plane.axes.T @ vectors[:, :0:-1]), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(plane.explained, values[:0:-1] / values.sum())


@pytest.mark.parametrize("means", [np.zeros((0, 4)), np.ones((3, 4)), np.zeros((5, 0))])
def test_people_who_do_not_differ_are_at_one_point(means):
    plane = project(means)
    assert plane.points.shape == (len(means), 2)
    assert not plane.points.any()
    assert plane.explained == (0.0, 0.0)


def test_one_direction_has_no_second_axis():
    plane = project(np.array([[1.0], [2.0], [6.0]]))
    np.testing.assert_allclose(plane.points, [[-2, 0], [-1, 0], [3, 0]])
    assert plane.explained == (1.0, 0.0)


def test_lots_fall_on_the_same_people_however_they_are_listed():
    names = [f"p{n}" for n in range(100)]
    drawn = {names[row] for row in draw_lots(names, 30)}
    assert len(drawn) == 30
    turned = names[::-1]
    assert {turned[row] for row in draw_lots(turned, 30)} == drawn
    more = [*names, "late"]
    assert len({more[row] for row in draw_lots(more, 30)} & drawn) >= 29


def test_traffic_is_told_by_the_edges_of_the_histogram():
    meter = Meter()
    for _ in range(98):
        meter.count("/v1/x", "GET", 200, 0.0004)
    meter.count("/v1/x", "GET", 404, 0.003)
    meter.count("/v1/x", "GET", 503, 100.0)
    (row,) = meter.traffic()
    assert (row.requests, row.refused, row.failed) == (100, 1, 1)
    assert row.median == BOUNDS[1]
    assert row.p99 == BOUNDS[4]
    assert row.mean == pytest.approx((98 * 0.0004 + 0.003 + 100) / 100)


def test_requests_that_take_as_long_as_a_deadline_may_be_have_an_edge():
    meter = Meter()
    meter.count("/v1/x", "POST", 504, MAX_DEADLINE_MS / 1e3 + 1)
    assert math.isfinite(meter.traffic()[0].p99)
