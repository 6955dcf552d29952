"""`gustibus models diff`: what the cards of two models say differently."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_WIDE = 48  # most characters of a value in a table


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields that differ, by their names with dots between levels; None where one has no such field.

    Lists are compared as a whole. The order is that of the first card, then that of the second.

    Args:
        first: a card.
        second: another.
    """
    one, other = dict(_flat(first)), dict(_flat(second))
    pairs = {name: (one.get(name), other.get(name)) for name in {**one, **other}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def as_table(found: Mapping[str, tuple[Any, Any]], head: tuple[str, str]) -> str:
    """Lines of name and both values, one under the other."""
    rows = [("", *head), *((name, *map(_short, pair)) for name, pair in found.items())]
    name, value = (max(len(row[place]) for row in rows) for place in (0, 1))
    return "".join(f"{a:{name}}  {b:{value}}  {c}".rstrip() + "\n" for a, b, c in rows)


def _flat(card: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in card.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"
