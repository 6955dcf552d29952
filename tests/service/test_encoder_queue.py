"""Texts that could not be encoded in time are refused at once, and nobody while nothing waits."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context

import pytest

from gustibus.service.encoder_queue import EncoderQueue
from gustibus.service.threads import DEADLINE, QueueFullError
from tests.service.harness import running
from tests.service.test_remote_encoder import Pooling

SLOW = 0.3  # seconds of a request to the encoder


@pytest.fixture(scope="module")
def slow(tmp_path_factory, texts_folder, texts_model):
    """A service whose encoder takes one request at a time, each for 0.3 s, and what it is."""
    pooling, tmp_path = Pooling(), tmp_path_factory.mktemp("slow")
    try:
        with running(
            f"sqlite:///{tmp_path}/s.db", tmp_path, gustibus_model=str(texts_folder),
            gustibus_encoder_url=pooling.url, gustibus_encoder_connections="1",
            gustibus_worker="0", gustibus_max_wait="0.25",
        ) as service:  # fmt: skip
            pooling.tell("slow")
            service.client().close()  # now it has a key
            yield service
    finally:
        pooling.kill()


def score(service, text: str, **headers: str):
    with service.client(service.key) as http:
        began = time.monotonic()
        reply = http.post("/v1/score", json={"candidates": [text]}, headers=headers)
        return reply, time.monotonic() - began


def at_once(service, count: int, **headers: str):
    with ThreadPoolExecutor(count) as pool:
        jobs = [pool.submit(score, service, f"burst {n:02}", **headers) for n in range(count)]
        return [job.result(60) for job in jobs]


def test_texts_behind_a_slow_encoder_are_refused_at_once_and_nobody_waits_in_vain(slow):
    with slow.client() as http:  # one after another: each takes longer than any may wait
        for n in range(4):
            assert score(slow, f"alone {n:02}")[0].status_code == 200
        before = http.get("/metrics").text
        found = at_once(slow, 12)
        taken = [seconds for reply, seconds in found if reply.status_code == 200]
        refused = [(reply, seconds) for reply, seconds in found if reply.status_code != 200]
        assert 1 <= len(taken) <= 5
        assert max(taken) < 2.0  # the deadline
        for reply, seconds in refused:
            assert (reply.status_code, reply.json()["code"]) == (503, "queue_full")
            assert "to be encoded" in reply.json()["detail"]
            assert int(reply.headers["retry-after"]) >= 1
            assert seconds < 1.5
        told = http.get("/metrics").text
        assert told != before
        assert f'gustibus_rejected_total{{reason="queue_full"}} {len(refused)}.0' in told
    assert score(slow, "after it")[0].status_code == 200


def test_what_is_known_or_needs_no_encoder_is_scored_while_others_are_refused(slow):
    assert score(slow, "known")[0].status_code == 200
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(score, slow, f"others {n}") for n in range(8)]
        time.sleep(0.2)
        assert score(slow, "known")[0].status_code == 200
        statuses = {job.result(60)[0].status_code for job in jobs}
    assert 503 in statuses


def test_the_parts_of_one_request_are_not_in_each_others_way(slow):
    assert score(slow, "first")[0].status_code == 200
    body = {"requests": [{"candidates": [f"part {n}"]} for n in range(5)]}
    with slow.client() as http:
        reply = http.post("/v1/score:batch", json=body, headers={"X-Deadline-Ms": "30000"})
    assert [row["status"] for row in reply.json()["data"]] == [200] * 5


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def with_deadline(queue: EncoderQueue, clock: Clock, seconds: float | None, work: float = 10.0):
    """A place for a request that has so long, until its stack is closed."""

    def enter() -> ExitStack:
        DEADLINE.set(None if seconds is None else clock.now + seconds)
        stack = ExitStack()
        stack.enter_context(queue.place(work))
        return stack

    return copy_context().run(enter)


def paced(lanes: int = 1, longest: float = 0.25) -> tuple[EncoderQueue, Clock]:
    """An encoder that took a second for 100."""
    clock = Clock()
    queue = EncoderQueue(lanes=lanes, longest=longest, clock=clock)
    for _ in range(5):
        clock.now += 0.1
        queue.encoded(10.0, since=clock.now - 0.1)
    clock.now += 60.0
    return queue, clock


def test_a_request_may_wait_for_the_least_of_its_deadline_and_the_longest():
    queue, clock = paced()
    held = [with_deadline(queue, clock, 5.0 + n) for n in range(2)]  # 0.2 s of work, one waits
    with pytest.raises(QueueFullError, match=r"about 0\.2 s") as caught:
        with_deadline(queue, clock, 0.19)
    assert caught.value.retry_after == pytest.approx(0.2)
    held.append(with_deadline(queue, clock, 0.21))
    with pytest.raises(QueueFullError, match=r"about 0\.3 s"):
        with_deadline(queue, clock, 60.0)
    held.append(with_deadline(queue, clock, None))  # without one it is patient
    for one in held:
        one.close()
    with_deadline(queue, clock, 0.01).close()


def test_nobody_is_refused_while_nothing_waits_or_the_pace_is_not_known():
    queue, clock = paced(lanes=2)
    # two are encoded, and the third is the first that waits
    held = [with_deadline(queue, clock, 0.05 + n / 1e3, work=1e6) for n in range(3)]
    with pytest.raises(QueueFullError):
        with_deadline(queue, clock, 0.06, work=1.0)
    unknown = EncoderQueue(lanes=1, longest=0.25, clock=clock)
    held += [with_deadline(unknown, clock, 1.0 + n, work=1e6) for n in range(64)]
    with pytest.raises(QueueFullError, match="64 requests wait"):
        with_deadline(unknown, clock, None)
    for one in held:
        one.close()


def test_the_pace_is_that_of_the_last_parts_and_time_of_several_counts_once():
    queue, clock = paced(lanes=4)
    for _ in range(60):  # two at a time, each half a second for 100: 400 a second together
        clock.now += 0.5
        queue.encoded(100.0, since=clock.now - 0.5)
        queue.encoded(100.0, since=clock.now - 0.5)
    assert queue.seconds(400.0) == pytest.approx(1.0, rel=0.15)
    clock.now += 1000.0  # in which nothing was asked
    assert queue.seconds(400.0) == pytest.approx(1.0, rel=0.15)


def test_what_is_done_of_a_long_request_is_not_waited_for():
    queue, clock = paced()

    async def work() -> None:
        with queue.place(100.0) as place:
            other = with_deadline(queue, clock, 9.0, work=1.0)
            with pytest.raises(QueueFullError):
                with_deadline(queue, clock, 8.0)
            queue.did(place, 90.0)
            with_deadline(queue, clock, 7.0).close()
            other.close()

    asyncio.run(work())
