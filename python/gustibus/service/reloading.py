"""Another version of the model while requests are answered: loaded beside, then one reference moves.

A process has a state for each model it serves, for a moment two. The new one is loaded, checked and
filled in a thread; then the gate hands it to every request that begins. Those that began before keep
the old one until they are answered, and then it is let go, once everybody who has answered is fitted
under the new one.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.following import follow
from gustibus.service.loading import fill, open_model
from gustibus.service.superseded import superseded_by
from gustibus.store import JOB, champion

if TYPE_CHECKING:
    from gustibus.service.gate import Gate
    from gustibus.service.state import State
    from gustibus.service.superseded import Superseded
    from gustibus.store import VersionRow

_PATIENCE = 90.0  # seconds for requests that began with the old model
_AGAIN = 1.0  # seconds after the store could not be read
_LOOK = 0.05  # seconds between looks at whether they are answered

log = logging.getLogger("gustibus.service")


class Reloader:
    """The tasks of the state in use, and the change to another.

    Args:
        gate: hands states to requests.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._tasks: list[asyncio.Task[None]] = []
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        self._tasks = _begin(self._gate.state)
        self._gate.state.moved.set()  # it may have been moved while this process was starting
        try:
            while True:
                await self._gate.state.moved.wait()
                self._gate.state.moved.clear()
                if await self._reload():
                    await asyncio.sleep(_AGAIN)
                    self._gate.state.moved.set()
        finally:
            for task in (*self._tasks, *self._retiring):
                task.cancel()
            await asyncio.gather(*self._tasks, *self._retiring, return_exceptions=True)

    async def _reload(self) -> bool:
        """Serve the version that is promoted now; one that cannot be served changes nothing.

        Returns:
            Whether to try again, because the store could not be read.
        """
        old = self._gate.state
        if not old.settings.models:
            return False
        try:
            row = await old.threads.read(lambda conn: champion(conn, model=old.settings.model_name))
            if row is None or row.digest == old.digest:
                old.problem = ""  # of a version that was promoted in between
                return False
            began = perf_counter()
            new = await self._prepared(old, row)
            superseded = await superseded_by(old, new)
        except Exception as error:
            # An encoder's library raises what it likes, and the task must not end.
            expected = isinstance(error, GustibusError | OSError | MemoryError)
            old.problem = str(error) or type(error).__name__
            self._count("failed")
            log.error("another version of the model cannot be served: %s", error,
                      exc_info=None if expected else error)  # fmt: skip
            return isinstance(error, OverloadedError)
        self._swap(new, superseded)
        new.moved.set()  # or while the new version was being loaded
        self._count("done")
        seconds = round(perf_counter() - began, 3)
        assert new.serving is not None, "it was just loaded"
        stale = 0 if superseded is None else len(superseded.pending)
        new.journal.event("reloaded", model=new.serving.label, seconds=seconds, stale=stale)
        return False

    async def _prepared(self, old: State, row: VersionRow) -> State:
        """A state for another version, loaded, checked and filled.

        Where it does not fit, a version that is kept for people who wait to be fitted makes room.
        """
        new = old.successor()
        try:
            await asyncio.to_thread(_prepare, new, row, len(old.people))
        except GustibusError as error:
            if error.where != "memory" or old.superseded is None:
                raise
            superseded = old.superseded
            superseded.let_go()
            await superseded.gone.wait()
            new = old.successor()
            await asyncio.to_thread(_prepare, new, row, len(old.people))
        return new

    def _count(self, result: str) -> None:
        reloads = self._gate.state.meter.reloads
        reloads[result] = reloads.get(result, 0) + 1

    def _swap(self, new: State, superseded: Superseded | None) -> None:
        old, before = self._gate.state, self._tasks
        new.ready, new.draining = old.ready, old.draining
        if old.superseded is not None:  # of one version before there is room, not of two
            old.superseded.let_go()
        new.superseded = superseded
        self._gate.state = new
        old.alarm.ring(JOB)  # whoever waits for a job goes on with the new state
        self._tasks = _begin(new)
        retiring = asyncio.create_task(self._retire(old, before, superseded))
        self._retiring.add(retiring)
        retiring.add_done_callback(partial(self._let_go, superseded=superseded))

    async def _retire(
        self, old: State, tasks: list[asyncio.Task[None]], superseded: Superseded | None
    ) -> None:
        """Let a state go once every request that began with it is answered, and nobody is served by it."""
        try:
            await _drained(old)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._gate.state.refits.look()  # answers to the old version came in until now
            if superseded is not None:
                await superseded.keep()
                superseded.end()
                await _drained(old)
        finally:
            if old.serving is not None:
                old.serving.close()
        if superseded is not None and old.serving is not None:
            old.journal.event("let_go", model=old.serving.label)

    def _let_go(self, retired: asyncio.Task[None], superseded: Superseded | None) -> None:
        """Free an old state now: it is a ring of objects, and until rings are looked for holds its model."""
        self._retiring.discard(retired)
        gc.collect()
        if superseded is not None:
            superseded.gone.set()


async def _drained(state: State) -> None:
    """Wait until the requests that are being answered with a state are, or have had their time."""
    until = perf_counter() + _PATIENCE
    while state.open and perf_counter() < until:  # noqa: ASYNC110 - an event would cost every request
        await asyncio.sleep(_LOOK)


def _begin(state: State) -> list[asyncio.Task[None]]:
    """What works on a state as long as it is in use."""
    work = (follow(state), state.refits.run(), state.encoding.run())
    return [asyncio.create_task(each) for each in work]


def _prepare(new: State, row: VersionRow, people: int) -> None:
    """Load, check and fill, in a thread; `people` are those who have a place under the old version."""
    serving = open_model(new, Path(new.settings.models) / row.digest, row, beside=people)
    new.serve(serving)
    try:
        fill(new)
    except BaseException:  # its encoder and threads are of no use then
        serving.close()
        raise
