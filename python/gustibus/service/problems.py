"""Errors over HTTP: one body for all of them, `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from gustibus.errors import GustibusError, OverloadedError

MEDIA_TYPE = "application/problem+json"
NO_WRITES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Numbers of the errors of a disk that is full, failing or read-only."""


class Kind(NamedTuple):
    """What a code means."""

    status: int
    title: str
    type: str
    """What clients in the style of OpenAI switch on."""


_FIX = "invalid_request_error"
_LOAD = "overloaded_error"

CODES: dict[str, Kind] = {
    "malformed_json": Kind(400, "The body is not JSON", _FIX),
    "bad_encoding": Kind(400, "The body cannot be decoded", _FIX),
    "bad_header": Kind(400, "A header or the address is not acceptable", _FIX),
    "unauthenticated": Kind(401, "A valid key is needed", "authentication_error"),
    "forbidden": Kind(403, "The key may not do this", "permission_error"),
    "not_found": Kind(404, "There is no such thing", "not_found_error"),
    "method_not_allowed": Kind(405, "The path has other methods", _FIX),
    "request_timeout": Kind(408, "The request came too slowly", "timeout_error"),
    "conflict": Kind(409, "The state does not allow it", "conflict_error"),
    "opted_out": Kind(409, "The person opted out of this", "conflict_error"),
    "restricted": Kind(409, "The person's processing is restricted", "conflict_error"),
    "gate_failed": Kind(409, "The version is worse than the one in its place", "conflict_error"),
    "alias_in_use": Kind(409, "An alias points at the version", "conflict_error"),
    "item_pending": Kind(409, "An item has no vector yet", "conflict_error"),
    "idempotency_in_progress": Kind(409, "The first request under the key runs", "conflict_error"),
    "session_expired": Kind(410, "The session is over", "gone_error"),
    "user_deleted": Kind(410, "The person was deleted", "gone_error"),
    "etag_mismatch": Kind(412, "It has changed since it was read", "conflict_error"),
    "body_too_large": Kind(413, "The body is too large", _FIX),
    "too_many_candidates": Kind(413, "There are too many candidates", _FIX),
    "too_many_tokens": Kind(413, "The texts have too many tokens", _FIX),
    "too_much_text": Kind(413, "There is too much text", _FIX),
    "unsupported_media_type": Kind(415, "The body is of another kind", _FIX),
    "invalid_field": Kind(422, "A field is not valid", _FIX),
    "dimension_mismatch": Kind(422, "An embedding has the wrong dimension", _FIX),
    "not_finite": Kind(422, "A number is NaN or infinite", _FIX),
    "infeasible": Kind(422, "Nothing meets the constraints", _FIX),
    "idempotency_mismatch": Kind(422, "The idempotency key was used with another body", _FIX),
    "etag_required": Kind(428, "The change must name what it is based on", _FIX),
    "rate_limited": Kind(429, "The key is over its rate", "rate_limit_error"),
    "too_many_failures": Kind(429, "Too many requests came with a wrong key", "rate_limit_error"),
    "tenant_concurrency": Kind(429, "The key has too many requests open", "rate_limit_error"),
    "internal": Kind(500, "Something went wrong here", "api_error"),
    "queue_full": Kind(503, "The service is at capacity", _LOAD),
    "not_ready": Kind(503, "The service is not ready", _LOAD),
    "encoder_unavailable": Kind(502, "Texts cannot be encoded now", _LOAD),
    "deadline_exceeded": Kind(504, "The deadline has passed", "timeout_error"),
    "read_only": Kind(503, "The store accepts no writes", _LOAD),
}
"""Every code that a reply can carry; `code` is stable, texts are for people."""


WAITS = frozenset({429, 502, 503, 504})
"""Statuses that always say when to come back: what was begun for a reply that came too late goes on."""


class FieldError(msgspec.Struct, omit_defaults=True):
    """One wrong field."""

    pointer: str
    """JSON Pointer into the body; `query:name`, `path:name` or `header:name` outside it."""
    detail: str


class OpenAIError(msgspec.Struct):
    """The same in the shape that clients in the style of OpenAI read."""

    message: str
    type: str
    param: str | None
    code: str


class ProblemBody(msgspec.Struct, omit_defaults=True):
    """What an error reply holds."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    error: OpenAIError
    retry_after: int | None = None
    errors: list[FieldError] = []


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An answer other than success, raised anywhere below the gate."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        retry_after: float | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.kind = CODES[code]
        self.detail = detail
        self.errors = list(errors)
        self.headers = list(headers)
        self.retry_after: int | None = None
        if self.kind.status in WAITS:
            after = 1.0 if retry_after is None else retry_after
            self.retry_after = max(1, round(after * random.uniform(0.8, 1.2)))
            self.headers.append((b"retry-after", b"%d" % self.retry_after))
        if self.kind.status == 401:
            self.headers.append((b"www-authenticate", b'Bearer realm="gustibus"'))

    def body(self, *, instance: str, request_id: str) -> bytes:
        """The reply's bytes."""
        param = self.errors[0][0] if self.errors else None
        return _encode(
            ProblemBody(
                type=f"urn:gustibus:problem:{self.code.replace('_', '-')}",
                title=self.kind.title,
                status=self.kind.status,
                detail=self.detail,
                instance=instance,
                code=self.code,
                request_id=request_id,
                error=OpenAIError(self.detail, self.kind.type, param, self.code),
                retry_after=self.retry_after,
                errors=[FieldError(p, d) for p, d in self.errors],
            )
        )


_encode = msgspec.json.Encoder().encode


def invalid(pointer: str, detail: str, *, code: str = "invalid_field") -> Problem:
    """422 about one field."""
    where = pointer or "the body"
    return Problem(code, f"{where}: {detail}", errors=[(pointer, detail)])


def pointer_to(*steps: str | int) -> str:
    """JSON Pointer (RFC 6901) to what is under these names and places."""
    told = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return "".join(f"/{step}" for step in told)


def from_error(error: GustibusError, *, pointer: str | None = None) -> Problem:
    """The reply for a library error; errors that no client can cause become 500 without detail."""
    code = error.code if error.code in CODES else "internal"
    if error.code == "unknown_name":
        code = "invalid_field"
    if isinstance(error, OverloadedError) and error.where == "database":
        detail = "The store cannot be used now; the request id finds the reason in the log."
        return Problem(code, detail, retry_after=2)
    if isinstance(error, OverloadedError):
        return Problem(code, error.message, retry_after=getattr(error, "retry_after", None))
    if error.code == "missing_extra":
        return Problem("encoder_unavailable", error.message, retry_after=60)
    if code == "internal":
        return Problem("internal", "The request id finds the reason in the log.")
    where = pointer if pointer is not None else _pointer(error.where)
    errors: list[tuple[str, str]] = [] if where is None else [(where, error.message)]
    return Problem(code, error.message, errors=errors)


def _pointer(where: Any) -> str | None:
    if not isinstance(where, str):
        return None
    return where if where.startswith("/") else f"/{where}"
