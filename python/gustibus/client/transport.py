"""The two clients: one waits, one awaits; both send what `attempts` says, over httpx."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from gustibus.client.attempts import Attempts, Options
from gustibus.client.doors import AsyncDoor, SyncDoor
from gustibus.client.errors import ClientClosedError
from gustibus.client.operations import Operations
from gustibus.client.wire import Raw, Request, header_of
from gustibus.errors import ConfigError, MissingExtraError
from gustibus.showing import shown

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LOCAL = "http://127.0.0.1:8000"


class Connected:
    """What both clients hold: where the service is, who calls, and how.

    Args:
        base_url: of the service; `GUSTIBUS_URL`, else port 8000 of this machine.
        api_key: `gustibus_…`; `GUSTIBUS_KEY` unless given.
        options: how calls are made.
        http: an httpx client to use; it is not closed with this one.
    """

    def __init__(
        self, base_url: str | None, api_key: str | None, options: Options, http: Any, kind: str
    ) -> None:
        self._package = _httpx()
        given = base_url or os.environ.get("GUSTIBUS_URL") or LOCAL
        self.base_url = given.rstrip("/") if isinstance(given, str) else ""
        if not self.base_url.startswith(("http://", "https://")):
            message = f"base_url: expected http:// or https://, got {given!r}"
            raise ConfigError(message, where="base_url")
        key = os.environ.get("GUSTIBUS_KEY", "").strip() if api_key is None else api_key
        self._api_key = header_of("api_key", key, 1024)
        self.options = options
        self._owns = http is None
        self._http = getattr(self._package, kind)() if http is None else http

    def with_options(
        self, *, timeout: float | None = None, max_retries: int | None = None,
        deadline: float | None = None,
    ) -> Self:  # fmt: skip
        """The same client with other options, over the same connections.

        Args:
            timeout: seconds that one attempt may take.
            max_retries: how often a request is sent again.
            deadline: seconds for a call with all its attempts; the service is told.
        """
        given = {"timeout": timeout, "max_retries": max_retries, "deadline": deadline}
        changed: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.options = replace(self.options, **changed)
        other._owns = False
        return other

    def __repr__(self) -> str:
        """Where the service is; never the key, nor a password in the address."""
        return shown(self, base_url=self._place, api_key="…" if self._api_key else None)

    @property
    def _place(self) -> str:
        """The address as it may be shown."""
        parts = urlsplit(self.base_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def _begin(self, request: Request[T]) -> Attempts[T]:
        return Attempts(request, self.options, api_key=self._api_key, place=self._place)

    def _arguments(self, attempts: Attempts[T]) -> Mapping[str, Any]:
        if self._http.is_closed:
            raise ClientClosedError("the client was closed, and this call came after it")
        found = attempts.outgoing()
        return {**found, "url": self.base_url + found["url"], "follow_redirects": False}

    def _failed(self, attempts: Attempts[T], error: httpx.TransportError) -> float:
        x = self._package
        refused = isinstance(error, x.ConnectError | x.ConnectTimeout | x.PoolTimeout)
        slow = isinstance(error, x.TimeoutException)
        return attempts.failed(error, sent=not refused, slow=slow)


class Client(Connected, SyncDoor, Operations):
    """A client that waits for replies; safe to share between threads.

    Args:
        base_url: of the service; `GUSTIBUS_URL`, else port 8000 of this machine.
        api_key: `gustibus_…`; `GUSTIBUS_KEY` unless given.
        timeout: seconds that one attempt may take.
        max_retries: how often a request is sent again after 408, 409 while the first is still
            running, 429, 5xx or a lost connection.
        deadline: seconds for a call with all its attempts, told to the service; None is no limit.
        http: an `httpx.Client` to use, for proxies and certificates.

    Raises:
        MissingExtraError: httpx is not installed.
        ConfigError: the address is no HTTP address.

    Example:
        with gustibus.Client() as client:
            scores = client.score(user="ada", prompt="How?", candidates=["Briefly.", "At length."])
            scores.ranking
    """

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, *, timeout: float = 30.0,
        max_retries: int = 2, deadline: float | None = None, http: httpx.Client | None = None,
    ) -> None:  # fmt: skip
        super().__init__(base_url, api_key, Options(timeout, max_retries, deadline), http, "Client")

    def send(self, request: Request[T]) -> Raw[T]:
        """The reply to a request, sent again as the options say.

        Raises:
            ApiError: the service answered with a problem.
            ApiConnectionError: it could not be reached, or this client is closed.
        """
        attempts = self._begin(request)
        while True:
            try:
                reply = self._http.request(**self._arguments(attempts))
            except self._package.TransportError as error:
                wait = self._failed(attempts, error)
            else:
                found = attempts.replied(reply.status_code, reply.headers, reply.content)
                if isinstance(found, Raw):
                    return found
                wait = found
            time.sleep(wait)

    def close(self) -> None:
        """Close the connections."""
        if self._owns:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


class AsyncClient(Connected, AsyncDoor, Operations):
    """A client whose methods are awaited, under asyncio; arguments are those of `Client`.

    Example:
        async with gustibus.AsyncClient() as client:
            scores = await client.score(user="ada", candidates=["Briefly.", "At length."])
    """

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, *, timeout: float = 30.0,
        max_retries: int = 2, deadline: float | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:  # fmt: skip
        options = Options(timeout, max_retries, deadline)
        super().__init__(base_url, api_key, options, http, "AsyncClient")

    async def send(self, request: Request[T]) -> Raw[T]:
        """The reply to a request, sent again as the options say.

        Raises:
            ApiError: the service answered with a problem.
            ApiConnectionError: it could not be reached, or this client is closed.
        """
        attempts = self._begin(request)
        while True:
            try:
                reply = await self._http.request(**self._arguments(attempts))
            except self._package.TransportError as error:
                wait = self._failed(attempts, error)
            else:
                found = attempts.replied(reply.status_code, reply.headers, reply.content)
                if isinstance(found, Raw):
                    return found
                wait = found
            await asyncio.sleep(wait)

    async def close(self) -> None:
        """Close the connections."""
        if self._owns:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.close()


def _httpx() -> Any:
    try:
        import httpx
    except ImportError:
        raise MissingExtraError.of("httpx", "client") from None
    return httpx
