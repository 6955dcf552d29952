"""Idempotency keys whose first request runs here: another one under the same key is not begun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from gustibus.service.problems import Problem

if TYPE_CHECKING:
    from gustibus.service.call import Call

T = TypeVar("T")

_PAUSE = b"1"  # seconds until it is worth asking again


class Running:
    """Keys of the requests that a process runs.

    Another process knows nothing of them: there the second request waits for the transaction of the first
    and gives its reply again, as `once` does.
    """

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()

    async def alone(self, call: Call, work: Callable[[], Awaitable[T]]) -> T:
        """Run a request, unless one under its key and of its caller runs already.

        Raises:
            Problem: 409 while it does.
        """
        if call.idempotency_key is None:
            return await work()
        name = ("" if call.caller is None else call.caller.id, call.idempotency_key)
        if name in self._keys:
            detail = (
                "Idempotency-Key: the first request under this key still runs; send it again later"
            )
            raise Problem("idempotency_in_progress", detail, headers=[(b"retry-after", _PAUSE)])
        self._keys.add(name)
        try:
            return await work()
        finally:
            self._keys.discard(name)
