"""Tables that are sent while they are made: JSON lines and Parquet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from gustibus.data.files import require_pyarrow

if TYPE_CHECKING:
    from gustibus.service.threads import Threads

NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"

Rows = list[dict[str, Any]]
_encode = msgspec.json.Encoder().encode


class _Pieces:
    """A file that is written from front to back, and taken away as it is written."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._place = 0

    def write(self, data: Any) -> int:
        """Keep some bytes."""
        piece = bytes(data)
        self._pieces.append(piece)
        self._place += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._place

    def flush(self) -> None:
        """Nothing waits here."""

    def writable(self) -> bool:
        """Always."""
        return True

    def readable(self) -> bool:
        """Never."""
        return False

    def seekable(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing is held."""
        self.closed = True

    def take(self) -> bytes:
        """What was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


async def ndjson(batches: AsyncIterator[Rows], threads: Threads) -> AsyncIterator[bytes]:
    """Rows as JSON lines, a piece a batch."""

    def packed(rows: Rows) -> bytes:
        return b"".join(_encode(row) + b"\n" for row in rows)

    async for rows in batches:
        yield await threads.background(partial(packed, rows))


async def parquet(
    batches: AsyncIterator[Rows], columns: dict[str, str], threads: Threads
) -> AsyncIterator[bytes]:
    """Rows as a Parquet file, a row group a batch; times are texts, as in JSON.

    Args:
        batches: of rows, which may have more columns than are wanted.
        columns: name and Arrow type of each, such as `string` or `double`.
        threads: where it is packed.
    """
    pa = require_pyarrow()
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    file = _Pieces()
    writer = pa.parquet.ParquetWriter(pa.PythonFile(file, mode="w"), schema)

    def packed(rows: Rows) -> bytes:
        writer.write_table(pa.Table.from_pylist(msgspec.to_builtins(rows), schema))
        return file.take()

    def ended() -> bytes:
        writer.close()
        return file.take()

    async for rows in batches:
        yield await threads.background(partial(packed, rows))
    yield await threads.background(ended)
