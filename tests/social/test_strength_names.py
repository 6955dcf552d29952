"""Names of items are numbered alike, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.social import bradley_terry
from gustibus.social.strength_labels import intern


class Name(str):
    """A string of another type."""


@pytest.mark.parametrize("count", [1, 3, 100, 5000])
def test_names_are_numbered_by_first_appearance(count):
    rng = np.random.default_rng(count)
    pool = [f"item of some length {i}" if i % 3 else f"ñ{i}" for i in range(count)]
    picks = [rng.integers(0, count, 3000).tolist() for _ in range(2)]
    # fresh objects and shared ones
    columns = [["".join([pool[i]]) for i in picks[0]], [pool[i] for i in picks[1]]]
    (a, b), names = intern({"winners": columns[0], "losers": columns[1]})
    expected = {name: i for i, name in enumerate(dict.fromkeys([*columns[0], *columns[1]]))}
    assert names == tuple(expected)
    assert a.tolist() == [expected[x] for x in columns[0]]
    assert b.tolist() == [expected[x] for x in columns[1]]


def test_known_names_come_first_and_unknown_ones_are_refused():
    (codes,), names = intern({"winners": ["b", "a"]}, ["a", "b", "c"])
    assert (codes.tolist(), names) == ([1, 0], ("a", "b", "c"))
    with pytest.raises(InputError, match="'z'"):
        bradley_terry(["a", "z"], ["z", "a"], items=["a", "b"])


@pytest.mark.parametrize("odd", [Name("x"), 3, b"x", ("x",), "\ud800"])
def test_what_is_no_plain_string_is_a_label_too(odd):
    fit = bradley_terry(["a", odd, "a"], [odd, "a", odd])
    assert fit.labels == ("a", odd)
    assert fit.order == ["a", odd]


def test_a_missing_name_is_an_error():
    with pytest.raises(InputError, match="missing"):
        bradley_terry(["a", None], ["b", "a"])
