"""What replies say of themselves is what the document says that they do."""

from __future__ import annotations

import httpx
import pytest

from gustibus.service.app import TABLE
from gustibus.service.openapi import document
from tests.service.harness import running

DOCUMENT = document()
USUAL = {
    "cache-control", "connection", "content-length", "content-type", "date", "server", "transfer-encoding",
    "vary", "x-content-type-options",
}  # fmt: skip
"""Headers that no client needs to be told about."""


def told(reply: httpx.Response) -> set[str]:
    return {name.lower() for name in reply.headers} - USUAL


def documented(reply: httpx.Response) -> set[str]:
    found = TABLE.find(reply.request.method, reply.request.url.path)
    assert found is not None, reply.request.url
    operation = DOCUMENT["paths"][found[0].path][reply.request.method.lower()]
    return {name.lower() for name in operation["responses"][str(reply.status_code)]["headers"]}


@pytest.fixture(scope="module")
def http(tmp_path_factory, vectors_folder, vectors_model, features):
    """A client of a server that limits every key."""
    folder = tmp_path_factory.mktemp("headers")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(vectors_folder), gustibus_rate="1000",
    ) as service, service.client() as client:  # fmt: skip
        batch = [
            {"id": f"item-{n}", "embedding": row.tolist()} for n, row in enumerate(features[:3])
        ]
        assert client.post("/v1/items:batch", json={"items": batch}).status_code == 200
        yield client


@pytest.mark.parametrize(
    ("method", "path", "sent", "headers", "status", "expected"),
    [
        ("GET", "/livez", None, {}, 200, set()),
        ("GET", "/v1/limits", None, {}, 200, set()),
        ("PUT", "/v1/users/headers", {}, {}, 201, {"etag"}),
        ("GET", "/v1/users/headers", None, {}, 200, {"etag"}),
        ("PUT", "/v1/users/headers", {}, {"If-Match": '"no"'}, 412, set()),
        (
            "POST",
            "/v1/score",
            {"candidates": [{"id": "item-1"}]},
            {},
            200,
            {"ratelimit", "ratelimit-policy"},
        ),
        ("POST", "/v1/score", {}, {}, 422, set()),
        ("GET", "/v1/users/nobody", None, {}, 404, set()),
    ],
)
def test_replies_tell_what_is_documented(http, method, path, sent, headers, status, expected):
    reply = http.request(method, path, json=sent, headers=headers)
    assert reply.status_code == status, reply.text
    always = {"x-request-id", "server-timing"} if status < 300 else {"x-request-id"}
    assert always | expected <= told(reply) & documented(reply)
    assert status >= 300 or told(reply) <= documented(reply)


def test_revisions_and_repetitions_are_documented(http):
    keyed = {"Idempotency-Key": "headers once"}
    made = http.post("/v1/keys", json={"name": "another", "scopes": ["score"]})
    assert made.status_code == 201, made.text
    shown = http.get(f"/v1/keys/{made.json()['id']}")
    changed = http.patch(
        f"/v1/keys/{made.json()['id']}", json={"name": "other"}, headers={"If-Match": shown.headers["etag"]}
    )  # fmt: skip
    ended = http.delete(f"/v1/keys/{made.json()['id']}")
    for reply, status in ((made, 201), (shown, 200), (changed, 200), (ended, 200)):
        assert reply.status_code == status, reply.text
        assert "etag" in told(reply) & documented(reply)
    sent = {
        "comparisons": [
            {
                "user": "somebody",
                "a": {"id": "item-1"},
                "b": {"id": "item-2"},
                "outcome": "a",
                "id": "headers-1",
            }
        ]
    }
    first, again = (http.post("/v1/comparisons", json=sent, headers=keyed) for _ in range(2))
    assert first.status_code == again.status_code == 201, first.text
    assert "idempotency-replayed" not in told(first)
    assert "idempotency-replayed" in told(again) & documented(again)
    known = http.get(
        "/v1/users/headers",
        headers={"If-None-Match": http.get("/v1/users/headers").headers["etag"]},
    )
    assert known.status_code == 304
    assert "etag" in told(known) & documented(known)
    for wrong in ("", "Bearer gustibus_live_01abc_no"):
        refused = httpx.get(
            f"{http.base_url}/v1/limits", headers={"Authorization": wrong} if wrong else {}
        )
        assert refused.status_code == 401
        assert "www-authenticate" in told(refused) & documented(refused)
