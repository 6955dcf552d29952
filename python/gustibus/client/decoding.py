"""From JSON to frozen dataclasses; fields that this version does not know are left out."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from gustibus.client.errors import BadReplyError

T = TypeVar("T")
Reader = Callable[[Any], Any]


def decoder(kind: type[T]) -> Callable[[bytes], T]:
    """A function from the bytes of a reply to a value.

    Args:
        kind: a dataclass of dataclasses, tuples, dictionaries, numbers, texts, days and times.
    """
    read = reader(kind)  # type: ignore[arg-type]  # types are hashable

    def decode(content: bytes) -> T:
        try:
            value = json.loads(content)
            made: T = read(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"{kind.__name__}: expected another reply ({type(error).__name__}: {error})"
            raise BadReplyError(what) from error
        return made

    return decode


@lru_cache(maxsize=512)
def reader(kind: Any) -> Reader:
    """A function from decoded JSON to a value of a type, made once a type.

    Raises:
        TypeError: the type is of a kind that replies do not have.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is dict:
        of_value = reader(arguments[1])
        return lambda value: {str(k): of_value(v) for k, v in value.items()}
    if (isinstance(kind, type) and is_dataclass(kind)) or is_dataclass(origin):
        return _dataclass(kind if origin is None else origin, arguments)
    if kind is float:
        return float
    if kind is datetime:
        return datetime.fromisoformat
    if kind is date:
        return date.fromisoformat
    if kind in (Any, str, int, bool) or origin is Literal:
        return lambda value: value
    message = f"expected a type that replies have, got {kind!r}"
    raise TypeError(message)


def _optional(arguments: tuple[Any, ...]) -> Reader:
    """`T | None`, or a union of plain values."""
    rest = [one for one in arguments if one is not type(None)]
    if len(rest) > 1:
        return lambda value: value
    inner = reader(rest[0])
    return lambda value: None if value is None else inner(value)


def _tuple(arguments: tuple[Any, ...]) -> Reader:
    if arguments[-1] is ...:
        inner = reader(arguments[0])
        return lambda value: tuple(map(inner, value))
    each = [reader(one) for one in arguments]
    return lambda value: tuple(read(one) for read, one in zip(each, value, strict=True))


def _dataclass(kind: Any, arguments: tuple[Any, ...]) -> Reader:
    hints = get_type_hints(kind)
    bound = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=False))
    known = [
        (f.name, reader(_bind(hints[f.name], bound)), f.default is MISSING and f.default_factory is MISSING)
        for f in fields(kind)
    ]  # fmt: skip

    def read(value: Any) -> Any:
        given: dict[str, Any] = {}
        for name, convert, needed in known:
            if name in value:
                given[name] = convert(value[name])
            elif needed:
                raise KeyError(name)
        return kind(**given)

    return read


def _bind(hint: Any, bound: dict[Any, Any]) -> Any:
    """A hint with the type variables of a generic dataclass filled in."""
    wanted = getattr(hint, "__parameters__", ())
    if isinstance(hint, TypeVar):
        return bound[hint]
    return hint[tuple(bound[one] for one in wanted)] if wanted else hint
