"""Threads for what must not run on the event loop: transactions, and long arithmetic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from time import monotonic
from typing import TypeVar

from gustibus.errors import OverloadedError
from gustibus.service.problems import Problem
from gustibus.store import Connection, Store

T = TypeVar("T")

_GROUPS = 8  # decisions of groups that may wait; each may take seconds
_RECENT = 0.1  # weight of the last operation in the mean time of one

DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the request at hand is given up, on the clock of `monotonic`; None for never."""


class QueueFullError(OverloadedError):
    """Too many operations wait, or for too long.

    Args:
        message: what is wrong.
        retry_after: seconds until there should be room.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Threads:
    """Bounded pools over one store.

    Args:
        store: where transactions happen.
        readers: threads that read.
        writers: threads that write.
        waiting: most transactions waiting or running in each pool.
    """

    def __init__(self, store: Store, *, readers: int, writers: int, waiting: int) -> None:
        self.store = store
        self._read = ThreadPoolExecutor(readers, thread_name_prefix="read")
        self._write = ThreadPoolExecutor(writers, thread_name_prefix="write")
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._ingest = ThreadPoolExecutor(2, thread_name_prefix="ingest")
        self._groups = ThreadPoolExecutor(1, thread_name_prefix="groups")
        self._most = {
            "read": waiting, "write": waiting, "compute": waiting, "background": waiting,
            "ingest": waiting, "groups": _GROUPS,
        }  # fmt: skip
        self._size = {"read": readers, "write": writers, "ingest": 2} | dict.fromkeys(
            ("compute", "background", "groups"), 1
        )
        self._waiting = dict.fromkeys(self._most, 0)
        self._mean = dict.fromkeys(self._most, 0.0)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run one read transaction.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """

        def transaction() -> T:
            with self.store.read() as conn:
                return work(conn)

        return await self._run("read", self._read, transaction)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run one transaction; it is committed when this returns.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """

        def transaction() -> T:
            with self.store.write() as conn:
                return work(conn)

        return await self._run("write", self._write, transaction)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run arithmetic that takes longer than the event loop may pause.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """
        return await self._run("compute", self._compute, work)

    async def background(self, work: Callable[[], T]) -> T:
        """Run arithmetic that nobody waits for, apart from that which somebody does.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """
        return await self._run("background", self._background, work)

    async def ingest(self, work: Callable[[], T]) -> T:
        """Read records of an import.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """
        return await self._run("ingest", self._ingest, work)

    async def groups(self, work: Callable[[], T]) -> T:
        """Run a decision of a group, which may take seconds; it uses every core by itself.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """
        return await self._run("groups", self._groups, work)

    async def _run(self, kind: str, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        until = DEADLINE.get()
        wait = self._waiting[kind] * self._mean[kind] / self._size[kind]
        if self._waiting[kind] >= self._most[kind]:
            message = f"more than {self._most[kind]} operations wait for the {kind} threads"
            raise QueueFullError(message, retry_after=wait)
        if until is not None and wait > until - monotonic():
            message = f"the wait of about {wait:.1f} s is longer than this request's deadline"
            raise QueueFullError(message, retry_after=wait)

        def timed() -> T:
            began = monotonic()
            if until is not None and began > until:  # whoever asked has been answered
                raise Problem("deadline_exceeded", "The deadline passed before the work began")
            try:
                return work()
            finally:
                self._mean[kind] += _RECENT * (monotonic() - began - self._mean[kind])

        self._waiting[kind] += 1
        future = asyncio.get_running_loop().run_in_executor(pool, timed)
        future.add_done_callback(lambda _: self._done(kind))
        # A client that leaves does not undo a transaction, so a cancelled request lets it finish.
        return await asyncio.shield(future)

    def _done(self, kind: str) -> None:
        self._waiting[kind] -= 1

    def close(self) -> None:
        """Finish what runs, then stop."""
        for pool in (
            self._read, self._write, self._compute, self._background, self._ingest, self._groups,
        ):  # fmt: skip
            pool.shutdown(wait=True)
