"""From bytes to typed values, and from what is wrong with them to a problem with a pointer."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from gustibus.service.choices import with_choices
from gustibus.service.nesting import MAX_DEPTH, is_bounded, is_deep
from gustibus.service.problems import Problem, invalid, pointer_to
from gustibus.service.repeating import refuse_repeated

T = TypeVar("T")
Query = TypeVar("Query", bound=msgspec.Struct)

_PATH = re.compile(r" - at (`key` in )?`(\$[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(.*)`$", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\[\.\.\.\]")
_LONE = re.compile("[\x00\ud800-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SEARCHED = 1 << 18  # bytes of a body in which the name of a free key is looked for


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> tuple[msgspec.json.Decoder[Any], bool]:
    """What reads a type, and whether nothing of the type is nested too deeply."""
    return msgspec.json.Decoder(kind), is_bounded(kind)


def read_json(body: bytes, kind: type[T], *, strict: bool = True) -> T:
    """A typed value.

    Args:
        body: UTF-8 JSON.
        kind: what it must be; fields it does not have are refused.
        strict: False where parts that are read later refuse a name that occurs twice in an object, each
            for itself.

    Raises:
        Problem: 400 when it is not JSON, or nested too deeply, 422 with a JSON Pointer when it is
            something else.
    """
    decoder, bounded = _decoder(kind)  # type: ignore[arg-type]  # types are hashable
    try:
        value: T = decoder.decode(body)
    except msgspec.ValidationError as error:
        _refuse_deep(body)
        try:
            pointer, detail = _where(str(error), kind, body)
        except _NO_JSON as later:  # behind what is wrong
            raise _malformed(body, later) from None
        raise invalid(pointer, detail) from None
    except _NO_JSON as error:
        _refuse_deep(body)
        raise _malformed(body, error) from None
    if not bounded:
        _refuse_deep(body)
    if strict:
        refuse_repeated(body)
    return value


def _malformed(body: bytes, error: Exception) -> Problem:
    return Problem("malformed_json", f"The body is not valid JSON: {why_no_json(body, error)}")


def _refuse_deep(body: bytes) -> None:
    if is_deep(body):
        detail = f"The body is nested too deeply: at most {MAX_DEPTH} levels are allowed"
        raise Problem("malformed_json", detail)


def why_no_json(text: bytes, error: Exception) -> str:
    """What is wrong with a text that is no JSON; the decoder calls some of it truncated that is not."""
    if not text.strip(b" \t\r\n"):
        return "it is empty"
    try:
        halves = "\\u" in text.decode() and _holds_half(json.loads(text))
    except (ValueError, RecursionError):
        return str(error)
    return "a text holds half of a surrogate pair" if halves else str(error)


def _holds_half(value: Any) -> bool:
    if isinstance(value, str):
        return _HALF.search(value) is not None
    if isinstance(value, dict):
        return any(_holds_half(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(map(_holds_half, value))


def _where(message: str, kind: Any, body: bytes = b"") -> tuple[str, str]:
    """Pointer and text of a message; the pointer to a field that is not known ends in its name."""
    found = _PATH.search(message)
    path = "$" if found is None else found[2]
    detail = _PATH.sub("", message)
    if found is not None and found[1]:
        path += "[...]"
        detail = f"a name of an entry: {detail}"
    else:
        detail = with_choices(detail, path, kind)
    steps = _steps(path, kind, body, message if found is None else found[0])
    unknown = _UNKNOWN.search(detail)
    return pointer_to(*steps, *([] if unknown is None else [unknown[1]])), detail


def _steps(path: str, kind: Any, body: bytes, ending: str) -> list[str | int]:
    """`$.candidates[3].id` as names and places.

    The path lacks the name of an entry of a table. It is found by leaving out other entries as long as
    the message ends alike; one that is not found is `*`.
    """
    steps = list(_STEP.finditer(path))
    told: list[str | int] = [m[1] or (int(m[2]) if m[2] else "*") for m in steps]
    if "*" not in told or len(body) > _SEARCHED:
        return told
    whole = at = msgspec.json.decode(body)

    def fails() -> bool:
        try:
            msgspec.convert(whole, kind)
        except msgspec.ValidationError as error:
            return str(error).endswith(ending)
        return False

    for place, step in enumerate(steps):
        if step[1] or step[2]:
            at = at[told[place]]
            continue
        if not isinstance(at, dict):
            return told
        entries = list(at.items())
        low, high = 1, len(entries)
        while low < high:  # the shortest beginning of the table that holds what is wrong
            middle = (low + high) // 2
            at.clear()
            at.update(entries[:middle])
            low, high = (low, middle) if fails() else (middle + 1, high)
        at.clear()
        at.update(entries[low - 1 : low])
        if not fails():
            return told
        told[place], at = entries[low - 1]
    return told


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
