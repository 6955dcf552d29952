"""What a request costs by the form of its candidates, and an answer of an onboarding session.

Usage: python benchmarks/bodies.py [--seconds 4] [--rounds 3]
64 candidates of 768 dimensions for a known person, on one process of the whole service: by id, as
raw float32, as base64 in JSON; closed loop over 16 connections. An answer is durable on SQLite and its reply
holds the next question, of a pool of 2,000 pairs in 32 dimensions; one person after another.
"""

from __future__ import annotations

import argparse
import base64
import json
import pickle
import shutil
import tempfile
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from gustibus.artifact import Artifact
from gustibus.onboarding import QuestionPool
from gustibus.store import NewItem, Store, create_key, put_items
from serve import CANDIDATES, DIM, PEOPLE, Server, load, prepare, running, wait

GOALS = {"ids": 4000, "float32": 2200, "base64": 1200}
"""Requests a second that are asked for."""
BODIES, POOL, SESSIONS, ANSWERS = 64, 2000, 20, 12


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment, _, _ = prepare(folder)
        store = Store(environment["GUSTIBUS_DATABASE"])
        ask(folder, store)
        with store.write() as conn:
            scopes = ["score", "score:raw", "onboard"]
            key = create_key(conn, name="bodies", scopes=scopes).secret_text
        store.close()
        assert key is not None
        forms = {"ids": (folder / "bodies.pickle").read_bytes(), **written()}
        with running(environment) as server:
            wait(server)
            report(folder, key, server, forms, chosen)
            interview(key, server)


def ask(folder: Path, store: Store) -> None:
    """Give the model questions, and the items vectors under what it is then."""
    known = Artifact.load(folder / "model")
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(2 * POOL, DIM)).astype(np.float32)
    a, b = np.split(known.model.represent(drawn), 2)
    texts = tuple(f"text {row}" for row in range(POOL))
    held = np.arange(POOL) % 10 == 0
    pool = QuestionPool(a, b, texts, texts, texts, texts, held)
    shutil.rmtree(folder / "model")
    asking = replace(known, pool=pool, digest="").save(folder / "model")
    vectors = np.load(folder / "bare.npz")["vectors"]
    rows = [NewItem(f"item-{n}", None, None, (), vector) for n, vector in enumerate(vectors)]
    with store.write() as conn:
        put_items(conn, rows=rows, model=asking.digest)


def written() -> dict[str, bytes]:
    """Requests with embeddings, as the generator takes them."""
    rng = np.random.default_rng(2)
    drawn = rng.normal(size=(BODIES, CANDIDATES, DIM)).astype("<f4")
    path = f"/v1/score?user=u-1&dtype=f32&dim={DIM}"
    raw = (path, "application/octet-stream", [each.tobytes() for each in drawn])
    rows = [
        json.dumps({
            "user": f"u-{rng.integers(PEOPLE)}",
            "candidates": [
                {"embedding": {"b64": base64.b64encode(row.tobytes()).decode(), "dtype": "f32"}}
                for row in each
            ],
        }).encode() for each in drawn
    ]  # fmt: skip
    packed = ("/v1/score", "application/json", rows)
    return {"float32": pickle.dumps(raw), "base64": pickle.dumps(packed)}


def report(
    folder: Path, key: str, server: Server, forms: dict[str, bytes], chosen: argparse.Namespace
) -> None:
    """Each form in turns."""
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in forms}
    for turn in range(chosen.rounds + 1):
        for name, bodies in forms.items():
            (folder / "bodies.pickle").write_bytes(bodies)
            found = load(folder, key, server, "closed", chosen.seconds)
            if turn:  # the first warms up
                seen[name].append(found)
    print("| candidates | CPU a request | requests a second | asked for |")
    print("| --- | ---: | ---: | ---: |")
    for name, rounds in seen.items():
        cpu = 1e6 * median(one["cpu"] for one in rounds)
        rate = median(one["requests"] / one["seconds"] for one in rounds)
        print(f"| {name} | {cpu:.0f} us | {rate:,.0f} | {GOALS[name]:,} |")


def interview(key: str, server: Server) -> None:
    """Sessions one after the other; milliseconds from an answer to its reply."""
    http = HTTPConnection("127.0.0.1", server.port, timeout=30)
    head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def call(method: str, path: str, body: dict[str, object]) -> dict[str, object]:
        http.request(method, path, json.dumps(body), head)
        reply = http.getresponse()
        told: dict[str, object] = json.loads(reply.read())
        assert reply.status in {200, 201}, told
        return told

    took = []
    for person in range(SESSIONS):
        body = {"user": f"new-{person}", "min_questions": ANSWERS, "max_questions": ANSWERS + 1}
        session = call("POST", "/v1/onboarding/sessions", body)["id"]
        for seq in range(ANSWERS):
            said = {"answer": ("left", "right")[(person + seq) % 2]}
            began = perf_counter()
            call("PUT", f"/v1/onboarding/sessions/{session}/answers/{seq}", said)
            took.append(1e3 * (perf_counter() - began))
    p50, p95 = np.percentile(took, [50, 95])
    print(f"\nanswer to next question: p50 {p50:.1f} ms, p95 {p95:.1f} ms (10 and 50 asked for)")


if __name__ == "__main__":
    main()
