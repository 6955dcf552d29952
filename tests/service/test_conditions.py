"""`ETag`, `If-Match` and `If-None-Match` on people, items and sessions."""

from __future__ import annotations

import httpx
import pytest

from gustibus.client import ApiError, Client
from tests.service.harness import DIM, postgres, running

PEOPLE = {"a": {"attributes": {"locale": "en"}}, "b": {"attributes": {"locale": "de"}}}
ITEMS = {"a": {"tags": ["x"]}, "b": {"tags": ["x"]}}  # of two embeddings, which are not shown


@pytest.mark.parametrize(("path", "body"), [("users", PEOPLE), ("items", ITEMS)])
def test_a_change_meets_what_it_was_meant_for_or_nothing(http, features, path, body):
    if path == "items":
        body = {
            k: {**v, "embedding": features[n].tolist()} for n, (k, v) in enumerate(ITEMS.items())
        }
    at = f"/v1/{path}/conditional"
    missing = http.put(at, json=body["a"], headers={"If-Match": "*"})
    assert (missing.status_code, missing.json()["code"]) == (412, "etag_mismatch")
    made = http.put(at, json=body["a"], headers={"If-None-Match": "*"})
    assert made.status_code == 201, made.text
    assert http.put(at, json=body["a"], headers={"If-None-Match": "*"}).status_code == 412

    first = http.get(at)
    assert first.headers["etag"] == made.headers["etag"]
    again = http.get(at, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert "content-length" not in again.headers

    changed = http.put(at, json=body["b"], headers={"If-Match": first.headers["etag"]})
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] != first.headers["etag"]
    for method, more in (("PUT", {"json": body["a"]}), ("DELETE", {})):
        late = http.request(method, at, headers={"If-Match": first.headers["etag"]}, **more)
        assert (late.status_code, late.json()["code"]) == (412, "etag_mismatch"), late.text
    now = http.get(at, headers={"If-None-Match": first.headers["etag"]})
    assert (now.status_code, now.headers["etag"]) == (200, changed.headers["etag"])
    bad = http.put(at, json=body["a"], headers={"If-Match": "3"})
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_header")
    gone = http.delete(at, headers={"If-Match": changed.headers["etag"]})
    assert gone.status_code == 200, gone.text


def test_answers_of_a_person_change_what_is_shown_but_refuse_no_change_of_attributes(http):
    at = "/v1/users/conditional-answers"
    before = http.put(at, headers={"Idempotency-Key": "conditional-1"}).headers["etag"]
    row = {
        "user": "conditional-answers",
        "a": {"id": "item-0"},
        "b": {"id": "item-1"},
        "outcome": "a",
    }
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": [row]})
    assert reply.status_code == 201, reply.text
    assert http.get(at, headers={"If-None-Match": before}).status_code == 200
    again = http.put(at, headers={"Idempotency-Key": "conditional-1"})
    assert (again.headers["idempotency-replayed"], again.headers["etag"]) == ("true", before)
    assert http.put(at, json={"attributes": {}}, headers={"If-Match": before}).status_code == 200


def test_an_answer_is_refused_where_the_session_has_gone_on(http):
    made = http.post("/v1/onboarding/sessions", json={"user": "conditional-s"}).json()
    at = f"/v1/onboarding/sessions/{made['id']}"
    first = http.get(f"{at}/next").headers["etag"]
    ahead = http.get(f"{at}/next?prefetch=2").headers["etag"]
    assert ahead != first
    assert http.get(f"{at}/next", headers={"If-None-Match": first}).status_code == 304
    put = {"json": {"answer": "left"}, "headers": {"If-Match": ahead}}
    taken = http.put(f"{at}/answers/0", **put)
    assert taken.status_code == 200, taken.text
    assert http.get(f"{at}/next").headers["etag"] == taken.headers["etag"]
    assert http.put(f"{at}/answers/0", **put).status_code == 200  # sent again: nothing changes
    other = http.put(f"{at}/answers/0", json={"answer": "right"}, headers={"If-Match": first})
    assert (other.status_code, other.json()["code"]) == (412, "etag_mismatch")
    assert http.delete(at, headers={"If-Match": first}).status_code == 412
    assert http.delete(at, headers={"If-Match": taken.headers["etag"]}).status_code == 200


def test_the_client_reads_a_tag_and_changes_only_what_it_has_read(service):
    with Client(service.base, api_key=service.key) as client:
        client.users.put("conditional-client", attributes={"age": 4})
        read = client.users.get.with_raw_response("conditional-client")
        more = {**read.parse().attributes, "locale": "en"}
        now = client.users.put("conditional-client", attributes=more, if_match=read.etag)
        assert now.attributes == {"age": 4, "locale": "en"}
        with pytest.raises(ApiError) as caught:
            client.users.delete("conditional-client", if_match=read.etag)
        assert caught.value.code == "etag_mismatch"


def test_conditions_hold_rows_on_postgresql(tmp_path, vectors_folder, vectors_model):
    model = str(vectors_folder)
    with (
        postgres() as url,
        running(url, tmp_path, gustibus_model=model) as service,
        service.client() as http,
    ):
        for at, body in (("users/c", {}), ("items/c", {"embedding": [0.5] * DIM})):
            tag = http.put(f"/v1/{at}", json=body).headers["etag"]
            given = {"json": body, "headers": {"If-Match": tag}}
            assert http.put(f"/v1/{at}", **given).status_code == 200
            assert http.delete(f"/v1/{at}", headers={"If-Match": tag}).status_code == 200
            assert http.put(f"/v1/{at}", **given).status_code == 412


def test_tags_of_several_lines_are_one_list_and_none_of_them_is_left_out(http):
    at = "/v1/users/conditional-lines"
    body = {"attributes": {"age": 4}}
    tag = http.put(at, json=body).headers["etag"]
    for other in ('"0.0"', 'W/"1.1"'):
        for lines in ((tag, other), (other, tag)):
            given = [("If-Match", one) for one in lines]
            assert http.put(at, json=body, headers=given).status_code == 200
            known = [("If-None-Match", one) for one in (http.get(at).headers["etag"], other)]
            assert http.get(at, headers=known).status_code == 304
            assert http.get(at, headers=known[::-1]).status_code == 304
    lines = [
        ("If-None-Match", "*"),
        ("If-None-Match", '"0.0"'),
    ]  # not to be changed where it is there
    reply = http.put(at, json=body, headers=lines)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_header")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Idempotency-Key", ("one", "two")),
        ("X-Deadline-Ms", ("nonsense", "1000")),
        ("Content-Type", ("text/plain", "application/json")),
        ("Content-Encoding", ("zstd", "identity")),
        ("X-Request-Id", ("one", "two")),
    ],
)
def test_a_header_that_says_one_thing_and_another_is_refused(service, http, name, lines):
    given = [(name, one) for one in lines]
    reply = http.put("/v1/users/conditional-twice", content=b"{}", headers=given)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_header"), reply.text
    assert name in reply.json()["detail"]
    assert reply.headers["x-request-id"] == reply.json()["request_id"] != ""
    same = [("Authorization", f"Bearer {service.key}"), ("Authorization", "Bearer other")]
    for order in (same, same[::-1]):
        reply = httpx.get(f"{service.base}/v1/users/conditional-twice", headers=order)
        assert (reply.status_code, reply.json()["code"]) == (400, "bad_header")
