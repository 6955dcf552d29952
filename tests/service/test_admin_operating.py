"""What operators look up beside people: groups, versions, jobs, usage, the audit log."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gustibus.posterior import GaussianPrior, ParticlePrior
from gustibus.service.fitting import Answers, fit_person
from gustibus.service.peoplegroups import accuracy, foretell, group_of
from gustibus.service.peoplemap import BLOCK
from gustibus.service.smallgroups import SMALL
from tests.service.harness import model_of, new_key
from tests.service.operated import SIZES, operated, prior


@pytest.fixture(scope="module")
def world(tmp_path_factory, features):
    with operated(tmp_path_factory.mktemp("operated"), features) as found:
        yield found


@pytest.fixture(scope="module")
def looking(world):
    with world.service.client(world.looking) as client:
        yield client


def test_a_person_belongs_to_the_group_that_most_probably_holds_them():
    # 3/4 N(0, 1) and 1/4 N(4, 1) are equal where ln 3 = 4x - 8.
    two = GaussianPrior(np.array([0.75, 0.25]), np.array([[0.0], [4.0]]), np.ones((2, 1, 1)))
    edge = 2 + math.log(3) / 4
    np.testing.assert_array_equal(
        group_of(two, np.array([[0.0], [edge - 1e-6], [edge + 1e-6], [9.0]])), [0, 0, 1, 1]
    )
    # Of a wide and a narrow group at one place, the narrow one holds who is near.
    wide = GaussianPrior(np.full(2, 0.5), np.zeros((2, 1)), np.array([[[9.0]], [[1.0]]]))
    np.testing.assert_array_equal(group_of(wide, np.array([[0.1], [5.0]])), [1, 0])
    np.testing.assert_array_equal(group_of(prior(), prior().means), [0, 1, 2])
    many = np.tile(prior().means.astype(np.float32), (BLOCK, 1))  # three blocks of them
    np.testing.assert_array_equal(group_of(prior(), many), np.tile([0, 1, 2], BLOCK))


def test_a_prior_without_groups_is_one_group():
    points = np.array([[0.2, 0.8], [1.0, 0.0]])
    for one in (GaussianPrior.standard(2), ParticlePrior(points, np.zeros(2))):
        np.testing.assert_array_equal(group_of(one, points), [0, 0])
    assert group_of(prior(), np.zeros((0, 4))).shape == (0,)


def test_later_answers_are_foretold_from_earlier_ones_alone():
    model, rng = model_of(6, seed=1), np.random.default_rng(0)
    a, b = (model.represent(rng.standard_normal((10, 6)).astype(np.float32)) for _ in "ab")
    target = np.array([1.0, 0, 1, 1, 0, 1, 0.5, 0, 1, 0])
    found = foretell(model, Answers(a, b, target, np.ones(10)), None)
    early = fit_person(model, Answers(a[:5], b[:5], target[:5], np.ones(5)), None)
    margin = model.margin(early.mean, a[[5, 7, 8, 9]], b[[5, 7, 8, 9]])  # the tie is left out
    np.testing.assert_array_equal(found.correct, (margin > 0) == np.array([1, 0, 1, 0]))
    np.testing.assert_array_equal(found.probability > 0.5, margin > 0)
    turned = foretell(model, Answers(a, b, np.r_[target[:5], 1 - target[5:]], np.ones(10)), None)
    np.testing.assert_array_equal(turned.probability, found.probability)
    assert foretell(model, Answers(a[:3], b[:3], target[:3], np.ones(3)), None) is None
    told = accuracy([found, turned])
    assert (told.people, told.answers) == (2, 8)
    assert told.mean == 0.5  # what was right for one was wrong for the other
    assert told.stderr == pytest.approx(abs(found.correct.mean() - 0.5))


def test_groups_are_told_the_worst_first_and_a_small_one_with_the_next(world, looking):
    found = looking.get("/v1/admin/groups").json()
    assert found["people"] == sum(SIZES)
    rows = {row["group"]: row for row in found["data"]}
    assert {number: row["members"] for number, row in rows.items()} == {0: [2, 3], 1: [1]}
    sizes = {0: SIZES[1] + SIZES[2], 1: SIZES[0]}
    assert {number: row["people"] for number, row in rows.items()} == sizes
    assert rows[0]["share"] == rows[1]["share"] == pytest.approx(0.5)
    told = [row["accuracy"] for row in found["data"]]
    assert told == sorted(told)
    for number, row in rows.items():
        assert row["tested"] == sizes[number]
        assert row["mean_comparisons"] == 12
        assert row["accuracy"] > 0.75  # they answer by tastes that the prior knows
        assert row["accuracy"] > row["accuracy_population"]
        assert sum(bin_["answers"] for bin_ in row["calibration"]) == 6 * sizes[number]
        gap = sum(abs(b["confidence"] - b["accuracy"]) * b["answers"] for b in row["calibration"])
        assert row["calibration_error"] == pytest.approx(gap / (6 * sizes[number]))


def test_the_map_hides_a_small_group_among_others(world, looking):
    found = looking.get("/v1/admin/map").json()
    assert found["groups"] == 3
    assert found["hidden"] == SMALL  # three, and seven by lot
    assert len(found["users"]) == sum(SIZES) - SMALL
    assert not set(world.names[2]) & set(found["users"])
    assert set(world.names[0]) < set(found["users"])
    assert found["group"] == [1 if user[1] == "1" else 0 for user in found["users"]]
    assert set(found["state"]) == {"ready"}


def test_the_admin_scope_looks_and_changes_nothing(world, looking):
    model = looking.get("/v1/admin/models/default").json()
    assert model["serving"] == "default@1"
    assert [
        row["version"] for row in looking.get("/v1/admin/models/default/versions").json()["data"]
    ] == [1, 2]
    audit = looking.get("/v1/admin/audit").json()["data"]
    assert {"model.register", "model.validate", "model.promote"} <= {row["action"] for row in audit}
    assert looking.get("/v1/admin/jobs").json()["data"] == []
    (alias,) = model["aliases"]
    seen = {"If-Match": f'"{alias["revision"]}"'}
    for method, path, body in (
        ("PUT", "/v1/models/default/aliases/champion", {"version": 2}),
        ("POST", "/v1/models/default:rollback", None),
        ("POST", "/v1/models/default/versions/2:validate", None),
        ("POST", "/v1/jobs/x:cancel", None),
    ):
        assert looking.request(method, path, json=body, headers=seen).status_code == 403, path
    assert looking.get("/v1/admin/models/default").json() == model


def test_other_scopes_do_not_open_the_operators_lists(world):
    key = new_key(world.service.url, "audit:read", "jobs", "models:read")
    world.service.settle(key)
    with world.service.client(key) as client:
        for path in (
            "groups", "jobs", "audit", "models/default", "models/default/versions",
            "map/moves?before=2", "map/neighbours", "map.parquet", "comparisons.ndjson",
            "comparisons.parquet",
        ):  # fmt: skip
            assert client.get(f"/v1/admin/{path}").status_code == 403, path
