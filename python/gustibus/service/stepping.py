"""The first step of a coroutine at once; only one that then waits for something needs a clock."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Done(NamedTuple, Generic[T]):
    """What a coroutine returned that never waited."""

    value: T


class Begun(Generic[T]):
    """A coroutine that has taken its first step and waits; to be awaited once, by the same task."""

    __slots__ = ("_coroutine", "_wait")

    def __init__(self, coroutine: Coroutine[Any, Any, T], wait: Any) -> None:
        self._coroutine, self._wait = coroutine, wait

    def __await__(self) -> Generator[Any, Any, T]:
        """What `yield from` does, of a first step that somebody else has taken."""
        wait = self._wait
        try:
            while True:
                try:
                    sent = yield wait
                except GeneratorExit:
                    self._coroutine.close()
                    raise
                except BaseException as error:
                    wait = self._coroutine.throw(error)
                else:
                    wait = self._coroutine.send(sent)
        except StopIteration as end:
            return end.value


def begin(coroutine: Coroutine[Any, Any, T]) -> Done[T] | Begun[T]:
    """Run a coroutine until it returns or waits, in the task that asks.

    A clock around a reply costs 3 us, which one that is made without waiting can do without.
    """
    try:
        return Begun(coroutine, coroutine.send(None))
    except StopIteration as end:
        return Done(end.value)
