"""From bytes to typed values, and from what is wrong with them to a problem with a pointer."""

from __future__ import annotations

import json
import re
import zlib
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from gustibus.service.choices import with_choices
from gustibus.service.problems import Problem, invalid

T = TypeVar("T")
Query = TypeVar("Query", bound=msgspec.Struct)

MAX_RATIO = 20
"""Most bytes that a byte of a compressed body may become."""

_PATH = re.compile(r" - at `(\$[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[\.\.\.\]")
_LONE = re.compile("[\x00\ud800-\udfff]")


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def read_json(body: bytes, kind: type[T], *, strict: bool = True) -> T:
    """A typed value.

    Args:
        body: UTF-8 JSON.
        kind: what it must be; fields it does not have are refused.
        strict: whether a name that occurs twice in an object is refused too, which costs more than
            the rest and is left out on scoring routes.

    Raises:
        Problem: 400 when it is not JSON, 422 with a JSON Pointer when it is something else.
    """
    try:
        value: T = _decoder(kind).decode(body)  # type: ignore[arg-type]  # types are hashable
    except msgspec.ValidationError as error:
        raise _validation(error, kind) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed_json", f"The body is not valid JSON: {error}") from None
    if strict:
        _refuse_duplicates(body)
    return value


def _validation(error: msgspec.ValidationError, kind: Any) -> Problem:
    pointer, detail = _where(str(error), kind)
    return invalid(pointer, detail)


def _where(message: str, kind: Any) -> tuple[str, str]:
    """Pointer and text of a message; the pointer to a field that is not known ends in its name."""
    found = _PATH.search(message)
    path = "$" if found is None else found[1]
    pointer = pointer_of(path)
    detail = with_choices(_PATH.sub("", message), path, kind)
    unknown = _UNKNOWN.search(detail)
    return (pointer if unknown is None else f"{pointer}/{unknown[1]}"), detail


def pointer_of(path: str) -> str:
    """`$.candidates[3].id` as `/candidates/3/id`; the name of a free key is not known: `*`."""
    steps = (m[1] or m[2] or "*" for m in _STEP.finditer(path))
    return "".join(f"/{step}" for step in steps)


def _refuse_duplicates(body: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    detail = (
                        f"The body is not acceptable: the name {name!r} occurs twice in one object"
                    )
                    raise Problem("malformed_json", detail)
                seen.add(name)

    json.loads(body, object_pairs_hook=check)


def read_query(text: bytes, kind: type[Query]) -> Query:
    """A typed value from a query string.

    Raises:
        Problem: 422 that names the parameter.
    """
    try:
        pairs = parse_qsl(
            text.decode("ascii"), keep_blank_values=True, strict_parsing=bool(text),
            encoding="utf-8", errors="strict", max_num_fields=64,
        )  # fmt: skip
    except ValueError as error:
        raise invalid("query:", f"not a query string ({error})") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise invalid(f"query:{name}", "occurs twice")
        values[name] = value
    try:
        found = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        pointer, detail = _where(str(error), kind)
        raise invalid(f"query:{pointer.strip('/')}", detail) from None
    nulls = {name for name, value in values.items() if value.lower() == "null"}
    if nulls:  # else nobody has to know the fields, and to tell them takes as long as to score
        for field in msgspec.structs.fields(kind):
            if field.encode_name in nulls and getattr(found, field.name) is None:
                detail = "null is no value; leave the parameter out"
                raise invalid(f"query:{field.encode_name}", detail)
    return found


def refuse_unstorable(value: str, pointer: str) -> None:
    """No NUL and no half of a surrogate pair: not every engine stores them.

    Raises:
        Problem: 422.
    """
    if _LONE.search(value):
        raise invalid(pointer, "holds a NUL character or a half of a surrogate pair")


def is_gzip(encoding: str) -> bool:
    """Whether a body is compressed, by its header `Content-Encoding`.

    Raises:
        Problem: 415 for another encoding.
    """
    if encoding in {"", "identity"}:
        return False
    if encoding in {"gzip", "x-gzip"}:
        return True
    detail = f"Content-Encoding {encoding!r} is not known; known: gzip, identity"
    raise Problem("unsupported_media_type", detail)


def inflate(body: bytes, encoding: str, *, most: int) -> bytes:
    """A compressed body.

    Args:
        body: as sent.
        encoding: of the header `Content-Encoding`.
        most: bytes that it may become.

    Raises:
        Problem: 415 for another encoding, 400 when it is broken, 413 when it grows too much.
    """
    if not is_gzip(encoding):
        return body
    limit = min(most, MAX_RATIO * max(len(body), 1024))
    unpack = zlib.decompressobj(wbits=31)
    try:
        out = unpack.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem("bad_encoding", f"The body is not gzip: {error}") from None
    if len(out) > limit:
        raise Problem("body_too_large", f"The body unpacks to more than {limit} bytes")
    if not unpack.eof or unpack.unused_data:
        raise Problem("bad_encoding", "The gzip body ends too early or has something after it")
    return out
