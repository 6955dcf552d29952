"""A request as a value, and a reply that has not been read yet."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import InputError
from gustibus.showing import shown

T = TypeVar("T")

Array: TypeAlias = NDArray[Any]
Candidate: TypeAlias = "str | Mapping[str, Any] | Array"
"""A text; `{"id": …}`, `{"text": …}`, `{"messages": […]}`, `{"embedding": array}` or `{"vector": {"model": …,
"numbers": array}}`; or an array, which is an embedding."""
Prompt: TypeAlias = "str | Sequence[Mapping[str, Any]]"

JSON = "application/json"
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """What is sent, and how the reply is read.

    Attributes:
        method: HTTP method.
        path: from the root of the service.
        read: from the bytes of a success to the result.
        query: parameters; those that are None are left out.
        body: bytes, None without a body.
        content_type: of the body.
        content_encoding: how the body is compressed, None where it is not.
        writes: whether it changes something, and so goes under an idempotency key.
        key: the idempotency key; None has one made.
        repeatable: whether it may be sent again when it is not known whether it took effect.
        revision: of what is changed, as it was last read; 0 for something new, None where no
            revision is needed.
        if_match: the `ETag` of what is changed, as a reply told it; None for whatever it is by now.
        token: of an onboarding session, sent in place of the key.
        within: seconds for the call with all its attempts, where the client allows more.
    """

    method: str
    path: str
    read: Callable[[bytes], T]
    query: Mapping[str, str | int | float | bool | None] | None = None
    body: bytes | None = None
    content_type: str = JSON
    content_encoding: str | None = None
    writes: bool = False
    key: str | None = None
    repeatable: bool = True
    revision: int | None = None
    if_match: str | None = None
    token: str | None = None
    within: float | None = None

    def __repr__(self) -> str:
        """Method and path: a body holds what people wrote, and a token is a secret."""
        return f"{type(self).__name__}({self.method} {self.path})"

    def asking(self, **query: str | int | None) -> Request[T]:
        """With more parameters."""
        return replace(self, query={**(self.query or {}), **query})

    def parameters(self) -> dict[str, str]:
        """Parameters as texts."""
        given = {k: v for k, v in (self.query or {}).items() if v is not None}
        return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in given.items()}


@dataclass(frozen=True, slots=True)
class Raw(Generic[T]):
    """A reply with its head; `parse` gives what the call without `with_raw_response` returns."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    retries: int
    """How often the request was sent again."""
    read: Callable[[bytes], T]

    def __repr__(self) -> str:
        return shown(self, status=self.status, request_id=self.request_id, size=len(self.content))

    @property
    def request_id(self) -> str:
        """Finds the request in the log of the service."""
        return self.headers.get("x-request-id", "")

    @property
    def etag(self) -> str | None:
        """What `if_match` is for a change of what was read; None where the service tells none."""
        return self.headers.get("etag")

    def parse(self) -> T:
        """The result.

        Raises:
            BadReplyError: the reply is of another form.
        """
        return self.read(self.content)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list."""

    data: tuple[T, ...]
    has_more: bool
    next: str | None = None
    """What `after` is for the following page."""


def segment(name: str) -> str:
    """A name as one segment of a path.

    Raises:
        InputError: it is empty, or no text.
    """
    if not isinstance(name, str) or not name:
        got = "an empty text" if isinstance(name, str) else f"{type(name).__name__} {name!r}"
        message = f"name: expected an id, got {got}"
        raise InputError(message, where="name")
    return quote(name, safe="@:")


def body_of(**values: Any) -> bytes:
    """JSON of the values that are not None, arrays in them as base64.

    Raises:
        InputError: a value has no JSON, as NaN has none.
    """
    return whole_body({name: value for name, value in values.items() if value is not None})


def whole_body(values: Mapping[str, Any]) -> bytes:
    """JSON of values as they are, None as null.

    Raises:
        InputError: a value has no JSON, as NaN has none.
    """
    try:
        text = json.dumps(dict(values), separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        message = f"request: expected values that JSON has, got others ({error})"
        raise InputError(message, where="request") from None
    return text.encode()


def adding(body: bytes | None, values: Mapping[str, Any]) -> bytes:
    """The body of a request with more fields; what is there, which may be long, is not read again.

    Args:
        body: as `body_of` made it, with at least one field.
        values: of fields that it does not have.
    """
    assert body is not None, "there are fields"
    assert len(body) > 2, "there are fields"
    return body[:-1] + b"," + whole_body(values)[1:]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    isoformat = getattr(value, "isoformat", None)
    if isoformat is not None:
        return isoformat()
    message = f"a {type(value).__name__} has no JSON"
    raise TypeError(message)


def several(name: str, values: Iterable[T], expected: str = "candidates") -> list[T]:
    """A list of what was given, which one thing alone is not: a text is no list of its letters.

    Raises:
        InputError: it is a single text or object, or nothing.
    """
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        message = f"{name}: expected a sequence of {expected}, got {type(values).__name__}"
        raise InputError(message, where=name)
    return list(values)


def rows_of(name: str, values: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Objects that are sent together.

    Raises:
        InputError: one is no mapping.
    """
    rows = several(name, values, "objects")
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            message = f"{name}[{place}]: expected an object, got {type(row).__name__}"
            raise InputError(message, where=f"{name}[{place}]")
    return rows


def header_of(name: str, value: str, most: int) -> str:
    """A text that can be a header; the message never shows it, as it may be a secret.

    Raises:
        InputError: it is no text, too long, or has other characters than printable ones of ASCII.
    """
    if not isinstance(value, str):
        message = f"{name}: expected a text, got {type(value).__name__}"
        raise InputError(message, where=name)
    if len(value) > most or not value.isascii() or not value.isprintable():
        message = f"{name}: expected at most {most} printable ASCII characters, got others"
        raise InputError(message, where=name)
    return value


def candidate_of(value: Candidate) -> Any:
    """A candidate as JSON, an embedding as base64."""
    if isinstance(value, np.ndarray):
        return {"embedding": embedding_of(value)}
    if isinstance(value, Mapping) and isinstance(value.get("embedding"), np.ndarray):
        return {**value, "embedding": embedding_of(value["embedding"])}
    if isinstance(value, Mapping) and isinstance(value.get("vector"), Mapping):
        return {**value, "vector": _vector_of(value["vector"])}
    return value


def _vector_of(vector: Mapping[str, Any]) -> Mapping[str, Any]:
    """A vector with its numbers, which may be an array, as base64."""
    if not isinstance(vector.get("numbers"), np.ndarray):
        return vector
    rest = {name: value for name, value in vector.items() if name != "numbers"}
    return {**rest, **embedding_of(vector["numbers"])}


def embedding_of(vector: Array) -> dict[str, str]:
    """One embedding as base64 of little-endian numbers.

    Raises:
        InputError: the array has another shape than `(d,)`, or holds no numbers.
    """
    vector = np.asarray(vector)
    if vector.ndim != 1:
        message = f"embedding: expected shape (d,), got {vector.shape}"
        raise InputError(message, where="embedding")
    data, dtype = bytes_of(vector)
    return {"b64": base64.b64encode(data).decode(), "dtype": dtype}


def bytes_of(vectors: Array) -> tuple[bytes, str]:
    """Row-major little-endian bytes and their type: `f16` stays `f16`, all else becomes `f32`.

    Raises:
        InputError: there are no numbers in it.
    """
    if vectors.dtype.kind not in "fiub":
        message = f"embedding: expected numbers, got an array of {vectors.dtype}"
        raise InputError(message, where="embedding")
    dtype = "f16" if vectors.dtype == np.float16 else "f32"
    return np.ascontiguousarray(vectors, "<f2" if dtype == "f16" else "<f4").tobytes(), dtype
