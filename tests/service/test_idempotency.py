"""Writes that are sent up to five times, while the server is killed in between, have one effect each."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import select

from gustibus.store import Store
from gustibus.store.tables import imports as import_table
from tests.service.harness import DIM, Service, database, running
from tests.service.test_kill import everything

ENGINES = ("sqlite", "postgresql")
SENDERS = 6
SESSIONS = "/v1/onboarding/sessions"


@dataclass
class Write:
    """One write under a key, and every reply to it."""

    key: str
    method: str
    path: str
    body: dict
    copies: int
    """How often it is to be answered."""
    replies: list[httpx.Response] = field(default_factory=list)


def writes(count: int, *, seed: int) -> list[Write]:
    """Answers without names of their own, people, items, sessions, jobs and imports."""
    rng, made = random.Random(seed), []
    for n in range(count):
        user, a = f"user-{rng.randrange(8)}", {"id": rng.choice("xy")}
        answer = {"user": user, "a": a, "b": {"id": "y"}, "outcome": "a", "source": f"s-{n}"}
        attributes = {"attributes": {"n": n}}
        kinds = [
            ("POST", "/v1/comparisons", {"comparisons": [answer]}),
            ("POST", "/v1/comparisons", {"comparisons": [answer, {**answer, "user": "both"}]}),
            ("PUT", f"/v1/users/once-{n}", attributes),
            ("POST", SESSIONS, {"user": f"asked-{n}", "seed": n}),
            ("POST", "/v1/imports", {"source": f"import-{n}"}),
        ]
        made.append(Write(f"key-{n}", *rng.choices(kinds, [4, 2, 2, 1, 1])[0], rng.randint(1, 5)))
    return made


class Sender(threading.Thread):
    """Sends its writes as often as each wants, tries that found no server not counted."""

    def __init__(self, service: Service, mine: list[Write]) -> None:
        super().__init__(daemon=True)
        self.service, self.mine = service, mine
        self.done = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        with self.service.client(self.service.key, timeout=10) as http:
            for write in self.mine:
                while len(write.replies) < write.copies and not self.wrong:
                    self.send(http, write)
                self.done += 1

    def send(self, http: httpx.Client, write: Write) -> None:
        headers = {"Idempotency-Key": write.key}
        with contextlib.suppress(httpx.HTTPError):
            reply = http.request(write.method, write.path, json=write.body, headers=headers)
            if reply.status_code < 300:
                write.replies.append(reply)
                return
            running = reply.status_code == 409 and reply.json()["code"] == "idempotency_in_progress"
            if reply.status_code != 503 and not running:
                self.wrong.append(f"{write.path} {reply.status_code} {reply.text}")
        time.sleep(0.03)


def send_all(service: Service, made: list[Write], *, kills: int, seed: int) -> None:
    """Two senders share every write, so that copies of one meet; the server is killed again and again."""
    rng = random.Random(seed)
    halves = []
    for write in made:
        first = Write(write.key, write.method, write.path, write.body, (write.copies + 1) // 2)
        halves.append((first, Write(*list(vars(first).values())[:4], write.copies // 2)))
    senders = []
    for place in range(SENDERS // 2):
        for half in (0, 1):
            senders.append(Sender(service, [pair[half] for pair in halves[place :: SENDERS // 2]]))
    for sender in senders:
        sender.start()
    total = len(made) * 2
    for number in range(kills):
        until = time.monotonic() + 120
        while sum(sender.done for sender in senders) < total * number / kills:
            assert time.monotonic() < until, [sender.wrong for sender in senders]
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.1))
        service.kill()
        service.start()
    for sender in senders:
        sender.join(300)
        assert not sender.is_alive()
        assert not sender.wrong, sender.wrong[:3]
    for write, pair in zip(made, halves, strict=True):
        write.replies = [reply for half in pair for reply in half.replies]


def check(service: Service, http: httpx.Client, made: list[Write]) -> dict[str, int]:
    """One reply for all copies of a write, and one effect."""
    counts = {"writes": len(made), "sent": 0, "replayed": 0}
    answers: dict[str, list[str]] = {}
    sessions: dict[str, str] = {}
    imports: set[str] = set()
    for write in made:
        assert len(write.replies) == write.copies
        assert len({(reply.status_code, reply.content) for reply in write.replies}) == 1, write.key
        fresh = [r for r in write.replies if "idempotency-replayed" not in r.headers]
        assert len(fresh) <= 1, f"{write.key} had its effect {len(fresh)} times"
        counts["sent"] += write.copies
        counts["replayed"] += write.copies - len(fresh)
        told = write.replies[0].json()
        if write.path == "/v1/comparisons":
            for row, name in zip(write.body["comparisons"], told["ids"], strict=True):
                answers.setdefault(row["user"], []).append(name)
        elif write.path == SESSIONS:
            sessions[told["user"]] = told["id"]
        elif write.path == "/v1/imports":
            imports.add(told["id"])
        else:
            assert http.get(write.path).json()["attributes"] == write.body["attributes"]
            assert write.replies[0].status_code == 201
    for user, names in answers.items():
        assert sorted(row["id"] for row in everything(http, user)) == sorted(names), user
    for user, session in sessions.items():
        rows = http.post(f"/v1/users/{user}:export").text
        assert rows.count('"kind":"session"') == 1, user
        assert session in rows
    store = Store(service.url)
    with store.read() as conn:  # no request lists them
        assert set(conn.execute(select(import_table.c.id)).scalars()) == imports
    store.close()
    return counts


def one_effect_each(folder, engine: str, model, *, count: int, kills: int, seed: int) -> None:
    with (
        database(engine, folder) as url,
        running(url, folder, gustibus_model=str(model), gustibus_rate="0") as service,
    ):
        with service.client() as http:
            items = [{"id": n, "embedding": [float(k)] * DIM} for k, n in enumerate("xy")]
            assert http.post("/v1/items:batch", json={"items": items}).status_code == 200
        made = writes(count, seed=seed)
        began = time.monotonic()
        send_all(service, made, kills=kills, seed=seed)
        with service.client() as http:
            counts = check(service, http, made)
        print({"engine": engine, "kills": kills, **counts, "seconds": time.monotonic() - began})
        assert counts["replayed"] > count / 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_hundred_writes_with_kills_between_have_one_effect_each(
    tmp_path, vectors_folder, vectors_model, engine
):
    one_effect_each(tmp_path, engine, vectors_folder, count=100, kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_thousand_writes_with_kills_between_have_one_effect_each(
    tmp_path, vectors_folder, vectors_model, engine
):
    one_effect_each(tmp_path, engine, vectors_folder, count=1000, kills=50, seed=2)
