"""What operators take away from their pages: the map of people, and comparisons as they are filtered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from msgspec import Meta, Struct

from gustibus.service.call import Call, Streamed
from gustibus.service.crowd import crowd_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.fitting import Answers, answers_of
from gustibus.service.ids import Id
from gustibus.service.orienting import plane_of
from gustibus.service.peoplegroups import foretell
from gustibus.service.routes.mapping import served
from gustibus.service.routing import STORE, Route
from gustibus.service.serving import Serving
from gustibus.service.sides import Outcome
from gustibus.service.tabular import NDJSON, PARQUET, Rows, ndjson, parquet
from gustibus.service.work.exports import shown
from gustibus.store import (
    ComparisonRow,
    Connection,
    audit,
    evidence,
    filled_columns,
    hashed_user,
    list_comparisons,
)

_PEOPLE = 250  # in a piece; each is fitted
_ANSWERS = 200  # the last of each person
_COMPARISONS = 2000  # in a piece
_MAP = {"x": "double", "y": "double", "group": "string", "n": "int32", "accuracy": "double"}
_COLUMNS = {
    "id": "id", "user": "user_id", "prompt": "prompt", "item_a": "a_item",
    "response_a": "a_text", "item_b": "b_item", "response_b": "b_text", "outcome": "outcome",
    "strength": "strength", "at": "at", "source": "source", "created_at": "created_at",
    "key": "key_id",
}  # fmt: skip
_ALWAYS = ("id", "user", "prompt", "outcome")
"""Columns of a table without rows."""


async def export_map(call: Call) -> Streamed:
    """The people who are drawn on the map, without their names."""
    state = call.state
    serving = served(state)
    crowd = await crowd_of(state, serving)
    rows = await state.threads.background(crowd.drawn)
    points = (await plane_of(state, serving, crowd)).points[rows]
    groups = [str(label) if label else "other" for label in crowd.label[rows].tolist()]
    counts = crowd.counts[rows].tolist()
    await _note(call, "map.export", model=serving.label, rows=len(rows))

    async def batches() -> AsyncIterator[Rows]:
        for start in range(0, len(rows), _PEOPLE):
            part = slice(start, start + _PEOPLE)
            right = await _accuracies(call, serving, [crowd.names[row] for row in rows[part]])
            yield [
                {"x": x, "y": y, "group": group, "n": count, "accuracy": value}
                for (x, y), group, count, value in zip(
                    points[part].tolist(), groups[part], counts[part], right, strict=True
                )
            ]

    pieces = parquet(batches(), _MAP, state.threads)
    return Streamed(pieces, PARQUET.encode(), _named("people.parquet"))


async def _accuracies(call: Call, serving: Serving, users: list[str]) -> list[float | None]:
    """How right each person's later answers were foretold from the earlier ones; None for few answers."""
    state = call.state

    def read(conn: Connection) -> list[Answers]:
        found = (evidence(conn, user=user, model=serving.digest, limit=_ANSWERS) for user in users)
        return [answers_of(rows, serving.strengths) for rows in found]

    def told(answers: list[Answers]) -> list[float | None]:
        each = (
            foretell(serving.model, rows, state.trained(user))
            for user, rows in zip(users, answers, strict=True)
        )
        return [None if one is None else float(one.correct.mean()) for one in each]

    answers = await state.threads.read(read)
    return await state.threads.background(lambda: told(answers))


class ExportQuery(Struct, forbid_unknown_fields=True):
    """Which comparisons, as on the page."""

    user: Id | None = None
    """One person's; those of everybody are for training, and without people whose processing is restricted."""
    outcome: Outcome | None = None
    source: Annotated[str, Meta(max_length=64)] | None = None
    newest: bool = False
    """Whether the newest comes first."""


async def export_lines(call: Call) -> Streamed:
    """Comparisons as JSON lines."""
    query = await _asked(call, "ndjson")
    pieces = ndjson(_comparisons(call, query), call.state.threads)
    return Streamed(pieces, NDJSON.encode(), _named("comparisons.ndjson"))


async def export_table(call: Call) -> Streamed:
    """Comparisons as Parquet, without the columns that are empty in all of them."""
    query, state = await _asked(call, "parquet"), call.state
    filled = await state.threads.read(
        lambda conn: filled_columns(
            conn,
            user=query.user,
            outcome=query.outcome,
            source=query.source,
            all_people=query.user is not None,
        )
    )
    columns = {
        name: "double" if name == "strength" else "string"
        for name, column in _COLUMNS.items() if name in _ALWAYS or column in filled
    }  # fmt: skip
    pieces = parquet(_comparisons(call, query), columns, state.threads)
    return Streamed(pieces, PARQUET.encode(), _named("comparisons.parquet"))


async def _asked(call: Call, form: str) -> ExportQuery:
    """The filters, once they are in the audit log."""
    query = call.query(ExportQuery)
    if query.source is not None:
        refuse_unstorable(query.source, "query:source")
    call.user = query.user or ""
    told: dict[str, Any] = {"format": form, "outcome": query.outcome}
    if query.source is not None:
        told["by_source"] = 1  # a source is a text of the application, and may hold a name
    await _note(call, "comparisons.export", user=query.user, **told)
    return query


async def _note(call: Call, action: str, *, user: str | None = None, **detail: Any) -> None:
    """An entry in the audit log."""
    caller = call.caller
    assert caller is not None, "the route needs a key"

    def write(conn: Connection) -> None:
        what = action.partition(".")[0] if user is None else hashed_user(conn, user)
        audit(conn, actor=caller.id, action=action, what=what, request_id=call.request_id, **detail)

    await call.state.threads.write(write)


async def _comparisons(call: Call, query: ExportQuery) -> AsyncIterator[Rows]:
    after: str | None = None
    while True:
        page = partial(
            list_comparisons, user=query.user, outcome=query.outcome, source=query.source,
            newest=query.newest, after=after, limit=_COMPARISONS,
            all_people=query.user is not None,
        )  # fmt: skip
        rows: list[ComparisonRow] = await call.state.threads.read(page)
        if rows:
            yield [shown(row) for row in rows]
        if len(rows) < _COMPARISONS:
            return
        after = rows[-1].id


def _named(name: str) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"content-disposition", f'attachment; filename="{name}"'.encode()),)


ROUTES = (
    Route(
        "GET", "/v1/admin/map.parquet", "export_map", "admin", export_map, "Operators",
        "The people who are drawn on the map, without names, as Parquet: x, y, group, n, accuracy.",
        response=PARQUET, problems=STORE,
    ),
    Route(
        "GET", "/v1/admin/comparisons.ndjson", "export_comparisons", "admin", export_lines,
        "Operators", "Comparisons by the same filters as JSON lines.",
        query=ExportQuery, response=NDJSON, problems=STORE,
    ),
    Route(
        "GET", "/v1/admin/comparisons.parquet", "export_comparisons_parquet", "admin",
        export_table, "Operators", "Comparisons by the same filters as Parquet.",
        query=ExportQuery, response=PARQUET, problems=STORE,
    ),
)  # fmt: skip
