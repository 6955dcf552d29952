"""What a client raises: the problems of the service as exceptions, and a service out of reach."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gustibus.errors import GustibusError, InputError, NotFoundError, OverloadedError


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field."""

    pointer: str
    """JSON Pointer into the body; `query:name`, `path:name` or `header:name` outside it."""
    detail: str


class ApiError(GustibusError):
    """The service answered with a problem.

    Attributes:
        status: of the reply.
        code: stable name of the problem, such as `rate_limited`.
        detail: one sentence for people.
        errors: the wrong fields.
        request_id: finds the request in the log of the service.
        retry_after: seconds to wait, as the service says; None where it does not.
        body: the whole problem.
    """

    code: str  # type: ignore[misc]  # of the reply here, of the class everywhere else

    def __init__(
        self, status: int, body: Mapping[str, Any], *, request_id: str = "",
        retry_after: float | None = None, hint: str = "",
    ) -> None:  # fmt: skip
        self.status = status
        self.code = str(body.get("code") or f"http_{status}")
        self.detail = str(body.get("detail") or body.get("title") or f"status {status}")
        self.errors = tuple(
            FieldProblem(str(one.get("pointer", "")), str(one.get("detail", "")))
            for one in body.get("errors") or ()
        )
        self.request_id = request_id or str(body.get("request_id") or "")
        self.retry_after = retry_after
        self.body = body
        named = f", request {self.request_id}" if self.request_id else ""
        message = f"{self.detail} ({status} {self.code}{named})"
        super().__init__(f"{message}; {hint}" if hint else message, where=self.pointer)

    @property
    def pointer(self) -> str | None:
        """Where the first wrong field is, None where none is named."""
        return self.errors[0].pointer if self.errors else None


class InvalidRequestError(ApiError, InputError):
    """The request is wrong: 400, 415, 422 and whatever else only another request can change."""


class AuthenticationError(ApiError):
    """401: no key, or one that is wrong, expired or revoked."""


class PermissionDeniedError(ApiError):
    """403: the key may not do this."""


class ApiNotFoundError(ApiError, NotFoundError):
    """404: there is no such thing."""


class ApiConflictError(ApiError):
    """409: the state does not allow it."""


class GoneError(ApiError):
    """410: the session is over, or the person was deleted."""


class TooLargeError(InvalidRequestError):
    """413: send less at once."""


class RateLimitedError(ApiError, OverloadedError):
    """429: the key is over its rate."""


class ServiceError(ApiError):
    """5xx: something went wrong there."""


class UnavailableError(ServiceError, OverloadedError):
    """503: the service is at capacity or not ready; or 502 as its encoder cannot be reached."""


class JobEndedError(ApiError):
    """A job ended without a result; the status is 200, of the reply that told so.

    Attributes:
        job: its id.
    """

    _code: ClassVar[str]

    def __init__(self, job: str, detail: str) -> None:
        self.job = job
        super().__init__(200, {"code": self._code, "detail": f"job {job}: {detail}"})


class JobFailedError(JobEndedError):
    """A job failed; `detail` is what it says of why.

    Attributes:
        reason: what kind of problem it is, such as `infeasible`; None where the service tells none.
    """

    _code: ClassVar[str] = "job_failed"

    def __init__(self, job: str, detail: str, *, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__(job, detail)


class JobCancelledError(JobEndedError):
    """A job was cancelled before it was done."""

    _code: ClassVar[str] = "job_cancelled"


class ApiConnectionError(GustibusError):
    """The service could not be reached, or the connection was lost before the reply."""

    code: ClassVar[str] = "connection"


class ApiTimeoutError(ApiConnectionError):
    """There was no reply within the timeout or the deadline."""

    code: ClassVar[str] = "timeout"


class ClientClosedError(ApiConnectionError):
    """The client was closed before the call."""


class BadReplyError(GustibusError):
    """The reply is not what this version of the client understands."""

    code: ClassVar[str] = "bad_reply"


_KINDS: Mapping[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: ApiNotFoundError,
    409: ApiConflictError,
    410: GoneError,
    413: TooLargeError,
    429: RateLimitedError,
    503: UnavailableError,
}
_NAMED: Mapping[str, type[ApiError]] = {"encoder_unavailable": UnavailableError}
"""By code, where a proxy may answer with the same status."""


def error_of(
    status: int, headers: Mapping[str, str], content: bytes, *, hint: str = ""
) -> ApiError:  # fmt: skip
    """The exception for a reply that is not a success, whatever its body holds.

    Args:
        status: of the reply.
        headers: of the reply.
        content: of the reply.
        hint: what the caller may do about it, after what the service says.
    """
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):  # of a proxy in between
        text = content[:200].decode("utf-8", "replace").strip()
        body = {"detail": text or f"status {status} without a body"}
    kind = _KINDS.get(status, ServiceError if status >= 500 else InvalidRequestError)
    kind = _NAMED.get(str(body.get("code")), kind)
    return kind(
        status, body, request_id=headers.get("x-request-id", ""),
        retry_after=seconds_of(headers.get("retry-after")), hint=hint,
    )  # fmt: skip


def seconds_of(value: str | None) -> float | None:
    """The seconds of a `Retry-After`; None where it is absent, a date or nonsense."""
    if value is None or not value.strip().isascii() or not value.strip().isdigit():
        return None
    return float(value)
