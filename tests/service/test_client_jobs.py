"""Decisions that the clients put into jobs and wait for, against a real server."""

from __future__ import annotations

import random
import re
import threading
import time
from itertools import pairwise

import pytest

from gustibus.client import (
    ApiNotFoundError,
    ApiTimeoutError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    Pending,
    PermissionDeniedError,
)
from gustibus.client.calls.groups import Aggregated, Chosen
from tests.client.both import Both
from tests.service.harness import new_key, running
from tests.service.test_stopping import long

RANKINGS = [["a", "b", "c", "d"]] * 3 + [["b", "a", "d", "c"]] * 2
APPROVALS = [["a", "b"]] * 6 + [["c"]] * 3 + [["d", "c"]] * 2
MANY = [random.Random(voter).sample([f"n{place}" for place in range(60)], 60) for voter in range(5)]
NEVER = {"method": "simple_stable_voting", "time_limit": 0.2}
"""For these ballots it takes longer, which is not seen before it is tried."""


@pytest.fixture(scope="module")
def served(tmp_path_factory, vectors_folder, vectors_model):
    """A server that can be stopped, and takes up soon what another process left."""
    folder = tmp_path_factory.mktemp("client-jobs")
    with running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(vectors_folder),
        gustibus_lease="1", gustibus_finish="1",
    ) as found, found.client():  # fmt: skip
        yield found


@pytest.fixture(params=["sync", "async"])
def make(request):
    made = Both(request.param)
    yield made
    made.close()


@pytest.fixture
def client(make, served):
    return make(served.base, served.key)


def until(client, job, state, *, seconds=20.0):
    """Wait until a job is in a state."""
    end = time.monotonic() + seconds
    while client.jobs.get(job.id).state != state:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_result_is_that_of_the_request(client):
    pending = client.rank.aggregate.as_job(RANKINGS, method="kemeny", time_limit=600)
    assert isinstance(pending, Pending)
    assert (pending.job.kind, pending.job.state) == ("decision", "queued")
    assert pending.id in repr(pending)
    found = client.jobs.wait(pending, timeout=60)
    assert isinstance(found, Aggregated)
    assert found == client.rank.aggregate(RANKINGS, method="kemeny")

    pending = client.rank.committee.as_job(2, approvals=APPROVALS, audit=["jr", "ejr+"])
    chosen = client.jobs.wait(pending, timeout=60)
    assert isinstance(chosen, Chosen)
    assert chosen == client.rank.committee(2, approvals=APPROVALS, audit=["jr", "ejr+"])
    assert chosen.audit["jr"].holds is True


def test_the_way_there_is_told(client):
    told = []
    pending = client.rank.aggregate.as_job(**long(3.0))  # longer than there is between looks
    client.jobs.wait(pending, timeout=60, progress=told.append)
    states = [job.state for job in told]
    assert states == sorted(states, key=["queued", "running", "succeeded"].index)
    assert "running" in states
    assert told[-1].state == "succeeded"
    assert all(one != following for one, following in pairwise(told))
    assert {job.id for job in told} == {pending.id}


def test_a_job_of_any_kind_is_waited_for_by_its_id(client):
    pending = client.rank.aggregate.as_job(RANKINGS)
    job = client.jobs.wait(pending.id, timeout=60)
    assert (job.id, job.state) == (pending.id, "succeeded")
    assert job.result["result"]["order"] == list(client.jobs.wait(pending).result.order)
    refit = client.jobs.create("refit_profiles")
    assert client.jobs.wait(refit, timeout=60).kind == "refit_profiles"


def test_the_same_key_gives_the_same_job(client, make):
    key = f"once-{make.kind}"
    first = client.rank.aggregate.as_job(RANKINGS, idempotency_key=key)
    assert client.rank.aggregate.as_job(RANKINGS, idempotency_key=key).id == first.id
    assert client.rank.aggregate.as_job(RANKINGS).id != first.id
    with pytest.raises(InvalidRequestError) as caught:
        client.rank.aggregate.as_job(RANKINGS[1:], idempotency_key=key)
    assert caught.value.code == "idempotency_mismatch"


def test_what_is_wrong_is_said_before_there_is_a_job(client, make, served):
    before = {job.id for job in client.jobs.iterate()}
    with pytest.raises(InvalidRequestError) as caught:
        client.rank.aggregate.as_job(RANKINGS, method="bordda")
    assert caught.value.pointer == "/method"
    less = new_key(served.url, "rank")
    served.settle(less)
    with pytest.raises(PermissionDeniedError, match="jobs"):
        make(served.base, less).rank.committee.as_job(1, approvals=APPROVALS)
    assert {job.id for job in client.jobs.iterate()} == before


def test_a_job_that_fails_raises_what_it_says(client):
    with pytest.raises(InvalidRequestError) as refused:
        client.rank.aggregate(MANY, **NEVER)
    pending = client.rank.aggregate.as_job(MANY, **NEVER)
    for job in (pending, pending.id):
        with pytest.raises(JobFailedError) as caught:
            client.jobs.wait(job, timeout=60)
        assert (caught.value.job, caught.value.code) == (pending.id, "job_failed")
        assert caught.value.reason == refused.value.code
        over = r"time_limit: 0\.\d{1,3} s were over before there was a result"
        assert all(re.search(over, error.value.detail) for error in (refused, caught))
        assert pending.id in str(caught.value)


def test_a_job_that_is_cancelled_has_no_result(client):
    waiting = client.rank.aggregate.as_job(**long(600))
    until(client, waiting, "running")
    begun = time.monotonic()
    client.jobs.cancel(waiting.id)
    with pytest.raises(JobCancelledError) as caught:
        client.jobs.wait(waiting, timeout=60)
    assert time.monotonic() - begun < 20
    assert (caught.value.job, caught.value.code) == (waiting.id, "job_cancelled")


def test_a_job_that_takes_longer_goes_on(client):
    pending, begun = client.rank.aggregate.as_job(**long(6.0)), time.monotonic()
    with pytest.raises(ApiTimeoutError, match=rf"{pending.id} has not ended within 0\.3 s"):
        client.jobs.wait(pending, timeout=0.3)
    assert 0.3 <= time.monotonic() - begun < 5
    assert client.jobs.wait(pending, timeout=60).method == "kemeny"


def test_there_is_no_such_job(client):
    with pytest.raises(ApiNotFoundError):
        client.jobs.wait("job_none", timeout=60)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_that_starts_again_in_between_is_waited_for(client, served, end):
    pending = client.rank.aggregate.as_job(**long(3.0))
    until(client, pending, "running")
    told, gone = [], threading.Event()

    def restart() -> None:
        getattr(served, end)()
        gone.set()
        time.sleep(0.5)
        served.start()

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        gone.wait(30)
        found = client.jobs.wait(pending, timeout=90, progress=told.append)
    finally:
        thread.join(60)
    assert found.method == "kemeny"
    assert sorted(found.result.order) == sorted(long(3.0)["rankings"][0])
    assert told[-1].state == "succeeded"
