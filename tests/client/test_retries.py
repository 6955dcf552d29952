"""When a client sends a request again, against a server that refuses, breaks and hangs."""

from __future__ import annotations

import dataclasses
import socket
import time

import httpx
import pytest

from gustibus.client import (
    ApiConflictError,
    ApiConnectionError,
    ApiError,
    ApiNotFoundError,
    ApiTimeoutError,
    AuthenticationError,
    BadReplyError,
    InvalidRequestError,
    Options,
    RateLimitedError,
    ServiceError,
    UnavailableError,
)
from gustibus.client.attempts import Attempts
from gustibus.client.calls.operations import livez
from gustibus.client.calls.versions import rollback
from gustibus.errors import ConfigError, NotFoundError, OverloadedError
from tests.client.scripted import RESET, ok, problem

LIVE = ok({"status": "ok", "news": "unknown fields are ignored"})
TAKEN = ok({"accepted": 1, "duplicates": 0, "rejected": [], "ids": ["c"], "profiles": "queued"})
CHAMPION = {
    "alias": "champion", "model": "default", "version": 2, "previous": 1, "revision": 2,
    "updated_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
ROW = {"user": "u", "a": "x", "b": "y", "outcome": "a"}


@pytest.mark.parametrize(
    "refusal",
    [
        problem(408, "timeout"),
        problem(409, "idempotency_in_progress"),
        problem(429, "rate_limited"),
        problem(500, "internal"),
        problem(502, "bad_gateway"),
        problem(503, "queue_full"),
        problem(504, "deadline_exceeded"),
        RESET,
    ],
    ids=lambda r: r if r == RESET else str(r[0]),
)
def test_what_may_pass_is_tried_twice_more(make, script, refusal):
    script.answers = [refusal, refusal, LIVE]
    assert make(script.url).livez().status == "ok"
    assert len(script.seen) == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "malformed_json", InvalidRequestError),
        (401, "unauthenticated", AuthenticationError),
        (404, "not_found", ApiNotFoundError),
        (409, "conflict", ApiConflictError),
        (422, "invalid_field", InvalidRequestError),
        (429, "too_many_failures", RateLimitedError),
    ],
)
def test_what_only_another_request_can_change_is_raised_at_once(make, script, status, code, kind):
    script.answers = [problem(status, code, request_id="req-9", errors=[
        {"pointer": "/candidates/3/embedding", "detail": "dimension 5"}
    ])]  # fmt: skip
    with pytest.raises(kind) as caught:
        make(script.url).livez()
    error = caught.value
    assert (error.status, error.code, error.request_id) == (status, code, "req-9")
    assert error.detail == f"because of {code}"
    assert error.pointer == "/candidates/3/embedding"
    assert error.errors[0].detail == "dimension 5"
    assert len(script.seen) == 1


def test_the_last_refusal_is_raised(make, script):
    script.answers = [problem(503, "queue_full")]
    with pytest.raises(UnavailableError) as caught:
        make(script.url).livez()
    assert isinstance(caught.value, ServiceError)
    assert isinstance(caught.value, OverloadedError)
    assert len(script.seen) == 3


def test_no_retries_where_none_are_wanted(make, script):
    script.answers = [problem(503, "queue_full")]
    client = make(script.url)
    with pytest.raises(UnavailableError):
        client.with_options(max_retries=0).livez()
    assert len(script.seen) == 1
    with pytest.raises(UnavailableError):
        client.livez()
    assert len(script.seen) == 4


def test_what_retry_after_asks_for_is_waited_for(make, script):
    script.answers = [problem(429, "rate_limited", retry_after=1), LIVE]
    raw = make(script.url).livez.with_raw_response()
    assert raw.retries == 1


def test_a_retry_after_that_is_too_long_is_raised(make, script):
    script.answers = [problem(429, "rate_limited", retry_after=3600), LIVE]
    with pytest.raises(RateLimitedError) as caught:
        make(script.url).livez()
    assert caught.value.retry_after == 3600
    assert len(script.seen) == 1


def test_a_write_keeps_its_idempotency_key_over_attempts(make, script):
    script.answers = [RESET, problem(500, "internal"), TAKEN, TAKEN]
    client = make(script.url)
    assert client.comparisons.create([ROW]).accepted == 1
    keys = [one["headers"]["idempotency-key"] for one in script.seen]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    client.comparisons.create([ROW])
    assert script.seen[-1]["headers"]["idempotency-key"] != keys[0]
    client.comparisons.create([ROW], idempotency_key="mine")
    assert script.seen[-1]["headers"]["idempotency-key"] == "mine"


def test_a_read_has_no_idempotency_key(make, script):
    script.answers = [LIVE]
    make(script.url).livez()
    assert "idempotency-key" not in script.seen[0]["headers"]


@pytest.mark.parametrize(("lost", "sends"), [(RESET, 1), (problem(500, "internal"), 1)])
def test_what_must_not_happen_twice_is_not_sent_again(make, script, lost, sends):
    script.answers = [lost, ok(CHAMPION)]
    client = make(script.url)
    with pytest.raises((ApiConnectionError, ServiceError)):
        client.versions.rollback(revision=1)
    assert len(script.seen) == sends


@pytest.mark.parametrize("lost", [RESET, problem(500, "internal")])
def test_what_a_matching_is_told_is_sent_again_under_its_key(make, script, lost):
    tell = [
        lambda them: them.add_items("m", [1]),
        lambda them: them.report("m", {0: True}),
        lambda them: them.expire("m", 1.0),
    ]
    for one in tell:
        script.answers = [lost, ok({"sequence": 1, "first": 3})]
        script.seen.clear()
        assert one(make(script.url).rank.matchings).sequence == 1
        first, again = (seen["headers"]["idempotency-key"] for seen in script.seen)
        assert first == again


def test_a_refusal_before_any_effect_is_repeated_for_it_too(make, script):
    script.answers = [problem(503, "queue_full"), ok(CHAMPION)]
    assert make(script.url).versions.rollback(revision=1).version == 2


def test_a_service_that_is_not_there(make):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ApiConnectionError, match="GET /livez: no connection"):
        make(f"http://127.0.0.1:{port}").livez()


def test_a_client_that_was_closed_says_so_and_sends_nothing(make, script):
    client = make(script.url)
    again = client.with_options(timeout=3.0)
    client.close()
    for one in (client, again):
        with pytest.raises(ApiConnectionError, match="the client was closed"):
            one.livez()
    assert not script.seen


def test_a_reply_that_does_not_come_in_time(make, script):
    script.answers = [(0, {}, b"{}")]
    with pytest.raises(ApiTimeoutError, match="no reply in time"):
        make(script.url, timeout=0.2, max_retries=1).livez()
    until = time.monotonic() + 30  # a busy server reads what was sent when it gets to it
    while len(script.seen) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(script.seen) == 2


def test_the_deadline_is_passed_on_and_ends_the_attempts(make, script):
    script.answers = [problem(503, "queue_full", retry_after=30)]
    client = make(script.url, deadline=20.0)
    with pytest.raises(UnavailableError):  # the wait would outlast the deadline
        client.livez()
    assert len(script.seen) == 1
    assert 0 < int(script.seen[0]["headers"]["x-deadline-ms"]) <= 20_000
    script.answers = [LIVE]
    client.with_options(deadline=500.0).livez()
    assert script.seen[-1]["headers"]["x-deadline-ms"] == "60000"
    make(script.url).livez()
    assert "x-deadline-ms" not in script.seen[-1]["headers"]


def test_a_reply_of_something_else_than_the_service(make, script):
    script.answers = [(200, {}, b"<html>")]
    with pytest.raises(BadReplyError, match="Health"):
        make(script.url).livez()
    script.answers = [(200, {}, b"[1]")]
    with pytest.raises(BadReplyError):
        make(script.url).livez()
    script.answers = [(404, {}, b"no such page")]
    with pytest.raises(ApiNotFoundError, match="no such page") as caught:
        make(script.url).livez()
    assert caught.value.code == "http_404"
    assert isinstance(caught.value, NotFoundError)


def test_the_raw_reply(make, script):
    script.answers = [LIVE]
    raw = make(script.url).livez.with_raw_response()
    assert (raw.status, raw.request_id, raw.retries) == (200, "req-1", 0)
    assert raw.headers["content-type"] == "application/json"
    assert b"unknown fields" in raw.content
    assert raw.parse().status == "ok"


def test_where_the_service_is_and_the_key_come_from_the_environment(make, script, monkeypatch):
    monkeypatch.setenv("GUSTIBUS_URL", script.url + "/")
    monkeypatch.setenv("GUSTIBUS_KEY", "secret-key")
    script.answers = [LIVE]
    client = make()
    client.livez()
    assert script.seen[0]["headers"]["authorization"] == "Bearer secret-key"
    assert "secret-key" not in repr(client if make.kind == "sync" else client._inner)
    with pytest.raises(ConfigError, match="base_url"):
        make("localhost:8000")


def test_a_redirect_is_not_followed(make, script):
    script.answers = [(302, {"Location": "http://127.0.0.1:9/"}, b""), LIVE]
    with pytest.raises(ApiError) as caught:
        make(script.url).livez()
    assert caught.value.status == 302


def test_a_client_of_httpx_may_be_given_and_stays_open(script):
    from gustibus import Client

    script.answers = [LIVE]
    with httpx.Client(headers={"X-Team": "blue"}) as http:
        with Client(script.url, http=http) as client:
            client.livez()
        assert script.seen[0]["headers"]["x-team"] == "blue"
        assert not http.is_closed


def test_waits_grow_are_jittered_and_follow_what_was_asked_for():
    options = Options(pause=0.5, longest_pause=4.0)
    assert [options.delay(n, None, 1.0) for n in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert options.delay(3, None, 0.0) == 0.0
    assert options.delay(0, 7.0, 0.5) == 7.25


def test_attempts_end_when_the_deadline_has_passed():
    now = [0.0]
    options = Options(deadline=1.0, max_retries=9)
    attempts = Attempts(livez(), options, clock=lambda: now[0], draw=lambda: 0.5)
    assert attempts.outgoing()["timeout"] == 1.0
    now[0] = 0.4
    assert attempts.replied(503, {}, b"{}") == pytest.approx(0.125)
    assert attempts.outgoing()["headers"]["x-deadline-ms"] == "600"
    now[0] = 1.5
    with pytest.raises(ApiTimeoutError, match="deadline of 1 s"):
        attempts.outgoing()


def test_a_connection_that_was_refused_is_tried_again_whatever_the_request():
    attempts = Attempts(rollback(revision=1), Options(), draw=lambda: 0.0)
    assert attempts.failed(OSError("refused"), sent=False, slow=False) == 0.0
    with pytest.raises(ApiConnectionError):
        attempts.failed(OSError("lost"), sent=True, slow=False)


def test_results_are_frozen(make, script):
    script.answers = [LIVE]
    found = make(script.url).livez()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.status = "other"
