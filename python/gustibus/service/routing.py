"""The route table: what every operation takes, gives, needs and can answer.

Everything that knows about routes, the gate, the OpenAPI document and the tests, reads this one
table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gustibus.service.ids import PATTERN
from gustibus.service.problems import CODES

if TYPE_CHECKING:
    from gustibus.service.call import Call, Reply, Streamed

Handler = Callable[["Call"], Coroutine[Any, Any, "Reply | Streamed"]]

SCOPES: Final[dict[str, str]] = {
    "score": "score, rerank and compare candidates",
    "score:raw": "use embeddings that the client supplies",
    "onboard": "run onboarding sessions",
    "rank": "decide for groups: orders, committees, fair rankings, matching",
    "ingest": "write comparisons and items, import logs",
    "users:read": "read people, their profiles and comparisons",
    "users:write": "write, export and delete people",
    "models:read": "read what is served",
    "models:write": "register, promote, roll back and forget versions of models",
    "jobs": "run jobs and read what came of them",
    "audit:read": "read the audit log",
    "admin": "read metrics, details of readiness and everything on the operator pages",
}
"""What a key may be allowed to do."""

OPERATING: Final = frozenset({"admin", "audit:read", "jobs", "models:write"})
"""Scopes for those who run the service, which applications do without."""

OPEN: Final = "open"
"""Scope of a route that needs no key."""
ANY: Final = "any"
"""Scope of a route that any live key may use."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """A body that may be left out; a field in it is refused."""


STORE: Final = ("queue_full", "read_only")
"""Problems of every route that reads or writes the store."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        method: HTTP method.
        path: template; `{name}` is one segment.
        operation: its `operationId`.
        scope: what the key must allow; `OPEN` for none, `ANY` for any key.
        run: coroutine that answers.
        tag: group in the document.
        summary: one sentence.
        request: type of the JSON body, None without a body; `Nothing` where it would say nothing.
        optional: whether the body may be left out.
        query: type of the query string, None where there is none.
        response: type of the reply, None without a body, or a media type that is not JSON, or several.
        listed: a media type in which the reply comes whole, where `Accept` names it; empty for none.
        status: on success.
        also: other statuses on success, with the same reply.
        problems: codes it can answer beyond those that follow from the rest of the row.
        body: which limit holds: `scoring` or `other`.
        patient: whether it may take however long where the request names no deadline.
        staged: whether its stages are timed, of some requests.
        binary: whether `application/octet-stream` is taken too.
        session: whether the token of an onboarding session does in place of a key.
        tells: whether an open route tells more with a key than without, if it takes a query, under one
            alone; wrong keys are counted there as everywhere.
        basic: whether the key may also come as the password of `Authorization: Basic`.
        idempotent: whether `Idempotency-Key` is honoured.
        keyed: whether it must be there.
        stream: media types of a body that is read as it comes; empty for others.
        conditional: whether a change names the revision that it is based on, in `If-Match`.
        matched: whether `If-Match` alone is meant, for what is there already; a change that is not
            `conditional` may leave it out.
        revised: whether replies tell in `ETag` the revision that a change of the same thing names.
        queued: type of the reply 202 where a request may also be put into a job; None where it may not.
        tagged: whether replies carry an `ETag` of what is written and shown, and `If-Match` and
            `If-None-Match` are honoured where they are sent.
        example: of the request; of a stream in the first of its media types.
    """

    method: str
    path: str
    operation: str
    scope: str
    run: Handler
    tag: str
    summary: str
    request: Any = None
    optional: bool = False
    query: Any = None
    response: Any = None
    listed: str = ""
    status: int = 200
    also: tuple[int, ...] = ()
    problems: tuple[str, ...] = ()
    body: str = "other"
    patient: bool = False
    staged: bool = False
    binary: bool = False
    session: bool = False
    tells: bool = False
    basic: bool = False
    idempotent: bool = False
    keyed: bool = False
    stream: tuple[str, ...] = ()
    conditional: bool = False
    matched: bool = False
    revised: bool = False
    tagged: bool = False
    queued: Any = None
    example: Any = None
    parameters: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Check the row: deny by default means that a scope is one of the table."""
        if self.scope not in SCOPES and self.scope not in {OPEN, ANY}:
            message = f"{self.operation}: expected a scope of the table, got {self.scope!r}"
            raise ValueError(message)
        unknown = [code for code in self.problems if code not in CODES]
        if unknown:
            message = f"{self.operation}: expected codes of the table, got {unknown}"
            raise ValueError(message)
        object.__setattr__(self, "parameters", tuple(re.findall(r"\{(\w+)\}", self.path)))

    @property
    def codes(self) -> frozenset[str]:
        """Every problem that this route can answer."""
        codes = {"bad_header", "internal", "deadline_exceeded", *self.problems}
        if self.scope != OPEN:
            codes |= {"unauthenticated", "too_many_failures", "forbidden", "not_ready"}
        elif self.tells:
            codes.add("too_many_failures")
        if self.body == "scoring":
            codes |= {"rate_limited", "tenant_concurrency", "queue_full"}
        if self.conditional:
            codes |= {"etag_required", "etag_mismatch"}
        if self.matched or (self.tagged and self.method != "GET"):
            codes.add("etag_mismatch")
        if self.stream:
            codes |= {
                "body_too_large", "unsupported_media_type", "bad_encoding", "request_timeout",
            }  # fmt: skip
        if self.request is not None:
            codes |= {
                "malformed_json", "bad_encoding", "body_too_large", "unsupported_media_type",
                "invalid_field", "request_timeout",
            }  # fmt: skip
        if self.parameters or self.query is not None:
            codes.add("invalid_field")
        if self.idempotent:
            codes |= {"idempotency_mismatch", "idempotency_in_progress", "conflict"}
        return frozenset(codes)

    @property
    def statuses(self) -> list[int]:
        """Every status that this route can answer."""
        more = {304} if self.tagged and self.method == "GET" else set()
        if self.queued is not None:
            more.add(202)
        told = {CODES[code].status for code in self.codes}
        return sorted({self.status, *self.also, *more, *told})


class Table:
    """Routes by method and path: fixed paths by look-up, templates by one pattern each."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = tuple(routes)
        self.fixed: dict[tuple[str, str], Route] = {}
        self._templates: list[tuple[str, re.Pattern[str], Route]] = []
        for route in routes:
            if not route.parameters:
                self.fixed[(route.method, route.path)] = route
            else:
                self._templates.append((route.method, _pattern(route.path), route))
        # A template with a verb after the name, as in {user}:export, is more exact.
        self._templates.sort(key=lambda row: -len(row[2].path))

    def __iter__(self) -> Iterator[Route]:
        return iter(self.routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a request with its path parameters, None when there is none.

        HEAD is GET without the body (RFC 9110, section 9.3.2).
        """
        if method == "HEAD":
            method = "GET"
        route = self.fixed.get((method, path))
        if route is not None:
            return route, {}
        for verb, pattern, candidate in self._templates:
            if verb == method:
                found = pattern.fullmatch(path)
                if found is not None:
                    return candidate, found.groupdict()
        return None

    def methods(self, path: str) -> list[str]:
        """Methods that a path has."""
        found = {method for method, known in self.fixed if known == path}
        found |= {m for m, p, _ in self._templates if p.fullmatch(path)}
        return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    text = "".join(
        re.escape(part) if place % 2 == 0 else f"(?P<{part}>[^/]+)"
        for place, part in enumerate(parts)
    )
    return re.compile(text)


PARAMETER_PATTERN: Final = PATTERN
"""What every path parameter must match."""
