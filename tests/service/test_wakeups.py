"""Over PostgreSQL a process hears of what others write, long before it would look by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from gustibus.service.app import create_app
from gustibus.service.settings import Settings
from gustibus.service.wakeups import Alarm
from gustibus.store import Store, revoke_key
from tests.service.harness import DIM, Service, new_key, postgres, running
from tests.service.operated import save
from tests.service.test_versions import promote, ready, serving

REFRESH = "60"  # seconds, far longer than anything here waits
LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN gustibus'"


def until(happened: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for what comes too late where nobody is woken."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "nothing was heard"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[Service, Service]]:
    """Two processes of one database and registry that look by themselves once a minute."""
    folder = tmp_path_factory.mktemp("pair")
    root = folder / "registry"
    root.mkdir()
    made = [save(root, seed=seed) for seed in (60, 61)]
    settings = {
        "gustibus_models": str(root), "gustibus_worker": "0", "gustibus_files": str(folder),
        "gustibus_refresh": REFRESH,
    }  # fmt: skip
    with postgres() as url, running(url, folder, **settings) as one:
        other = Service(url, folder, {**one.environment, "GUSTIBUS_WORKER": "1"}, starts=10)
        other.start()
        try:
            with one.client() as http:
                ready(http, made)
            yield one, other
        finally:
            other.kill()


@pytest.fixture(scope="module")
def clients(pair) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    one, other = pair
    with one.client() as here, other.client(one.key) as there:
        serving(there, "default@1")
        put_items(here, there)
        yield here, there


def put_items(here: httpx.Client, there: httpx.Client) -> None:
    """Items with vectors under the version that is served."""
    items = [{"id": name, "embedding": [float(n)] * DIM} for n, name in enumerate("xyz")]
    assert here.post("/v1/items:batch", json={"items": items}).status_code == 200
    until(lambda: score(there, "nobody").status_code == 200)


def score(http: httpx.Client, user: str) -> httpx.Response:
    return http.post("/v1/score", json={"candidates": [{"id": "x"}, {"id": "z"}], "user": user})


def answer(http: httpx.Client, user: str) -> int:
    """Five answers; the version of the profile that knows of them."""
    rows = [{"user": user, "a": {"id": "x"}, "b": {"id": "z"}, "outcome": "a"}] * 5
    reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
    return reply.json()["profile_versions"][user]


def version(http: httpx.Client, user: str) -> int:
    reply = score(http, user)
    assert reply.status_code == 200, reply.text
    return reply.json()["user"]["profile_version"]


def test_answers_and_removals_are_heard_of(clients):
    here, there = clients
    wanted = answer(here, "ann")
    until(lambda: version(there, "ann") == wanted)
    assert here.delete("/v1/users/ann").status_code == 200
    until(lambda: version(there, "ann") == 0)


def test_a_key_is_heard_of_and_its_revocation_too(pair, clients):
    url, there = pair[0].url, pair[1]
    key = new_key(url, "score")
    headers = {"Authorization": f"Bearer {key}"}

    def known() -> bool:
        return httpx.get(f"{there.base}/v1/version", headers=headers).status_code == 200

    until(known)
    store = Store(url)
    with store.write() as conn:
        revoke_key(conn, key_id=key.split("_")[2])
    store.close()
    until(lambda: not known())


def test_an_alias_that_moves_is_heard_of(clients):
    here, there = clients
    promote(here, 2)
    serving(here, "default@2")
    serving(there, "default@2")
    put_items(here, there)  # the new state is rung as the old one was
    wanted = answer(here, "cid")
    until(lambda: version(there, "cid") == wanted)


def listeners(url: str, *, end: bool = False) -> int:
    """How many listen to a database; they may be made to end."""
    what = "pg_terminate_backend(pid)" if end else "pid"
    store = Store(url)
    with store.read() as conn:
        found = conn.exec_driver_sql(f"SELECT {what} {LISTENERS}").all()
    store.close()
    return len(found)


def test_a_connection_that_is_killed_is_made_again_and_nothing_is_missed(pair, clients):
    here, there = clients
    for user in ("dan", "eve"):
        until(lambda: listeners(pair[0].url) == 2)
        assert listeners(pair[0].url, end=True) == 2
        wanted = answer(here, user)  # before anybody listens again, or after
        until(lambda: version(there, user) == wanted)
    until(lambda: listeners(pair[0].url) == 2)


def test_a_job_is_taken_at_once(clients):
    here = clients[0]
    for number in range(3):  # the worker of the other process waits for a message each time
        headers = {"Idempotency-Key": f"job-{number}"}
        reply = here.post("/v1/jobs", json={"kind": "refit_profiles"}, headers=headers)
        assert reply.status_code == 202, reply.text
        path = f"/v1/jobs/{reply.json()['id']}"
        until(lambda: here.get(path).json()["state"] == "succeeded")


@pytest.mark.parametrize("listening", [True, False])
def test_a_process_listens_unless_it_is_told_not_to(pair, clients, listening):
    settings = Settings(
        database=pair[0].url, worker=False, log=False, listen=listening, refresh=0.05
    )

    async def heard() -> int:
        gate = create_app(settings)
        await gate.start()
        try:
            if listening:
                await asyncio.to_thread(until, lambda: listeners(pair[0].url) == 3)
            await asyncio.sleep(0.1)
            return listeners(pair[0].url)
        finally:
            await gate.stop()

    assert asyncio.run(heard()) == 2 + listening


def test_a_look_that_came_too_early_is_repeated_until_it_has_seen_the_transaction():
    async def looks() -> list[float]:
        alarm, loop, waits = Alarm(), asyncio.get_running_loop(), []
        alarm.ring("70")
        for sequence in (70, 70, 71):
            began = loop.time()
            await asyncio.wait_for(alarm.changes(60.0), 30.0)
            waits.append(loop.time() - began)
            alarm.looked(sequence)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alarm.changes(60.0), 0.5)
        return waits

    assert len(asyncio.run(looks())) == 3


def test_many_messages_are_one_look():
    async def looks() -> int:
        alarm, count = Alarm(), 0

        async def follow() -> None:
            nonlocal count
            while True:
                await alarm.changes(60.0)
                count += 1
                alarm.looked(10**9)

        task = asyncio.create_task(follow())
        for number in range(2000):
            alarm.ring(str(number))
            if number % 20 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return count

    assert 1 <= asyncio.run(looks()) <= 5
