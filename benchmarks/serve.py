"""What the service costs beside a bare Starlette route that does the same arithmetic.

    python benchmarks/serve.py [--seconds 6] [--rounds 3]

Both are uvicorn processes on this machine: 64 candidates by id for a known person, keep-alive
connections, requests from a process of its own (`load.py`). Rounds alternate, so that both meet the
same noise. CPU is what the kernel booked on the server process; latency of both is measured on a Poisson
schedule at half of the throughput that the service reached, waiting included. What the generator itself
was late is told beside it: where that is not small, something else had the processors, and the latency
is that of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from gustibus.artifact import Artifact, People
from gustibus.models.hierarchical import Hierarchical
from gustibus.posterior import Answering, GaussianPrior
from gustibus.store import NewItem, Store, create_key, put_items, upgrade

DIM, BASIS, ITEMS, PEOPLE, CANDIDATES = 768, 32, 10_000, 1_000, 64
CONNECTIONS = 16
TICKS = os.sysconf("SC_CLK_TCK")
NAMES = ("gustibus, whole stack", "bare Starlette route")

BARE = """
import sys, time
from typing import Literal
import msgspec, numpy as np, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

loaded = np.load(sys.argv[1])
vectors, means = loaded["vectors"], loaded["means"]
items = {f"item-{i}": i for i in range(len(vectors))}
people = {f"u-{i}": i for i in range(len(means))}

class Candidate(msgspec.Struct):
    id: str

class Ask(msgspec.Struct):
    candidates: list[Candidate]
    user: str
    model: str = "default"

class Score(msgspec.Struct):
    index: int
    object: Literal["score"]
    score: float

class Reply(msgspec.Struct):
    object: Literal["list"]
    created: int
    model: str
    user: str
    data: list[Score]
    ranking: list[int]

decode = msgspec.json.Decoder(Ask).decode
encode = msgspec.json.Encoder().encode

async def score(request):
    ask = decode(await request.body())
    rows = [items[c.id] for c in ask.candidates]
    rep = vectors[rows].astype(np.float64)
    value = rep[:, 1:] @ means[people[ask.user]] + rep[:, 0]
    order = np.argsort(-value, kind="stable").tolist()
    data = [Score(i, "score", v) for i, v in enumerate(value.tolist())]
    reply = Reply("list", int(time.time()), "default", ask.user, data, order)
    return Response(encode(reply), media_type="application/json")

app = Starlette(routes=[Route("/v1/score", score, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools",
            access_log=False, log_level="warning")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment, key, bare = prepare(folder)
        with running(environment) as ours, running(bare) as theirs:
            for server in (ours, theirs):
                wait(server)
            measure(folder, key, ours, theirs, options)


def prepare(folder: Path) -> tuple[dict[str, str], str, list[str]]:
    """A model, items, people and a key; how to start the service, and the bare route."""
    rng = np.random.default_rng(0)
    model = Hierarchical(
        np.zeros(DIM, np.float32),
        rng.normal(0, DIM**-0.5, DIM).astype(np.float32),
        rng.normal(0, DIM**-0.5, (DIM, BASIS)).astype(np.float32),
        GaussianPrior.standard(BASIS),
        Answering(0.02),
    )
    means = rng.normal(size=(PEOPLE, BASIS)).astype(np.float32)
    people = People(
        tuple(f"u-{i}" for i in range(PEOPLE)), means,
        np.repeat(0.1 * np.eye(BASIS, dtype=np.float32)[None], PEOPLE, axis=0),
        np.full(PEOPLE, 20, np.int32),
    )  # fmt: skip
    vectors = model.represent(rng.normal(size=(ITEMS, DIM)).astype(np.float32))
    card = {"family": "hierarchical", "name": "benchmark", "encoder": None}
    artifact = Artifact(model, card, people, vectors[:512]).save(folder / "model")
    database = f"sqlite:///{folder}/serve.db"
    upgrade(database)
    store = Store(database)
    with store.write() as conn:
        key = create_key(conn, name="benchmark", scopes=["score"]).secret_text
        rows = [NewItem(f"item-{i}", None, None, (), v) for i, v in enumerate(vectors)]
        put_items(conn, rows=rows, model=artifact.digest)
    store.close()
    np.savez(folder / "bare.npz", vectors=vectors, means=means.astype(np.float64))
    (folder / "bare.py").write_text(BARE, encoding="utf-8")
    names = rng.integers(0, ITEMS, (256, CANDIDATES))
    bodies = [
        json.dumps({
            "user": f"u-{rng.integers(PEOPLE)}",
            "candidates": [{"id": f"item-{i}"} for i in row],
        }).encode() for row in names
    ]  # fmt: skip
    (folder / "bodies.pickle").write_bytes(pickle.dumps(("/v1/score", "application/json", bodies)))
    environment = {
        "GUSTIBUS_DATABASE": database, "GUSTIBUS_MODEL": str(folder / "model"),
        "GUSTIBUS_RATE": "0", "GUSTIBUS_SESSIONS": "0",
        "GUSTIBUS_PORT": str(free_port()), "GUSTIBUS_DRAIN": "0",
    }  # fmt: skip
    bare = [sys.executable, str(folder / "bare.py"), str(folder / "bare.npz"), str(free_port())]
    assert key is not None
    return environment, key, bare


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A process that is measured."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(what: dict[str, str] | list[str]) -> Iterator[Server]:
    settings = what if isinstance(what, dict) else {}
    command = [sys.executable, "-m", "gustibus.service.run"] if settings else list(what)
    port = int(settings.get("GUSTIBUS_PORT") or command[-1])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **settings}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(timeout=40)


def wait(server: Server) -> None:
    """Until something listens; the service does when it is ready."""
    until = time.monotonic() + 60
    while time.monotonic() < until and server.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("a server did not start")


def load(
    folder: Path, key: str, server: Server, mode: str, seconds: float, rate: float = 0
) -> dict:
    command = [
        sys.executable, str(Path(__file__).with_name("load.py")), "127.0.0.1", str(server.port), key,
        str(folder / "bodies.pickle"), mode, str(CONNECTIONS), str(seconds), str(rate),
    ]  # fmt: skip
    before = server.cpu()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    assert set(result["statuses"]) == {"200"}, result["statuses"]
    result["cpu"] = (server.cpu() - before) / result["requests"]
    return result


def measure(
    folder: Path, key: str, ours: Server, theirs: Server, options: argparse.Namespace
) -> None:
    for server in (ours, theirs):
        load(folder, key, server, "closed", 1.5)
    rows = []
    for _ in range(options.rounds):
        pair = [load(folder, key, s, "closed", options.seconds) for s in (ours, theirs)]
        rows.append(pair)
    throughput = median(r[0]["requests"] / r[0]["seconds"] for r in rows)
    half = [
        [load(folder, key, s, "open", options.seconds, throughput / 2) for s in (ours, theirs)]
        for _ in range(options.rounds)
    ]
    print(f"{platform.machine()}, {os.cpu_count()} cores; {CANDIDATES} of {ITEMS:,} items by id, "
          f"{PEOPLE:,} people, k = {BASIS}\n")  # fmt: skip
    print("| | CPU a request | requests a second |\n| --- | ---: | ---: |")
    for column, name in enumerate(NAMES):
        cpu = median(r[column]["cpu"] for r in rows) * 1e6
        rate = median(r[column]["requests"] / r[column]["seconds"] for r in rows)
        print(f"| {name} | {cpu:.0f} us | {rate:,.0f} |")
    ratios = [r[0]["cpu"] / r[1]["cpu"] for r in rows]
    print(
        f"\nCPU ratio: median {median(ratios):.2f}, rounds {', '.join(f'{x:.2f}' for x in ratios)}"
    )
    print(f"\nAt {throughput / 2:,.0f} requests a second, milliseconds of each round\n")
    print("| | p50 | p99 | generator late, p99 |\n| --- | --- | --- | --- |")
    for column, name in enumerate(NAMES):
        told = (
            ", ".join(f"{r[column][mark] * 1e3:.2f}" for r in half)
            for mark in ("p50", "p99", "late_p99")
        )
        print(f"| {name} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
