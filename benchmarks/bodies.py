"""What a request costs by the form of its candidates, and an answer of an onboarding session.

Usage: python benchmarks/bodies.py [--seconds 4] [--rounds 3]
64 candidates of 768 dimensions for a known person, on one process of the whole service: by id, as raw
float32, as base64 in JSON, as texts of about 60 and 600 characters (those are some 128 tokens) whose
vectors the service has kept; beside them a bare route that scores by id; closed loop over 16 connections.
An answer is durable on SQLite and its reply holds the next question, of a pool of 2,000 pairs in 32
dimensions; one person after another.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
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
from gustibus.encoders import load_encoder
from gustibus.onboarding import QuestionPool
from gustibus.store import NewItem, Store, create_key, put_items
from serve import CANDIDATES, DIM, PEOPLE, Server, load, prepare, running, wait

GOALS = {"ids": 4000, "float32": 2200, "base64": 1200, "texts of 60": 2000, "texts of 600": 2000}
"""Requests a second that are asked for."""
WORDS = """
about above after again almost along already answer because before between café could different every
example “first” follow found great however important interest know large later letter maybe might never
number often other people perhaps question rather reason really second should simple something still
their there think though through together under until where which while without world would young
"""
BODIES, POOL, SESSIONS, ANSWERS = 64, 2000, 20, 12


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment, _, bare = prepare(folder)
        environment["GUSTIBUS_WARM"] = "0"  # the questions are no texts that were encoded
        environment["GUSTIBUS_MAX_WAIT"] = "60"  # a busy machine is measured, not refused
        store = Store(environment["GUSTIBUS_DATABASE"])
        ask(folder, store)
        with store.write() as conn:
            scopes = ["score", "score:raw", "onboard"]
            key = create_key(conn, name="bodies", scopes=scopes).secret_text
        store.close()
        assert key is not None
        forms = {"ids": (folder / "bodies.pickle").read_bytes(), **written(), **told()}
        with running(environment) as server, running(bare) as floor:
            for one in (server, floor):
                wait(one)
            for name in ("texts of 60", "texts of 600"):
                meet(key, server, forms[name])
            report(folder, key, server, floor, forms, chosen)
            interview(key, server)


def ask(folder: Path, store: Store) -> None:
    """Give the model questions and an encoder, and the items vectors under what it is then."""
    known = Artifact.load(folder / "model")
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(2 * POOL, DIM)).astype(np.float32)
    a, b = np.split(known.model.represent(drawn), 2)
    texts = tuple(f"text {row}" for row in range(POOL))
    held = np.arange(POOL) % 10 == 0
    pool = QuestionPool(a, b, texts, texts, texts, texts, held)
    shutil.rmtree(folder / "model")
    encoder = load_encoder("hashing", dim=DIM)
    card = {
        "name": encoder.name, "options": dict(encoder.options), "fingerprint": encoder.fingerprint,
        "dim": DIM,
    }  # fmt: skip
    asking = replace(known, pool=pool, digest="", card={**known.card, "encoder": card})
    asking = asking.save(folder / "model")
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


def told() -> dict[str, bytes]:
    """Requests with texts, short and long; each text comes in one request alone."""
    rng = np.random.default_rng(3)
    forms = {}
    for size in (60, 600):
        rows = [
            json.dumps(
                {
                    "user": f"u-{rng.integers(PEOPLE)}",
                    "prompt": "Which of these would you rather read?",
                    "candidates": [text(rng, size) for _ in range(CANDIDATES)],
                },
                ensure_ascii=False, separators=(",", ":"),
            ).encode() for _ in range(BODIES)
        ]  # fmt: skip
        forms[f"texts of {size}"] = pickle.dumps(("/v1/score", "application/json", rows))
    return forms


def text(rng: np.random.Generator, size: int) -> str:
    """About so many characters of words in lines."""
    drawn = [str(word) for word in rng.choice(WORDS.split(), size // 7 + 1)]
    return "\n".join(" ".join(drawn[at : at + 15]) for at in range(0, len(drawn), 15))[:size]


def meet(key: str, server: Server, packed: bytes) -> None:
    """Have texts encoded, which the first to send them pays for."""
    http = HTTPConnection("127.0.0.1", server.port, timeout=60)
    path, kind, bodies = pickle.loads(packed)  # made by this process
    for body in bodies:
        http.request("POST", path, body, {"Authorization": f"Bearer {key}", "Content-Type": kind})
        reply = http.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()


def report(
    folder: Path, key: str, server: Server, floor: Server, forms: dict[str, bytes],
    chosen: argparse.Namespace,
) -> None:  # fmt: skip
    """Each form in turns, and the bare route."""
    bare = "ids, bare route"
    rounds = {**forms, bare: forms["ids"]}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in rounds}
    for turn in range(chosen.rounds + 1):
        for name, bodies in rounds.items():
            (folder / "bodies.pickle").write_bytes(bodies)
            asked = floor if name == bare else server
            found = load(folder, key, asked, "closed", chosen.seconds)
            if turn:  # the first warms up
                seen[name].append(found)
    print("| candidates | bytes | CPU a request | requests a second | asked for |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, found in seen.items():
        cpu = 1e6 * median(one["cpu"] for one in found)
        rate = median(one["requests"] / one["seconds"] for one in found)
        size = len(pickle.loads(rounds[name])[2][0])  # as above
        goal = f"{GOALS[name]:,}" if name in GOALS else ""
        print(f"| {name} | {size:,} | {cpu:.0f} us | {rate:,.0f} | {goal} |")
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


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
