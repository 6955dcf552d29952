"""How deeply JSON is nested: known from its type as a rule, else looked for in its bytes."""

from __future__ import annotations

import re
from math import inf
from typing import Any, Final

from msgspec import inspect

MAX_DEPTH: Final = 16
"""Most levels of objects and arrays."""

_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LISTS = bytes.maketrans(b"{}", b"[]")
_REST = bytes(set(range(256)) - set(b"[]{}"))


def is_deep(body: bytes) -> bool:
    """Whether JSON has more than `MAX_DEPTH` levels; what is no JSON may be called either.

    A body with few brackets is done in one pass over it. Of others all but the brackets is dropped, then
    the innermost level, as often as there may be levels. Megabytes take milliseconds.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    left = _TEXTS.sub(b"", body).translate(_LISTS, _REST)
    for _ in range(MAX_DEPTH):
        if not left:
            return False
        left = left.replace(b"[]", b"")
    return b"[" in left


def is_bounded(kind: Any) -> bool:
    """Whether whatever decodes as a type has no more than `MAX_DEPTH` levels."""
    return _levels(inspect.type_info(kind), ()) <= MAX_DEPTH


def _levels(found: inspect.Type, above: tuple[type, ...]) -> float:
    """Most levels of a value of a type, infinite where there is no bound; `above` are types that hold it."""
    match found:
        case inspect.Metadata(type=inner):
            return _levels(inner, above)
        case inspect.StructType(cls=cls, fields=fields, forbid_unknown_fields=True):
            if cls in above:
                return inf
            return 1 + max((_levels(one.type, (*above, cls)) for one in fields), default=0)
        case inspect.UnionType(types=types):
            return max(_levels(one, above) for one in types)
        case inspect.DictType(value_type=inner) | inspect.CollectionType(item_type=inner):
            return 1 + _levels(inner, above)
        case inspect.TupleType(item_types=types):
            return 1 + max((_levels(one, above) for one in types), default=0)
        case _:
            return 0 if isinstance(found, _FLAT) else inf


_FLAT = (
    inspect.NoneType, inspect.BoolType, inspect.IntType, inspect.FloatType, inspect.StrType,
    inspect.BytesType, inspect.DateTimeType, inspect.DateType, inspect.LiteralType, inspect.EnumType,
    inspect.RawType,  # is read by itself later
)  # fmt: skip
