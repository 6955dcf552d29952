"""Clients that send a byte at a time and never finish; a process of its own.

Usage: python slow_clients.py PORT KEY COUNT PAUSE
Half of COUNT connections never finish the head of a request, half never its body; each sends a byte
every PAUSE seconds, when it does by chance and not because others do, and connects again when it is cut
off. Prints `ready` once all are connected, and
at the end of its input how many were cut off, with which status.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import resource
import sys
from random import Random
from typing import cast

TICK = 0.001  # seconds
HEAD = b"POST /v1/comparisons HTTP/1.1\r\nHost: slow\r\nX-Slow: "
BODY = (
    b"POST /v1/comparisons HTTP/1.1\r\nHost: slow\r\nAuthorization: Bearer %s\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n["
)


class Slow(asyncio.Protocol):
    """One connection."""

    def __init__(self, start: bytes, told: dict[str, int]) -> None:
        self.start, self.told = start, told
        self.transport: asyncio.Transport | None = None
        self.reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.start)

    def data_received(self, data: bytes) -> None:
        self.reply += data

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        status = self.reply[9:12].decode() or "none"
        self.told[status] = self.told.get(status, 0) + 1


async def main(port: int, key: str, count: int, pause: float) -> None:
    loop = asyncio.get_running_loop()
    told: dict[str, int] = {}
    starts = [HEAD, BODY % key.encode()]

    async def connect(place: int) -> Slow:
        while True:
            try:
                made = await loop.create_connection(
                    lambda: Slow(starts[place % 2], told), "127.0.0.1", port
                )
            except OSError:
                await asyncio.sleep(0.1)
            else:
                return made[1]

    clients = [await connect(place) for place in range(count)]
    print("ready", flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    chance, begun = Random(0), loop.time()
    due = [(begun + pause * chance.random(), place) for place in range(count)]
    heapq.heapify(due)
    while not ended.done():
        while due[0][0] <= loop.time():
            when, place = due[0]
            heapq.heapreplace(due, (when + pause, place))
            if clients[place].transport is None:
                clients[place] = await connect(place)
            transport = clients[place].transport
            if transport is not None:
                transport.write(b"a")
        await asyncio.sleep(max(due[0][0] - loop.time(), TICK))
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
