"""How operations, written once, become methods of a client that waits and of one that awaits."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, overload

from gustibus.client.calls.jobs import Job
from gustibus.client.errors import ApiConnectionError, ApiError
from gustibus.client.waiting import Pending, Waiting, queued
from gustibus.client.wire import Page, Raw, Request

P = ParamSpec("P")
T = TypeVar("T")
Door_co = TypeVar("Door_co", covariant=True)


class SyncDoor(ABC):
    """Sends requests and waits."""

    @abstractmethod
    def send(self, request: Request[T]) -> Raw[T]:
        """The reply to a request."""


class AsyncDoor(ABC):
    """Sends requests and awaits."""

    @abstractmethod
    async def send(self, request: Request[T]) -> Raw[T]:
        """The reply to a request."""


class Space(Generic[Door_co]):
    """Operations under a common name, such as `client.users`."""

    __slots__ = ("door",)

    def __init__(self, door: Door_co) -> None:
        self.door = door

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {self.door!r}"


class Call(Generic[P, T]):
    """An operation of a client that waits."""

    def __init__(self, door: SyncDoor, build: Callable[P, Request[T]]) -> None:
        self._door = door
        self._build = build
        _describe(self, build)

    def __repr__(self) -> str:
        return f"{self._build.__name__} of {self._door!r}"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it; the result is typed."""
        return self._door.send(self._build(*args, **kwargs)).parse()

    def with_raw_response(self, *args: P.args, **kwargs: P.kwargs) -> Raw[T]:
        """Run it; the reply comes with its status and headers, and `parse` gives the result."""
        return self._door.send(self._build(*args, **kwargs))


class AsyncCall(Generic[P, T]):
    """An operation of a client that awaits."""

    def __init__(self, door: AsyncDoor, build: Callable[P, Request[T]]) -> None:
        self._door = door
        self._build = build
        _describe(self, build)

    def __repr__(self) -> str:
        return f"{self._build.__name__} of {self._door!r}"

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it; the result is typed."""
        return (await self._door.send(self._build(*args, **kwargs))).parse()

    async def with_raw_response(self, *args: P.args, **kwargs: P.kwargs) -> Raw[T]:
        """Run it; the reply comes with its status and headers, and `parse` gives the result."""
        return await self._door.send(self._build(*args, **kwargs))


class Operation(Generic[P, T]):
    """Attribute of a client or a space that is a method built from a request.

    Args:
        build: from the arguments of the method to the request.
    """

    def __init__(self, build: Callable[P, Request[T]]) -> None:
        self._build = build
        _describe(self, build)

    @overload
    def __get__(self, owner: None, kind: Any = None) -> Operation[P, T]: ...
    @overload
    def __get__(self, owner: SyncDoor | Space[SyncDoor], kind: Any = None) -> Call[P, T]: ...
    @overload
    def __get__(self, owner: AsyncDoor | Space[AsyncDoor], kind: Any = None) -> AsyncCall[P, T]: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The method of a client."""
        if owner is None:
            return self
        door = owner.door if isinstance(owner, Space) else owner
        return (Call if isinstance(door, SyncDoor) else AsyncCall)(door, self._build)


class LongCall(Call[P, T]):
    """An operation of a client that waits, which may take longer than a request."""

    def as_job(self, *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
        """Queue it as a job, which needs the scope `jobs`; `client.jobs.wait` gives the result."""
        return self._door.send(queued(self._build(*args, **kwargs))).parse()


class AsyncLongCall(AsyncCall[P, T]):
    """An operation of a client that awaits, which may take longer than a request."""

    async def as_job(self, *args: P.args, **kwargs: P.kwargs) -> Pending[T]:
        """Queue it as a job, which needs the scope `jobs`; `client.jobs.wait` gives the result."""
        return (await self._door.send(queued(self._build(*args, **kwargs)))).parse()


class LongOperation(Operation[P, T]):
    """Attribute that is a method which can be put into a job too."""

    @overload
    def __get__(self, owner: None, kind: Any = None) -> LongOperation[P, T]: ...
    @overload
    def __get__(self, owner: SyncDoor | Space[SyncDoor], kind: Any = None) -> LongCall[P, T]: ...
    @overload
    def __get__(
        self, owner: AsyncDoor | Space[AsyncDoor], kind: Any = None
    ) -> AsyncLongCall[P, T]: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The method of a client."""
        if owner is None:
            return self
        door = owner.door if isinstance(owner, Space) else owner
        return (LongCall if isinstance(door, SyncDoor) else AsyncLongCall)(door, self._build)


class Iteration(Generic[P, T]):
    """Attribute that is a method over all pages of a list, fetched as they are needed.

    Args:
        build: from the arguments of the method to the request for the first page.
    """

    def __init__(self, build: Callable[P, Request[Page[T]]]) -> None:
        self._build = build
        _describe(self, build)

    @overload
    def __get__(self, owner: None, kind: Any = None) -> Iteration[P, T]: ...
    @overload
    def __get__(self, owner: Space[SyncDoor], kind: Any = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(
        self, owner: Space[AsyncDoor], kind: Any = None
    ) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The method of a client."""
        if owner is None:
            return self
        walk: Any = _walk if isinstance(owner.door, SyncDoor) else _walk_async
        return lambda *args, **kwargs: walk(owner.door, self._build(*args, **kwargs))


class SyncWait:
    """`client.jobs.wait` of a client that waits."""

    def __init__(self, door: SyncDoor) -> None:
        self._door = door

    @overload
    def __call__(
        self, job: Pending[T], *, timeout: float | None = None, outage: float = 60.0,
        progress: Callable[[Job], object] | None = None,
    ) -> T: ...  # fmt: skip
    @overload
    def __call__(
        self, job: Job | str, *, timeout: float | None = None, outage: float = 60.0,
        progress: Callable[[Job], object] | None = None,
    ) -> Job: ...  # fmt: skip
    def __call__(
        self, job: Any, *, timeout: float | None = None, outage: float = 60.0,
        progress: Callable[[Job], object] | None = None,
    ) -> Any:  # fmt: skip
        """Wait until a job has ended; the result of what `as_job` queued, else the job.

        Args:
            job: what `as_job` gave, a job, or its id.
            timeout: seconds to wait; None for as long as it takes. The job goes on after it.
            outage: seconds that the service may be out of reach, as it is while it starts again.
            progress: is called with the job at the first look and whenever it has changed.

        Raises:
            JobFailedError: the job has failed; `detail` tells why.
            JobCancelledError: the job was cancelled.
            ApiTimeoutError: it has not ended in time.
            ApiConnectionError: the service was out of reach for too long.
            ApiError: there is no such job, or the key may not see it.

        Example:
            queued = client.rank.aggregate.as_job([["a", "b"], ["b", "a"]], method="kemeny")
            found = client.jobs.wait(queued, timeout=60, progress=lambda job: print(job.state))
            found.result.order
        """
        waiting = Waiting(job, timeout, outage, progress)
        while True:
            try:
                found = self._door.send(waiting.request()).parse()
            except (ApiError, ApiConnectionError) as error:
                pause = waiting.missed(error)
            else:
                pause = waiting.seen(found)
                if found.ended:
                    return waiting.outcome(found)
            time.sleep(pause)


class AsyncWait:
    """`client.jobs.wait` of a client that awaits."""

    def __init__(self, door: AsyncDoor) -> None:
        self._door = door

    @overload
    def __call__(
        self, job: Pending[T], *, timeout: float | None = None, outage: float = 60.0,
        progress: Callable[[Job], object] | None = None,
    ) -> Coroutine[Any, Any, T]: ...  # fmt: skip
    @overload
    def __call__(
        self, job: Job | str, *, timeout: float | None = None, outage: float = 60.0,
        progress: Callable[[Job], object] | None = None,
    ) -> Coroutine[Any, Any, Job]: ...  # fmt: skip
    def __call__(
        self, job: Any, *, timeout: float | None = None, outage: float = 60.0,
        progress: Callable[[Job], object] | None = None,
    ) -> Coroutine[Any, Any, Any]:  # fmt: skip
        """Wait until a job has ended, as `Client.jobs.wait` does; `progress` is a plain function."""
        return self._end_of(Waiting(job, timeout, outage, progress))

    async def _end_of(self, waiting: Waiting) -> Any:
        while True:
            try:
                found = (await self._door.send(waiting.request())).parse()
            except (ApiError, ApiConnectionError) as error:
                pause = waiting.missed(error)
            else:
                pause = waiting.seen(found)
                if found.ended:
                    return waiting.outcome(found)
            await asyncio.sleep(pause)


class Wait:
    """Attribute that is the method which waits for jobs."""

    @overload
    def __get__(self, owner: None, kind: Any = None) -> Wait: ...
    @overload
    def __get__(self, owner: Space[SyncDoor], kind: Any = None) -> SyncWait: ...
    @overload
    def __get__(self, owner: Space[AsyncDoor], kind: Any = None) -> AsyncWait: ...
    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """The method of a client."""
        if owner is None:
            return self
        return (SyncWait if isinstance(owner.door, SyncDoor) else AsyncWait)(owner.door)


def _walk(door: SyncDoor, request: Request[Page[T]]) -> Iterator[T]:
    while True:
        page = door.send(request).parse()
        yield from page.data
        if page.next is None:
            return
        request = request.asking(after=page.next)


async def _walk_async(door: AsyncDoor, request: Request[Page[T]]) -> AsyncIterator[T]:
    while True:
        page = (await door.send(request)).parse()
        for one in page.data:
            yield one
        if page.next is None:
            return
        request = request.asking(after=page.next)


def _describe(made: Any, build: Callable[..., Any]) -> None:
    """Let `help` show the arguments."""
    made.__doc__ = build.__doc__
    made.__name__ = build.__name__
    made.__wrapped__ = build
