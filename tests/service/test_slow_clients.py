"""Clients that are slow are cut off after a while, and cost others nothing until then."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gustibus.service.connections import Connections
from tests.service.harness import Service, new_key, running
from tests.service.test_overload import fill, load, processor, usage

PROGRAM = Path(__file__).with_name("slow_clients.py")
BLOCKS, SECONDS, RATE = 6, 12, 100
BEFORE = 12  # seconds of slow clients before a block, so that some are cut off within it


@pytest.fixture(scope="module", autouse=True)
def _descriptors() -> Iterator[None]:
    """Enough of them for a thousand connections, for the servers that tests start too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def slow(port: int, key: str, count: int, *, pause: float) -> Iterator[dict[str, int]]:
    """So many slow clients of a port; what became of them is told when they have gone."""
    told: dict[str, int] = {}
    command = [sys.executable, str(PROGRAM), str(port), key, str(count), str(pause)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield told
        finally:
            told |= json.loads(process.communicate()[0])


def served(folder: Path, model: Path, **settings: str):
    return running(
        f"sqlite:///{folder}/s.db", folder, gustibus_model=str(model), gustibus_rate="0", **settings
    )


@pytest.fixture(scope="module")
def impatient(tmp_path_factory, vectors_folder, vectors_model) -> Iterator[Service]:
    """A server with little patience."""
    with served(
        tmp_path_factory.mktemp("slow"), vectors_folder, gustibus_head_timeout="1",
        gustibus_body_timeout="1", gustibus_body_rate="1000",
    ) as service:  # fmt: skip
        fill(service)
        yield service


def sockets(service: Service) -> int:
    """Sockets that the server holds; the store opens files of its own when it first needs them."""
    assert service.process is not None
    found = 0
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(link.readlink()).startswith("socket:")
    return found


def settles(service: Service, before: int, *, seconds: float = 30.0) -> None:
    """Wait until no more sockets are open than before."""
    until = time.monotonic() + seconds
    while (now := sockets(service)) > before:
        assert time.monotonic() < until, f"{now} sockets, {before} before"
        time.sleep(0.05)


def talk(service: Service, *parts: bytes, pause: float = 0.0) -> socket.socket:
    """A connection on which something was sent."""
    made = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    for part in parts:
        made.sendall(part)
        time.sleep(pause)
    return made


def read_all(made: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    with made, contextlib.suppress(ConnectionResetError):
        while part := made.recv(1 << 16):
            found += part
    return found


def problem(reply: bytes) -> dict:
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
    return json.loads(body)


def test_two_hundred_slow_clients_are_cut_off_and_give_back_what_they_had(impatient):
    body = {"candidates": [{"id": f"i-{n}"} for n in range(16)]}
    other = new_key(impatient.url, "ingest")
    impatient.client().close()
    impatient.settle(other)
    with impatient.client() as http:
        for _ in range(20):
            http.post("/v1/score", json=body)
        memory, before = usage(impatient)[0], sockets(impatient)
        with slow(impatient.port, other, 200, pause=0.1) as told:
            until = time.monotonic() + 4
            while time.monotonic() < until:
                assert http.post("/v1/score", json=body).status_code == 200
                time.sleep(0.01)
            assert sockets(impatient) > before + 50
        # A client that had no processor to read in, and whose next byte met a closed connection, loses it.
        assert set(told) <= {"408", "none"}, told
        assert told["408"] >= 0.9 * sum(told.values()), told
        assert told["408"] > 100, told  # heads at least; refused bodies are read on for a while
        settles(impatient, before)
        assert usage(impatient)[0] < memory + (16 << 20)
        metrics = http.get("/metrics").text
    cut = next(line for line in metrics.splitlines() if 'reason="slow"' in line)
    assert float(cut.split()[-1]) >= told["408"]


def test_parts_of_the_connections_hold_those_that_are_open_and_no_others():
    class One:
        def __init__(self, part):
            self.part = part

    known, ones = Connections(), [One(number % 10) for number in range(25)]
    for one in ones:
        known.add(one)
    assert set().union(*known.parts) == known == set(ones)
    assert [len(part) for part in known.parts] == [3] * 5 + [2] * 5
    for one in [*ones[5:], ones[5]]:  # uvicorn may tell twice
        known.discard(one)
    assert set().union(*known.parts) == known == set(ones[:5])


def test_a_head_that_is_never_finished_gets_408(impatient):
    began = time.monotonic()
    found = problem(read_all(talk(impatient, b"GET /livez HTTP/1.1\r\nHost:")))
    assert (found["status"], found["code"]) == (408, "request_timeout")
    assert 1 <= time.monotonic() - began < 5


def test_a_body_that_is_never_finished_gets_408_and_no_work(impatient):
    head = (
        f"PUT /v1/users/slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 40\r\n\r\n"
    )
    found = problem(read_all(talk(impatient, head.encode() + b"{")))
    assert (found["status"], found["code"]) == (408, "request_timeout")
    with impatient.client() as http:
        assert http.get("/v1/users/slow").status_code == 404


def test_data_of_an_import_that_stops_coming_gets_408(impatient):
    with impatient.client() as http:
        made = http.post("/v1/imports", json={}, headers={"Idempotency-Key": "i"}).json()
    head = (
        f"PUT {made['upload']} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.key}\r\n"
        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    found = problem(read_all(talk(impatient, head.encode(), b"3\r\n\n\n\n\r\n")))
    assert (found["status"], found["code"]) == (408, "request_timeout")


def test_a_refused_body_that_keeps_coming_is_cut_off(impatient):
    """The reply that needs no body has been given, and the next request never begins."""
    head = b"PUT /v1/users/x HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"
    began = time.monotonic()
    found = read_all(talk(impatient, head, b"{", pause=0.2))
    assert found.startswith(b"HTTP/1.1 401")
    assert time.monotonic() - began < 5


def test_a_body_at_a_fair_pace_is_awaited_for_longer_than_that(impatient):
    body = b'{"attributes": {}}'.ljust(8000)
    head = (
        f"PUT /v1/users/fair HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    pieces = [body[at : at + 400] for at in range(0, len(body), 400)]
    began = time.monotonic()
    found = read_all(talk(impatient, head.encode(), *pieces, pause=0.15))
    assert found.startswith(b"HTTP/1.1 201"), found
    assert time.monotonic() - began > 3


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(impatient):
    made = talk(impatient, b"GET /livez HTTP/1.1\r\n")
    with contextlib.suppress(OSError):  # it is closed while more is on its way
        for number in range(40):
            made.sendall(f"X-{number}: {'y' * 4000}\r\n".encode())
            time.sleep(0.01)
    found = read_all(made)
    assert not found or problem(found)["code"] == "bad_header"


def test_a_client_that_takes_no_replies_is_cut_off(impatient):
    before = sockets(impatient)
    request = (
        f"GET /openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {impatient.key}\r\n\r\n"
    )
    with talk(impatient, request.encode() * 64):
        until = time.monotonic() + 60
        while sockets(impatient) == before:
            assert time.monotonic() < until
        settles(impatient, before)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_thousand_slow_clients_do_not_slow_down_the_others(
    tmp_path, vectors_folder, vectors_model
):
    """The median over blocks of the 99th percentile rises by 20 % at most.

    In the other blocks as many clients send as much to somebody who never reads it: what is compared
    is what the service does for them, not what a machine does that runs them too.
    """
    with served(tmp_path, vectors_folder, gustibus_max_wait="10") as service:
        fill(service)
        other = new_key(service.url, "ingest")
        service.settle(other)
        load(service, tmp_path, 64, "open", 16, 3, RATE)  # warm
        seen: dict[str, list[dict]] = {"alone": [], "beside": []}
        cut: dict[str, int] = {}
        for name in list(seen) * BLOCKS:
            with socket.socket() as deaf:
                deaf.bind(("127.0.0.1", 0))
                deaf.listen(2000)
                port = service.port if name == "beside" else deaf.getsockname()[1]
                with slow(port, other, 1000, pause=1.0) as told:
                    time.sleep(BEFORE)
                    spent = processor(service)
                    block = load(service, tmp_path, 64, "open", 16, SECONDS, RATE)
                    seen[name].append({**block, "cpu": processor(service) - spent})
            assert set(block["statuses"]) == {"200"}, block
            for status, count in told.items() if name == "beside" else ():
                cut[status] = cut.get(status, 0) + count
        figures = {
            name: {
                q: statistics.median(block[q] for block in blocks) for q in ("p50", "p99", "cpu")
            }
            for name, blocks in seen.items()
        }
        print(json.dumps({**figures, "cut": cut, "requests": RATE * SECONDS * BLOCKS}))
        assert figures["beside"]["p99"] <= 1.2 * figures["alone"]["p99"]
