"""What comes over HTTP: bodies of every kind, addresses, keys, tokens, cursors."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from gustibus.service.app import TABLE
from gustibus.service.routing import Route
from tests.fuzz.parsers import made, spoil
from tests.fuzz.parsers.served import Answer, Served
from tests.service.harness import DIM

BODIES = [route for route in TABLE.routes if route.request is not None]
QUERIES = [route for route in TABLE.routes if route.query is not None and not route.stream]
LISTS = [
    ("/v1/users", "users"), ("/v1/items", "items"), ("/v1/comparisons", "comparisons "),
    ("/v1/jobs", "jobs"), ("/v1/audit", "audit"),
]  # fmt: skip


def _end(answer: Answer) -> str:
    return answer.code or f"{answer.status}"


def _path(rng: random.Random, route: Route) -> str:
    path = route.path
    for name in route.parameters:
        known = {"session": "session_x", "user": "user-0", "item": "item-0"}.get(name, "x")
        path = path.replace(f"{{{name}}}", known)
    return path


def _headers(rng: random.Random, route: Route) -> dict[str, bytes]:
    headers = {}
    if route.keyed or (route.idempotent and rng.random() < 0.2):
        headers["idempotency-key"] = b"%d" % rng.randrange(1 << 40)
    if route.conditional:
        headers["if-match"] = rng.choice((b'"1"', b'"2"', b"*", b'"', b'"99999999999"'))
    return headers


def json_bodies(rng: random.Random, to: Served) -> str:
    """A body of one of the routes that read one."""
    route = rng.choice(BODIES)
    value: Any
    if route.example is not None and rng.random() < 0.3:
        value = route.example
    else:
        value = made.value_of(rng, route.request)
    body = spoil.json_of(rng, value)
    headers = _headers(rng, route)
    if rng.random() < 0.1:
        packed = gzip.compress(body, 1)
        body = spoil.bytes_of(rng, packed) if rng.random() < 0.5 else packed
        headers["content-encoding"] = b"gzip"
    pieces = rng.choice((1, 1, 1, 3))
    return _end(to.ask(route.method, _path(rng, route), body, headers=headers, pieces=pieces))


def base64_vectors(rng: random.Random, to: Served) -> str:
    """Embeddings as base64 in scores, comparisons and items."""
    kind = rng.choice(("f32", "f16"))
    rows = np.random.default_rng(rng.randrange(1 << 30)).standard_normal((3, DIM))
    texts = [base64.b64encode(row.astype(f"<{kind[0]}{int(kind[1:]) // 8}")) for row in rows]
    if rng.random() < 0.7:
        texts[0] = spoil.bytes_of(rng, texts[0])
    vectors = [
        {"embedding": {"b64": text.decode("latin-1"), "dtype": kind}} for text in texts
    ]  # fmt: skip
    path, body = rng.choice([
        ("/v1/score", {"candidates": vectors}),
        ("/v1/compare", {"a": vectors[0], "b": vectors[1]}),
        ("/v1/items:batch", {"items": [{"id": f"b{n}", **v} for n, v in enumerate(vectors)]}),
        ("/v1/comparisons", {"comparisons": [
            {"user": "user-1", "a": vectors[0], "b": {"id": "item-0"}, "outcome": "a"}
        ]}),
    ])  # fmt: skip
    if rng.random() < 0.1:
        body = spoil.value_of(rng, body)
    return _end(to.ask("POST", path, json.dumps(body).encode("utf-8", "surrogatepass")))


def octets(rng: random.Random, to: Served) -> str:
    """Embeddings as bytes."""
    kind = rng.choice(("f32", "f16"))
    rows = np.random.default_rng(rng.randrange(1 << 30)).standard_normal(
        (rng.choice((1, 5, 400)), DIM)
    )
    body = rows.astype("<f4" if kind == "f32" else "<f2").tobytes()
    query = f"dtype={kind}&user=user-1".encode()
    if rng.random() < 0.6:
        body = spoil.bytes_of(rng, body)
    if rng.random() < 0.3:
        query = spoil.bytes_of(rng, query)
    kind = "application/octet-stream"
    pieces = rng.choice((1, 2, 50))
    return _end(to.ask("POST", "/v1/score", body, query=query, kind=kind, pieces=pieces))


def _rows(rng: random.Random, count: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"id": f"r{rng.randrange(1 << 40)}", "user": f"user-{rng.randrange(3)}",
         "item_a": f"item-{rng.randrange(12)}", "item_b": f"item-{rng.randrange(12)}",
         "outcome": rng.choice("ab"), "strength": rng.choice((None, 1.0, 2.5)),
         "at": rng.choice((None, "2026-01-02T03:04:05Z")), "source": rng.choice((None, "log"))}
        for _ in range(count)
    ]  # fmt: skip
    return rows


def _import(rng: random.Random, to: Served, form: str) -> str:
    made = to.ask(
        "POST", "/v1/imports", json.dumps({"format": form}).encode(),
        headers={"idempotency-key": b"%d" % rng.randrange(1 << 60)},
    )  # fmt: skip
    path: str = json.loads(made.body)["upload"]
    return path


def json_lines(rng: random.Random, to: Served) -> str:
    """Lines of an import, plain or packed, in pieces."""
    rows = [json.dumps(row).encode() for row in _rows(rng, rng.choice((0, 1, 3, 20)))]
    rows = [spoil.json_of(rng, json.loads(row)) if rng.random() < 0.2 else row for row in rows]
    body = rng.choice((b"\n", b"\r\n", b"\n\n")).join(rows)
    if rng.random() < 0.3:
        body = spoil.bytes_of(rng, body)
    headers, query = {}, b"" if rng.random() < 0.8 else spoil.bytes_of(rng, b"from=0&final=true")
    if rng.random() < 0.4:
        body = gzip.compress(body if rng.random() < 0.9 else body + b" " * (8 << 20), 6)
        if rng.random() < 0.5:
            body = spoil.bytes_of(rng, body)
        headers["content-encoding"] = b"gzip"
    path, kind = _import(rng, to, "ndjson"), "application/x-ndjson"
    pieces = rng.choice((1, 2, 30))
    return _end(to.ask("PUT", path, body, query=query, kind=kind, headers=headers, pieces=pieces))


def parquet_bytes(rng: random.Random) -> bytes:
    """A Parquet file of comparisons, now and then with hostile contents."""
    rows = _rows(rng, rng.choice((1, 3, 50)))
    how = rng.random()
    if how < 0.2:  # one for all rows, as a column has one type
        name = rng.choice(("outcome", "user", "strength", "at", "more"))
        odd = rng.choice((*spoil.WORDS, *spoil.NUMBERS, True, b"\xff", ["a"], [["a"]], {"a": [1]}))
        rows = [{**row, name: odd} for row in rows]
    if how < 0.05:
        rows = [{**row, "response_a": "x" * (1 << 20)} for row in rows]
    try:
        table = pa.Table.from_pylist(rows)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # values of several types
        table = pa.Table.from_pylist(_rows(rng, 3))
    if rng.random() < 0.2:
        name = rng.choice(table.column_names)
        kind = rng.choice((pa.binary(), pa.large_string(), pa.list_(pa.string())))
        try:
            column = table[name].cast(kind)
        except pa.ArrowException:
            column = pa.array([[["x"]]] * len(table), pa.list_(pa.list_(pa.string())))
        table = table.set_column(table.column_names.index(name), name, column)
    out = io.BytesIO()
    packing = rng.choice(("none", "snappy", "gzip", "zstd"))
    try:
        parquet.write_table(table, out, compression=packing, use_dictionary=rng.random() < 0.5)
    except pa.ArrowException:  # a type that Parquet does not have
        parquet.write_table(pa.Table.from_pylist(_rows(rng, 3)), out)
    return out.getvalue()


def parquet_files(rng: random.Random, to: Served) -> str:
    """An import of Parquet."""
    body = parquet_bytes(rng)
    if rng.random() < 0.7:
        body = spoil.bytes_of(rng, body)
    path, kind = _import(rng, to, "parquet"), "application/vnd.apache.parquet"
    return _end(to.ask("PUT", path, body, kind=kind, pieces=rng.choice((1, 3))))


def cursors(rng: random.Random, to: Served) -> str:
    """Places in lists, sealed and spoiled, and everything else that stands in an address."""
    if rng.random() < 0.3:
        route = rng.choice(QUERIES)
        value = made.value_of(rng, route.query)
        text = "&".join(f"{name}={value}" for name, value in value.items()).encode()
        query = spoil.bytes_of(rng, text) if rng.random() < 0.7 else text
        body = made.raw(route.example) if route.request is not None else b""
        headers = _headers(rng, route)
        return _end(to.ask(route.method, _path(rng, route), body, query=query, headers=headers))
    path, kind = rng.choice(LISTS)
    name = rng.choice(("user-0", "item-1", "7", "ß", "", "x" * 200))
    cursor = to.gate.state.cursors.seal(kind, name).encode()
    if rng.random() < 0.7:
        cursor = spoil.bytes_of(rng, cursor)
    return _end(to.ask("GET", path, query=b"limit=2&after=" + cursor))


def keys(rng: random.Random, to: Served) -> str:
    """The header that says who asks, and the others that are read."""
    key = to.key.encode()
    header = b"Bearer " + key
    if rng.random() < 0.3:
        header = b"Basic " + base64.b64encode(b"key:" + key)
    if rng.random() < 0.7:
        header = spoil.bytes_of(rng, header)
    headers = {}
    for name, value in (
        ("x-request-id", b"abc-1"), ("x-deadline-ms", b"2000"), ("traceparent", b"00-1-2-01"),
        ("idempotency-key", b"one"), ("content-encoding", b"identity"), ("content-length", b"3"),
    ):  # fmt: skip
        if rng.random() < 0.3:
            headers[name] = spoil.bytes_of(rng, value) if rng.random() < 0.5 else value
    method, path = rng.choice((("GET", "/v1/version"), ("POST", "/v1/score"), ("GET", "/metrics")))
    body = b'{"candidates":[{"id":"item-0"}]}'
    answer = to.ask(method, path, body, headers=headers, key=header)
    return _end(answer)


def tokens(rng: random.Random, to: Served) -> str:
    """Tokens of onboarding sessions."""
    session = to.session["id"]
    token = issued = to.gate.state.sessions.issue(session).text.encode()
    if rng.random() < 0.8:
        token = spoil.bytes_of(rng, token)
    path = f"/v1/onboarding/sessions/{session}/next"
    answer = to.ask("GET", path, key=b"Bearer " + token)
    assert answer.status != 200 or token == issued, "a token that nobody issued was taken"
    return _end(answer)


TARGETS = {
    "json": json_bodies, "base64": base64_vectors, "octets": octets, "json-lines": json_lines,
    "parquet": parquet_files, "cursors": cursors, "keys": keys, "tokens": tokens,
}  # fmt: skip
