"""Vectors that were made elsewhere, found by their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.encoders.base import ENCODERS, checked_texts, digest_of
from gustibus.errors import InputError, MissingExtraError, NotFiniteError
from gustibus.showing import shown
from gustibus.types import F32


@ENCODERS.add("embeddings", source="ready-made")
class ReadyEncoder:
    """A Parquet table from text to vector.

    Args:
        path: file with a column of texts and a column of lists of numbers, all of one length.
        text: name of the column of texts.
        embedding: name of the column of vectors.

    Raises:
        InputError: the file is missing, lacks a column, or has vectors of several lengths.
    """

    name: ClassVar[str] = "embeddings"

    def __init__(self, path: str, text: str = "text", embedding: str = "embedding") -> None:
        self.options: Mapping[str, Any] = {"path": path, "text": text, "embedding": embedding}
        texts, self._vectors = _read(Path(path), text, embedding)
        self._rows = {value: row for row, value in enumerate(texts)}
        self.dim = self._vectors.shape[1]
        self.fingerprint = digest_of("embeddings", text, embedding, Path(path))

    def __repr__(self) -> str:
        return shown(self, path=self.options["path"], texts=len(self._rows), dim=self.dim)

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> F32:
        """`(n, dim)`; see `Encoder.encode`.

        Raises:
            InputError: the table has no vector for a text.
        """
        del progress
        found = checked_texts(texts)
        missing = [place for place, value in enumerate(found) if value not in self._rows]
        if missing:
            message = (
                f"texts[{missing[0]}]: {self.options['path']} has no vector for "
                f"{found[missing[0]][:60]!r} ({len(missing)} of {len(found)} texts are missing)"
            )
            raise InputError(message, where=f"texts[{missing[0]}]")
        return self._vectors[np.array([self._rows[value] for value in found], np.int64)]


def _read(path: Path, text: str, embedding: str) -> tuple[list[str], F32]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError.of("pyarrow", "train") from None
    try:
        table = pq.read_table(path, columns=[text, embedding])
    except Exception as error:  # pyarrow raises many kinds: missing, truncated, other columns
        message = (
            f"{path}: not readable as Parquet with the columns {text!r} and {embedding!r} ({error})"
        )
        raise InputError(message, where=str(path)) from None
    rows = table[embedding].to_pylist()
    lengths = {len(row) if row is not None else 0 for row in rows}
    if len(lengths) != 1 or 0 in lengths:
        message = (
            f"{path}: column {embedding}: expected vectors of one length, got {sorted(lengths)}"
        )
        raise InputError(message, where=str(path))
    vectors = np.asarray(rows, np.float32)
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        message = f"{path}: row {row}, column {embedding}: expected finite numbers"
        raise NotFiniteError(message, where=f"{path}:{row}:{embedding}")
    return table[text].to_pylist(), vectors
