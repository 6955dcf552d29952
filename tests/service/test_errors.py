"""Every way of being wrong has its own clear problem, and never an internal error."""

from __future__ import annotations

import base64
import gzip
import http.client as http_client
import json
import math
import socket
import time

import httpx
import numpy as np
import pytest

from gustibus.service.problems import CODES
from gustibus.store import Store
from tests.service.harness import DIM, new_key

JSON = {"Content-Type": "application/json"}
ONE = {"candidates": [{"id": "item-0"}]}


def check(reply: httpx.Response, status: int, code: str, pointer: str | None = None) -> dict:
    """A problem of RFC 9457, complete and consistent."""
    body = reply.json()
    assert (reply.status_code, body["code"]) == (status, code), reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["status"] == status == CODES[code].status
    assert body["type"] == f"urn:gustibus:problem:{code.replace('_', '-')}"
    assert body["detail"]
    assert body["error"] == {
        "message": body["detail"], "type": CODES[code].type, "code": code,
        "param": body["errors"][0]["pointer"] if body.get("errors") else None,
    }  # fmt: skip
    assert body["request_id"] == reply.headers["x-request-id"]
    assert body["instance"] == reply.request.url.path
    if pointer is not None:
        assert body["errors"][0]["pointer"] == pointer
    return body


def embedding(values) -> dict:
    data = np.asarray(values, "<f4").tobytes()
    return {"embedding": {"b64": base64.b64encode(data).decode()}}


@pytest.mark.parametrize("form", ["base64", "array"])
def test_a_wrong_dimension(http, form):
    made = embedding(np.zeros(DIM + 1)) if form == "base64" else {"embedding": [0.0] * (DIM + 1)}
    reply = http.post("/v1/score", json={"candidates": [{"id": "item-0"}, made]})
    body = check(reply, 422, "dimension_mismatch", "/candidates/1/embedding")
    assert f"dimension {DIM + 1}, the model expects {DIM}" in body["detail"]


def test_a_wrong_dimension_in_binary(http):
    octets = {"Content-Type": "application/octet-stream"}
    odd = http.post("/v1/score?dtype=f32", content=b"x" * 13, headers=octets)
    check(odd, 422, "dimension_mismatch", "")
    named = http.post("/v1/score?dim=7", content=b"\0" * 28, headers=octets)
    check(named, 422, "dimension_mismatch", "query:dim")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite(http, value):
    made = embedding([value] + [0.0] * (DIM - 1))
    reply = http.post("/v1/score", json={"candidates": [{"id": "item-0"}, made]})
    check(reply, 422, "not_finite", "/candidates/1/embedding")
    octets = {"Content-Type": "application/octet-stream"}
    rows = np.zeros((3, DIM), "<f4")
    rows[2, 1] = value
    reply = http.post("/v1/score", content=rows.tobytes(), headers=octets)
    check(reply, 422, "not_finite", "/2")


def test_a_number_that_json_does_not_have(http):
    body = b'{"candidates":[{"embedding":[NaN,0,0,0,0,0]}]}'
    check(http.post("/v1/score", content=body, headers=JSON), 400, "malformed_json")


@pytest.mark.parametrize("model", ["other", "default@000000000000", "default@"])
def test_an_unknown_model(http, model):
    if model == "default@":
        assert http.post("/v1/score", json={**ONE, "model": model}).status_code == 200
        return
    reply = http.post("/v1/score", json={**ONE, "model": model})
    assert "there is no model" in check(reply, 404, "not_found", "/model")["detail"]


def test_an_unknown_person_who_must_be_known(http):
    body = {**ONE, "user": "stranger", "on_unknown_user": "error"}
    check(http.post("/v1/score", json=body), 404, "not_found", "/user")


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "ä", "a/b", "a\u0000"])
def test_a_name_of_the_wrong_form(http, name):
    check(http.post("/v1/score", json={**ONE, "user": name}), 422, "invalid_field", "/user")


def test_a_body_that_is_too_long(http):
    long = json.dumps({"candidates": ["x" * (5 << 20)]}).encode()
    reply = http.post("/v1/score", content=long, headers=JSON)
    check(reply, 413, "body_too_large")
    assert reply.headers["connection"] == "close"
    pieces = (b"x" * (1 << 20) for _ in range(6))  # without a length in the head
    check(http.post("/v1/score", content=pieces, headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize("path", ["/v1/score", "/v1/nowhere"])
def test_a_refusal_reaches_who_is_still_sending(http, path):
    size, piece = 8 << 20, b" " * (1 << 16)
    address = (http.base_url.host, http.base_url.port)
    with socket.create_connection(address, timeout=30) as sender:
        head = {"Host": "x", "Content-Length": size, **JSON, **http.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        sender.sendall(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode())
        for _ in range(size // len(piece)):
            time.sleep(0.002)  # the refusal is there long before the end
            sender.sendall(piece)
        reply = http_client.HTTPResponse(sender)
        reply.begin()
        body = json.loads(reply.read())
    wanted = {"/v1/score": (413, "body_too_large"), "/v1/nowhere": (404, "not_found")}[path]
    assert (reply.status, body["code"]) == wanted


def test_too_many_candidates(http):
    reply = http.post("/v1/score", json={"candidates": [{"embedding": [0.0] * DIM}] * 17})
    check(reply, 413, "too_many_candidates", "/candidates")
    reply = http.post("/v1/score", json={"candidates": [{"id": "item-0"}] * 4097})
    check(reply, 422, "invalid_field", "/candidates")


def test_a_text_that_is_too_long(texts_http):
    reply = texts_http.post("/v1/score", json={"candidates": ["short", "x" * (33 << 10)]})
    check(reply, 413, "too_much_text", "/candidates/1")


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Bearer", "Bearer x", "Basic abc", "Bearer gustibus_live_0000_" + "A" * 43,
        "Bearer " + "\u00ff" * 60,
    ],
)  # fmt: skip
def test_a_wrong_key(service, header):
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    reply = httpx.post(f"{service.base}/v1/score", json=ONE, headers=headers)
    check(reply, 401, "unauthenticated")
    assert reply.headers["www-authenticate"].startswith("Bearer")


def test_a_right_id_with_a_wrong_secret(http, service):
    key = service.key[:-1] + ("A" if service.key[-1] != "A" else "B")
    with service.client(key) as other:
        check(other.post("/v1/score", json=ONE), 401, "unauthenticated")


def test_a_missing_scope(http, service):
    key = new_key(service.url, "score")
    service.settle(key)
    with service.client(key) as other:
        assert other.post("/v1/score", json=ONE).status_code == 200
        body = check(other.put("/v1/users/x"), 403, "forbidden")
        assert "users:write" in body["detail"]
        raw = other.post("/v1/score", json={"candidates": [{"embedding": [0.0] * DIM}]})
        assert "score:raw" in check(raw, 403, "forbidden")["detail"]


def test_a_revoked_key(http, service):
    from gustibus.store import Store, revoke_key

    key = new_key(service.url, "score")
    service.settle(key)
    store = Store(service.url)
    with store.write() as conn:
        revoke_key(conn, key_id=key.split("_")[2])
    store.close()
    headers = {"Authorization": f"Bearer {key}"}
    for _ in range(50):
        reply = httpx.post(f"{service.base}/v1/score", json=ONE, headers=headers)
        if reply.status_code == 401:
            break
        import time

        time.sleep(0.1)
    check(reply, 401, "unauthenticated")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"candidates":[}', b"\xff\xfe", b'{"candidates":["\xff"]}', b"nul", b"{}x"],
)
def test_malformed_json(http, body):
    if body != b"{}x":
        check(http.post("/v1/score", content=body, headers=JSON), 400, "malformed_json")
    check(http.put("/v1/users/x", content=body or b"{", headers=JSON), *_read_as(body))


def _read_as(body):
    """A field that is not known is met before what is malformed behind it."""
    return (422, "invalid_field") if b"candidates" in body else (400, "malformed_json")


def test_a_body_that_is_too_deep(http):
    deep = b'{"candidates":[{"messages":' + b"[" * 5000 + b"]" * 5000 + b"}]}"
    check(http.post("/v1/score", content=deep, headers=JSON), 400, "malformed_json")


def test_duplicate_names(http):
    body = b'{"comparisons":[{"user":"x","user":"y","a":"1","b":"2","outcome":"a"}]}'
    reply = http.post("/v1/comparisons", content=body, headers=JSON)
    assert "'user' occurs twice" in check(reply, 400, "malformed_json")["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"candidates": []}, "/candidates"),
        ({"candidates": "x"}, "/candidates"),
        ({**ONE, "candidate": 1}, "/candidate"),
        ({**ONE, "normalize": "all"}, "/normalize"),
        ({"candidates": [{"id": "item-0", "text": "x"}]}, "/candidates/0"),
        ({"candidates": [{}]}, "/candidates/0"),
        ({"candidates": [{"embedding": {"b64": "!!!"}}]}, "/candidates/0/embedding/b64"),
    ],
)
def test_a_field_that_is_wrong(http, body, pointer):
    check(http.post("/v1/score", json=body), 422, "invalid_field", pointer)


@pytest.mark.parametrize(
    ("path", "body", "pointer", "detail"),
    [
        ("/v1/score", {**ONE, "normalize": "all"}, "/normalize",
         "expected one of ['none', 'population', 'user'], got 'all'"),
        ("/v1/score", {**ONE, "normalize": 3}, "/normalize",
         "expected one of ['none', 'population', 'user'], got `int`"),
        ("/v1/score", {**ONE, "return": ["stderr", "mean"]}, "/return/1",
         "expected one of ['basis', 'stderr'], got 'mean'"),
        ("/v1/jobs", {"kind": "tidy"}, "/kind",
         "expected one of ['bulk_score', 'delete_user', 'evaluate', 'export', 'import', "
         "'map_neighbours', 'refit_profiles', 'train'], got 'tidy'"),
        ("/v1/comparisons?wait=soon", None, "query:wait",
         "expected one of ['profile'], got 'soon'"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_among_the_choices(http, path, body, pointer, detail):
    body = {"comparisons": []} if body is None else body
    reply = http.post(path, json=body, headers={"Idempotency-Key": "choices"})
    told = check(reply, 422, "invalid_field", pointer)
    assert told["errors"] == [{"pointer": pointer, "detail": detail}]
    assert told["detail"] == f"{pointer}: {detail}"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/xml", "application/x-ndjson"])
def test_another_content_type(http, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    reply = http.post("/v1/score", content=b'{"candidates":["x"]}', headers=headers)
    check(reply, 415, "unsupported_media_type")


def test_another_content_encoding(http):
    headers = {**JSON, "Content-Encoding": "br"}
    check(http.post("/v1/score", content=b"x", headers=headers), 415, "unsupported_media_type")


def test_a_gzip_bomb(http, service):
    bomb = gzip.compress(b" " * (200 << 20))
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert len(bomb) < 1 << 20
    check(http.post("/v1/score", content=bomb, headers=headers), 413, "body_too_large")


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(b"{}", mtime=0)[:-4], gzip.compress(b"{}", mtime=0) + b"x"]
)
def test_a_broken_gzip_body(http, body):
    headers = {**JSON, "Content-Encoding": "gzip"}
    check(http.post("/v1/score", content=body, headers=headers), 400, "bad_encoding")


def test_an_item_that_is_not_there(http):
    reply = http.post("/v1/score", json={"candidates": [{"id": "item-0"}, {"id": "no-such"}]})
    check(reply, 404, "not_found", "/candidates/1/id")


def test_a_text_where_the_model_reads_none(http):
    check(http.post("/v1/score", json={"candidates": ["a text"]}), 422, "invalid_field")


def test_no_such_path_and_no_such_method(http):
    check(http.get("/v1/nothing"), 404, "not_found")
    reply = http.get("/v1/score")
    check(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"
    reply = http.post("/v1/version")
    check(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path",
    ["/", "/livez", "/onboard", "/v1/version", "/v1/users", "/v1/items/item-1", "/openapi.json"],
)
def test_head_is_get_without_the_body(http, path):
    got, head = http.get(path), http.head(path)
    assert (got.status_code, head.status_code) == (200, 200)
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    own = {"server-timing", "x-request-id", "date"}
    assert set(head.headers.items()) ^ set(got.headers.items()) <= {
        (name, reply.headers[name]) for reply in (got, head) for name in own
    }
    assert http.head("/v1/items/no-such").status_code == 404
    assert http.head("/v1/score").status_code == 405


def test_head_of_a_reply_in_pieces_ends_at_once(http):
    """The connection is used again, so that a body would be taken for the next reply."""
    path = "/v1/admin/comparisons.ndjson"
    got, head = http.get(path), http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert http.get("/livez").json() == {"status": "ok"}


def test_head_needs_a_key_where_get_does(service):
    assert httpx.head(f"{service.base}/v1/users").status_code == 401
    assert httpx.head(f"{service.base}/livez").status_code == 200


def test_the_root_says_what_answers_and_where_to_go(http, service):
    told = httpx.get(service.base).json()
    assert set(told) == {"name", "api", "links"}, "nothing about the build or the model"
    assert told["name"] == "gustibus"
    for name, path in told["links"].items():
        assert path.startswith("/"), name
        assert http.get(path).status_code == 200, name
    assert http.get("/").json() == {**told, "version": http.get("/v1/version").json()["version"]}


def test_a_parameter_that_is_not_known(http):
    check(http.get("/v1/users?limit=0"), 422, "invalid_field", "query:limit")
    check(http.get("/v1/users?page=1"), 422, "invalid_field", "query:page")
    check(http.get("/v1/users?limit=1&limit=2"), 422, "invalid_field", "query:limit")
    check(http.get("/v1/comparisons?outcome=null"), 422, "invalid_field", "query:outcome")
    check(http.get("/v1/version?x=1"), 422, "invalid_field")


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "ä"])
def test_a_cursor_that_was_made_up(http, cursor):
    reply = http.get("/v1/users", params={"after": cursor})
    check(reply, 422, "invalid_field", "query:after")


def test_a_cursor_of_another_list(http):
    after = http.get("/v1/items?limit=1").json()["next"]
    assert after
    reply = http.get("/v1/users", params={"after": after})
    check(reply, 422, "invalid_field", "query:after")


def test_headers_that_are_wrong(http):
    wrong = http.get("/v1/version", headers={"X-Request-Id": "a b"})
    check(wrong, 400, "bad_header")
    long = http.get("/v1/version", headers={"X-Long": "x" * 17_000})
    assert long.status_code in {400, 431}
    key = http.put("/v1/users/x", headers={"Idempotency-Key": "x" * 256})
    check(key, 400, "bad_header")
    check(http.get("/v1/version?" + "x" * 5000), 400, "bad_header")


@pytest.mark.parametrize("text", ["a\u0000b", "\ud800"])
def test_characters_that_cannot_be_kept(http, texts_http, text):
    body = json.dumps({"attributes": {"x": text}}).encode()
    reply = http.put("/v1/users/odd", content=body, headers=JSON)
    assert reply.status_code in {400, 422}, reply.text
    item = json.dumps({"text": text}).encode()
    reply = texts_http.put("/v1/items/odd", content=item, headers=JSON)
    assert reply.status_code in {400, 422}, reply.text
    scored = json.dumps({"candidates": [text]}).encode()
    assert texts_http.post("/v1/score", content=scored, headers=JSON).status_code in {200, 400, 422}


def test_a_key_over_its_rate(tmp_path, vectors_folder, vectors_model):
    from tests.service.harness import running

    with (
        running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(vectors_folder),
            gustibus_rate="1", gustibus_burst="10",
        ) as service,
        service.client() as http,
    ):  # fmt: skip
        body = {"candidates": [{"embedding": [0.0] * DIM}] * 16}
        assert http.post("/v1/score", json=body).status_code == 200
        reply = http.post("/v1/score", json=body)
        check(reply, 429, "rate_limited")
        assert int(reply.headers["retry-after"]) >= 4


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("users/free", {"attributes": {"good": "x", "bad": [1]}}, "/attributes/bad"),
        ("users/free", {"attributes": {"a~/b": [1]}}, "/attributes/a~0~1b"),
        ("users/free", {"attributes": {"a~/b": 1 << 70}}, "/attributes/a~0~1b"),
        ("users/free", {"attributes": {"good": 1, "": 1}}, "/attributes/"),
        ("users/free", {"attributes": {"a/b": "\0"}}, "/attributes/a~1b"),
        ("users/free", {"a~/b": 1}, "/a~0~1b"),
        ("items/free", {"embedding": [0.5] * DIM, "tags": ["x", "y\0"]}, "/tags/1"),
    ],
)
def test_the_name_of_an_entry_is_told(http, path, body, pointer):
    body = check(http.put(f"/v1/{path}", json=body), 422, "invalid_field", pointer)
    assert "key` in" not in body["detail"]


def test_the_name_of_an_entry_is_told_where_there_are_many(http):
    columns = {f"c{n}": "x" for n in range(30)}
    for entry, pointer in (({"c7": 5}, "/columns/c7"), ({"x" * 200: "y"}, "/columns/" + "x" * 200),
                           ({"c29": ""}, "/columns/c29"), ({}, "/columns/c0")):  # fmt: skip
        reply = http.post(
            "/v1/imports", json={"columns": columns | entry}, headers={"Idempotency-Key": pointer}
        )
        check(reply, 422, "invalid_field", pointer)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "it is empty"), (b" \n", "it is empty"),
        (rb'{"candidates": ["\ud800"]}', "half of a surrogate pair"),
        (rb'{"candidates": ["\udc00 x"]}', "half of a surrogate pair"),
        (b'{"candidates": ["x"', "truncated"),
    ],
)  # fmt: skip
def test_what_is_no_json_is_said_as_it_is(http, body, told):
    reply = http.post("/v1/score", content=body, headers=JSON)
    assert told in check(reply, 400, "malformed_json")["detail"]


@pytest.mark.parametrize("kind", ["export", "delete_user"])
def test_a_job_about_nobody_is_refused(http, kind):
    job = {"kind": kind, "user": "nobody-at-all"}
    reply = http.post("/v1/jobs", json=job, headers={"Idempotency-Key": f"nobody-{kind}"})
    if reply.json()["code"] == "invalid_field":  # there is no folder for results here
        check(reply, 422, "invalid_field", "/kind")
    else:
        check(reply, 404, "not_found", "/user")
    assert http.get("/v1/users/nobody-at-all").status_code == 404
    assert http.put("/v1/users/nobody-at-all").status_code == 201
    assert http.delete("/v1/users/nobody-at-all").status_code == 200


def test_a_reset_takes_nothing_else(http):
    assert http.put("/v1/users/forgetful").status_code == 201
    path = "/v1/users/forgetful/profile:reset"
    check(http.post(path, json={"x": 1}), 422, "invalid_field", "/x")
    assert http.post(path, json={}).status_code == 200
    assert http.post(path).status_code == 200


def test_a_key_that_would_never_live_is_refused(http):
    body = {"name": "late", "scopes": ["score"], "expires_at": "2020-01-01T00:00:00Z"}
    check(http.post("/v1/keys", json=body), 422, "invalid_field", "/expires_at")
    assert "late" not in {one["name"] for one in http.get("/v1/keys").json()["data"]}


def test_one_idempotency_key_makes_one_key_and_its_secret_is_kept_nowhere(http, service):
    body = {"name": "only-once", "scopes": ["score"]}
    headers = {"Idempotency-Key": "one-key"}
    first = http.post("/v1/keys", json=body, headers=headers)
    assert first.status_code == 201
    made = first.json()
    again = check(http.post("/v1/keys", json=body, headers=headers), 409, "conflict")
    assert made["id"] in again["detail"]
    assert made["secret"] not in json.dumps(again)
    other = http.post("/v1/keys", json=body | {"name": "another"}, headers=headers)
    check(other, 422, "idempotency_mismatch")
    names = [one["name"] for one in http.get("/v1/keys").json()["data"]]
    assert names.count("only-once") == 1
    secret = made["secret"].encode()[-43:]
    store = Store(service.url)
    try:
        with store.read() as conn:
            kept = conn.exec_driver_sql("SELECT reply FROM idempotency").scalars().all()
    finally:
        store.close()
    assert made["id"].encode() in b"".join(kept)
    assert secret not in b"".join(kept)


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("POST", "/v1/items:batch", {"items": [{"id": "a\n", "text": "x"}]}, "/items/0/id"),
        ("POST", "/v1/comparisons",
         {"comparisons": [{"user": "a\n", "a": {"text": "x"}, "b": {"text": "y"}, "preferred": "a"}]},
         "/comparisons/0/user"),
        ("POST", "/v1/score", {"user": "a\n", **ONE}, "/user"),
        ("POST", "/v1/score", {"candidates": [{"id": "item-0\n"}]}, "/candidates/0/id"),
        ("POST", "/v1/compare", {"user": "a\n", "a": {"id": "item-0"}, "b": {"id": "item-1"}}, "/user"),
        ("POST", "/v1/onboarding/sessions", {"user": "a\n"}, "/user"),
        ("POST", "/v1/jobs", {"kind": "export", "user": "a\n"}, "/user"),
        ("POST", "/v1/models/default/versions", {"digest": "0" * 64 + "\n"}, "/digest"),
        ("POST", "/v1/keys", {"name": "k", "scopes": ["score"], "models": ["default\n"]}, "/models/0"),
        ("PUT", "/v1/users/a%0A", {}, "path:user"),
        ("GET", "/v1/comparisons?user=a%0A", None, "query:user"),
        ("GET", "/v1/audit?user=a%0A", None, "query:user"),
        ("GET", "/v1/audit?object=a%0A", None, "query:object"),
    ],
)  # fmt: skip
def test_a_new_line_behind_a_name(http, method, path, body, pointer):
    reply = http.request(method, path, json=body, headers={"Idempotency-Key": "new-line"})
    check(reply, 422, "invalid_field", pointer)
