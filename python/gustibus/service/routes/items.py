"""Items: responses that are kept under a name, so that requests need only send the name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from gustibus.service.allowance import encode_each
from gustibus.service.call import Call, Reply, ok
from gustibus.service.candidates import (
    Embedding,
    Message,
    Prompt,
    text_of,
)
from gustibus.service.conditions import NONE, digest, tagged
from gustibus.service.cursors import Page, page_of
from gustibus.service.decoding import refuse_unstorable
from gustibus.service.features import Wanted, embed
from gustibus.service.ids import Id
from gustibus.service.problems import Problem, invalid
from gustibus.service.routing import STORE, Route
from gustibus.service.serving import Serving
from gustibus.service.state import State
from gustibus.store import (
    Connection,
    ItemRow,
    NewItem,
    delete_item,
    find_vectors,
    get_item,
    list_items,
    put_items,
)
from gustibus.types import F32

MAX_ITEMS = 1000

Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Tags = Annotated[list[Tag], Meta(max_length=32)]


class PutItem(Struct, forbid_unknown_fields=True):
    """A response as text, as messages, or as an embedding."""

    text: str | None = None
    messages: Annotated[list[Message], Meta(min_length=1, max_length=256)] | None = None
    embedding: Embedding | list[float] | None = None
    prompt: Prompt | None = None
    """What the response answers; models that read prompts need it."""
    tags: Tags = []


class NamedItem(PutItem, kw_only=True, forbid_unknown_fields=True):
    """An item with its name."""

    id: Id


class PutItems(Struct, forbid_unknown_fields=True):
    """Items to put together; all of them are put, or none."""

    items: Annotated[list[NamedItem], Meta(min_length=1, max_length=MAX_ITEMS)]


class WaitQuery(Struct, forbid_unknown_fields=True):
    """`wait=true` encodes texts before the reply."""

    wait: bool = False


class Item(Struct):
    """An item."""

    id: str
    object: Literal["item"]
    state: Literal["ready", "pending"]
    """A pending item has no vector under the model in service yet."""
    text: str | None
    prompt: str | None
    tags: list[str]
    created_at: datetime


class Items(Struct):
    """A page of items, by name."""

    object: Literal["list"]
    data: list[Item]
    has_more: bool
    next: str | None


class ItemsPut(Struct):
    """What became of items that were put together."""

    object: Literal["items"]
    ready: int
    pending: int


class ItemDeleted(Struct):
    """An item that is no more."""

    id: str
    object: Literal["item"]
    deleted: Literal[True]


async def put(call: Call) -> Reply:
    """Put one item."""
    item, query = call.param("item"), call.query(WaitQuery)
    state = call.state
    rows = await _made(call, [(item, call.read(PutItem), "")], wait=query.wait)

    def work(conn: Connection) -> tuple[bool, _Kept]:
        before = _held(conn, call, item)
        put_items(conn, rows=rows, model=state.digest)
        kept = _kept(conn, item, state.digest)
        assert kept is not None, "the transaction has just written it"
        return before is None, kept

    new, kept = await state.threads.write(work)
    _remember(state, rows)
    return tagged(call, ok(_show(kept.row), 201 if new else 200), kept.written)


class _Kept(NamedTuple):
    row: ItemRow
    written: str
    """The part of its tag that is of what clients write; an embedding counts where there is no text."""


def _kept(conn: Connection, item: str, model: str, *, hold: bool = False) -> _Kept | None:
    row = get_item(conn, item=item, model=model, hold=hold)
    if row is None:
        return None
    vector = None
    if row.text is None:
        vector = find_vectors(conn, found=[item], model=model).get(item)
    said = [row.id, row.text, row.prompt, row.tags, row.created_at]
    return _Kept(row, digest(said, b"" if vector is None else vector.tobytes()))


def _held(conn: Connection, call: Call, item: str) -> _Kept | None:
    """An item before a change, held where the request says what it must be.

    Raises:
        Problem: 412.
    """
    kept = _kept(conn, item, call.state.digest, hold=call.condition is not NONE)
    call.condition.refuse(None if kept is None else kept.written, f"The item {item!r}")
    return kept


async def put_many(call: Call) -> Reply:
    """Put items together."""
    query = call.query(WaitQuery)
    body = await call.read_aside(PutItems)
    named = [(one.id, one, f"/items/{place}") for place, one in enumerate(body.items)]
    if len({name for name, _, _ in named}) < len(named):
        raise invalid("/items", "an id occurs twice")
    rows = await _made(call, named, wait=query.wait)
    await call.state.threads.write(lambda conn: put_items(conn, rows=rows, model=call.state.digest))
    _remember(call.state, rows)
    ready = sum(row.vector is not None for row in rows)
    return ok(ItemsPut("items", ready, len(rows) - ready))


async def _made(
    call: Call, named: Sequence[tuple[str, PutItem, str]], *, wait: bool
) -> list[NewItem]:
    """Items as they are kept, with vectors as far as they are to be made now.

    Raises:
        Problem: 403, 413 or 422 with a pointer to the field.
    """
    serving, keep = call.state.serving, call.state.settings.store_text
    rows: list[NewItem] = []
    wanted: dict[int, Wanted] = {}
    for item, body, at in named:
        given = (body.text, body.messages, body.embedding)
        if sum(value is not None for value in given) != 1:
            raise invalid(at, "expected exactly one of text, messages and embedding")
        prompt = None if body.prompt is None else _storable(body.prompt, f"{at}/prompt")
        for row, tag in enumerate(body.tags):
            refuse_unstorable(tag, f"{at}/tags/{row}")
        text = None
        if body.embedding is not None:
            wanted[len(rows)] = Wanted(body.embedding, prompt or "", f"{at}/embedding")
        else:
            said = body.text if body.text is not None else body.messages
            assert said is not None, "one of the three is given"
            where = f"{at}/text" if body.text is not None else f"{at}/messages"
            text = _storable(said, where)
            if serving is not None and not serving.has_encoder:
                raise invalid(where, "the model has no text encoder; send an embedding")
        rows.append(NewItem(item, text, prompt, tuple(body.tags), None))
    if wanted:
        if serving is None:
            raise Problem("not_ready", "No model is loaded", retry_after=30)
        made = await embed(call, serving, list(wanted.values()))
        for place, vector in zip(wanted, made, strict=True):
            if isinstance(vector, Problem):
                raise vector
            rows[place] = replace(rows[place], vector=vector)
    if serving is not None and (wait or not keep):
        rows = await _encoded(call, serving, rows)
    if not keep:
        rows = [replace(row, text=None, prompt=None) for row in rows]
    return rows


def _storable(value: Prompt, pointer: str) -> str:
    text = text_of(value, pointer)
    refuse_unstorable(text, pointer)
    return text


async def _encoded(call: Call, serving: Serving, rows: list[NewItem]) -> list[NewItem]:
    """Items with the vectors of their texts.

    Raises:
        Problem: 413 for more tokens than a request may have, or the model cannot encode now.
    """
    mine = [row for row in rows if row.text is not None]
    if not mine:
        return rows
    asked = [(row.prompt or "", row.text or "") for row in mine]
    vectors = await encode_each(call, serving, asked)
    found: dict[str, F32] = {row.id: one for row, one in zip(mine, vectors, strict=True)}
    return [replace(row, vector=found.get(row.id, row.vector)) for row in rows]


def _remember(state: State, rows: Sequence[NewItem]) -> None:
    for row in rows:
        if row.vector is None:
            state.items.wait(row.id)
        else:
            state.items.put(row.id, row.vector)
        state.change_item(row.id)
    state.encoding.add(row.id for row in rows if row.vector is None)


def _show(row: ItemRow) -> Item:
    ready: Literal["ready", "pending"] = "ready" if row.ready else "pending"
    return Item(row.id, "item", ready, row.text, row.prompt, list(row.tags), row.created_at)


async def get(call: Call) -> Reply:
    """One item."""
    item = call.param("item")
    kept = await call.state.threads.read(lambda conn: _kept(conn, item, call.state.digest))
    if kept is None:
        raise _nothing(item)
    return tagged(call, ok(_show(kept.row)), kept.written)


def _nothing(item: str) -> Problem:
    return Problem("not_found", f"There is no item {item!r}")


async def list_all(call: Call) -> Reply:
    """A page of items."""
    page, state = call.query(Page), call.state
    after = state.cursors.open("items", page.after)
    rows, more = page_of(
        await state.threads.read(
            lambda conn: list_items(conn, model=state.digest, after=after, limit=page.limit + 1)
        ),
        page.limit,
    )
    following = state.cursors.seal("items", rows[-1].id) if more else None
    return ok(Items("list", [_show(row) for row in rows], more, following))


async def delete(call: Call) -> Reply:
    """Remove an item; comparisons of it stay."""
    item, state = call.param("item"), call.state

    def work(conn: Connection) -> bool:
        if call.condition is not NONE:
            _held(conn, call, item)
        return delete_item(conn, item=item)

    if not await state.threads.write(work):
        raise _nothing(item)
    state.items.drop(item)
    state.change_item(item)
    return ok(ItemDeleted(item, "item", True))  # noqa: FBT003 - positional record


_MADE = (
    "too_much_text", "too_many_tokens", "dimension_mismatch", "not_finite", "not_ready",
    "encoder_unavailable", *STORE,
)  # fmt: skip
_EXAMPLE = {"text": "Briefly.", "prompt": "How do I boil an egg?", "tags": ["short"]}

ROUTES = (
    Route(
        "PUT", "/v1/items/{item}", "put_item", "ingest", put, "Items", "Put one item.",
        request=PutItem, query=WaitQuery, response=Item, also=(201,), problems=_MADE, tagged=True,
        example=_EXAMPLE,
    ),
    Route(
        "POST", "/v1/items:batch", "put_items", "ingest", put_many, "Items",
        "Put items together: all of them, or none.",
        request=PutItems, query=WaitQuery, response=ItemsPut, problems=_MADE,
        example={"items": [{"id": "resp-19", **_EXAMPLE}]},
    ),
    Route(
        "GET", "/v1/items/{item}", "get_item", "score", get, "Items", "One item.",
        response=Item, problems=("not_found", *STORE), tagged=True,
    ),
    Route(
        "GET", "/v1/items", "list_items", "score", list_all, "Items", "Items, by name.",
        query=Page, response=Items, problems=STORE,
    ),
    Route(
        "DELETE", "/v1/items/{item}", "delete_item", "ingest", delete, "Items",
        "Remove an item; comparisons of it stay.",
        response=ItemDeleted, problems=("not_found", *STORE), tagged=True,
    ),
)  # fmt: skip
