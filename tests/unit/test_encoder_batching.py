"""The queue through which threads share an encoder: whole answers, bounded batches, failures told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from time import perf_counter

import numpy as np
import pytest

from gustibus.encoders.batching import SINCE, BatchingEncoder, batches
from gustibus.errors import ConfigError, InputError, OverloadedError

TOKENS, TEXTS = 40, 8


class Letters:
    """A text's letters are its tokens; its vector is their number and the sum of their codes.

    `hold` stops the device at a batch, so that others gather; `busy` says that it is at one.
    """

    name, dim, fingerprint = "letters", 2, "f"

    def __init__(self) -> None:
        self.options = {}
        self.seen: list[list[str]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.busy = threading.Event()
        self.order: list[str] = []

    def encode(self, texts, *, progress=False):
        del progress
        return self.finish(self.compute(self.prepare(texts)))

    def prepare(self, texts):
        if "unreadable" in texts:
            raise InputError("texts: unreadable", where="texts")
        return [[ord(letter) for letter in text] or [0] for text in texts]

    def fits(self, texts, most):
        return sum(map(len, self.prepare(texts))) <= most

    def compute(self, rows):
        self.busy.set()
        assert self.hold.wait(10)
        self.seen.append(["".join(map(chr, row)) for row in rows])
        self.order.append(f"begin {len(self.seen)}")
        if any(chr(row[0]) == "!" for row in rows):
            raise RuntimeError("out of memory")
        return len(self.seen), np.array([[len(row), sum(row)] for row in rows], np.float32)

    def finish(self, begun):
        number, vectors = begun
        self.order.append(f"finish {number}")
        if (vectors[:, 0] == 33).any():
            raise RuntimeError("unlucky")
        return vectors


@pytest.fixture
def letters():
    return Letters()


@pytest.fixture
def queue(letters):
    found = BatchingEncoder(letters, tokens=TOKENS, texts=TEXTS)
    yield found
    found.close()


def waiting(queue, letters, requests):
    """Futures of requests that all came while the device was at a text called first."""
    pool = ThreadPoolExecutor(len(requests) + 1)
    letters.hold.clear()
    pool.submit(queue.encode, ["first"])
    assert letters.busy.wait(10)
    asked = [pool.submit(queue.encode, request) for request in requests]
    count = sum(map(len, requests))
    with queue._changed:
        assert queue._changed.wait_for(lambda: len(queue._rows) == count, 10)
    letters.hold.set()
    pool.shutdown(wait=False)
    return asked


def test_each_caller_gets_its_own_vectors_in_its_order(queue, letters):
    requests = [[f"{caller}-{'x' * (row % 7)}" for row in range(1, 20)] for caller in range(12)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(queue.encode, requests))
    for texts, vectors in zip(requests, found, strict=True):
        np.testing.assert_array_equal(vectors, Letters().encode(texts))
    assert sum(map(len, letters.seen)) == 12 * 19  # nothing twice


def test_what_waits_together_is_encoded_together_within_the_bounds(queue, letters):
    asked = waiting(queue, letters, [["aaa", "b"], ["cc"], ["dddd", "e"]])
    for future in asked:
        future.result(10)
    assert letters.seen[0] == ["first"]
    assert letters.seen[1:] == [["dddd", "aaa", "cc", "b", "e"]]


def test_batches_are_told_with_their_tokens_and_when_each_caller_came(letters):
    told = []
    queue = BatchingEncoder(letters, tokens=8, tell=lambda *batch: told.append(batch))
    before = perf_counter()
    copy_context().run(lambda: (SINCE.set(7.0), queue.encode(["aaaa", "bb", "c"])))
    queue.encode(["d"])
    queue.close()
    (first, came), *others, (last, late) = told
    assert came == [7.0]
    assert [first, *(lengths for lengths, _ in others)] == [[4, 2], [1]]
    assert all(again == [] for _, again in others)  # a caller is told of once
    assert last == [1]
    assert before < late[0] < perf_counter()


def test_batches_hold_their_bounds_whatever_waits(queue, letters):
    rng = np.random.default_rng(0)
    requests = [["y" * int(n) for n in rng.integers(1, 30, 10)] for _ in range(6)]
    for future, texts in zip(waiting(queue, letters, requests), requests, strict=True):
        np.testing.assert_array_equal(future.result(10)[:, 0], [len(text) for text in texts])
    for batch in letters.seen:
        assert len(batch) <= TEXTS
        assert max(map(len, batch)) * len(batch) <= TOKENS
    padded = sum(max(map(len, batch)) * len(batch) for batch in letters.seen)
    assert padded < 1.5 * sum(len(text) for batch in letters.seen for text in batch)


def test_a_text_longer_than_a_batch_is_one_by_itself(queue, letters):
    assert queue.encode(["z" * 100, "z"])[:, 0].tolist() == [100, 1]
    assert sorted(map(len, letters.seen)) == [1, 1]


def test_the_next_batch_begins_before_the_last_is_fetched(queue, letters):
    for future in waiting(queue, letters, [["a" * 40], ["b" * 40]]):
        future.result(10)
    assert letters.order.index("begin 2") < letters.order.index("finish 1")
    assert letters.order.index("begin 3") < letters.order.index("finish 2")
    assert letters.order[-1] == "finish 3"


@pytest.mark.parametrize(
    ("texts", "told"),
    [(["unreadable"], "unreadable"), (["!", "x"], "out of memory"), (["x" * 33], "unlucky")],
)
def test_a_failure_is_told_and_the_queue_goes_on(queue, texts, told):
    with pytest.raises((InputError, RuntimeError), match=told):
        queue.encode(texts)
    assert queue.encode(["fine"])[0, 0] == 4


def test_no_texts_need_no_turn_and_wrong_ones_get_none(queue, letters):
    assert queue.encode([]).shape == (0, 2)
    with pytest.raises(InputError, match=r"texts\[1\]: expected a text, got int"):
        queue.encode(["a", 1])
    assert letters.seen == []


def test_closing_finishes_what_waits_and_refuses_what_comes(queue, letters):
    pool = ThreadPoolExecutor(1)
    letters.hold.clear()
    asked = pool.submit(queue.encode, ["waits"])
    assert letters.busy.wait(10)
    queue.close()
    letters.hold.set()
    assert asked.result(10)[0, 0] == 5
    with pytest.raises(OverloadedError, match="closed"):
        queue.encode(["late"])
    for thread in queue._threads:
        thread.join(10)
        assert not thread.is_alive()
    pool.shutdown()


def test_batches_are_cut_from_long_to_short():
    assert list(batches([3, 9, 1, 8], 18)) == [[1, 3], [0, 2]]
    assert list(batches([1, 1, 1], 100, 2)) == [[0, 1], [2]]
    assert list(batches([], 10)) == []


def test_texts_wait_for_others_while_the_device_is_idle_for_as_long_as_they_may(
    letters, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr("gustibus.encoders.batching.perf_counter", lambda: now[0])
    queue = BatchingEncoder(letters, tokens=TOKENS, texts=TEXTS, max_delay_ms=2.0)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(queue.encode, ["first"])
        with queue._changed:
            assert queue._changed.wait_for(lambda: len(queue._rows) == 1, 10)
        now[0] = 0.0015
        second = pool.submit(queue.encode, ["2nd"])
        with queue._changed:
            assert queue._changed.wait_for(lambda: len(queue._rows) == 2, 10)
        assert letters.seen == []
        now[0] = 0.0021  # of the first, which has waited for longest
        for asked in (first, second):
            asked.result(10)
    assert letters.seen == [["first", "2nd"]]
    queue.close()


def test_a_full_batch_and_one_at_the_end_wait_for_nobody(letters, monkeypatch):
    monkeypatch.setattr("gustibus.encoders.batching.perf_counter", lambda: 0.0)  # time stands still
    queue = BatchingEncoder(letters, tokens=TOKENS, texts=TEXTS, max_delay_ms=2.0)
    assert len(queue.encode(["a"] * TEXTS)) == TEXTS
    assert len(queue.encode(["b" * TOKENS])) == 1
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(queue.encode, ["last"])
        with queue._changed:
            assert queue._changed.wait_for(lambda: len(queue._rows) == 1, 10)
        queue.close()
        assert last.result(10)[0, 0] == 4


@pytest.mark.parametrize("delay", [-0.1, 2.1, float("nan")])
def test_a_delay_out_of_range_is_refused(letters, delay):
    with pytest.raises(ConfigError, match="max_delay_ms: expected 0 to 2"):
        BatchingEncoder(letters, max_delay_ms=delay)
