"""The application: the route table, and what happens when a process starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import replace
from time import monotonic

from gustibus.errors import GustibusError
from gustibus.service.following import watch_lag, write_usage
from gustibus.service.gate import Gate
from gustibus.service.listener import listen
from gustibus.service.loading import load
from gustibus.service.merging import Figures, Whole, answer
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
from gustibus.service.worker import KINDS, Worker

_FLUSH = 2.0  # seconds that spans which wait get at the end
_AGAIN = 1.0  # seconds after which a task that has not ended is cancelled again
_PATIENCE = 5.0  # seconds for tasks to end

log = logging.getLogger("gustibus.service")

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


def create_app(settings: Settings, figures: Figures | None = None) -> Gate:
    """The ASGI application; the store and the model are opened when the server starts it.

    Args:
        settings: how.
        figures: pipes to the process that started this one; default a listener of its own.
    """
    state = State(settings)
    state.meter.backlog.expect(KINDS)
    if figures is not None and figures.whole is not None:
        state.whole = Whole(figures.whole)
    tasks: list[asyncio.Task[None]] = []
    listeners: list[asyncio.Server] = []

    async def start() -> None:
        state.loop = asyncio.get_running_loop()
        load(state)
        work = [watch_lag(state), Reloader(gate).run()]
        if settings.listen and state.store.dialect == "postgresql":
            work.append(hear(lambda: gate.state))
        if state.quotas is not None:
            work.append(state.quotas.run())
        if settings.worker:
            work.append(Worker(lambda: gate.state).run())
        tasks.extend(asyncio.create_task(each, name=_name(each)) for each in work)
        if state.quotas is not None:
            await state.quotas.tried.wait()
        if figures is not None:
            answer(figures.own, lambda: gate.state, state.loop)
        elif settings.metrics_port:
            listeners.append(await listen(lambda: gate.state))
        state.ready = True

    async def stop() -> None:
        gate.state.ready = False
        for server in listeners:
            server.close()
        gate.stuck = not await _end(tasks)
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
        if state.spans is not None:
            await asyncio.to_thread(state.spans.close, _FLUSH)
        state.journal.event("stopped")

    gate = Gate(state, _table(settings), start=start, stop=stop)
    if settings.trace_endpoint:
        from gustibus.service.spans import Spans

        state.spans = Spans(settings, state.meter)
        gate.trace_of = state.spans.trace_of
    return gate


def _name(work: Coroutine[object, object, None]) -> str:
    """What a task is called in the log: the function that it runs."""
    return getattr(work, "__qualname__", repr(work))


async def _end(tasks: list[asyncio.Task[None]]) -> bool:
    """Cancel tasks until all have ended, within bounds.

    Once is not enough: `asyncio.wait_for` of Python 3.11 forgets one at its very end.

    Returns:
        Whether all have ended; the log names those that have not.
    """
    left, until = set(tasks), monotonic() + _PATIENCE
    while left and monotonic() < until:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=min(_AGAIN, until - monotonic()))
    for task in left:
        log.error("%s does not end; the process goes on without it", task.get_name())
    return not left


def _table(settings: Settings) -> Table:
    """The routes as these settings want them: the document is open where they say so, and has a page."""
    if not settings.docs:
        return TABLE
    shown = [replace(r, scope=OPEN) if r.path == "/openapi.json" else r for r in TABLE.routes]
    return Table([*shown, *pages.DOCS_ROUTES])
