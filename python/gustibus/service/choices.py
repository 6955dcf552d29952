"""What a field may hold, for those who sent something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from msgspec import inspect

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(?:\d+|\.\.\.)\]")
_FOUND = re.compile(r"Invalid (?:enum )?value (.*)$", re.DOTALL)
_OTHER = re.compile(r"Expected `[^`]*`(?:, got (`[^`]*`))?$")


def with_choices(detail: str, path: str, kind: Any) -> str:
    """A decoder's message about a value, with the choices where there are some.

    Args:
        detail: the message without its path.
        path: of the value, such as `$.candidates[3].kind`.
        kind: what was decoded.
    """
    found, other = _FOUND.fullmatch(detail), _OTHER.fullmatch(detail)
    if found is None and other is None:
        return detail
    allowed = choices(kind, path)
    if not allowed:
        return detail
    got = found[1] if found is not None else other and other[1]
    return f"expected one of {list(allowed)}" + (f", got {got}" if got else "")


def choices(kind: Any, path: str) -> tuple[str | int, ...]:
    """The values that a place in a type is limited to; none where it may hold others too."""
    places: list[inspect.Type] = list(_flat(_known(kind)))
    for step in _STEP.finditer(path):
        places = [one for place in places for one in _below(place, step[1])]
    rest = [place for place in places if not isinstance(place, inspect.NoneType)]
    if not all(isinstance(place, inspect.LiteralType) for place in rest):
        return ()
    values = {value for place in rest for value in place.values}  # type: ignore[attr-defined]  # checked
    return tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))


@lru_cache(maxsize=256)
def _known(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _below(place: inspect.Type, name: str | None) -> Iterator[inspect.Type]:
    """What is under a name, or in a collection where there is none."""
    if isinstance(place, inspect.StructType):
        if name == place.tag_field and place.tag is not None:
            yield inspect.LiteralType((place.tag,))
        for field in place.fields:
            if field.encode_name == name:
                yield from _flat(field.type)
    elif isinstance(place, inspect.ListType | inspect.VarTupleType) and name is None:
        yield from _flat(place.item_type)
    elif isinstance(place, inspect.TupleType) and name is None:
        yield from _each(place.item_types)
    elif isinstance(place, inspect.DictType) and name is None:
        yield from _flat(place.value_type)


def _each(kinds: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    for kind in kinds:
        yield from _flat(kind)


def _flat(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The kinds of a union, without what is said about them beside."""
    if isinstance(kind, inspect.Metadata):
        yield from _flat(kind.type)
    elif isinstance(kind, inspect.UnionType):
        yield from _each(kind.types)
    else:
        yield kind
