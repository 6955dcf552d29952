"""Load generator of `serve.py`: HTTP/1.1 keep-alive over plain sockets, run as a process of its own.

Usage: python benchmarks/load.py HOST PORT KEY FILE MODE CONNECTIONS SECONDS [RATE]
FILE holds one request body a block as pickled `(path, content_type, bodies)`. MODE `closed` sends as fast as
replies come; `open` sends on a schedule of RATE requests a second and measures from the time a request was
due; `accepted_p99` is of the replies with 200 from the time they were sent, and `silent` counts refusals
that do not say in `Retry-After` when to come back. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import random
import sys
from pathlib import Path
from time import perf_counter
from typing import cast


class Client(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self.buffer = b""
        self.need = -1
        self.silent = 0
        self.reply: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect a reply; heads and bodies may be split anywhere."""
        self.buffer = self.buffer + data if self.buffer else data
        if self.need < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.index(b"content-length:") + 15
            stop = head.find(b"\r\n", at)
            self.need = end + 4 + int(head[at:] if stop < 0 else head[at:stop])
        if len(self.buffer) >= self.need:
            status = int(self.buffer[9:12])
            if status in {429, 503}:
                self.silent += b"\r\nretry-after:" not in self.buffer[: self.need].lower()
            self.buffer, self.need = self.buffer[self.need :], -1
            assert self.reply is not None
            self.reply.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits."""
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(error or ConnectionError("closed"))

    async def ask(self, request: bytes) -> int:
        """Send one request and wait for its status."""
        self.reply = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(request)
        return await self.reply


async def connect(host: str, port: int, count: int) -> list[Client]:
    """Open connections."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Client, host, port) for _ in range(count)]
    return [client for _, client in made]


async def closed(clients: list[Client], requests: list[bytes], seconds: float) -> dict[str, object]:
    """As fast as replies come."""
    end = perf_counter() + seconds
    statuses: dict[int, int] = {}
    begun = perf_counter()

    async def one(client: Client, at: int) -> int:
        done = 0
        while perf_counter() < end:
            status = await client.ask(requests[(at + done) % len(requests)])
            statuses[status] = statuses.get(status, 0) + 1
            done += 1
        return done

    done = sum(await asyncio.gather(*(one(c, i * 7) for i, c in enumerate(clients))))
    return {"requests": done, "seconds": perf_counter() - begun, "statuses": statuses}


async def open_loop(
    clients: list[Client], requests: list[bytes], seconds: float, rate: float
) -> dict[str, object]:
    """On a Poisson schedule; latency counts from when a request was due, waiting included."""
    idle: asyncio.Queue[Client] = asyncio.Queue()
    for client in clients:
        idle.put_nowait(client)
    latency: list[float] = []
    accepted: list[float] = []
    statuses: dict[int, int] = {}
    tasks = set()
    rng = random.Random(0)
    begun = perf_counter()
    due = begun

    async def one(client: Client, request: bytes, due: float) -> None:
        sent = perf_counter()
        status = await client.ask(request)
        latency.append(perf_counter() - due)
        if status == 200:
            accepted.append(perf_counter() - sent)
        statuses[status] = statuses.get(status, 0) + 1
        idle.put_nowait(client)

    sent = 0
    while due - begun < seconds:
        due += rng.expovariate(rate)
        wait = due - perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        client = await idle.get()
        task = asyncio.ensure_future(one(client, requests[sent % len(requests)], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        sent += 1
    await asyncio.gather(*tasks)
    marks = {f"p{q}": quantile(latency, q) for q in (50, 99)}
    return {
        "requests": sent, "seconds": perf_counter() - begun, "statuses": statuses, **marks,
        "accepted_p99": quantile(accepted, 99), "silent": sum(client.silent for client in clients),
    }  # fmt: skip


def quantile(values: list[float], percent: int) -> float | None:
    """A quantile, None of nothing."""
    found = sorted(values)
    return found[min(len(found) * percent // 100, len(found) - 1)] if found else None


async def main(written: bytes) -> None:
    """Run as the command line says, print."""
    host, port, key, _, mode, connections, seconds, *rest = sys.argv[1:]
    path, kind, bodies = pickle.loads(written)  # by serve.py, a moment ago
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bodies
    ]
    clients = await connect(host, int(port), int(connections))
    if mode == "closed":
        result = await closed(clients, requests, float(seconds))
    else:
        result = await open_loop(clients, requests, float(seconds), float(rest[0]))
    print(json.dumps(result))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(Path(sys.argv[4]).read_bytes()))
