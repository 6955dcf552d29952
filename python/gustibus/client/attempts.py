"""When a request is sent again, and how long to wait before: no clock of its own, no network."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from numbers import Real
from typing import Any, Generic, TypeVar

from gustibus.client.errors import ApiConnectionError, ApiError, ApiTimeoutError, error_of
from gustibus.client.wire import Raw, Request, header_of
from gustibus.errors import ConfigError

T = TypeVar("T")

MAX_DEADLINE_MS = 60_000
_CERTAIN = frozenset({429, 503})
"""Refusals before any effect."""
_HOPELESS = frozenset({"too_many_failures"})
"""Refusals that no waiting ends: a wrong key stays wrong."""
_REFUSED = frozenset({"encoder_unavailable"})
"""Codes of refusals before any effect, with a status that proxies answer too."""
_NO_KEY = "no key was sent: set GUSTIBUS_KEY"
_IN_PROGRESS = frozenset({"idempotency_in_progress"})


@dataclass(frozen=True, slots=True)
class Options:
    """How calls are made.

    Attributes:
        timeout: seconds that one attempt may take.
        max_retries: how often a request is sent again.
        deadline: seconds for a call with all its attempts, told to the service; None is no limit.
        pause: seconds that the first wait is at most; it doubles with every attempt.
        longest_pause: most seconds that it grows to.
        longest_wait: a `Retry-After` above this is not waited for.
    """

    timeout: float = 30.0
    max_retries: int = 2
    deadline: float | None = None
    pause: float = 0.25
    longest_pause: float = 8.0
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        """Refuse times and numbers that cannot be meant."""
        for name in ("timeout", "deadline"):
            seconds = getattr(self, name)
            unlimited = seconds is None and name == "deadline"
            if not unlimited and (not isinstance(seconds, Real) or not 0 < float(seconds) < inf):
                message = f"{name}: expected a number of seconds above 0, got {seconds!r}"
                raise ConfigError(message, where=name)
        if not isinstance(self.max_retries, int) or self.max_retries < 0:
            got = self.max_retries
            message = f"max_retries: expected a whole number at or above 0, got {got!r}"
            raise ConfigError(message, where="max_retries")

    def delay(self, attempt: int, retry_after: float | None, draw: float) -> float:
        """Seconds before an attempt: full jitter, after what the service asks for.

        Args:
            attempt: number of the retry, from 0.
            retry_after: of the reply.
            draw: uniform from 0 to 1.
        """
        most = min(self.longest_pause, self.pause * 2.0**attempt)
        return (retry_after or 0.0) + draw * most


class Attempts(Generic[T]):
    """One call: what to send, and after each reply or failure whether and when to send it again.

    Args:
        request: what is wanted.
        options: how.
        api_key: of the caller, empty without.
        place: where the service is, for messages.
        clock: monotonic seconds.
        draw: uniform from 0 to 1.
    """

    def __init__(
        self, request: Request[T], options: Options, *, api_key: str = "", place: str = "",
        clock: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._request = request
        self._options = options
        self._place = place
        self._clock = clock
        self._draw = draw
        given = [one for one in (options.deadline, request.within) if one is not None]
        self._seconds = min(given, default=None)
        self._until = None if self._seconds is None else clock() + self._seconds
        self.retries = 0
        self._headers = {"accept": "application/json, application/problem+json, */*"}
        secret = request.token or api_key
        if secret:
            self._headers["authorization"] = f"Bearer {secret}"
        if request.body is not None:
            self._headers["content-type"] = request.content_type
            if request.content_encoding is not None:
                self._headers["content-encoding"] = request.content_encoding
        if request.revision is not None:
            name = "if-match" if request.revision else "if-none-match"
            self._headers[name] = f'"{request.revision}"' if request.revision else "*"
        if request.if_match is not None:
            self._headers["if-match"] = header_of("if_match", request.if_match, 255)
        if request.writes:  # the same for every attempt, which is the point
            key = request.key or f"auto-{secrets.token_hex(16)}"
            self._headers["idempotency-key"] = header_of("idempotency_key", key, 255)

    def outgoing(self) -> dict[str, Any]:
        """Arguments of an attempt, with what is left of the deadline.

        Raises:
            ApiTimeoutError: nothing is left.
        """
        headers, timeout = dict(self._headers), self._options.timeout
        left = self._left()
        if left is not None:
            if left <= 0.0:
                message = f"{self._named}: the deadline of {self._seconds:g} s has passed"
                raise ApiTimeoutError(message)
            headers["x-deadline-ms"] = str(min(MAX_DEADLINE_MS, max(1, int(left * 1e3))))
            timeout = min(timeout, left)
        return {
            "method": self._request.method, "url": self._request.path,
            "params": self._request.parameters(), "content": self._request.body,
            "headers": headers, "timeout": timeout,
        }  # fmt: skip

    def replied(self, status: int, headers: Mapping[str, str], content: bytes) -> Raw[T] | float:
        """The reply of a success, or the seconds to wait before the next attempt.

        Raises:
            ApiError: a problem that is not worth another attempt, or the last one.
        """
        if 200 <= status < 300:
            return Raw(status, headers, content, self.retries, self._request.read)
        hint = "" if "authorization" in self._headers else _NO_KEY
        error = error_of(status, headers, content, hint=hint if status == 401 else "")
        if not self._worth_repeating(error):
            raise error
        return self._wait(error, error.retry_after)

    def failed(self, error: Exception, *, sent: bool, slow: bool) -> float:
        """The seconds to wait after a connection that failed.

        Args:
            error: what the connection raised.
            sent: whether the service may have had the request.
            slow: whether it took too long.

        Raises:
            ApiConnectionError: there is no attempt left, or the request may not be repeated.
        """
        kind = ApiTimeoutError if slow else ApiConnectionError
        place = f" {'from' if slow else 'to'} {self._place}" if self._place else ""
        told = kind(
            f"{self._named}: {'no reply in time' if slow else 'no connection'}{place} "
            f"({str(error) or type(error).__name__}); GUSTIBUS_URL says where the service is"
        )
        if sent and not self._request.repeatable:
            raise told from error
        return self._wait(told, None)

    def _worth_repeating(self, error: ApiError) -> bool:
        if error.status in _CERTAIN or error.code in _REFUSED:
            return error.code not in _HOPELESS
        if error.status == 409:
            return error.code in _IN_PROGRESS
        return (error.status == 408 or error.status >= 500) and self._request.repeatable

    def _wait(self, error: ApiError | ApiConnectionError, retry_after: float | None) -> float:
        """Count a retry, or raise what went wrong."""
        seconds = self._options.delay(self.retries, retry_after, self._draw())
        left = self._left()
        late = left is not None and seconds >= left
        if self.retries >= self._options.max_retries or late:
            raise error
        if retry_after is not None and retry_after > self._options.longest_wait:
            raise error
        self.retries += 1
        return seconds

    def _left(self) -> float | None:
        return None if self._until is None else self._until - self._clock()

    @property
    def _named(self) -> str:
        return f"{self._request.method} {self._request.path}"
