"""What goes over a connection: replies in one packet, in order, and bodies however they come."""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from http.client import HTTPResponse
from io import BytesIO

import numpy as np
import pytest

from tests.service.harness import DIM, Service

SEGMENTS = 152
"""Where `tcp_info` of Linux counts the packets that have come in with data."""


@pytest.fixture
def connection(service, http):
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as made:
        yield made


def request(service: Service, method: str, path: str, body: bytes = b"", *more: str) -> bytes:
    head = [
        f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {service.key}",
        f"Content-Length: {len(body)}", *more, "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


def score(service: Service, *more: str) -> bytes:
    body = json.dumps({"candidates": [{"id": f"item-{n}"} for n in range(64)]}).encode()
    return request(service, "POST", "/v1/score", body, "Content-Type: application/json", *more)


class Several(BytesIO):
    """Replies that came one behind the other, as a socket that is read on after each."""

    def makefile(self, _: str) -> Several:
        return self

    def close(self) -> None:
        """Not by the reader of one reply."""


def reply(connection: socket.socket | Several, method: str = "GET") -> tuple[int, bytes]:
    found = HTTPResponse(connection, method=method)  # type: ignore[arg-type]  # `makefile` is all it takes
    found.begin()
    return found.status, found.read()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts packets for a program")
def test_a_reply_is_one_packet(service, connection):
    for count in (1, 2, 3):
        connection.sendall(score(service))
        assert reply(connection)[0] == 200
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        assert struct.unpack_from("I", info, SEGMENTS)[0] == count


def test_requests_that_are_sent_together_are_answered_in_order(service, connection):
    """With a body and without, refused and not."""
    sent = [
        ("POST", score(service), 200),
        ("HEAD", request(service, "HEAD", "/v1/models"), 200),
        ("GET", request(service, "GET", "/v1/nowhere"), 404),
        ("HEAD", request(service, "HEAD", "/v1/nowhere"), 404),
        ("POST", request(service, "POST", "/v1/users/trained-0:export"), 200),
        ("DELETE", request(service, "DELETE", "/v1/items/never-there"), 404),
        ("GET", request(service, "GET", "/livez", b"", "Connection: close"), 200),
    ]
    connection.sendall(b"".join(raw for _, raw, _ in sent))
    came = Several(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    for method, _, status in sent:
        found, body = reply(came, method)
        assert found == status
        assert (body == b"") == (method == "HEAD" or status == 204)
    assert not came.read()


def test_a_client_that_waits_to_be_told_sends_its_body_then(service, connection):
    raw = score(service, "Expect: 100-continue")
    head, _, body = raw.partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    assert connection.recv(1 << 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(body)
    assert reply(connection)[0] == 200


@pytest.mark.parametrize("rows", [1, 16_000])
def test_a_body_counts_the_same_however_it_comes(service, connection, rows):
    """At once, and in pieces with pauses between; the larger is longer than what is held back."""
    drawn = np.random.default_rng(0).standard_normal((rows, DIM)).astype("<f4")
    raw = request(
        service, "POST", f"/v1/score?user=trained-0&dim={DIM}", drawn.tobytes(),
        "Content-Type: application/octet-stream",
    )  # fmt: skip
    connection.sendall(raw)
    status, whole = reply(connection)
    assert status == 200
    for start in range(0, len(raw), max(1, len(raw) // 7)):
        connection.sendall(raw[start : start + max(1, len(raw) // 7)])
        time.sleep(0.02)
    status, pieces = reply(connection)
    assert status == 200
    assert json.loads(pieces)["data"] == json.loads(whole)["data"]
