"""Valid values of the types of requests, made from the types themselves."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import inspect

NAMES = ("item-0", "item-1", "item-2", "user-0", "user-1", "new-1")
TEXTS = ("short", "a b c", "Say something?", "", "ß")


def value_of(rng: random.Random, kind: Any, *, depth: int = 0) -> Any:
    """A value of JSON that a type of msgspec takes, as far as its shape goes."""
    return _of(rng, inspect.type_info(kind), depth)


def _of(rng: random.Random, kind: Any, depth: int) -> Any:
    if isinstance(kind, inspect.Metadata):
        return _of(rng, kind.type, depth)
    if isinstance(kind, inspect.StructType):
        return _struct(rng, kind, depth)
    if isinstance(kind, inspect.UnionType):
        return _of(rng, rng.choice(kind.types), depth)
    if isinstance(kind, inspect.ListType | inspect.CollectionType):
        low = kind.min_length or 0
        high = min(kind.max_length or 4, max(low, 4))
        return [_of(rng, kind.item_type, depth + 1) for _ in range(rng.randint(low, high))]
    if isinstance(kind, inspect.VarTupleType):
        return [_of(rng, kind.item_type, depth + 1) for _ in range(rng.randint(0, 3))]
    if isinstance(kind, inspect.TupleType):
        return [_of(rng, one, depth + 1) for one in kind.item_types]
    if isinstance(kind, inspect.DictType):
        return {
            _of(rng, kind.key_type, depth): _of(rng, kind.value_type, depth + 1)
            for _ in range(rng.randint(0, 3))
        }
    return _plain(rng, kind, depth)


def _struct(rng: random.Random, kind: Any, depth: int) -> dict[str, Any]:
    found = {}
    if kind.tag_field is not None:
        found[kind.tag_field] = kind.tag
    for field in kind.fields:
        if field.required or (depth < 6 and rng.random() < 0.4):
            found[field.encode_name] = _of(rng, field.type, depth + 1)
    return found


def _plain(rng: random.Random, kind: Any, depth: int) -> Any:
    if isinstance(kind, inspect.StrType):
        if kind.pattern is not None or rng.random() < 0.5:
            return rng.choice(NAMES)
        return rng.choice(TEXTS)
    if isinstance(kind, inspect.IntType):
        low = kind.ge if kind.ge is not None else (kind.gt or 0)
        return rng.randint(int(low), int(kind.le if kind.le is not None else low + 5))
    if isinstance(kind, inspect.FloatType):
        return rng.choice((0.5, 1.0, 0.25, 3))
    if isinstance(kind, inspect.BoolType):
        return rng.random() < 0.5
    if isinstance(kind, inspect.LiteralType | inspect.EnumType):
        return rng.choice(list(kind.values if hasattr(kind, "values") else kind.cls))
    if isinstance(kind, inspect.DateType):
        return "2026-01-02"
    if isinstance(kind, inspect.DateTimeType):
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).isoformat()
    if isinstance(kind, inspect.NoneType):
        return None
    if isinstance(kind, inspect.AnyType):
        return rng.choice(({}, [], 1, "x", None, {"x": [1, 2]}))
    if isinstance(kind, inspect.RawType):
        return {}
    message = f"no value is known for {kind}"
    raise TypeError(message)


def raw(value: Any) -> bytes:
    """JSON."""
    return msgspec.json.encode(value)
