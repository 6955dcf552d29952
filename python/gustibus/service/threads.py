"""Threads for what must not run on the event loop: transactions, and long arithmetic."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

from gustibus.errors import GustibusError, OverloadedError
from gustibus.service.problems import Problem
from gustibus.service.tracing import TRACE
from gustibus.store import Connection, Store

T = TypeVar("T")

_DECIDING = 2  # decisions of groups at once: a short one need not wait for a long one
_GROUPS = 8  # decisions of groups that may wait or run; each may take seconds
_PATIENCE = 30.0  # seconds that one waits for its turn where the request has no deadline
_EARLY = 0.01  # seconds before a deadline at which one is refused that has not had its turn
_LAST = 2.0  # seconds that transactions get at the end where no more are left
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
        tell: is told the seconds of each transaction, and `read` or `write`, in its thread.
    """

    def __init__(
        self, store: Store, *, readers: int, writers: int, waiting: int,
        tell: Callable[[float, str], None] | None = None,
    ) -> None:  # fmt: skip
        self.store = store
        self._tell = tell
        self._read = ThreadPoolExecutor(readers, thread_name_prefix="read")
        self._write = ThreadPoolExecutor(writers, thread_name_prefix="write")
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._background = ThreadPoolExecutor(1, thread_name_prefix="background")
        self._ingest = ThreadPoolExecutor(2, thread_name_prefix="ingest")
        self._groups = ThreadPoolExecutor(_DECIDING, thread_name_prefix="groups")
        self._most = {
            "read": waiting, "write": waiting, "compute": waiting, "background": waiting,
            "ingest": waiting, "groups": _GROUPS,
        }  # fmt: skip
        self._size = {
            "read": readers, "write": writers, "ingest": 2, "groups": _DECIDING,
            "compute": 1, "background": 1,
        }  # fmt: skip
        self._futures: dict[str, set[Future[Any]]] = {kind: set() for kind in self._most}
        self._waiting = dict.fromkeys(self._most, 0)
        self._mean = dict.fromkeys(self._most, 0.0)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run one read transaction.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """

        def transaction() -> T:
            with self._timed("read"), self.store.read() as conn:
                return work(conn)

        return await self._run("read", self._read, transaction)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run one transaction; it is committed when this returns.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """

        def transaction() -> T:
            with self._timed("write"), self.store.write() as conn:
                return work(conn)

        return await self._run("write", self._write, transaction)

    @contextmanager
    def _timed(self, op: str) -> Iterator[None]:
        began = monotonic()
        try:
            yield
        finally:
            if self._tell is not None:
                self._tell(monotonic() - began, op)

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

        It is not waited for where it does not begin within half a minute.

        Raises:
            QueueFullError: too many wait, or for longer than the deadline leaves.
        """
        return await self._run("groups", self._groups, work, patience=_PATIENCE)

    async def _run(
        self, kind: str, pool: ThreadPoolExecutor, work: Callable[[], T],
        *, patience: float | None = None,
    ) -> T:  # fmt: skip
        until = DEADLINE.get()
        if until is None and patience is not None:
            until = monotonic() + patience
        wait = self._waiting[kind] * self._mean[kind] / self._size[kind]
        if self._waiting[kind] >= self._most[kind]:
            message = f"more than {self._most[kind]} operations wait for the {kind} threads"
            raise QueueFullError(message, retry_after=wait)
        if until is not None and wait > until - monotonic():
            message = f"the wait of about {wait:.1f} s is longer than this request's deadline"
            raise QueueFullError(message, retry_after=wait)

        trace = TRACE.get()
        if trace is not None and trace.root is not None:
            work = trace.root.timed(kind, work)
        begun = False

        def timed() -> T:
            nonlocal begun
            begun, began = True, monotonic()
            if until is not None and began > until:  # whoever asked has been answered
                raise Problem("deadline_exceeded", "The deadline passed before the work began")
            try:
                return work()
            finally:
                self._mean[kind] += _RECENT * (monotonic() - began - self._mean[kind])

        self._waiting[kind] += 1
        submitted = pool.submit(timed)
        self._futures[kind].add(submitted)
        submitted.add_done_callback(self._futures[kind].discard)
        future = asyncio.wrap_future(submitted)
        future.add_done_callback(lambda ended: self._done(kind, submitted, ended))
        if until is not None and patience is not None:
            await asyncio.wait({future}, timeout=until - monotonic() - _EARLY)
            if not begun and future.cancel():
                message = f"the {kind} threads had no room before the deadline"
                raise QueueFullError(message, retry_after=max(wait, self._mean[kind]))
        # A client that leaves does not undo a transaction, so a cancelled request lets it finish.
        return await asyncio.shield(future)

    def _done(self, kind: str, ran: Future[Any], ended: asyncio.Future[Any]) -> None:
        self._waiting[kind] -= 1
        # What is refused to somebody who does not wait any more is no error; others are logged.
        if not ended.cancelled() and isinstance(ran.exception(), GustibusError | Problem):
            ended.exception()

    @property
    def busy(self) -> bool:
        """Whether anything runs."""
        return any(self._futures.values())

    def settle(self, seconds: float) -> None:
        """Wait for the transactions that write, for so long at most."""
        concurrent.futures.wait(tuple(self._futures["write"]), timeout=seconds)

    def close(self, seconds: float | None = None) -> None:
        """Finish what runs, writers first, then stop; what still waits for other threads is dropped.

        Args:
            seconds: that this may take, a little more for writers; default however long it takes. What
                runs on after that makes `busy` true.
        """
        ends = None if seconds is None else monotonic() + seconds
        pools = (self._read, self._compute, self._background, self._ingest, self._groups)
        self._write.shutdown(wait=False)
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        if ends is None:
            for pool in (self._write, *pools):
                pool.shutdown(wait=True)
            return
        self.settle(max(seconds or 0.0, _LAST))
        others = [future for futures in self._futures.values() for future in tuple(futures)]
        concurrent.futures.wait(others, timeout=max(0.0, ends - monotonic()))
