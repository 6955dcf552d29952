"""How the clients wait for jobs, against a server that answers as a test says."""

from __future__ import annotations

import json
import time

import pytest

from gustibus.client import (
    ApiConnectionError,
    ApiNotFoundError,
    ApiTimeoutError,
    BadReplyError,
    ClientClosedError,
    JobFailedError,
    UnavailableError,
)
from gustibus.client.calls.groups import aggregate
from gustibus.client.waiting import Waiting, queued
from gustibus.errors import ConfigError, InputError
from tests.client.scripted import RESET, ok, problem

NOW = "2026-01-01T00:00:00+00:00"
ORDER = {"winners": ["a"], "ranking": [["a"], ["b"]], "order": ["a", "b"], "scores": None}
REPLY = {"result": ORDER, "certificate": {}, "method": "schulze", "source": "s", "transform": None,
         "unknown_users": []}  # fmt: skip


def job(state, **more):
    told = {"id": "job_1", "kind": "decision", "state": state, "done": 0, "total": None,
            "attempts": 1, "result": None, "error": None, "created_at": NOW, "started_at": None,
            "finished_at": None}  # fmt: skip
    return ok({**told, **more})


DONE = job("succeeded", result=REPLY)


def test_a_job_whose_reply_was_lost_is_asked_for_under_the_same_key(make, script):
    script.answers = [RESET, job("queued"), DONE]
    client = make(script.url, "key")
    pending = client.rank.aggregate.as_job([["a", "b"]])
    assert client.jobs.wait(pending, timeout=5).result.order == ("a", "b")
    first, second, look = script.seen
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"]
    assert json.loads(second["body"]) == {**json.loads(aggregate([["a", "b"]]).body), "async": True}
    assert (look["method"], look["path"]) == ("GET", "/v1/jobs/job_1")
    assert 0 < int(look["headers"]["x-deadline-ms"]) <= 5000


def test_the_request_itself_stays_as_it_was(make, script):
    request = aggregate([["a", "b"]], idempotency_key="mine")
    later = queued(request)
    assert "async" not in json.loads(request.body)
    assert (request.writes, later.writes, later.key) == (False, True, "mine")
    script.answers = [ok(REPLY)]
    make(script.url, "key").rank.aggregate([["a", "b"]], idempotency_key="mine")
    assert "idempotency-key" not in script.seen[0]["headers"]


def test_an_outage_is_sat_out(make, script):
    down = problem(503, "not_ready")
    script.answers = [job("running"), *[down] * 7, RESET, job("running", done=1), DONE]
    told = []
    found = make(script.url, "key").jobs.wait("job_1", timeout=30, progress=told.append)
    assert found.state == "succeeded"
    assert [(one.state, one.done) for one in told] == [
        ("running", 0), ("running", 1), ("succeeded", 0)
    ]  # fmt: skip


def test_an_outage_that_lasts_is_raised(make, script):
    script.answers = [job("running"), problem(503, "not_ready")]
    begun = time.monotonic()
    with pytest.raises(UnavailableError):
        make(script.url, "key").jobs.wait("job_1", timeout=60, outage=0.4)
    assert 0.3 < time.monotonic() - begun < 5
    script.answers, script.seen[:] = [problem(503, "not_ready")], []
    with pytest.raises(UnavailableError):
        make(script.url, "key", max_retries=0).jobs.wait("job_1", outage=0)
    assert len(script.seen) == 1


def test_nobody_there_is_an_outage(make):
    with pytest.raises(ApiConnectionError, match=r"no connection|deadline of 0\.3 s"):
        make("http://127.0.0.1:9", "key").jobs.wait("job_1", outage=0.3)
    with pytest.raises(ApiTimeoutError, match=r"not ended within 0\.2 s .*not known"):
        make("http://127.0.0.1:9", "key").jobs.wait("job_1", timeout=0.2)


def test_a_server_that_hangs_is_not_waited_for_beyond_the_timeout(make, script):
    script.answers = [(0, {}, b"{}")]
    begun = time.monotonic()
    with pytest.raises(ApiTimeoutError, match=r"not ended within 0\.3 s"):
        make(script.url, "key").jobs.wait("job_1", timeout=0.3)
    assert time.monotonic() - begun < 5


def test_what_another_look_would_not_change_is_raised_at_once(make, script):
    script.answers = [problem(404, "not_found"), job("running")]
    with pytest.raises(ApiNotFoundError):
        make(script.url, "key").jobs.wait("job_1", timeout=5)
    client = make(script.url, "key")
    client.close()
    begun = time.monotonic()
    with pytest.raises(ClientClosedError):
        client.jobs.wait("job_1", timeout=5)
    assert time.monotonic() - begun < 1


def test_a_failure_without_a_word_and_a_result_of_another_form(make, script):
    script.answers = [job("queued"), job("failed"), job("succeeded", result={"order": []})]
    client = make(script.url, "key")
    pending = client.rank.aggregate.as_job([["a", "b"]])
    with pytest.raises(JobFailedError, match="job_1: it failed, and nothing tells why") as failed:
        client.jobs.wait(pending)
    assert failed.value.reason is None
    with pytest.raises(BadReplyError, match="Aggregated"):
        client.jobs.wait(pending)


def test_looks_become_rarer_and_end_with_the_time():
    now = 0.0
    waiting = Waiting("job_1", 20.0, 60.0, None, clock=lambda: now)
    running = waiting.request().read(job("running")[2])
    pauses = []
    while now < 20.0 - 1e-9:
        assert waiting.request().within <= 20.0
        pauses.append(waiting.seen(running))
        now += pauses[-1]
    now = 20.0
    with pytest.raises(ApiTimeoutError, match="its state: running"):
        waiting.seen(running)
    assert pauses[0] == 0.05
    assert max(pauses) == 2.0
    assert pauses[:-1] == sorted(pauses[:-1])
    assert sum(pauses) == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({"timeout": 0}, ConfigError, "timeout: expected a number of seconds .* got 0"),
        ({"timeout": "5"}, ConfigError, "timeout: expected a number of seconds .* got '5'"),
        ({"timeout": float("nan")}, ConfigError, "timeout: .* got nan"),
        ({"outage": -1}, ConfigError, "outage: expected a number of seconds at or above 0, got -1"),
        ({"outage": float("inf")}, ConfigError, "outage: .* got inf"),
        ({"job": 5}, InputError, "job: expected a job or its id, got int"),
        ({"job": ""}, InputError, "name: expected an id, got an empty text"),
    ],
)
def test_what_cannot_be_waited_for_is_refused_before_anything_is_sent(
    make, script, given, kind, said
):
    script.answers = [DONE]
    arguments = {"job": "job_1", **given}
    with pytest.raises(kind, match=said):
        make(script.url, "key").jobs.wait(arguments.pop("job"), **arguments)
    assert script.seen == []
