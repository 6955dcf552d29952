"""One request as handlers see it, and what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import msgspec

from gustibus.service.decoding import Query, read_json, read_query
from gustibus.service.ids import CLIENT_ID
from gustibus.service.problems import Problem, invalid

if TYPE_CHECKING:
    from gustibus.service.allowance import Allowance
    from gustibus.service.bodies import Stream
    from gustibus.service.conditions import Condition
    from gustibus.service.keys import Caller
    from gustibus.service.routing import Route
    from gustibus.service.stages import Laps
    from gustibus.service.state import State
    from gustibus.store import SessionRow

T = TypeVar("T")
JSON = b"application/json"
PAGE: Final = "page"
"""To which usage is charged that is of a session whose key is not known."""
encode = msgspec.json.Encoder().encode

_LONG = 32 << 10  # bytes of JSON that take about a millisecond


class Reply(NamedTuple):
    """Status, body and what else goes into the head."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Streamed(NamedTuple):
    """A reply that is sent in pieces as they are made, and no further when the client leaves."""

    pieces: AsyncIterator[bytes]
    content_type: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200


def ok(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON reply; keywords become headers, `_` as `-`."""
    extra = tuple((k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items())
    return Reply(status, encode(value), JSON, extra)


class Call:
    """One request.

    Attributes:
        state: what the process holds.
        route: the row of the table.
        params: path parameters, checked against the pattern.
        query_string: raw.
        body: unpacked bytes.
        content_type: without parameters, lower case.
        caller: who asks; None on open routes.
        request_id: of the reply and the log.
        idempotency_key: as sent, None without.
        units: work done for the key's rate and the log; handlers add to it.
        model: name for the log.
        user: person for the log, hashed there.
        payer: id of the key that began the session that is asked about; empty until that is known.
        seen: the revision that a change is based on; -1 where none has to be named, and none was.
        condition: what a request of a tagged route says of the state that it expects.
        listed: whether the reply is wanted in the media type that the route names beside JSON.
        unpacks: codings of content that the client of an open route understands, as sent.
        allowance: tokens that its texts may have, None before the first of them is encoded.
        admitted: when the key was known and its limits were kept, on the clock of `perf_counter`.
        begun: when it was the request's turn and its body was there; 0 before that.
        encoding: seconds that its texts took to become representations.
        counted: who counts the request among those that are open, None for other routes.
        stream: the body of a route that reads it as it comes.
        laps: times its stages, None for most requests.
    """

    __slots__ = (
        "admitted", "allowance", "begun", "body", "caller", "condition", "content_type", "counted",
        "encoding", "idempotency_key", "laps", "listed", "model", "params", "payer", "query_string",
        "request_id", "route", "seen", "state", "stream", "units", "unpacks", "user",
    )  # fmt: skip

    def __init__(self, state: State, route: Route, params: dict[str, str]) -> None:
        self.state = state
        self.route = route
        self.params = params
        self.query_string = b""
        self.body = b""
        self.content_type = b""
        self.caller: Caller | None = None
        self.request_id = ""
        self.idempotency_key: str | None = None
        self.units = 0
        self.model = ""
        self.user = ""
        self.payer = ""
        self.stream: Stream | None = None
        self.counted: Caller | None = None
        self.laps: Laps | None = None
        self.allowance: Allowance | None = None
        self.condition: Condition
        self.seen = 0
        self.admitted = self.begun = self.encoding = 0.0
        self.unpacks = b""
        self.listed = False

    def read(self, kind: type[T]) -> T:
        """The body as a type.

        Raises:
            Problem: 400 or 422, and 403 where it names a model that the key is not for.
        """
        value = self._for_key(read_json(self.body, kind), "/model")
        if self.laps is not None:
            self.laps.end("parse")
        return value

    async def read_aside(self, kind: type[T]) -> T:
        """The same for bodies that may be long, which are read off the event loop."""
        if len(self.body) < _LONG:
            return self.read(kind)
        return await self.state.threads.compute(lambda: self.read(kind))

    def read_optional(self, kind: type[T]) -> T:
        """The body as a type, its defaults when there is none."""
        return self.read(kind) if self.body else kind()

    def query(self, kind: type[Query]) -> Query:
        """The query string as a type; 403 where it names a model that the key is not for."""
        return self._for_key(read_query(self.query_string, kind), "query:model")

    def param(self, name: str) -> str:
        """A path parameter, an id of a client.

        Raises:
            Problem: 422 when it does not have the form of an id, 403 for a model that the key is not for.
        """
        value = self.params[name]
        if CLIENT_ID.fullmatch(value) is None:
            detail = "expected 1 to 128 letters, digits or any of . _ : @ -"
            raise invalid(f"path:{name}", detail)
        if name == "model":
            self._refuse_model(value, "path:model")
        return value

    def about(self, row: SessionRow) -> None:
        """Note whose session the request is about, and which key began it."""
        self.user, self.payer = row.user, row.key or ""

    @property
    def charged(self) -> str:
        """Id of the key whose usage this is: that of the caller, or the one that began the caller's session.

        A session that was begun before keys were noted has none, nor is it known of a request that was
        refused before its session was read: those are of `PAGE`.
        """
        if self.caller is None or self.caller.session:
            return self.payer or PAGE
        return self.caller.id

    def may(self, scope: str) -> bool:
        """Whether the caller has a scope."""
        return self.caller is not None and scope in self.caller.scopes

    def need(self, scope: str) -> None:
        """Insist on a scope beyond the route's own.

        Raises:
            Problem: 401 without a key, 403 without the scope.
        """
        if self.caller is None:
            raise Problem("unauthenticated", "This needs a key")
        if not self.may(scope):
            raise Problem("forbidden", f"This needs the scope {scope!r}, which the key lacks")

    def _for_key(self, value: T, pointer: str) -> T:
        """What was read, unless it names a model that the key is not for."""
        if self.caller is not None and self.caller.models is not None:
            self._refuse_model(getattr(value, "model", None), pointer)
        return value

    def _refuse_model(self, name: Any, pointer: str) -> None:
        # `default` is what is served: a key that is not for it was turned away at the door
        if not isinstance(name, str) or name.partition("@")[0] == "default":
            return
        if self.caller is not None and not self.caller.is_for(name):
            detail = f"The key is not for the model {name[:128]!r}"
            raise Problem("forbidden", detail, errors=[(pointer, detail)])
