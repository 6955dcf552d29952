"""Another version of the model while requests are answered: loaded beside, then one reference moves.

A process has a state for each model it serves, for a moment two. The new one is loaded, checked and
filled in a thread; then the gate hands it to every request that begins. Those that began before keep
the old one until they are answered, and then it is let go.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError
from gustibus.service.loading import fill, follow, open_model
from gustibus.store import JOB, champion

if TYPE_CHECKING:
    from gustibus.service.gate import Gate
    from gustibus.service.state import State
    from gustibus.store import VersionRow

_PATIENCE = 90.0  # seconds for requests that began with the old model
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
                await self._reload()
        finally:
            for task in (*self._tasks, *self._retiring):
                task.cancel()
            await asyncio.gather(*self._tasks, *self._retiring, return_exceptions=True)

    async def _reload(self) -> None:
        """Serve the version that is promoted now; one that cannot be served changes nothing."""
        old = self._gate.state
        if not old.settings.models:
            return
        try:
            row = await old.threads.read(lambda conn: champion(conn, model=old.settings.model_name))
            if row is None or row.digest == old.digest:
                return
            began = perf_counter()
            new = old.successor()
            await asyncio.to_thread(_prepare, new, row)
        except (GustibusError, OSError, MemoryError) as error:
            old.problem = str(error)
            self._count("failed")
            log.error("another version of the model cannot be served: %s", error)
            return
        self._swap(new)
        new.moved.set()  # or while the new version was being loaded
        self._count("done")
        seconds = round(perf_counter() - began, 3)
        assert new.serving is not None, "it was just loaded"
        new.journal.event("reloaded", model=new.serving.label, seconds=seconds)

    def _count(self, result: str) -> None:
        reloads = self._gate.state.meter.reloads
        reloads[result] = reloads.get(result, 0) + 1

    def _swap(self, new: State) -> None:
        old, before = self._gate.state, self._tasks
        new.ready, new.draining = old.ready, old.draining
        self._gate.state = new
        old.alarm.ring(JOB)  # whoever waits for a job goes on with the new state
        self._tasks = _begin(new)
        retiring = asyncio.create_task(self._retire(old, before))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._let_go)

    async def _retire(self, old: State, tasks: list[asyncio.Task[None]]) -> None:
        """Let a state go once every request that began with it is answered."""
        until = perf_counter() + _PATIENCE
        while old.open and perf_counter() < until:  # noqa: ASYNC110 - an event would cost every request
            await asyncio.sleep(_LOOK)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if old.serving is not None:
            old.serving.close()
        self._gate.state.refits.look()  # answers to the old version came in until now

    def _let_go(self, retired: asyncio.Task[None]) -> None:
        """Free an old state now: it is a ring of objects, and until rings are looked for holds its model."""
        self._retiring.discard(retired)
        gc.collect()


def _begin(state: State) -> list[asyncio.Task[None]]:
    """What works on a state as long as it is in use."""
    work = (follow(state), state.refits.run(), state.encoding.run())
    return [asyncio.create_task(each) for each in work]


def _prepare(new: State, row: VersionRow) -> None:
    """Load, check and fill, in a thread."""
    new.serve(open_model(new, Path(new.settings.models) / row.digest, row))
    fill(new)
