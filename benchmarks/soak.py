"""Whether the service stays as it is: mixed reads and writes for hours.

    python benchmarks/soak.py [--hours 8] [--rate 50] [--window 300]

One process of the service and an open loop of requests from this one: 64 candidates by id, best of 16,
profiles, lists of answers, answers, and people that come and are deleted. Each window ends in a line:
requests, what was not answered with 2xx, milliseconds, resident memory, descriptors, processor time. After a
warm-up (the first hour, or a third of a shorter run) memory may grow by 1 MiB an hour or 4 MiB in all,
descriptors by the files that the store opens when it first needs them, and the p99 of scores by 10 %, last
half against first; the run fails otherwise, or when a reply is not 2xx.

A short run that other work disturbs says nothing of p99: what the generator itself was late is told beside it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

import numpy as np

from gustibus.store import Store, create_key
from load import Connection, Poll, quantile
from serve import CANDIDATES, ITEMS, PEOPLE, Server, prepare, running, wait

CONNECTIONS = 16
CROWD = 100  # people who stay for as many others before they are deleted
SCOPES = ["score", "ingest", "users:read", "users:write"]
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20
FILES = 8  # of the store: two for each of four readers


class Requests:
    """Requests of an application, by chance.

    Args:
        key: that they carry.
        seed: of the chance.
    """

    def __init__(self, key: str, seed: int) -> None:
        self._head = f"Host: soak\r\nAuthorization: Bearer {key}\r\n"
        self._pick = Random(seed)
        self._number = 0
        self._came = self._gone = 0

    def draw(self) -> tuple[str, bytes]:
        """What the next one is, and the request."""
        self._number += 1
        pick = self._pick
        user = f"u-{pick.randrange(PEOPLE)}"
        what = pick.random()
        if what < 0.6:
            body = {"user": user, "candidates": self._items(CANDIDATES)}
            return "score", self._request("POST", "/v1/score", body)
        if what < 0.7:
            body = {"user": user, "candidates": self._items(16)}
            return "read", self._request("POST", "/v1/best-of-n", body)
        if what < 0.75:
            return "read", self._request("GET", f"/v1/users/{user}/profile")
        if what < 0.8:
            return "read", self._request("GET", f"/v1/comparisons?user={user}&limit=10")
        if what < 0.9:
            a, b = self._items(2)
            row = {"id": f"soak-{self._number}", "user": user, "a": a, "b": b, "outcome": "a"}
            return "write", self._request("POST", "/v1/comparisons", {"comparisons": [row]})
        return "write", self._come_or_go()

    def _come_or_go(self) -> bytes:
        """A person who is put, or the eldest, who is deleted with all that is known of them."""
        if self._came - self._gone > CROWD:
            self._gone += 1
            return self._request("DELETE", f"/v1/users/t-{self._gone}")
        self._came += 1
        return self._request("PUT", f"/v1/users/t-{self._came}", {"attributes": {"n": self._came}})

    def _items(self, count: int) -> list[dict[str, str]]:
        return [{"id": f"item-{n}"} for n in self._pick.sample(range(ITEMS), count)]

    def _request(self, method: str, path: str, body: object = None) -> bytes:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._head}"
        if data:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        return f"{head}\r\n".encode() + data


@dataclass
class Window:
    """What was seen in a few minutes."""

    hours: float
    took: dict[str, list[float]] = field(default_factory=dict)
    """Seconds by kind, from when a request was due."""
    late: list[float] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    memory: int = 0
    descriptors: int = 0
    cpu: float = 0.0

    def p99(self, kind: str) -> float:
        """Milliseconds."""
        return 1e3 * (quantile(self.took.get(kind, []), 99) or 0.0)


def run(server: Server, key: str, options: argparse.Namespace) -> list[Window]:
    """Ask for hours."""
    requests, chance = Requests(key, 1), Random(2)
    connections = [Connection("127.0.0.1", server.port) for _ in range(CONNECTIONS)]
    poll, idle = Poll(connections), deque(connections)
    kinds: dict[Connection, str] = {}
    windows: list[Window] = []
    begun = due = perf_counter()
    end = begun + 3600 * options.hours
    window, until, spent = Window(0.0), begun + options.window, server.cpu()
    print(
        "| hours | requests | not 2xx | score p50 | p99 | read p99 | write p99 | late p99 | MiB | fds | CPU |"
    )
    print("| ---: " * 11 + "|", flush=True)
    while due < end or len(idle) < len(connections):
        now = perf_counter()
        while idle and due < end and due <= now:
            kind, request = requests.draw()
            connection = idle.popleft()
            connection.due, kinds[connection] = due, kind
            window.late.append(now - max(due, connection.freed))
            poll.send(connection, request)
            due += chance.expovariate(options.rate)
            now = perf_counter()
        waits = due < end and idle
        for connection in poll.wait(min(max(due - now, 0.0), 1.0) if waits else 1.0):
            status = connection.receive()
            if status is None:
                continue
            now = connection.freed = perf_counter()
            window.took.setdefault(kinds[connection], []).append(now - connection.due)
            if not 200 <= status < 300:
                window.refused[status] = window.refused.get(status, 0) + 1
            idle.append(connection)
        if now > until or (due >= end and len(idle) == len(connections)):
            window.memory, window.descriptors = usage(server)
            window.cpu = server.cpu() - spent
            spent += window.cpu
            show(window)
            windows.append(window)
            window, until = Window((now - begun) / 3600), until + options.window
    return windows


def usage(server: Server) -> tuple[int, int]:
    """Resident bytes and open descriptors."""
    process = Path(f"/proc/{server.process.pid}")
    resident = int((process / "statm").read_text().split()[1]) * PAGE
    return resident, len(list((process / "fd").iterdir()))


def show(window: Window) -> None:
    """One line."""
    scores = window.took.get("score", [])
    half = 1e3 * (quantile(scores, 50) or 0.0)
    print(
        f"| {window.hours:.2f} | {sum(map(len, window.took.values())):,} | {window.refused or 0} "
        f"| {half:.2f} | {window.p99('score'):.2f} | {window.p99('read'):.2f} | {window.p99('write'):.2f} | "
        f"{1e3 * (quantile(window.late, 99) or 0.0):.2f} | {window.memory / MIB:.1f} | "
        f"{window.descriptors} | {window.cpu:.1f} s |",
        flush=True,
    )


def judge(windows: list[Window], hours: float) -> list[str]:
    """What did not stay as it was, after the warm-up."""
    warm = min(1.0, hours / 3)
    kept = [window for window in windows if window.hours >= warm]
    if len(kept) < 4:
        return [f"{len(kept)} windows after the warm-up say nothing; run for longer"]
    at = np.array([window.hours for window in kept])
    memory = np.array([window.memory / MIB for window in kept])
    slope = float(np.polyfit(at, memory, 1)[0])
    grown = float(memory[-1] - memory[0])
    half = len(kept) // 2
    early, late = (median(w.p99("score") for w in part) for part in (kept[:half], kept[half:]))
    descriptors = [window.descriptors for window in kept]
    print(
        f"\nafter {warm:.2f} h: memory {slope:+.2f} MiB/h ({grown:+.1f} MiB), descriptors "
        f"{min(descriptors)} to {max(descriptors)}, p99 of scores {early:.2f} then {late:.2f} ms"
    )
    wrong = []
    if slope > 1.0 and grown > 4.0:
        wrong.append("memory grows")
    if max(descriptors) - min(descriptors) > FILES:
        wrong.append("descriptors change")
    if late > 1.1 * early:
        wrong.append("p99 rises")
    if any(window.refused for window in windows):
        wrong.append("requests failed")
    return wrong


def main() -> None:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--window", type=float, default=300.0, help="seconds of a line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        environment, _, _ = prepare(Path(name))
        store = Store(environment["GUSTIBUS_DATABASE"])
        with store.write() as conn:
            key = create_key(conn, name="soak", scopes=SCOPES).secret_text
        store.close()
        assert key is not None
        with running(environment) as server:
            wait(server)
            gc.disable()
            windows = run(server, key, options)
        for wrong in (found := judge(windows, options.hours)):
            print(wrong)
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
