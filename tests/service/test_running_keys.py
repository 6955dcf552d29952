"""A request under an idempotency key whose first request still runs."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

from gustibus.client import Client


def test_a_second_request_is_told_to_wait_and_then_given_the_first_reply(service, http):
    at, headers = "/v1/users/running-key", {"Idempotency-Key": "running-key"}
    other, file = {"Idempotency-Key": "another-key"}, service.url.removeprefix("sqlite:///")
    held = sqlite3.connect(file, isolation_level=None)
    with ThreadPoolExecutor(2) as pool:
        held.execute("BEGIN IMMEDIATE")  # no write ends before this does
        try:
            first = pool.submit(http.put, at, json={}, headers=headers)
            until = time.monotonic() + 60
            while True:
                second = http.put(at, json={}, headers={**headers, "X-Deadline-Ms": "200"})
                if second.status_code == 409:
                    break
                assert time.monotonic() < until, second.text
                if first.done():  # the second came before it, so that it was the one refused
                    first = pool.submit(http.put, at, json={}, headers=headers)
            assert second.json()["code"] == "idempotency_in_progress"
            assert second.headers["retry-after"] == "1"
            waits = http.put(at, headers={**other, "X-Deadline-Ms": "200"})
            assert waits.json()["code"] == "deadline_exceeded", "a key of its own is not refused"
            with Client(service.base, api_key=service.key) as client:
                again = pool.submit(client.users.put, "running-key", idempotency_key="running-key")
                time.sleep(0.2)
                held.execute("ROLLBACK")
                assert again.result().id == "running-key", "the client asks again by itself"
        finally:
            held.close()
        assert first.result().status_code == 201
    third = http.put(at, json={}, headers=headers)
    assert (third.status_code, third.headers["idempotency-replayed"]) == (201, "true")
