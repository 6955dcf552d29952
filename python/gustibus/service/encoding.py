"""Items whose text has no vector yet, encoded in the background."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gustibus.store import Connection, ItemRow, get_item, pending_items, set_vectors

if TYPE_CHECKING:
    from gustibus.service.serving import Serving
    from gustibus.service.state import State
    from gustibus.types import F32

_BATCH = 64
_BACK_OFF = 5.0  # seconds after texts could not be encoded
_LOOK = 60.0  # seconds between looks for items that another process left behind

log = logging.getLogger("gustibus.service")


class Encoding:
    """The task that gives items their vectors.

    Args:
        state: whose items they are.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that there is something to encode."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; without an encoder there is nothing to do."""
        serving = self._state.serving
        if serving is None or not serving.has_encoder:
            return
        while True:
            try:
                done = await self._encode_some(serving)
            except Exception as error:
                log.warning("items could not be encoded: %s", error)
                await asyncio.sleep(_BACK_OFF)
                continue
            if not done:
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), _LOOK)
                except TimeoutError:
                    continue

    async def _encode_some(self, serving: Serving) -> bool:
        state = self._state
        rows = await state.threads.read(
            lambda conn: pending_items(conn, model=serving.digest, limit=_BATCH)
        )
        if not rows:
            return False
        await self.encode(serving, rows)
        return True

    async def encode(self, serving: Serving, rows: Sequence[ItemRow]) -> None:
        """Give items their vectors; one that has changed meanwhile is left for the next look.

        Raises:
            Problem: the model has no encoder, or it cannot work now.
        """
        found: dict[str, F32] = {}
        for prompt in dict.fromkeys(row.prompt or "" for row in rows):
            mine = [row for row in rows if (row.prompt or "") == prompt and row.text is not None]
            vectors, _, _ = await serving.represent(prompt, [row.text or "" for row in mine])
            found |= {row.id: vector for row, vector in zip(mine, vectors, strict=True)}
        state = self._state
        kept = await state.threads.write(lambda conn: _keep(conn, rows, found, serving.digest))
        for item in kept:
            state.items.put(item, found[item])
            state.touched.add(("item", item))


def _keep(
    conn: Connection, rows: Sequence[ItemRow], found: dict[str, F32], model: str
) -> list[str]:
    """Write the vectors of items that are still what they were, and say which."""
    same = []
    for row in rows:
        now = get_item(conn, item=row.id, model=model)
        if now is not None and (now.text, now.prompt) == (row.text, row.prompt):
            same.append(row.id)
    set_vectors(conn, found={item: found[item] for item in same}, model=model)
    return same
