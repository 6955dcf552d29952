"""What operators look up beside people: groups, versions, jobs, usage, the audit log."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gustibus.posterior import GaussianPrior, ParticlePrior
from gustibus.service.fitting import Answers, fit_person
from gustibus.service.peoplegroups import accuracy, foretell, group_of
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


def test_groups_are_told_the_worst_first_and_small_ones_not_at_all(world, looking):
    found = looking.get("/v1/admin/groups").json()
    assert found["people"] == sum(SIZES)
    rows = {row["group"]: row for row in found["data"]}
    assert [rows[group]["people"] for group in (1, 2, 3)] == [14, 11, None]
    assert [rows[group]["share"] for group in (1, 2, 3)] == pytest.approx([0.5, 0.3, 0.2])
    small = rows[3]
    assert small["accuracy"] is small["tested"] is small["mean_comparisons"] is None
    assert small["calibration"] == []
    told = [row["accuracy"] for row in found["data"]]
    assert told[2] is None
    assert told[:2] == sorted(told[:2])
    for group in (1, 2):
        row = rows[group]
        assert row["tested"] == SIZES[group - 1]
        assert row["accuracy"] > 0.75  # they answer by tastes that the prior knows
        assert row["accuracy"] > row["accuracy_population"]
        assert sum(bin_["answers"] for bin_ in row["calibration"]) == 6 * SIZES[group - 1]
        gap = sum(abs(b["confidence"] - b["accuracy"]) * b["answers"] for b in row["calibration"])
        assert row["calibration_error"] == pytest.approx(gap / (6 * SIZES[group - 1]))


def test_the_map_tells_groups_and_hides_a_small_one(world, looking):
    found = looking.get("/v1/admin/map").json()
    assert found["groups"] == 3
    assert found["hidden"] == SIZES[2]
    assert found["users"] == sorted([*world.names[0], *world.names[1]])
    assert found["group"] == [int(user[1]) for user in found["users"]]


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
        for path in ("groups", "jobs", "audit", "models/default", "models/default/versions"):
            assert client.get(f"/v1/admin/{path}").status_code == 403, path
