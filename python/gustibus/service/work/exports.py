"""Comparisons of one person or of all as a file of JSON lines."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, BinaryIO

import msgspec

from gustibus.service.work.task import Task
from gustibus.store import ComparisonRow, list_comparisons

_PAGE = 2000


async def export(task: Task) -> dict[str, Any]:
    """Write a file under another name and rename it, so that it is there whole or not at all.

    A file about everybody is for training, and leaves out people whose processing is restricted.
    """
    state, user = task.state, task.job.user
    target = task.file
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    after: str | None = None
    task.done = 0
    try:
        with scratch.open("wb") as file:
            while True:
                page = partial(
                    list_comparisons, user=user, after=after, limit=_PAGE,
                    all_people=user is not None,
                )  # fmt: skip
                rows = await state.threads.read(page)
                await state.threads.background(partial(_write, file, rows))
                task.done += len(rows)
                if len(rows) < _PAGE:
                    break
                after = rows[-1].id
            file.flush()
            size = file.tell()
            await state.threads.background(lambda: os.fsync(file.fileno()))
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
    return {"rows": task.done, "bytes": size}


def _write(file: BinaryIO, rows: list[ComparisonRow]) -> None:
    file.write(b"".join(_encode(shown(row)) + b"\n" for row in rows))


_encode = msgspec.json.Encoder().encode


def shown(row: ComparisonRow) -> dict[str, Any]:
    """A comparison as `gustibus import` and `gustibus train` read it."""
    return {
        "id": row.client_id or row.id, "user": row.user, "prompt": row.prompt,
        "item_a": row.a_item, "response_a": row.a_text, "item_b": row.b_item,
        "response_b": row.b_text, "outcome": row.outcome, "strength": row.strength, "at": row.at,
        "source": row.source, "created_at": row.created_at, "key": row.key,
    }  # fmt: skip
