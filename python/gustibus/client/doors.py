"""How operations, written once, become methods of a client that waits and of one that awaits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, overload

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
