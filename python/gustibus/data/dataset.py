"""Comparisons together with the features of what they compare, and the one way in: `read`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gustibus.errors import DimensionError, InputError, NotFiniteError, UnknownNameError
from gustibus.showing import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gustibus.data.comparisons import Comparisons, Identical
    from gustibus.types import F32, I32, Bool

JOINT_SEPARATOR = "\n\n"
"""What stands between prompt and response where a pair of them is one text."""


class TextEncoder(Protocol):
    """What `Dataset.features` needs of an encoder."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        ...

    def encode(self, texts: Sequence[str]) -> F32:
        """`(n, dim)` embeddings of `n` texts."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Comparisons, features row-aligned with their tables, and whatever else is known.

    Raises:
        DimensionError: An array has another number of rows than the table it belongs to.
        NotFiniteError: A feature is NaN or infinite.
    """

    comparisons: Comparisons
    item_features: F32 | None = None
    """`(m, d)` row `i` belongs to `comparisons.item_ids[i]`."""
    prompt_features: F32 | None = None
    """`(q, dp)` row `i` belongs to `comparisons.prompts[i]`."""
    item_new: Bool | None = None
    """`(m,)` items that are kept out of every fitting row."""
    user_table: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Columns of facts about people, `(p,)` each."""
    item_table: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Columns of facts about items, `(m,)` each."""
    row_table: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Further columns of the comparisons, `(n,)` each; None or NaN where a row has no value."""
    name: str = "data"

    def __post_init__(self) -> None:
        c = self.comparisons
        aligned: list[tuple[str, Any, int]] = [
            ("item_features", self.item_features, len(c.item_ids)),
            ("prompt_features", self.prompt_features, len(c.prompts)),
            ("item_new", self.item_new, len(c.item_ids)),
            *((f"user_table[{n!r}]", v, len(c.user_ids)) for n, v in self.user_table.items()),
            *((f"item_table[{n!r}]", v, len(c.item_ids)) for n, v in self.item_table.items()),
            *((f"row_table[{n!r}]", v, len(c)) for n, v in self.row_table.items()),
        ]
        for name, value, count in aligned:
            if value is not None and len(value) != count:
                message = f"{self.name}: {name}: expected {count} rows, got {len(value)}"
                raise DimensionError(message, where=name)
        for name, features in (("item", self.item_features), ("prompt", self.prompt_features)):
            if features is not None:
                check_features(features, f"{self.name}: {name}_features")

    def __repr__(self) -> str:
        c = self.comparisons
        width = None if self.item_features is None else self.item_features.shape[1]
        return shown(
            self, name=self.name, rows=len(c), people=len(c.user_ids), items=len(c.item_ids),
            features=width,
        )  # fmt: skip

    def features(self, encoder: TextEncoder | None = None) -> F32:
        """`(m, d)` features of the items: the given ones, or the encoder's of their texts.

        Raises:
            InputError: There are neither features nor an encoder.
            DimensionError: The encoder returned another shape than it promised.
        """
        c = self.comparisons
        return self._features("item", self.item_features, c.item_texts, encoder)

    def features_of_prompts(self, encoder: TextEncoder | None = None) -> F32:
        """`(q, dp)` features of the prompts, likewise."""
        return self._features("prompt", self.prompt_features, self.comparisons.prompts, encoder)

    def _features(
        self, kind: str, given: F32 | None, texts: Sequence[str], encoder: TextEncoder | None
    ) -> F32:
        if given is not None:
            return given
        if encoder is None:
            message = f"{self.name}: the {kind}s have no features; pass an encoder for their texts"
            raise InputError(message, where="encoder")
        made = np.asarray(encoder.encode(list(texts)), dtype=np.float32)
        if made.shape != (len(texts), encoder.dim):
            message = f"encoder: expected shape {(len(texts), encoder.dim)}, got {made.shape}"
            raise DimensionError(message, where="encoder")
        check_features(made, f"{self.name}: encoded {kind}s")
        return made

    def take(self, index: np.ndarray[Any, Any]) -> Dataset:
        """The rows at `index`, over the same people, prompts and items."""
        rows = {name: column[index] for name, column in self.row_table.items()}
        return replace(self, comparisons=self.comparisons.take(index), row_table=rows)

    def joint(self, separator: str = JOINT_SEPARATOR) -> Dataset:
        """The same data with every (prompt, response) pair as an item of its own.

        For encoders that read prompt and response as one text. The new items have no features;
        their text is prompt, `separator`, response; where the prompt is empty, the response.
        """
        c = self.comparisons
        m = len(c.item_ids)
        keys = np.concatenate([c.prompt, c.prompt]).astype(np.int64) * m + np.concatenate(
            [c.a, c.b]
        )
        pairs, codes = np.unique(keys, return_inverse=True)
        prompt, item = np.divmod(pairs, max(m, 1))
        sides: I32 = codes.reshape(-1).astype(np.int32)
        texts = tuple(
            f"{c.prompts[q]}{separator}{c.item_texts[i]}" if c.prompts[q] else c.item_texts[i]
            for q, i in zip(prompt, item, strict=True)
        )
        ids = tuple(f"{q}:{c.item_ids[i]}" for q, i in zip(prompt, item, strict=True))
        paired = replace(c, a=sides[: len(c)], b=sides[len(c) :], item_ids=ids, item_texts=texts)
        return replace(
            self,
            comparisons=paired,
            item_features=None,
            item_new=None if self.item_new is None else self.item_new[item],
            item_table={name: column[item] for name, column in self.item_table.items()},
        )


def check_features(features: F32, name: str) -> None:
    """Refuse anything but a finite matrix."""
    if features.ndim != 2:
        message = f"{name}: expected a matrix, got shape {features.shape}"
        raise DimensionError(message, where=name)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        message = f"{name}: expected finite numbers, got NaN or infinity in row {bad[0]}"
        raise NotFiniteError(message, where=name)


def read(
    path: str | Path,
    *,
    layout: str = "auto",
    columns: Mapping[str, str] | None = None,
    identical: Identical = "refuse",
) -> Dataset:
    """Read a file of comparisons, or a folder with comparisons, items and embeddings.

    Args:
        path: `.parquet`, `.jsonl`, `.csv` or `.tsv` (text also with `.gz`), or a folder as
            `gustibus.data.folder.read_folder` describes it. Further columns go to
            `Dataset.row_table`.
        layout: A name in `LAYOUTS`, or "auto" to choose by the names of the columns. Files only.
        columns: The file's own names, as in `{"chosen": "good", "user": "annotator"}`.
        identical: Whether a row with the same text or item on both sides is an error or dropped.

    Raises:
        NotFoundError: There is nothing at `path`.
        InputError: The content is wrong; the message names file, row and column.
    """
    from gustibus.data.files import read_table
    from gustibus.data.folder import further_columns, read_folder
    from gustibus.data.layouts import LAYOUTS, laid_out

    if not isinstance(path, str | Path):
        message = f"path: expected a file or folder, got {type(path).__name__}"
        raise InputError(message, where="path")
    path = Path(path)
    if layout != "auto" and layout not in LAYOUTS:
        raise UnknownNameError.of("layout", layout, LAYOUTS)
    if path.is_dir():
        return read_folder(path, columns=columns, identical=identical)
    table, found = laid_out(read_table(path), layout=layout, columns=columns)
    comparisons = found.read(table, identical)
    rows = further_columns(table, comparisons.source_row)
    return Dataset(comparisons, row_table=rows, name=path.name.split(".")[0])
