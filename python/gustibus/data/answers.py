"""One record of any layout as one person's answer, for logs that are sent on row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gustibus.data.columns import ColumnMap, renamed
from gustibus.data.files import Table
from gustibus.data.layouts import OUTCOMES, draws_lesser, pairs
from gustibus.data.origin import Origin, quoted
from gustibus.errors import InputError

_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
_LONE = re.compile("[\x00\ud800-\udfff]")
_MAX_TEXT = 32 << 10
_EDGE = {"1": "a", "0": "b", "0.5": "tie"}
_ANSWER = ("outcome", "winner", "label", "target")
_WORDS = frozenset(OUTCOMES.values())
_NEEDED = ("user", "item_a", "item_b", "outcome")
_needed = itemgetter(*_NEEDED)
_PLAIN = frozenset({*_NEEDED, "id", "at", "source", "strength", "created_at", "key"})
"""Columns of a record of two items, which needs no layout to be understood."""

Sides: TypeAlias = tuple[str | None, str | None, str | None, str | None]
"""Item and text of a, item and text of b."""


class Answer(NamedTuple):
    """What one person said of two responses; a side is the id of an item or a text.

    Of an embedding an export tells neither: such a record is only good to be found again.
    """

    id: str
    """Of the record, or made of what it says: the same record again is the same answer."""
    user: str
    prompt: str | None
    a_item: str | None
    a_text: str | None
    b_item: str | None
    b_text: str | None
    outcome: str
    strength: float | None = None
    at: datetime | None = None
    source: str | None = None
    created_at: datetime | None = None
    """When it was first kept, where the record is of an export."""


def answer_of(
    values: Mapping[str, Any], *, place: str, columns: ColumnMap | None = None, by_id: bool = False
) -> Answer:
    """The answer in a record.

    Args:
        values: the record by column, in any of the `LAYOUTS`, or as the service takes and lists it.
        place: the file and the number of the record, for messages.
        columns: the file's own names.
        by_id: whether sides go by the ids of items where the record has ids and texts.

    Raises:
        InputError: a column is missing or a value is wrong; the message names the place.
    """
    plain = None if columns else _plain(values)
    if plain is not None:
        return _checked(values, place, None, plain[:4], plain[4])
    cells = _flat(values)
    origin = Origin(place, np.zeros(1, np.int64))
    try:
        table = renamed(
            Table({name: [cell] for name, cell in cells.items()}, origin), columns or {}
        )
        found = {name: cell[0] for name, cell in table.columns.items()}
        prompt, sides, outcome = _judged(table, found, by_id=by_id)
    except InputError as error:  # the table has one row, whose number would mislead
        raise InputError(error.message.replace(f"{place}:0", place), where=place) from None
    return _checked(found, place, prompt, sides, outcome)


def _plain(values: Mapping[str, Any]) -> tuple[str, None, str, None, str] | None:
    """Sides and outcome of a record of two items under the usual names; most of a long log is."""
    if not values.keys() <= _PLAIN:
        return None
    try:
        user, a, b, outcome = _needed(values)
    except KeyError:
        return None
    texts = isinstance(user, str) and isinstance(a, str) and isinstance(b, str)
    if not texts or not isinstance(outcome, str) or outcome not in _WORDS:
        return None
    return a, None, b, None, outcome


def _checked(
    found: Mapping[str, Any], place: str, prompt: str | None, sides: Sides, outcome: str
) -> Answer:
    """The answer, once every name and text is what it should be."""
    user = str(found.get("user", ""))
    if _ID.fullmatch(user) is None:
        raise _wrong(place, "user", "1 to 128 letters, digits or any of . _ : @ -", user)
    for name, text in (("prompt", prompt), ("a", sides[1]), ("b", sides[3])):
        if text is not None:
            _check_text(place, name, text)
    for name, item in (("item_a", sides[0]), ("item_b", sides[2])):
        if item is not None and _ID.fullmatch(item) is None:
            raise _wrong(place, name, "1 to 128 letters, digits or any of . _ : @ -", item)
    strength = found.get("strength")
    at = _time(place, "at", found.get("at"))
    given = found.get("id")
    name = _digest(user, prompt, *sides, outcome, strength, at) if given is None else str(given)
    if _ID.fullmatch(name) is None:
        raise _wrong(place, "id", "1 to 128 letters, digits or any of . _ : @ -", name)
    source = found.get("source")
    if source is not None:
        _check_text(place, "source", str(source))
    return Answer(
        name, user, prompt, *sides, outcome, None if strength is None else _number(place, strength),
        at, None if source is None else str(source)[:64],
        _time(place, "created_at", found.get("created_at")),
    )  # fmt: skip


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Sides as the service writes them, `{"id"}` or `{"text"}`, as columns; time stamps stay out."""
    cells = {name: cell for name, cell in values.items() if cell is not None}
    for side in ("a", "b"):
        given = cells.get(side)
        if isinstance(given, Mapping):
            del cells[side]
            named = {f"item_{side}": given.get("id"), f"response_{side}": given.get("text")}
            cells |= {name: cell for name, cell in named.items() if cell is not None}
    return cells


def _judged(
    table: Table, found: Mapping[str, Any], *, by_id: bool
) -> tuple[str | None, Sides, str]:
    """Prompt, the sides as item and text of a and of b, and the outcome."""
    if "user" not in found:
        raise table.origin.missing([("user",)], table.columns)
    if "chosen" in found and "rejected" in found:
        (shared,), (chosen,), (rejected,) = pairs(table, "chosen", "rejected")
        lesser, greater = sorted((chosen, rejected))
        first = draws_lesser(found["user"], shared, lesser, greater) == (chosen < rejected)
        a, b = (chosen, rejected) if first else (rejected, chosen)
        _check_agrees(table, found, "b" if found.get("response_b") == found["chosen"] else "a", 0)
        return shared or None, (None, a, None, b), "a" if first else "b"
    outcome = _outcome(table, found)
    if "response_a" in found and "response_b" in found and not (by_id and "item_a" in found):
        (shared,), (a,), (b,) = pairs(table, "response_a", "response_b")
        return shared or None, (None, a, None, b), outcome
    sides: list[str | None] = []
    for side in ("a", "b"):
        item, text = found.get(f"item_{side}"), found.get(f"response_{side}")
        if item is None and text is None and not {"id", "created_at"} <= found.keys():
            raise table.origin.missing([(f"response_{side}", f"item_{side}")], table.columns)
        if item is not None and (by_id or text is None):
            sides += [str(item), None]
        else:
            sides += [None, None if text is None else str(text)]
    prompt = found.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise table.origin.problem(0, "prompt", "a text", prompt)
    return prompt, (sides[0], sides[1], sides[2], sides[3]), outcome


def _outcome(table: Table, found: Mapping[str, Any]) -> str:
    """What the first of the columns says that may tell it; the others must not say otherwise."""
    place = next((n for n, name in enumerate(_ANSWER) if name in found), None)
    if place is None:
        raise table.origin.missing([_ANSWER], table.columns)
    said = _read_outcome(table, found, _ANSWER[place])
    _check_agrees(table, found, said, place + 1)
    return said


def _check_agrees(table: Table, found: Mapping[str, Any], said: str, start: int) -> None:
    """Refuse a column of `_ANSWER`, from one on, that says something else than the record does.

    Beside `chosen` and `rejected`, a is what was chosen unless the record has sides too. A label or a target
    that is none of an answer is taken for a label of something else.
    """
    for column in _ANSWER[start:]:
        if column not in found or (start == 0 and found[column] == "chosen"):
            continue
        try:
            other = _read_outcome(table, found, column)
        except InputError:
            if column in ("outcome", "winner"):
                raise
            continue
        if other != said:
            expected = f"{said!r}, as the rest of the record says"
            raise table.origin.problem(0, column, expected, found[column])


def _read_outcome(table: Table, found: Mapping[str, Any], column: str) -> str:
    said = found[column]
    if column in ("outcome", "winner"):
        known = OUTCOMES.get(said.strip().lower()) if isinstance(said, str) else None
        if known is None:
            raise table.origin.problem(0, column, f"one of {', '.join(OUTCOMES)}", said)
        return known
    try:
        return _EDGE[f"{float(said):g}"]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise table.origin.problem(0, column, "1 for a, 0 for b or 0.5 for a tie", said) from None


def _check_text(place: str, name: str, text: str) -> None:
    if _LONE.search(text, 0, _MAX_TEXT):
        raise _wrong(place, name, "no NUL and no half of a surrogate pair", text[:20])
    if len(text) > _MAX_TEXT or len(text.encode()) > _MAX_TEXT:
        raise _wrong(place, name, f"at most {_MAX_TEXT} bytes", f"{len(text)} characters")


def _time(place: str, name: str, value: Any) -> datetime | None:
    """A time with its zone; one without is taken as UTC."""
    if value is None:
        return None
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise _wrong(place, name, "a time such as 2026-01-31T12:00:00Z", value) from None
    if not 1900 <= found.year <= 2200:  # the first and the last have no moment in every zone
        raise _wrong(place, name, "a year from 1900 to 2200", value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _number(place: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = 0.0
    if not 0 < found <= 100:
        raise _wrong(place, "strength", "a number above 0 and up to 100", value)
    return found


def _digest(*parts: Any) -> str:
    text = "\0".join("" if part is None else f"{part}" for part in parts)
    return "row:" + blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _wrong(place: str, name: str, expected: str, got: Any) -> InputError:
    message = f"{place}: column {name!r}: expected {expected}, got {quoted(got)}"
    return InputError(message, where=place)
