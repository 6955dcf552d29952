"""Imports: logs of comparisons, sent in parts and resumed where they were broken off."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gustibus.client.decoding import decoder
from gustibus.client.wire import Page, Request, body_of, segment

NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
MAX_RATIO = 20
"""Most bytes that a byte of a compressed body may become."""


@dataclass(frozen=True, slots=True)
class Import:
    """An import and how far it has come."""

    id: str
    state: str
    """`open` or `done`."""
    format: str
    upload: str
    rows: int
    accepted: int
    duplicates: int
    rejected: int
    resume_from: int
    """Bytes of the data, unpacked, that need not be sent again."""
    created_at: datetime
    updated_at: datetime
    bytes: int = 0
    """Of the data, unpacked, that are dealt with; a Parquet file's are when all of it is."""


@dataclass(frozen=True, slots=True)
class RowError:
    """A record that was refused."""

    row: int
    code: str
    problem: str


def create_import(
    *,
    format: Literal["ndjson", "parquet"] = "ndjson",  # noqa: A002 - the field of the wire
    columns: Mapping[str, str] | None = None,
    by_id: bool = False,
    source: str | None = None,
    idempotency_key: str | None = None,
) -> Request[Import]:
    """Begin an import, or go on with the one that was begun under the same key.

    Args:
        format: of the data.
        columns: the log's own names, such as `{"chosen": "good", "user": "annotator"}`.
        by_id: whether the ids of items count where a record has texts too.
        source: where the log is from, for records that do not say it.
        idempotency_key: names the import for 24 hours; without, every call begins another.

    Example:
        begun = client.imports.create(columns={"chosen": "good", "rejected": "bad"}, source="log")
        begun.resume_from
    """
    body = body_of(format=format, columns=columns, by_id=by_id, source=source)
    return Request(
        "POST", "/v1/imports", decoder(Import), body=body, writes=True, key=idempotency_key
    )


def send_data(
    name: str, data: bytes, *, start: int = 0, final: bool = True, parquet: bool = False,
    compress: bool = False,
) -> Request[Import]:  # fmt: skip
    """Send data of an import; what was kept before is passed over, so that parts may overlap.

    Args:
        name: of the import.
        data: lines of JSON, or a whole Parquet file.
        start: byte of the whole that `data` begins with, at most `resume_from`.
        final: whether the whole ends with `data`; before, a last line without its end is left out.
        parquet: whether `data` is Parquet.
        compress: whether it goes over the wire as gzip; positions are of the data all the same.

    Example:
        line = b'{"user": "ada", "prompt": "How?", "good": "Briefly.", "bad": "No."}'
        client.imports.send(begun.id, line, start=begun.resume_from).accepted
    """
    packed = gzip.compress(data, 6, mtime=0) if compress else data
    # The service takes no more than this for one byte, so that nobody fills it by sending little.
    packs = compress and len(data) <= MAX_RATIO * len(packed)
    return Request(
        "PUT", f"/v1/imports/{segment(name)}/data", decoder(Import),
        {"from": start or None, "final": None if final else False}, packed if packs else data,
        PARQUET if parquet else NDJSON, content_encoding="gzip" if packs else None, writes=False,
    )  # fmt: skip


def get_import(name: str) -> Request[Import]:
    """How far an import has come.

    Example:
        client.imports.get(begun.id).state
    """
    return Request("GET", f"/v1/imports/{segment(name)}", decoder(Import))


def list_errors(
    name: str, *, limit: int = 1000, after: str | None = None
) -> Request[Page[RowError]]:
    """Records of an import that were refused, in order.

    Example:
        page = client.imports.errors(begun.id)
        reasons = [one.detail for one in client.imports.iterate_errors(begun.id)]
    """
    query = {"limit": limit, "after": after}
    path = f"/v1/imports/{segment(name)}/errors"
    return Request("GET", path, decoder(Page[RowError]), query)
