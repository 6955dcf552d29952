"""The map of people over HTTP: moves between versions, neighbours, and what is taken away as files."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Iterator

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest

from gustibus.data.answers import answer_of
from gustibus.data.streaming import rows_of
from gustibus.service.peoplemap import align, project, turn
from gustibus.service.peoplemap import turned as turned_plane
from gustibus.service.smallgroups import SMALL
from gustibus.store import (
    Store,
    create_job,
    get_neighbours,
    list_versions,
    profiles_of,
    put_neighbours,
)
from tests.service.harness import database, new_key
from tests.service.peopled import Peopled, peopled, save

ENGINES = ("sqlite", "postgresql")
SIZES = (26, 18, 12, 3)
MAP = "/v1/admin/map"


@pytest.fixture(scope="module", params=ENGINES)
def world(request, tmp_path_factory) -> Iterator[Peopled]:
    folder = tmp_path_factory.mktemp(f"map-{request.param}")
    with database(request.param, folder) as url, peopled(url, folder, SIZES) as found:
        yield found


@pytest.fixture
def http(world) -> Iterator[httpx.Client]:
    with world.service.client(world.key) as client:
        yield client


def turned(points, angle, *, mirrored=False):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn * ([1, -1] if mirrored else [1, 1])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_map_that_is_only_turned_and_scaled_has_moved_nobody(mirrored):
    points = np.random.default_rng(0).standard_normal((30, 2)) * [3, 1]
    onto = points + np.array([5.0, -2.0])
    found = align(turned(7 * points + 1, 2.0, mirrored=mirrored), onto)
    np.testing.assert_allclose(found.points, onto, atol=1e-9)
    assert found.agreement == pytest.approx(1)
    assert found.spread == pytest.approx(np.sqrt(((points - points.mean(0)) ** 2).sum(1).mean()))


def test_who_has_moved_is_told_apart_from_those_who_have_not():
    points = np.random.default_rng(1).standard_normal((200, 2))
    before = points.copy()
    before[7] += [3.0, 0.0]
    found = align(turned(before, 0.7), points)
    away = np.linalg.norm(found.points - points, axis=1)
    assert away.argmax() == 7
    assert away[7] == pytest.approx(3.0, abs=0.1)
    assert np.median(away) < 0.05
    assert 0.9 < found.agreement < 1


def test_maps_that_have_nothing_in_common_do_not_shrink():
    rng = np.random.default_rng(2)
    found = align(rng.standard_normal((500, 2)), 4 * rng.standard_normal((500, 2)))
    assert found.agreement < 0.2
    size = np.sqrt(((found.points - found.points.mean(0)) ** 2).sum(1).mean())
    assert size == pytest.approx(found.spread)


@pytest.mark.parametrize("same", [np.zeros((12, 2)), np.full((12, 2), 3.0)])
def test_people_at_one_point_are_aligned_to_it(same):
    found = align(same, np.random.default_rng(0).standard_normal((12, 2)))
    assert np.isfinite(found.points).all()
    assert found.agreement == 0


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_map_is_turned_onto_another_and_keeps_its_size_and_what_its_axes_explain(mirrored):
    rng = np.random.default_rng(3)
    plane = project(rng.standard_normal((40, 5)) * [3, 2, 1, 1, 1])
    by = turn(plane.points, 9 * turned(plane.points, 0.8, mirrored=mirrored) + 4)
    np.testing.assert_allclose(plane.points @ by, turned(plane.points, 0.8, mirrored=mirrored))
    found = turned_plane(plane, by)
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(2), atol=1e-12)
    assert sum(found.explained) == pytest.approx(sum(plane.explained))
    shares = np.square(found.points).sum(0) / np.square(plane.points).sum() * sum(plane.explained)
    np.testing.assert_allclose(found.explained, shares)


def test_the_map_is_turned_onto_that_of_the_version_before(http, world):
    here = http.get(MAP).json()
    store = Store(world.service.url)
    with store.read() as conn:
        first, second = list_versions(conn, model="default")[:2]
        users = here["users"]
        means = [
            {row.user: row.mean for row in profiles_of(conn, users=users, model=one.digest)}
            for one in (first, second)
        ]
    store.close()
    before, now = (np.stack([mean[user] for user in users]) for mean in means)
    points = np.array([here["x"], here["y"]]).T
    np.testing.assert_allclose(turn(points, project(before).points), np.eye(2), atol=3e-4)
    by_itself = turn(project(now).points, project(before).points)
    assert abs(by_itself - np.eye(2)).max() > 1e-3  # there was something to turn


def test_moves_are_those_between_both_maps_of_the_people_who_are_drawn(http):
    here = http.get(MAP).json()
    found = http.get(f"{MAP}/moves", params={"before": 1}).json()
    assert (found["model"], found["before"], found["without"]) == ("default@2", "default@1", 0)
    assert found["users"] == here["users"]
    assert (found["x"], found["y"], found["group"]) == (here["x"], here["y"], here["group"])
    gone = np.subtract([found["x"], found["y"]], [found["before_x"], found["before_y"]])
    away = np.linalg.norm(gone, axis=0)
    np.testing.assert_allclose(found["distance"], away, atol=2e-4)
    assert found["median"] == pytest.approx(np.median(away), abs=2e-4)
    assert found["largest"] == pytest.approx(away.max(), abs=2e-4)
    # The versions differ a little: most people are near where they were.
    assert 0.8 < found["agreement"] <= 1
    assert 0 < found["median"] < 0.5 * found["spread"]
    assert http.get(f"{MAP}/moves", params={"before": 1}).json() == found


def test_moves_need_another_version_that_can_be_read(http):
    for before, status, code in ((2, 409, "conflict"), (7, 404, "not_found")):
        reply = http.get(f"{MAP}/moves", params={"before": before})
        assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert http.get(f"{MAP}/moves").status_code == 422
    assert http.get(f"{MAP}/moves", params={"before": "x"}).status_code == 422


def test_a_version_whose_folder_is_gone_is_told(http, world):
    root = world.service.folder / "registry"
    third = save(root, SIZES, version=3)
    with world.service.client() as all_scopes:
        reply = all_scopes.post("/v1/models/default/versions", json={"digest": third.digest})
        assert reply.status_code == 201, reply.text
    # Nobody was placed by it.
    found = http.get(f"{MAP}/moves", params={"before": 3}).json()
    assert (found["users"], found["agreement"]) == ([], None)
    assert found["without"] == len(http.get(MAP).json()["users"])
    fourth = save(root, SIZES, version=4)
    with world.service.client() as all_scopes:
        reply = all_scopes.post("/v1/models/default/versions", json={"digest": fourth.digest})
        assert reply.status_code == 201, reply.text
    shutil.rmtree(root / fourth.digest)
    reply = http.get(f"{MAP}/moves", params={"before": 4})
    assert (reply.status_code, reply.json()["code"]) == (409, "conflict")
    assert "cannot be read" in reply.json()["detail"]


def served(http) -> str:
    return http.get("/v1/admin/models").json()["data"][0]["digest"]


def begun(http, key: str) -> dict:
    reply = http.post("/v1/jobs", json={"kind": "map_neighbours"}, headers={"Idempotency-Key": key})
    assert reply.status_code == 202, reply.text
    return reply.json()


def ended(http, *, seconds=90.0) -> dict:
    until = time.monotonic() + seconds
    while (found := http.get(f"{MAP}/neighbours").json())["state"] in {"queued", "running"}:
        assert time.monotonic() < until, found
        time.sleep(0.1)
    return found


def test_neighbours_are_placed_by_a_job_and_kept_with_the_version(http, world):
    before = http.get(f"{MAP}/neighbours").json()
    assert (before["state"], before["job"], before["users"]) == ("none", None, [])
    job = begun(http, "first")
    assert begun(http, "second")["id"] == job["id"]  # one that is being made will do
    found = ended(http)
    assert (found["state"], found["job"], found["error"]) == ("ready", job["id"], None)
    here = http.get(MAP).json()
    assert found["users"] == here["users"]
    assert found["without"] == 0
    assert found["made_at"] is not None
    done = http.get(f"/v1/jobs/{job['id']}").json()
    assert done["result"] == {"people": len(here["users"]), "model": served(http)}
    # Most people's nearest are of their group.
    points, group = np.array([found["x"], found["y"]]).T, np.array(here["group"])
    far = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(len(points))
    assert (group[far.argmin(axis=1)] == group).mean() > 0.8
    third = begun(http, "third")
    assert third["id"] != job["id"]
    again = ended(http)
    assert (again["x"], again["y"]) == (found["x"], found["y"])  # the same picture


def test_somebody_who_leaves_or_is_forgotten_is_on_no_map_of_neighbours(http, world):
    begun(http, "leaving")
    users = ended(http)["users"]
    # Of a group that is told by itself, so that those left out are the same as before.
    drawn = [user for user in users if user in world.groups[0]]
    leaver, forgotten = drawn[0], drawn[1]
    with world.service.client() as all_scopes:
        told = all_scopes.post(f"/v1/users/{leaver}:export").text.splitlines()
        assert [json.loads(line)["kind"] for line in told].count("neighbour") == 1
        removed = all_scopes.delete(f"/v1/users/{leaver}").json()["removed"]
        assert removed["neighbours"] == 1
        assert all_scopes.post(f"/v1/users/{forgotten}/profile:reset").status_code == 200
    store = Store(world.service.url)
    with store.read() as conn:
        kept = get_neighbours(conn, model=served(http))
    with store.write() as conn:  # as a job does that began before they left
        count = put_neighbours(
            conn, model="other", users=[leaver, "somebody"], points=np.ones((2, 2))
        )
    with store.read() as conn:
        late = get_neighbours(conn, model="other")
    store.close()
    assert set(users) - set(kept.users) == {leaver, forgotten}
    assert (count, late.users) == (1, ["somebody"])


def test_a_job_for_a_version_that_is_no_longer_served_says_so(http, world):
    store = Store(world.service.url)
    with store.write() as conn:
        job = create_job(conn, kind="map_neighbours", params={"model": "gone"}, by="test")
    store.close()
    until = time.monotonic() + 60
    while (found := http.get(f"/v1/jobs/{job.id}").json())["state"] != "failed":
        assert time.monotonic() < until, found
        time.sleep(0.05)
    assert "another version" in found["error"]


def test_neighbours_need_both_scopes(world):
    for scopes in (("jobs",), ("admin",)):
        key = new_key(world.service.url, *scopes)
        world.service.settle(key)
        with world.service.client(key) as client:
            reply = client.post(
                "/v1/jobs", json={"kind": "map_neighbours"}, headers={"Idempotency-Key": "x"}
            )
            assert (reply.status_code, reply.json()["code"]) == (403, "forbidden")


def table_of(reply):
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/vnd.apache.parquet"
    return pq.read_table(io.BytesIO(reply.content))


def last_entry(http):
    return http.get("/v1/admin/audit", params={"limit": 1}).json()["data"][0]


def test_the_map_is_taken_away_without_names_and_without_small_groups(http, world):
    reply = http.get(f"{MAP}.parquet")
    table, here = table_of(reply), http.get(MAP).json()
    assert reply.headers["content-disposition"] == 'attachment; filename="people.parquet"'
    assert table.column_names == ["x", "y", "group", "n", "accuracy"]
    np.testing.assert_allclose(table["x"], here["x"], atol=1e-4)
    np.testing.assert_allclose(table["y"], here["y"], atol=1e-4)
    assert table["n"].to_pylist() == here["comparisons"]
    names = [str(number) if number else "other" for number in here["group"]]
    assert table["group"].to_pylist() == names
    assert here["people"] - table.num_rows >= SMALL
    right = np.array(table["accuracy"].to_pylist(), float)
    groups = http.get("/v1/admin/groups").json()["data"]
    for row in groups:
        if row["group"]:  # everybody of such a group is drawn, and tested
            mine = [value for value, name in zip(right, names, strict=True)
                    if name == str(row["group"])]  # fmt: skip
            assert np.mean(mine) == pytest.approx(row["accuracy"])
    entry = last_entry(http)
    assert (entry["action"], entry["object"]) == ("map.export", "map")
    assert entry["detail"] == {"model": "default@2", "rows": table.num_rows}


def test_comparisons_are_taken_away_as_they_are_filtered(http, world, tmp_path):
    whole = http.get("/v1/admin/comparisons.ndjson")
    lines = [json.loads(line) for line in whole.text.splitlines()]
    assert whole.headers["content-type"] == "application/x-ndjson"
    user = lines[0]["user"]
    query = {"user": user, "outcome": "a", "newest": "true"}
    few = [json.loads(line)
           for line in http.get("/v1/admin/comparisons.ndjson", params=query).text.splitlines()]  # fmt: skip
    expected = [row for row in lines if row["user"] == user and row["outcome"] == "a"][::-1]
    assert few == expected
    assert 0 < len(few) < len(lines)
    entry = last_entry(http)
    assert entry["action"] == "comparisons.export"
    assert entry["object"].startswith("user:")
    assert user not in json.dumps(entry)
    assert entry["detail"]["format"] == "ndjson"
    table = table_of(http.get("/v1/admin/comparisons.parquet", params=query))
    assert table.column_names == [
        "id", "user", "prompt", "response_a", "response_b", "outcome", "source", "created_at", "key"
    ]  # fmt: skip
    filled = [{name: row[name] for name in table.column_names} for row in few]
    assert table.to_pylist() == filled
    (tmp_path / "taken.parquet").write_bytes(
        http.get("/v1/admin/comparisons.parquet", params={"source": "app"}).content
    )
    again = pq.read_table(tmp_path / "taken.parquet")
    assert again.num_rows == len(lines)
    nothing = table_of(http.get("/v1/admin/comparisons.parquet", params={"source": "none"}))
    assert (nothing.num_rows, nothing.column_names) == (0, ["id", "user", "prompt", "outcome"])
    assert http.get("/v1/admin/comparisons.ndjson", params={"source": "none"}).text == ""


def test_an_export_is_read_as_a_log_of_comparisons(http, tmp_path):
    for form in ("ndjson", "parquet"):
        path = tmp_path / f"taken.{form}"
        path.write_bytes(http.get(f"/v1/admin/comparisons.{form}").content)
        read = [answer_of(row.values, place=f"row {row.number}") for row in rows_of(path)]
        assert len(read) > 100
        assert {row.outcome for row in read} == {"a", "b"}
        assert all(row.a_text and row.b_text for row in read)
