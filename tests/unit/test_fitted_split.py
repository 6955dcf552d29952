"""The split that judges a model which is there already."""

from __future__ import annotations

import numpy as np

from gustibus.artifact import Trained
from gustibus.data.splits import check_leaks, fitted_split
from gustibus.data.synthetic import linear_mixture_world


def test_known_people_are_judged_on_what_was_not_fitted_and_new_ones_by_halves():
    c = linear_mixture_world(seed=0, seen=20, new=10, train=12, test=4)[0].comparisons
    people = len(c.user_ids)
    seen = np.arange(people) < 15
    fitted = seen[c.user] & (np.arange(len(c)) % 3 > 0)
    split = fitted_split(c, seen=seen, fitted=fitted, seed=1)
    check_leaks(split, c)
    assert set(split["train"]) == set(np.flatnonzero(fitted))
    assert not np.isin(split["test"], np.flatnonzero(fitted)).any()
    assert (c.user[split["test"]] < 15).all()
    both = np.concatenate([split["support"], split["query"]])
    assert (c.user[both] >= 15).all()
    for person in range(15, people):
        halves = [int((c.user[split[name]] == person).sum()) for name in ("support", "query")]
        assert abs(halves[0] - halves[1]) <= 1 + sum(halves) // 4  # repeats of a pair stay together
    kept = sum(len(split[name]) for name in split)
    assert kept + split.dropped["repeated_pair"] == len(c)


def test_what_was_trained_on_is_found_and_does_not_tell_its_order():
    one, two, three = (bytes([n]) * 32 for n in (1, 2, 3))
    trained = Trained.of([two, one, two], [three])
    assert trained.people.shape == (2, 32)
    assert [row.tobytes() for row in trained.people] == [one, two]
    assert trained.known == {three}
    assert Trained.of([], []).comparisons.shape == (0, 32)
