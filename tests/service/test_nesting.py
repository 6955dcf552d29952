"""How deeply a body may be nested, on every route that takes JSON."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import msgspec
import pytest

from gustibus.service.app import TABLE
from gustibus.service.decoding import read_json
from gustibus.service.nesting import MAX_DEPTH, is_bounded, is_deep
from gustibus.service.problems import Problem

JSON_ROUTES = [route for route in TABLE if route.request is not None]


def nested(levels: int, inner: Any = 0) -> Any:
    value = inner
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


def levels_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(levels_of, value.values()), default=0)
    return 1 + max(map(levels_of, value), default=0) if isinstance(value, list) else 0


def anything(pick: Random, levels: int) -> Any:
    """A random value that is nested `levels` deep at most, and now and then just so."""
    texts = ["", "]]}}", '"', "\\", '\\"[', "[[[{{{", "plain", "\u00e9[\n"]
    if levels == 0 or pick.random() < 0.03:
        return pick.choice([*texts, 1, None])
    inner = [anything(pick, levels - 1), *(pick.choice(texts) for _ in range(pick.randrange(4)))]
    pick.shuffle(inner)
    if pick.random() < 0.5:
        return inner
    return {f"{pick.choice(texts)}{place}": one for place, one in enumerate(inner)}


def test_levels_are_counted_and_brackets_in_texts_are_not():
    pick, seen = Random(0), set()
    for _ in range(500):
        value = anything(pick, pick.randrange(MAX_DEPTH - 2, MAX_DEPTH + 4))
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
            deep = levels_of(value) > MAX_DEPTH
            assert is_deep(text.encode()) is deep, text
            seen.add(deep)
    assert seen == {True, False}


def test_what_is_no_json_is_no_trouble():
    for text in (
        b"[" * 100_000,
        b"]" * 100,
        b'"' + b"[" * 100,
        b"[" * 17 + b'"\\',
        b"{]" * 50,
        b"",
    ):
        is_deep(text)
    assert is_deep(b"[" * 100_000)


class Bounded(msgspec.Struct, forbid_unknown_fields=True):
    """Nested three deep at most."""

    a: list[dict[str, float]] | None = None


class Tree(msgspec.Struct, forbid_unknown_fields=True):
    """As deep as one likes."""

    below: list[Tree] = []


class Loose(msgspec.Struct):
    """With whatever beside."""

    a: int = 0


def test_types_say_how_deep_they_are():
    assert is_bounded(Bounded)
    assert not any(map(is_bounded, (Tree, Loose, dict[str, Any], list[Any], Loose | None)))
    deep: Any = float
    for _ in range(MAX_DEPTH):
        deep = list[deep]
    assert is_bounded(deep)
    assert not is_bounded(list[deep])


@pytest.mark.parametrize("kind", [Tree, Loose, dict[str, Any]])
def test_a_type_without_a_bound_is_looked_through(kind):
    def body(levels: int) -> bytes:
        if kind is Tree:  # each branch is two
            value: Any = {}
            for _ in range(levels // 2):
                value = {"below": [value]}
            return json.dumps(value).encode()
        return json.dumps({"x": nested(levels - 1)}).encode()

    read_json(body(MAX_DEPTH - 1 if kind is Tree else MAX_DEPTH), kind)
    with pytest.raises(Problem, match="at most 16 levels") as found:
        read_json(body(MAX_DEPTH + 1), kind)
    assert found.value.code == "malformed_json"


@pytest.mark.parametrize("route", JSON_ROUTES, ids=lambda route: route.operation)
def test_every_route_refuses_what_is_nested_too_deeply(route):
    for extra in (nested(MAX_DEPTH), nested(3000)):
        text = "{" + f'"extra": {_dumped(extra)}' + "}"
        with pytest.raises(Problem) as found:
            read_json(text.encode(), route.request)
        assert found.value.code == "malformed_json", found.value.detail


def _dumped(value: Any) -> str:
    """JSON of a value that is too deep for the library."""
    head, tail = [], []
    while isinstance(value, dict | list):
        is_list = isinstance(value, list)
        head.append("[" if is_list else '{"x":')
        tail.append("]" if is_list else "}")
        value = value[0] if is_list else value["x"]
    return "".join(head) + str(value) + "".join(reversed(tail))


def test_over_http_it_is_no_json(http):
    told = http.put("/v1/users/deep", json={"attributes": {"a": nested(20)}})
    assert (told.status_code, told.json()["code"]) == (400, "malformed_json")
    assert "at most 16 levels" in told.json()["detail"]
    candidates = [{"id": f"item-{n}", "embedding": nested(17)} for n in range(8)]
    told = http.post("/v1/score", json={"candidates": candidates})
    assert (told.status_code, told.json()["code"]) == (400, "malformed_json")
    candidates = [{"id": f"item-{n}"} for n in range(40)]
    assert http.post("/v1/score", json={"candidates": candidates}).status_code == 200
    batch = {"requests": [{"candidates": candidates}, {"candidates": nested(17)}]}
    told = http.post("/v1/score:batch", json=batch).json()["data"]
    assert [one["status"] for one in told] == [200, 400]
    assert told[1]["problem"]["code"] == "malformed_json"
