"""What gustibus calls the columns of a log, and under which other names they are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias

from gustibus.data.files import Table
from gustibus.data.origin import quoted
from gustibus.errors import InputError

NAMES: Mapping[str, tuple[str, ...]] = {
    "user": (
        "user", "user_id", "annotator", "annotator_id", "worker", "worker_id",
        "rater", "rater_id", "judge", "judge_id",
    ),
    "prompt": ("prompt", "question", "instruction"),
    "item_a": ("item_a",),
    "item_b": ("item_b",),
    "response_a": ("response_a", "conversation_a", "a"),
    "response_b": ("response_b", "conversation_b", "b"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "responses": ("responses",),
    "grades": ("grades",),
    "ranks": ("ranks", "ranking"),
    "response": ("response",),
    "grade": ("grade",),
    "target": ("target",),
    "outcome": ("outcome",),
    "winner": ("winner",),
    "label": ("label",),
    "weight": ("weight",),
    "event": ("event", "event_id"),
    "split": ("split",),
    "order": ("order",),
}  # fmt: skip
"""What gustibus calls a column, and the names it is looked for under, best first."""

ColumnMap: TypeAlias = Mapping[str, str]
"""From a name of `NAMES` to the name of the column in the file."""


def parse_columns(text: str) -> dict[str, str]:
    """The column map in `"chosen=good,rejected=bad,user=annotator"`.

    Raises:
        InputError: A part is not `name=column`, a name occurs twice or is not one of `NAMES`.
    """
    columns: dict[str, str] = {}
    for part in text.split(","):
        name, equals, column = (piece.strip() for piece in part.partition("="))
        if not (name and equals and column) or name in columns:
            message = f"columns: expected name=column, each name once, got {quoted(part)}"
            raise InputError(message, where="columns")
        columns[name] = column
    _check_names(columns)
    return columns


def _check_names(columns: ColumnMap) -> None:
    for name in columns:
        if name not in NAMES:
            close = get_close_matches(name, NAMES, n=3, cutoff=0.5)
            hint = f"did you mean {close}?" if close else f"known: {list(NAMES)}"
            message = f"columns: no column is called {name!r}; {hint}"
            raise InputError(message, where="columns")


def renamed(table: Table, columns: ColumnMap) -> Table:
    """The table with mapped and alternative names replaced by those of gustibus."""
    _check_names(columns)
    absent = [(theirs,) for theirs in columns.values() if theirs not in table.columns]
    if absent:
        raise table.origin.missing(absent, table.columns)
    found = dict(columns)
    plain = {_plain(theirs): theirs for theirs in reversed(list(table.columns))}
    plain |= {theirs: theirs for theirs in table.columns}
    for name, alternatives in NAMES.items():
        for theirs in (plain[a] for a in alternatives if a in plain):
            if theirs not in columns.values():
                found.setdefault(name, theirs)
    taken = set(found.values())
    rest = {n: c for n, c in table.columns.items() if n not in taken and n not in found}
    own = {name: table.columns[theirs] for name, theirs in found.items()}
    return Table(rest | own, replace(table.origin, columns=found))


def _plain(column: str) -> str:
    """How a spreadsheet's `Annotator ID` is written in `NAMES`."""
    return "_".join(column.replace("-", " ").split()).lower()


def require(table: Table, names: Iterable[str]) -> None:
    """Refuse a renamed table that lacks one of the columns."""
    absent = [NAMES[name] for name in names if name not in table.columns]
    if absent:
        raise table.origin.missing(absent, (table.origin.columns.get(n, n) for n in table.columns))
