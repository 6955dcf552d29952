"""A name that stands twice in an object is refused on every route, for decoders would keep the last."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gustibus.service.problems import Problem
from gustibus.service.repeating import refuse_repeated

letters = st.characters(exclude_categories=["Cs"])
names = st.text(letters, max_size=3) | st.sampled_from(["a", "b", "é", '"', "\\", "{", "\n"])
spaces = st.sampled_from(["", " ", "\n\t"])


@st.composite
def written(draw, levels=3):
    """A JSON text, as others may write it: names again and again, escaped or not."""
    kind = draw(st.sampled_from(["value", "list", "object"])) if levels else "value"
    if kind == "value":
        value = draw(st.one_of(st.none(), st.integers(), names))
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    if kind == "list":
        return f"[{','.join(draw(st.lists(written(levels - 1), max_size=3)))}]"
    pairs = [
        draw(spaces) + _name(draw) + draw(spaces) + ":" + draw(spaces) + draw(written(levels - 1))
        for _ in range(draw(st.integers(0, 14)))
    ]
    return f"{{{','.join(pairs)}}}"


def _name(draw) -> str:
    name = draw(names)
    if draw(st.booleans()):
        return json.dumps(name, ensure_ascii=draw(st.booleans()))
    units = name.encode("utf-16-be", "surrogatepass")
    return (
        '"'
        + "".join(f"\\u{a:02x}{b:02X}" for a, b in zip(units[::2], units[1::2], strict=True))
        + '"'
    )


def twice(text: str) -> set[str]:
    """Every name that stands twice in an object, slowly."""
    found: set[str] = set()

    def look(pairs):
        held = [name for name, _ in pairs]
        found.update(name for name in held if held.count(name) > 1)

    json.loads(text, object_pairs_hook=look)
    return found


@given(text=written())
def test_a_name_is_found_as_a_whole_reader_finds_it(text):
    slow = twice(text)
    if not slow:
        refuse_repeated(text.encode())
        return
    with pytest.raises(Problem) as refused:
        refuse_repeated(text.encode())
    assert any(repr(name) in refused.value.detail for name in slow)


def test_requests_for_scores_are_refused_too(http):
    for body in (
        b'{"user": "ann", "user": "bob", "candidates": [{"id": "a"}]}',
        b'{"candidates": [{"id": "a"}, {"id": "b", "\\u0069d": "c"}]}',
    ):
        for path in ("/v1/score", "/v1/best-of-n", "/v1/rank/aggregate"):
            reply = http.post(path, content=body, headers={"content-type": "application/json"})
            assert reply.status_code in {400, 422}, reply.text
        reply = http.post("/v1/score", content=body, headers={"content-type": "application/json"})
        assert (reply.status_code, reply.json()["code"]) == (400, "malformed_json")
        assert "occurs twice in one object" in reply.json()["detail"]


def test_a_part_of_a_batch_is_refused_by_itself(http):
    part = '{"user": "ann", "candidates": [{"id": "a"}]}'
    bad = '{"user": "ann", "user": "bob", "candidates": [{"id": "a"}]}'
    reply = http.post(
        "/v1/score:batch", content=f'{{"requests": [{part}, {bad}]}}',
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert reply.status_code == 200, reply.text
    first, second = reply.json()["data"]
    assert first["status"] != 400
    assert second["status"] == 400


ONE = '{"user": "ann", "candidates": [{"id": "a"}]}'


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (f'{{"requests": [{ONE}]}}', 200),
        (f' {{"requests" : [{ONE}]\n}} \n', 200),
        (f'{{"requests": [{ONE}], "requests": [{ONE}, {ONE}]}}', 400),
        (f' {{"requests": [{ONE}] , "\\u0072equests" : [{ONE}] }} \n', 400),
        (f'{{"requests": [], "requests": [{ONE}]}}', 422),
        (f'{{"requests": 1, "requests": [{ONE}]}}', 422),
    ],
)
def test_a_batch_has_its_requests_once(http, body, status):
    headers = {"content-type": "application/json"}
    reply = http.post("/v1/score:batch", content=body, headers=headers)
    assert reply.status_code == status, reply.text
    if status == 400:
        assert "the name 'requests' occurs twice in one object" in reply.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        '{"candidates": [{"id": "item-0", "id": "item-1"}]}',
        '{"candidates": [{"id": "item-0"}, {"id": "item-1", "\\u0069d": "item-2"}]}',
        '{"candidates": [{"id": "item-0"}], "candidates": [{"id": "item-1"}]}',
        '{"user": null, "candidates": [{"id": "item-0"}], "user": null}',
        '{"user": "known", "user": "known", "candidates": [{"id": "item-0"}]}',
    ],
)
def test_scores_of_known_items_are_refused_too(http, body):
    http.put("/v1/users/known")
    for path, sent in (("/v1/score", body), ("/v1/score:batch", f'{{"requests": [{body}]}}')):
        reply = http.post(path, content=sent, headers={"content-type": "application/json"})
        problem = reply.json()["data"][0]["problem"] if path.endswith("batch") else reply.json()
        assert problem["code"] == "malformed_json"
        assert "occurs twice in one object" in problem["detail"]


@pytest.mark.parametrize(
    "body",
    [
        '{"candidates": [{"id": "item-0"}]}',
        '{"candidates": [{"id": "item-0"}, {"id": "item-0"}], "user": "known", "model": "default"}',
        '{"user": null, "candidates": [{"id": "item-0"}], "normalize": "none"}',
    ],
)
def test_scores_of_known_items_without_a_name_twice(http, body):
    http.put("/v1/users/known")
    reply = http.post("/v1/score", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200, reply.text
