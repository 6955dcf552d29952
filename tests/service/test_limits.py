"""Bounds of requests are settings: what they say is told, and holds."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gustibus.client import Client
from gustibus.errors import ConfigError
from gustibus.service.settings import Settings
from tests.service.harness import DIM, running

LOWER = {
    "import_line": 2048, "import_table": 4096, "header_bytes": 2048, "url_bytes": 300,
    "candidate_texts": 3, "candidate_base64": 4, "candidate_arrays": 2, "binary_rows": 6,
    "embedding_dim": 64, "user_dim": 8, "request_tokens": 100,
}  # fmt: skip
TOLD = {
    "import_line": "import_line_bytes", "import_table": "import_table_bytes", "candidate_texts": "texts",
    "candidate_base64": "base64_embeddings", "candidate_arrays": "float_arrays",
}  # fmt: skip
"""Where the reply has another name."""


@pytest.fixture(scope="module")
def service(tmp_path_factory, texts_folder, texts_model):
    del texts_model
    folder = tmp_path_factory.mktemp("lower")
    lower = {f"gustibus_{name}": str(value) for name, value in LOWER.items()}
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(texts_folder), **lower
    ) as found:
        yield found


@pytest.fixture(scope="module")
def http(service):
    with service.client() as client:
        yield client


def refused(reply, status, code, *words):
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    for word in words:
        assert word in reply.json()["detail"]


def test_what_is_set_is_told(http, service):
    told = http.get("/v1/limits").json()
    for name, value in LOWER.items():
        assert told[TOLD.get(name, name)] == value, name
    with Client(service.base, http.headers["Authorization"].removeprefix("Bearer ")) as client:
        assert (client.limits().embedding_dim, client.limits().user_dim) == (64, 8)


def test_candidates_of_each_kind_are_bounded_by_their_setting(http):
    packed = base64.b64encode(np.zeros(64, "<f4").tobytes()).decode()
    kinds = [
        ("text", 3, "a text"),
        ("base64", 4, {"embedding": {"b64": packed}}),
        ("float array", 2, {"embedding": [0.0] * 64}),
    ]
    for kind, most, one in kinds:
        fits = http.post("/v1/score", json={"candidates": [one] * most})
        assert fits.status_code == 200, fits.text
        more = http.post("/v1/score", json={"candidates": [one] * (most + 1)})
        refused(more, 413, "too_many_candidates", kind, f"at most {most}")
    octets = {"Content-Type": "application/octet-stream"}
    for count in (6, 7):
        rows = http.post("/v1/score", content=bytes(4 * 64 * count), headers=octets)
        if count == 6:
            assert rows.status_code == 200
        else:
            refused(rows, 413, "too_many_candidates", "7 rows, at most 6")


def test_texts_that_cannot_be_counted_are_bounded_by_their_bytes(http):
    """The encoder of the model hashes words: it has no tokens, and nothing that could fit is refused."""
    for path in ("/v1/score", "/v1/encode", "/v1/best-of-n"):
        fits = http.post(path, json={"candidates": ["a" * 1000, f"{path} {'b' * 580}"]})
        assert fits.status_code == 200, fits.text
        more = http.post(path, json={"candidates": [f"{path} {'c' * 1000}", "d" * 600]})
        refused(more, 413, "too_many_tokens", "more than 100 tokens", "split")
    again = http.post(
        "/v1/score", json={"candidates": ["a" * 1000, "/v1/score " + "b" * 580, "e" * 600]}
    )
    assert again.json()["usage"]["cached"] == 2  # what is known is not encoded, and does not count


def test_trainers_may_send_more_texts_than_a_request_has(http):
    """Theirs are encoded in parts of as many as a request may have."""
    body = {"model": "default", "input": [f"text {n}" for n in range(8)]}
    assert len(http.post("/v1/compat/vllm/classify", json=body).json()["data"]) == 8


def test_headers_and_addresses_are_bounded_by_their_setting(http):
    assert http.get("/v1/limits", headers={"X-More": "x" * 1500}).status_code == 200
    refused(http.get("/v1/limits", headers={"X-More": "x" * 2048}), 400, "bad_header", "2048")
    refused(http.get("/v1/users", params={"after": "x" * 300}), 400, "bad_header", "300")


def test_records_and_tables_of_imports_are_bounded_by_their_setting(http):
    def begin(number, **more):
        headers = {"Idempotency-Key": f"import-{number}"}
        return http.post("/v1/imports", json=more, headers=headers).json()["upload"]

    lines = {"Content-Type": "application/x-ndjson"}
    kept = http.put(begin(1), content=b'{"x": "' + b"y" * 3000 + b'"}\n', headers=lines).json()
    assert (kept["rows"], kept["rejected"]) == (1, 1)
    refused(http.put(begin(2), content=b"x" * 3000, headers=lines), 413, "body_too_large", "2048")
    table = {"Content-Type": "application/vnd.apache.parquet"}
    reply = http.put(begin(3, format="parquet"), content=b"PAR1" * 1025, headers=table)
    refused(reply, 413, "body_too_large", "4096")


@pytest.mark.parametrize(("name", "has"), [("embedding_dim", DIM), ("user_dim", 4)])
def test_a_model_of_longer_vectors_is_not_served(
    tmp_path, vectors_folder, vectors_model, name, has
):
    assert vectors_model.model.item_dim == DIM
    expected = rf"{name}: expected at most 3 \(GUSTIBUS_{name.upper()}\), got {has}"
    settings = {"gustibus_model": str(vectors_folder), f"gustibus_{name}": "3"}
    with (
        pytest.raises(AssertionError, match=expected),
        running(f"sqlite:///{tmp_path}/s.db", tmp_path, **settings),
    ):
        pass


@pytest.mark.parametrize("name", sorted(LOWER))
def test_a_bound_outside_of_its_range_is_refused_at_the_start(name):
    with pytest.raises(ConfigError, match=f"GUSTIBUS_{name.upper()}: expected a number from"):
        Settings.from_env({f"GUSTIBUS_{name.upper()}": "0"})
