"""Items whose text has no vector yet, encoded in the background."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from gustibus.errors import GustibusError
from gustibus.store import (
    Connection,
    ItemRow,
    find_vectors,
    get_item,
    pending_items,
    set_vectors,
)

if TYPE_CHECKING:
    from gustibus.service.allowance import Allowance
    from gustibus.service.serving import Serving
    from gustibus.service.state import State
    from gustibus.types import F32

_NAMES = 512  # items that are looked up together
_BATCH = 64  # texts that are encoded together
_BACK_OFF = 5.0  # seconds after texts could not be encoded

log = logging.getLogger("gustibus.service")


class Encoding:
    """The task that gives items their vectors.

    Args:
        state: whose items they are.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._queue: deque[str] = deque()
        self._wake = asyncio.Event()

    def add(self, items: Iterable[str]) -> None:
        """Encode items, soon; names may come twice, and without a text nothing happens."""
        serving = self._state.serving
        if serving is not None and serving.has_encoder:
            self._queue.extend(items)
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; without an encoder there is nothing to do."""
        serving = self._state.serving
        if serving is None or not serving.has_encoder:
            return
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                names = [self._queue.popleft() for _ in range(min(_NAMES, len(self._queue)))]
                try:
                    await self._encode_some(serving, names)
                except Exception as error:
                    log.warning("items could not be encoded: %s", error)
                    self._queue.extend(names)
                    await asyncio.sleep(_BACK_OFF)

    async def _encode_some(self, serving: Serving, names: list[str]) -> None:
        rows = await self._state.threads.read(
            lambda conn: pending_items(conn, names=names, model=serving.digest)
        )
        for start in range(0, len(rows), _BATCH):
            await self.encode(serving, rows[start : start + _BATCH])

    async def encode_now(self, serving: Serving, names: Sequence[str], *, most: Allowance) -> int:
        """Give items their vectors because somebody waits for them, and tell their tokens, roughly.

        Those that still have none then have no text, have changed meanwhile, or are gone.

        Args:
            serving: the model.
            names: of items without a vector in memory.
            most: tokens that their texts may have, with others of the request.

        Raises:
            Problem: the model cannot encode now, or 413 for more tokens.
        """
        state = self._state

        def read(conn: Connection) -> tuple[list[ItemRow], dict[str, F32]]:
            rows = pending_items(conn, names=names, model=serving.digest)
            return rows, find_vectors(conn, found=names, model=serving.digest)

        rows, others = await state.threads.read(read)
        self._put_waiting(others)
        await self.encode(serving, rows, most=most)
        return sum(math.ceil(len(row.text or "") / 4) for row in rows)

    async def look_up(self, names: Iterable[str | None]) -> None:
        """Take vectors that items wait for from the store, as far as they are there already.

        They are from other processes, or this one has written them and not come to put them into
        memory: whoever has read that an item is ready may use it at once. Without the store nothing
        happens.
        """
        pending, model = self._state.items.pending, self._state.digest
        waiting = sorted(pending.intersection(names)) if pending else []
        if not waiting:
            return
        try:
            found = await self._state.threads.read(
                lambda conn: find_vectors(conn, found=waiting, model=model)
            )
        except GustibusError:
            return
        self._put_waiting(found)

    def _put_waiting(self, found: Mapping[str, F32]) -> None:
        """Put vectors of items that wait for one; what was deleted since they were read stays so."""
        items = self._state.items
        for item, vector in found.items():
            if item in items.pending:
                items.put(item, vector)

    async def encode(
        self, serving: Serving, rows: Sequence[ItemRow], *, most: Allowance | None = None
    ) -> None:
        """Give items their vectors; one that has changed meanwhile comes again.

        Raises:
            Problem: the model has no encoder, or it cannot work now, or 413 for more tokens.
        """
        mine = [row for row in rows if row.text is not None]
        if not mine:
            return
        vectors, _, _ = await serving.represent_each(
            [(row.prompt or "", row.text or "") for row in mine], most=most
        )
        found = {row.id: vector for row, vector in zip(mine, vectors, strict=True)}
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
