"""Vectors kept on disk between runs, by fingerprint and text."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from gustibus.encoders.base import Encoder, checked_texts
from gustibus.showing import shown
from gustibus.types import F32

_LOOKUP = 500  # below the number of variables that any SQLite takes
_PIECE = 4096  # texts; a killed process loses those of one piece


class CachedEncoder:
    """An encoder that asks another one only for texts that are not on disk yet.

    One SQLite file a fingerprint, so that several processes may write at once and a killed one
    leaves whole rows only. A file that is damaged is started anew: everything in it can be made
    again.

    Args:
        encoder: makes the vectors.
        folder: where the files lie; made if missing.
    """

    def __init__(self, encoder: Encoder, folder: str | Path) -> None:
        self.encoder = encoder
        self.name = encoder.name
        self.options: Mapping[str, Any] = encoder.options
        self.dim = encoder.dim
        self.fingerprint = encoder.fingerprint
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.path = Path(folder) / f"{encoder.fingerprint[:32]}.sqlite"

    def __repr__(self) -> str:
        return shown(self, encoder=self.encoder, path=str(self.path))

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`. A text that occurs often is encoded once."""
        found = checked_texts(texts)
        keys = [blake2b(text.encode(), digest_size=20).digest() for text in found]
        distinct = dict(zip(keys, found, strict=True))
        known = self._read(list(distinct))
        missing = [key for key in distinct if key not in known]
        for start in range(0, len(missing), _PIECE):
            part = missing[start : start + _PIECE]
            made = self.encoder.encode([distinct[key] for key in part], progress=progress)
            fresh = dict(zip(part, made, strict=True))
            self._write(fresh)
            known |= fresh
        out = np.empty((len(found), self.dim), np.float32)
        for row, key in enumerate(keys):
            out[row] = known[key]
        return out

    def _read(self, keys: list[bytes]) -> dict[bytes, F32]:
        found: dict[bytes, F32] = {}
        try:
            with self._open() as db:
                for start in range(0, len(keys), _LOOKUP):
                    part = keys[start : start + _LOOKUP]
                    marks = ",".join("?" * len(part))
                    rows = db.execute(f"SELECT k, v FROM vectors WHERE k IN ({marks})", part)
                    found |= {k: np.frombuffer(v, "<f4") for k, v in rows}
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return {}
        return {key: value for key, value in found.items() if len(value) == self.dim}

    def _write(self, fresh: Mapping[bytes, F32]) -> None:
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in fresh.items()]
        with self._open() as db, db:
            db.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=60)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(
                "CREATE TABLE IF NOT EXISTS vectors (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID"
            )
            yield db
