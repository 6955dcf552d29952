"""Items: responses that are kept under a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gustibus.client.decoding import decoder
from gustibus.client.wire import (
    Array,
    Page,
    Prompt,
    Request,
    body_of,
    candidate_of,
    embedding_of,
    rows_of,
    segment,
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item."""

    id: str
    state: str
    """`ready`, or `pending` while it has no vector under the model in service."""
    text: str | None
    prompt: str | None
    tags: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ItemsPut:
    """What became of items that were put together."""

    ready: int
    pending: int


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """An item that is no more."""

    id: str


def put_item(
    item: str,
    *,
    text: str | None = None,
    messages: Sequence[Mapping[str, Any]] | None = None,
    embedding: Array | None = None,
    prompt: Prompt | None = None,
    tags: Sequence[str] = (),
    wait: bool = False,
    if_match: str | None = None,
) -> Request[Item]:
    """Put one item: a text, messages, or an embedding `(d,)`.

    Args:
        item: its name.
        text: of the response.
        messages: of the response, instead.
        embedding: of the response, instead.
        prompt: what the response answers.
        tags: at most 32.
        wait: whether a text is encoded before the reply.
        if_match: the `etag` of a raw reply, to replace nothing that somebody else has put since.

    Example:
        client.items.put("brief", text="Briefly.", tags=["short"], wait=True).state
    """
    body = body_of(
        text=text, messages=messages, prompt=prompt, tags=list(tags),
        embedding=None if embedding is None else embedding_of(embedding),
    )  # fmt: skip
    path = f"/v1/items/{segment(item)}"
    return Request(
        "PUT", path, decoder(Item), {"wait": wait or None}, body, writes=True, if_match=if_match
    )


def put_items(items: Sequence[Mapping[str, Any]], *, wait: bool = False) -> Request[ItemsPut]:
    """Put up to 1,000 items together, all or none: `{"id", "text" | "messages" | "embedding"}`.

    Example:
        client.items.put_many([
            {"id": "long", "text": "At length."}, {"id": "no", "text": "No."}
        ], wait=True).ready
    """
    body = body_of(items=[candidate_of(one) for one in rows_of("items", items)])
    query = {"wait": wait or None}
    return Request("POST", "/v1/items:batch", decoder(ItemsPut), query, body, writes=True)


def get_item(item: str) -> Request[Item]:
    """One item.

    Example:
        client.items.get("brief").tags
    """
    return Request("GET", f"/v1/items/{segment(item)}", decoder(Item))


def list_items(*, limit: int = 100, after: str | None = None) -> Request[Page[Item]]:
    """Items by name.

    Example:
        page = client.items.list(limit=10)
        names = [item.id for item in client.items.iterate()]
    """
    return Request("GET", "/v1/items", decoder(Page[Item]), {"limit": limit, "after": after})


def delete_item(item: str, *, if_match: str | None = None) -> Request[ItemDeleted]:
    """Remove an item; comparisons of it stay. With the `etag` of a raw reply only while it is still right.

    Example:
        client.items.delete("no")
    """
    return Request(
        "DELETE", f"/v1/items/{segment(item)}", decoder(ItemDeleted), writes=True, if_match=if_match
    )
