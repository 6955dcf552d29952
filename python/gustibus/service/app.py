"""The application: the route table, and what happens when a process starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from multiprocessing.connection import Connection
from time import monotonic

from gustibus.errors import GustibusError
from gustibus.service.gate import Gate
from gustibus.service.listener import listen
from gustibus.service.loading import load, watch_lag, write_usage
from gustibus.service.merging import answer
from gustibus.service.reloading import Reloader
from gustibus.service.routes import (
    admin,
    auditing,
    batch,
    best,
    comparisons,
    compat,
    encoding,
    exporting,
    follow_ups,
    grouping,
    imports,
    items,
    jobs,
    keys,
    mapping,
    matching,
    models,
    onboarding,
    operations,
    pages,
    pairs,
    positions,
    ranking,
    rerank,
    restricting,
    revisions,
    scoring,
    usage,
    users,
)
from gustibus.service.routing import OPEN, Table
from gustibus.service.settings import Settings
from gustibus.service.state import State
from gustibus.service.wakeups import hear
from gustibus.service.worker import Worker

_AGAIN = 1.0  # seconds after which a task that has not ended is cancelled again

TABLE = Table(
    [
        *scoring.ROUTES,
        *batch.ROUTES,
        *best.ROUTES,
        *rerank.ROUTES,
        *encoding.ROUTES,
        *compat.ROUTES,
        *users.ROUTES,
        *restricting.ROUTES,
        *pairs.ROUTES,
        *items.ROUTES,
        *comparisons.ROUTES,
        *follow_ups.ROUTES,
        *imports.ROUTES,
        *onboarding.ROUTES,
        *revisions.ROUTES,
        *ranking.ROUTES,
        *matching.ROUTES,
        *jobs.ROUTES,
        *models.ROUTES,
        *keys.ROUTES,
        *auditing.ROUTES,
        *usage.ROUTES,
        *positions.ROUTES,
        *operations.ROUTES,
        *admin.ROUTES,
        *grouping.ROUTES,
        *mapping.ROUTES,
        *exporting.ROUTES,
        *pages.ROUTES,
    ]
)
"""Every operation."""


def create_app(settings: Settings, figures: Connection | None = None) -> Gate:
    """The ASGI application; the store and the model are opened when the server starts it.

    Args:
        settings: how.
        figures: where the process that started this one asks for figures; default a listener of its own.
    """
    state = State(settings)
    tasks: list[asyncio.Task[None]] = []
    listeners: list[asyncio.Server] = []

    async def start() -> None:
        state.loop = asyncio.get_running_loop()
        load(state)
        work = [watch_lag(state), Reloader(gate).run()]
        if settings.listen and state.store.dialect == "postgresql":
            work.append(hear(lambda: gate.state))
        if settings.worker:
            work.append(Worker(lambda: gate.state).run())
        tasks.extend(asyncio.create_task(each) for each in work)
        if figures is not None:
            answer(figures, lambda: gate.state, state.loop)
        elif settings.metrics_port:
            listeners.append(await listen(lambda: gate.state))
        state.ready = True

    async def stop() -> None:
        gate.state.ready = False
        for server in listeners:
            server.close()
        await _end(tasks)
        if hasattr(state, "threads"):
            with contextlib.suppress(GustibusError):
                await write_usage(gate.state)
            left = float(settings.finish)
            if gate.closing is not None:
                left = max(0.0, gate.closing + settings.finish - monotonic())
            state.threads.close(left)
        if gate.state.serving is not None and not state.threads.busy:
            gate.state.serving.close()
        if hasattr(state, "store") and not state.threads.busy:
            state.store.close()
        state.journal.event("stopped")

    gate = Gate(state, _table(settings), start=start, stop=stop)
    return gate


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: `asyncio.wait_for` of Python 3.11 forgets one at its very end."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN)


def _table(settings: Settings) -> Table:
    """The routes as these settings want them: the document is open where they say so."""
    if not settings.docs:
        return TABLE
    return Table([replace(r, scope=OPEN) if r.path == "/openapi.json" else r for r in TABLE.routes])
