"""Load generator of `serve.py`: HTTP/1.1 keep-alive over plain sockets, run as a process of its own.

Usage: python benchmarks/load.py HOST PORT KEY FILE MODE CONNECTIONS SECONDS [RATE]
FILE holds one request body a block as pickled `(path, content_type, bodies)`. MODE `closed` sends as fast as
replies come; `open` sends on a schedule of RATE requests a second and measures from the time a request was
due; `accepted_p99` is of the replies with 200 from the time they were sent, and `silent` counts refusals
that do not say in `Retry-After` when to come back. `late_p99` is how long after it could have sent a request
this process did so, and `share` the part of a core that it used: where they are large, latency is its own.
Prints one JSON object.

An event loop would measure itself: it wakes up to a millisecond late, and its futures, tasks and timers cost
more processor time a request than the service does. This one waits to the microsecond and keeps nothing but
what is measured.
"""

from __future__ import annotations

import contextlib
import gc
import json
import pickle
import random
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

_PIECE = 1 << 18
_PATIENCE = 60.0  # seconds for a reply


class Connection:
    """One connection; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.rest = memoryview(b"")
        """Of a request, what the socket has not taken yet."""
        self.due = self.sent = self.freed = 0.0
        """When the request at hand was to be sent and was, and when the reply before it was there."""
        self.silent = False
        """Whether the last refusal did not say when to come back."""
        self._buffer = b""
        self._need = -1

    def send(self, request: bytes) -> None:
        """Send as much of a request as the socket takes, behind what is left of the one before.

        A refusal may be there before the request that it refuses has been taken.
        """
        self.rest = memoryview(bytes(self.rest) + request if self.rest else request)
        self.flush()

    def flush(self) -> None:
        """Send more of what is left."""
        with contextlib.suppress(BlockingIOError):
            self.rest = self.rest[self.socket.send(self.rest) :]

    def receive(self) -> int | None:
        """The status of a reply; None while it is not whole.

        Raises:
            ConnectionError: the other side closed.
        """
        data = self.socket.recv(_PIECE)
        if not data:
            message = "the connection was closed"
            raise ConnectionError(message)
        self._buffer = self._buffer + data if self._buffer else data
        if self._need < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self._buffer[:end].lower()
            at = head.index(b"content-length:") + 15
            stop = head.find(b"\r\n", at)
            self._need = end + 4 + int(head[at:] if stop < 0 else head[at:stop])
        if len(self._buffer) < self._need:
            return None
        status = int(self._buffer[9:12])
        refused = status in {429, 503}
        self.silent = refused and b"\r\nretry-after:" not in self._buffer[: self._need].lower()
        self._buffer, self._need = self._buffer[self._need :], -1
        return status


class Poll:
    """Connections on which something can be read or written.

    Args:
        connections: to look at.
    """

    def __init__(self, connections: list[Connection]) -> None:
        self._poll = select.epoll()
        self._found = {one.socket.fileno(): one for one in connections}
        for descriptor in self._found:
            self._poll.register(descriptor, select.EPOLLIN)

    def send(self, connection: Connection, request: bytes = b"") -> None:
        """Send a request; what the socket does not take now is sent when it can."""
        begun = len(connection.rest) > 0
        connection.send(request)
        left = len(connection.rest) > 0
        if left != begun:
            wanted = select.EPOLLIN | (select.EPOLLOUT if left else 0)
            self._poll.modify(connection.socket.fileno(), wanted)

    def wait(self, seconds: float) -> list[Connection]:
        """Those with something to read, after at most so many seconds.

        epoll counts whole milliseconds, select microseconds; and an epoll can be selected.
        """
        if seconds > 0:
            select.select([self._poll], [], [], seconds)
        ready = []
        for descriptor, what in self._poll.poll(0):
            connection = self._found[descriptor]
            if what & select.EPOLLOUT:
                self.send(connection)
            if what & ~select.EPOLLOUT:
                ready.append(connection)
        return ready


def closed(
    connections: list[Connection], requests: list[bytes], seconds: float
) -> dict[str, object]:
    """As fast as replies come."""
    poll, statuses = Poll(connections), dict[int, int]()
    begun = perf_counter()
    end, done, busy = begun + seconds, 0, len(connections)
    for place, connection in enumerate(connections):
        poll.send(connection, requests[7 * place % len(requests)])
    while busy:
        ready = poll.wait(_PATIENCE)
        if not ready and perf_counter() > end + _PATIENCE:
            break
        for connection in ready:
            status = connection.receive()
            if status is None:
                continue
            statuses[status] = statuses.get(status, 0) + 1
            done += 1
            if perf_counter() < end:
                poll.send(connection, requests[done % len(requests)])
            else:
                busy -= 1
    return {"requests": done, "seconds": perf_counter() - begun, "statuses": statuses}


def open_loop(
    connections: list[Connection], requests: list[bytes], seconds: float, rate: float
) -> dict[str, object]:
    """On a Poisson schedule; latency counts from when a request was due, waiting included."""
    poll, statuses = Poll(connections), dict[int, int]()
    idle = deque(connections)
    latency: list[float] = []
    accepted: list[float] = []
    late: list[float] = []
    sent = silent = 0
    pause: Callable[[float], float] = random.Random(0).expovariate
    begun = perf_counter()
    end = begun + seconds
    due = begun + pause(rate)
    while due < end or len(idle) < len(connections):
        now = perf_counter()
        while idle and due < end and due <= now:
            connection = idle.popleft()
            connection.due, connection.sent = due, now
            late.append(now - max(due, connection.freed))
            poll.send(connection, requests[sent % len(requests)])
            sent += 1
            due += pause(rate)
            now = perf_counter()
        waits = due < end and idle
        ready = poll.wait(min(due - now, _PATIENCE) if waits else _PATIENCE)
        if not ready and not waits:
            message = f"no reply within {_PATIENCE:g} s"
            raise TimeoutError(message)
        for connection in ready:
            status = connection.receive()
            if status is None:
                continue
            now = connection.freed = perf_counter()
            latency.append(now - connection.due)
            if status == 200:
                accepted.append(now - connection.sent)
            silent += connection.silent
            statuses[status] = statuses.get(status, 0) + 1
            idle.append(connection)
    marks = {f"p{q}": quantile(latency, q) for q in (50, 99)}
    return {
        "requests": sent, "seconds": perf_counter() - begun, "statuses": statuses, **marks,
        "accepted_p99": quantile(accepted, 99), "silent": silent, "late_p99": quantile(late, 99),
    }  # fmt: skip


def quantile(values: list[float], percent: int) -> float | None:
    """A quantile, None of nothing."""
    found = sorted(values)
    return found[min(len(found) * percent // 100, len(found) - 1)] if found else None


def main(written: bytes) -> None:
    """Run as the command line says, print."""
    host, port, key, _, mode, count, seconds, *rest = sys.argv[1:]
    path, kind, bodies = pickle.loads(written)  # by serve.py, a moment ago
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bodies
    ]
    connections = [Connection(host, int(port)) for _ in range(int(count))]
    gc.disable()  # nothing here is a cycle, and a pause would be taken for the service's
    spent, began = time.process_time(), perf_counter()
    if mode == "closed":
        result = closed(connections, requests, float(seconds))
    else:
        result = open_loop(connections, requests, float(seconds), float(rest[0]))
    share = (time.process_time() - spent) / (perf_counter() - began)
    print(json.dumps({**result, "share": share}))


if __name__ == "__main__":
    main(Path(sys.argv[4]).read_bytes())
