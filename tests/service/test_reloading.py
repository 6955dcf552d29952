"""What a process does when another version cannot be loaded: it goes on, and tries again where that helps."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from types import SimpleNamespace

import pytest

from gustibus.errors import OverloadedError
from gustibus.service import reloading
from gustibus.service.loading import load
from gustibus.service.reloading import Reloader
from gustibus.service.settings import Settings
from gustibus.service.state import State
from gustibus.store import (
    move_alias,
    position,
    register_version,
    set_version_state,
    upgrade,
)
from tests.service.harness import save_texts_model
from tests.service.test_model_change import other_model


@pytest.fixture
def state(tmp_path):
    """Of a process that serves the first of two versions."""
    root = tmp_path / "models"
    root.mkdir()
    first = save_texts_model(root / "one")
    second = other_model(root / "two", first)
    for name, one in (("one", first), ("two", second)):
        shutil.move(root / name, root / one.digest)
    url = f"sqlite:///{tmp_path}/s.db"
    upgrade(url)
    state = State(Settings(database=url, models=str(root), log=False, warm=False))
    load(state)
    with state.store.write() as conn:
        for number, one in enumerate((first, second), start=1):
            register_version(conn, model="default", digest=one.digest)
            set_version_state(conn, model="default", version=number, state="validated")
    yield state
    state.threads.close()
    state.store.close()


def promote(state: State, version: int, seen: int) -> None:
    with state.store.write() as conn:
        move_alias(conn, model="default", alias="champion", version=version, seen=seen)


async def until(holds) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def reloading_of(state: State):
    """A gate whose versions are followed, and the task that does it."""
    gate = SimpleNamespace(state=state)
    running = asyncio.create_task(Reloader(gate).run())
    try:
        yield gate, running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        if gate.state.serving is not None:
            gate.state.serving.close()


def test_an_encoder_that_does_not_load_ends_nothing_but_the_change(state, monkeypatch):
    def no_room(*_, **__):
        message = "CUDA out of memory"
        raise RuntimeError(message)

    async def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(reloading, "open_model", no_room)
            promote(state, 1, 0)
            async with reloading_of(state) as (gate, running):
                await until(lambda: gate.state.problem or running.done())
                assert not running.done()
                assert "CUDA out of memory" in gate.state.problem
                patch.undo()
                promote(state, 2, 1)
                gate.state.moved.set()
                await until(lambda: gate.state.serving is not None)
                assert (gate.state.serving.label, gate.state.problem) == ("default@2", "")

    asyncio.run(work())


def test_a_promotion_that_the_store_could_not_tell_is_asked_for_again(state, monkeypatch):
    asked = state.threads.read
    failed = []

    async def fails(work):
        if not failed:
            failed.append(1)
            message = "the store cannot be used now"
            raise OverloadedError(message, where="database")
        return await asked(work)

    async def work() -> None:
        promote(state, 1, 0)
        with state.store.read() as conn:
            state.sequence = position(conn)  # that it was promoted has been read already
        monkeypatch.setattr(state.threads, "read", fails)
        async with reloading_of(state) as (gate, _):
            await until(lambda: gate.state.serving is not None)
            assert failed
            assert (gate.state.serving.label, gate.state.problem) == ("default@1", "")

    asyncio.run(work())


def test_nothing_is_wrong_any_more_once_what_is_served_is_promoted_again(state, monkeypatch):
    def no_room(*_, **__):
        message = "no room for it"
        raise MemoryError(message)

    async def work() -> None:
        promote(state, 1, 0)
        async with reloading_of(state) as (gate, running):
            await until(lambda: gate.state.serving is not None)
            monkeypatch.setattr(reloading, "open_model", no_room)
            promote(state, 2, 1)
            gate.state.moved.set()
            await until(lambda: gate.state.problem == "no room for it")
            promote(state, 1, 2)
            gate.state.moved.set()
            await until(lambda: gate.state.problem != "no room for it")
            assert (gate.state.serving.label, gate.state.problem) == ("default@1", "")
            assert not running.done()

    asyncio.run(work())
