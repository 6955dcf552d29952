"""Fits that wait for an encoder: tried again ever less often, and soon after it has answered."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from sqlalchemy import update

from gustibus.service import refits
from gustibus.service.backoff import BackOff
from gustibus.service.loading import load
from gustibus.service.settings import Settings
from gustibus.service.state import State
from gustibus.store import (
    NewComparison,
    Side,
    add_comparisons,
    delete_comparison,
    ensure_users,
    from_moment,
    get_profile,
    mark_stale,
    marked_users,
    upgrade,
)
from gustibus.store.tables import comparisons
from tests.service.harness import DIM, database, running
from tests.service.test_remote_encoder import Pooling


def pauses(waits: BackOff, signs: list[int]) -> list[float]:
    """The pause after each of some looks, none of which found everything."""
    found = []
    for sign in signs:
        waits.look(sign)
        waits.waits = True
        found.append(waits.pause)
    return found


def test_the_pause_doubles_up_to_a_limit_while_nothing_comes():
    waits = BackOff(first=10.0, most=300.0)
    assert pauses(waits, [0] * 8) == [10, 20, 40, 80, 160, 300, 300, 300]


def test_the_pause_begins_anew_when_something_has_come():
    waits = BackOff(first=10.0, most=300.0)
    assert pauses(waits, [0, 0, 0, 1, 1, 2]) == [10, 20, 40, 10, 20, 10]


def test_the_pause_begins_anew_when_nothing_is_missing():
    waits = BackOff(first=10.0, most=300.0)
    assert pauses(waits, [0, 0, 0]) == [10, 20, 40]
    waits.look(0)
    assert waits.pause == 80
    waits.look(0)  # the fits of the last look were whole
    assert waits.pause == 10


def test_a_look_is_worth_it_as_soon_as_something_has_come_that_may_be_missing():
    waits = BackOff(first=10.0, most=300.0)
    waits.look(0)
    assert not waits.worth(1)  # nothing is missing
    waits.waits = True
    assert not waits.worth(0)
    assert waits.worth(1)


@pytest.fixture(scope="module")
def pooling():
    found = Pooling()
    yield found
    found.kill()


def test_answers_about_items_and_texts_count_soon_after_the_encoder_is_back(
    tmp_path, texts_folder, texts_model, pooling
):
    with running(
        f"sqlite:///{tmp_path}/own.db", tmp_path, gustibus_model=str(texts_folder),
        gustibus_encoder_url=pooling.url, gustibus_encoder_pause="0.4",
    ) as service, service.client() as http:  # fmt: skip
        pooling.tell(500)
        items = [{"id": f"i-{n}", "text": f"said {n}"} for n in range(2)]
        assert http.post("/v1/items:batch", json={"items": items}).json()["pending"] == 2
        rows = [
            {"user": "ann", "a": {"id": "i-0"}, "b": {"id": "i-1"}, "outcome": "a"},
            {"user": "bob", "a": "one thing", "b": "another thing", "outcome": "b"},
        ]
        reply = http.post("/v1/comparisons?wait=profile", json={"comparisons": rows})
        assert reply.status_code == 201, reply.text

        def counted() -> list[int]:
            known = (http.get(f"/v1/users/{row['user']}").json() for row in rows)
            return [one["fitted_comparisons"] for one in known]

        assert counted() == [0, 0]
        pooling.tell("ok")
        until = time.monotonic() + 40
        while counted() != [1, 1]:
            assert time.monotonic() < until, counted()
            time.sleep(0.2)


def test_everybody_is_looked_at_once_the_active_first_and_then_who_has_answered_lately(
    tmp_path, vectors_folder, vectors_model, monkeypatch
):
    monkeypatch.setattr(refits, "_PEOPLE", 2)
    monkeypatch.setattr(refits, "_ANSWERS", 3)
    url = f"sqlite:///{tmp_path}/looks.db"
    upgrade(url)
    state = State(Settings(database=url, model=str(vectors_folder), log=False))
    load(state)

    def answer(*users, ago=0.0):
        side = Side(None, "said", np.zeros(DIM, np.float32))
        with state.store.write() as conn:
            ensure_users(conn, users=users)
            rows = [NewComparison(user, side, side, "a") for user in users]
            for one in add_comparisons(conn, rows=rows, model=state.digest):
                name = f"cmp_{from_moment(time.time() - ago)}{one.id[14:]}"
                conn.execute(update(comparisons).where(comparisons.c.id == one.id).values(id=name))

    async def look():
        more = await state.refits._sweep()
        found, _ = sorted(state.refits._queue), state.refits._queue.clear()
        return found, more

    async def looks():
        answer("a", "b", "c", ago=100 * 86_400)
        answer("c", "d", "e", ago=80 * 86_400)
        assert await look() == ([], True)
        assert await look() == (["c", "d"], True)
        assert await look() == (["e"], True)
        assert await look() == (["a", "b"], True)
        assert await look() == (["c", "d"], True)  # nobody has fitted them yet
        assert await look() == (["e"], False)
        assert await look() == ([], False)  # they wait to be fitted by whoever found them
        answer("d", "a", "f", "g")
        assert await look() == (["a", "d", "f"], True)
        assert await look() == (["g"], False)
        assert await look() == (["a", "d", "f"], True)  # nobody has fitted them yet
        monkeypatch.setattr(state.refits, "_again", 0.0)  # a day later
        assert (await look())[0] == ["a", "b", "g"]

    asyncio.run(looks())
    state.threads.close()
    state.store.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("fitted", [False, True])
def test_an_answer_that_is_taken_away_while_a_fit_is_made_does_not_stay_in_it(
    tmp_path, vectors_folder, vectors_model, monkeypatch, engine, fitted
):
    """By a process that serves another version, or that ends before it has fitted the person again."""
    with database(engine, tmp_path) as url:
        upgrade(url)
        state = State(Settings(database=url, model=str(vectors_folder), log=False))
        load(state)
        state.refits._begun["a"] = time.perf_counter()
        side = Side(None, "said", np.zeros(DIM, np.float32))
        with state.store.write() as conn:
            ensure_users(conn, users=["a"])
            rows = [NewComparison("a", side, side, "a") for _ in range(3)]
            gone = add_comparisons(conn, rows=rows, model=state.digest)[0].id
        background = state.threads.background

        async def meanwhile(work):
            made = await background(work)
            with state.store.write() as conn:
                assert delete_comparison(conn, comparison=gone) == "a"
                mark_stale(conn, user="a")
            return made

        async def fit():
            if fitted:
                await state.refits._fit(["a"])
            with monkeypatch.context() as patch:
                patch.setattr(state.threads, "background", meanwhile)
                await state.refits._fit(["a"])

        def marked():
            with state.store.read() as conn:
                return marked_users(conn, model=state.digest)

        asyncio.run(fit())
        assert marked() == ["a"]
        asyncio.run(state.refits._fit(["a"]))
        assert marked() == []
        with state.store.read() as conn:
            assert get_profile(conn, user="a", model=state.digest).count == 2
        state.threads.close()
        state.store.close()
