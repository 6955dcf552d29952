"""People in memory: what each takes, and what stands when they come from several places."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from gustibus.service.tables import PeopleTable

NOWHERE = np.array([0.5, -0.5])


@pytest.fixture
def table() -> PeopleTable:
    made = PeopleTable(NOWHERE, capacity=2)
    made.load(("ann", "bob"), np.ones((2, 2), np.float32), np.array([3, 0], np.int32), 0)
    return made


def test_a_person_takes_single_precision_and_a_row():
    """A million in 32 dimensions are to fit 600 MiB with all else."""
    people, dim = 1 << 16, 32
    names = [f"person-{number:07}" for number in range(people)]
    means = np.zeros((people, dim), np.float32)
    tracemalloc.start()
    try:
        table = PeopleTable(np.zeros(dim))
        table.load(names, means, [1] * people, [1] * people)
        assert len(table) == people
        assert tracemalloc.get_traced_memory()[0] / people < 4 * dim + 4 + 8 + 120
    finally:
        tracemalloc.stop()


def test_a_user_vector_comes_in_double_precision_as_the_store_keeps_it(table):
    mean = np.array([1 / 3, 2 / 3])
    table.put("cyd", mean, count=4, version=2)
    found = table.find("cyd")
    assert found.mean.dtype == np.float64
    assert np.array_equal(found.mean, mean.astype("<f4"))
    found.mean[:] = 9
    assert np.array_equal(table.find("cyd").mean, mean.astype("<f4")), "it was the table's own"


def test_versions_alone_move_nobody(table):
    table.meet({"ann": 7, "bob": 2, "new": 5})
    ann, bob, new = map(table.find, ("ann", "bob", "new"))
    assert (ann.version, ann.count, ann.mean.tolist()) == (7, 3, [1, 1])
    for found, version in ((bob, 2), (new, 5)):
        assert (found.version, found.count, found.known) == (version, 0, True)
        assert np.array_equal(found.mean, NOWHERE)


def test_who_takes_the_row_of_somebody_who_left_begins_anew(table):
    table.drop("ann")
    table.meet({"new": 1})
    assert table.find("ann") is None
    assert (table.find("new").count, table.find("new").mean.tolist()) == (0, NOWHERE.tolist())
    assert table.count_answered() == 0
    assert table.answered()().names == []


def test_a_profile_wins_over_what_the_training_said(table):
    table.load(["bob", "ann"], np.full((2, 2), 2, np.float32), [1, 0], [4, 5])
    assert (table.find("bob").count, table.find("bob").mean.tolist()) == (1, [2, 2])
    assert np.array_equal(table.find("ann").mean, NOWHERE), "reset: they stand on no answer"
    names, means, counts = table.answered()()
    assert (names, means.dtype, counts.tolist()) == (["bob"], np.float32, [1])


def test_who_leaves_while_everybody_is_read_is_left_out():
    table = PeopleTable(NOWHERE)
    names = [f"p{n}" for n in range(5)]
    table.load(names, np.arange(10, dtype=np.float32).reshape(5, 2), [1, 2, 0, 4, 5], [1] * 5)
    read = table.answered()
    table.drop("p1")
    table.put("new", np.full(2, 9.0), count=3, version=1)  # in the row of p1
    found = read()
    assert found.names == ["p0", "p3", "p4"]
    assert found.means.tolist() == [[0, 1], [6, 7], [8, 9]]
    assert found.counts.tolist() == [1, 4, 5]
    assert sorted(table.answered()().names) == ["new", "p0", "p3", "p4"]
    for number in range(2000):  # beyond the arrays that a reader holds
        table.put(f"q{number}", np.zeros(2), count=1, version=1)
    assert read().names == ["p0", "p3", "p4"]


def test_many_take_the_rows_of_those_who_left_and_then_new_ones(table):
    table.load([f"p{n}" for n in range(5)], np.ones((5, 2), np.float32), [1] * 5, [1] * 5)
    for user in ("p1", "p3"):
        table.drop(user)
    names = ["ann", *(f"q{n}" for n in range(4)), "p0"]
    table.load(names, np.arange(12, dtype=np.float32).reshape(6, 2), [2] * 6, range(6))
    for row, user in enumerate(names):
        assert table.find(user).mean.tolist() == [2 * row, 2 * row + 1], user
        assert table.find(user).version == row
    assert table.find("p2").mean.tolist() == [1, 1]
    assert (len(table), table.count_answered()) == (9, 8)
    for one in range(40):
        table.put(f"r{one}", np.full(2, one), count=1, version=1)
    assert all(table.find(f"r{one}").mean[0] == one for one in range(40))
    assert table.find("q3").mean.tolist() == [8, 9]
