"""One table of labels: what was recorded, and what builders made of it, each with weight and origin.

Nothing is overwritten. Every row names the pair that it speaks about; of the rows about one pair the
last whose builder is on counts, and the others have weight 0. Switching a builder off gives the rows
before it their weight back, and switching all of them off gives the recorded labels.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gustibus.data import Comparisons, Table, read_table, to_comparisons
from gustibus.data.arrays import finite
from gustibus.data.columns import NAMES, renamed
from gustibus.errors import ConflictError, InputError

if TYPE_CHECKING:
    from gustibus.types import I64, Bool

RECORDED = "recorded"
"""Builder of the labels that people gave."""
TEXTS = ("user", "prompt_a", "response_a", "prompt_b", "response_b", "builder", "source", "version")
NUMBERS = ("target", "weight", "full_weight", "margin")
WHOLE = ("row", "seed")
ALWAYS = (*TEXTS, *NUMBERS, *WHOLE)
"""Columns that every table has; any others are kept as they are."""
EVERYONE = "everyone"
"""Whose a pair is that was made of responses without a person."""
INHERITED = ("user", "split", "order")
"""What a new pair has of the pair that its `base` names, so that nothing held out leaks into training."""

Column = np.ndarray[Any, Any]


class Use(NamedTuple):
    """Rows of one builder, and how many of them count."""

    rows: int
    counting: int


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """`n` labels of pairs as columns.

    `target` is the probability that side a is preferred; `margin` is how far apart a trainer should
    keep the preferred from the other side; `weight` is `full_weight` where the row counts, else 0;
    `row` is the number of the first row about the same pair; `seed` is that of the builder, -1 for
    none. Both sides have a prompt of their own, equal but for pairs across prompts.
    """

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.columns["target"])

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], *, source: str) -> Labels:
        """Recorded labels of plain rows; `prompt` stands for the prompts of both sides.

        Raises:
            InputError: a row lacks a response, or a number is wrong.
        """
        return cls({name: _column(name, []) for name in ALWAYS})._joined(
            rows, builder=RECORDED, source=source, version="", seed=-1
        )

    def counting(self) -> list[dict[str, Any]]:
        """The rows that count, as plain rows, in order."""
        kept = np.flatnonzero(self["weight"] > 0)
        columns = {name: column[kept].tolist() for name, column in self.columns.items()}
        return [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]

    def add(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        builder: str,
        source: str,
        version: str,
        seed: int,
    ) -> Labels:
        """The table with more rows.

        Args:
            rows: with `row` where they speak about a pair that is there, and then with whatever
                they change; without, they are new pairs, and `base` may name the pair that one came
                from.
            builder: who made them.
            source: from what.
            version: of the builder.
            seed: of the builder; -1 for none.
        """
        if builder == RECORDED:
            message = f"builder: expected another name than {RECORDED!r}"
            raise InputError(message, where="builder")
        if builder in self["builder"].tolist():
            message = f"builder: the table has rows of {builder!r} already; begin from one without"
            raise ConflictError(message, where="builder")
        off = self.off
        joined = self._joined(rows, builder=builder, source=source, version=version, seed=seed)
        return joined.switch(off)

    def switch(self, off: Collection[str]) -> Labels:
        """The table with the rows of some builders off, and all others on.

        Raises:
            InputError: there are no rows of such a builder, or it is `recorded`.
        """
        builders = self["builder"]
        unknown = sorted(set(off) - (set(builders.tolist()) - {RECORDED}))
        if unknown:
            known = sorted(set(builders.tolist()) - {RECORDED})
            message = f"off: expected builders among {known}, got {unknown}"
            raise InputError(message, where="off")
        on = ~np.isin(builders, list(off))
        counts = on & (self._last(on)[self["row"]] == np.arange(len(self)))
        weight = np.where(counts, self["full_weight"], 0.0)
        return Labels({**self.columns, "weight": weight, "on": on})

    def _last(self, on: Bool) -> I64:
        """`(n,)` the last row that is on about the pair of each first row; -1 without one."""
        last = np.full(len(self), -1, np.int64)
        np.maximum.at(last, self["row"][on], np.flatnonzero(on))
        return last

    @property
    def off(self) -> set[str]:
        """Builders that are switched off."""
        return set(self["builder"][~self["on"]].tolist()) if "on" in self.columns else set()

    def uses(self) -> dict[str, Use]:
        """Rows of each builder, in the order in which they came."""
        found = {}
        for name in dict.fromkeys(self["builder"].tolist()):
            mine = self["builder"] == name
            found[name] = Use(int(mine.sum()), int((mine & (self["weight"] > 0)).sum()))
        return found

    def write(self, path: str | Path) -> None:
        """Write Parquet or JSON Lines that `gustibus train` reads too, whole or not at all.

        Where no pair is across prompts there is one column `prompt`.

        Raises:
            ConflictError: there is something at `path` already.
            InputError: the ending is neither `.parquet` nor `.jsonl`.
        """
        from gustibus.data.writing import write_table

        target = Path(path)
        columns = dict(self.columns)
        if np.array_equal(columns["prompt_a"], columns["prompt_b"]):
            columns["prompt"] = columns.pop("prompt_a")
            del columns["prompt_b"]
        scratch = target.with_name(f".{token_hex(6)}.{target.name}")
        try:
            write_table(columns, scratch)
            os.link(scratch, target)  # unlike a rename it never takes the place of another file
        except FileExistsError:
            message = f"{target}: exists already; labels are never overwritten"
            raise ConflictError(message, where=str(target)) from None
        finally:
            scratch.unlink(missing_ok=True)

    def _joined(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        builder: str,
        source: str,
        version: str,
        seed: int,
    ) -> Labels:
        made = {"builder": builder, "source": source, "version": version, "seed": seed, "on": True}
        if "event" in self.columns:
            made["event"] = None  # the client's name of an answer, which no builder gave
        last = self._last(self.columns.get("on", np.ones(len(self), np.bool_)))
        full = [
            self._full(dict(row), place, last) | made
            for place, row in enumerate(rows, start=len(self))
        ]
        names = dict.fromkeys([*self.columns, *(name for row in full for name in row)])
        old = len(self)
        joined = {}
        for name in names:
            before = self.columns[name].tolist() if name in self.columns else [None] * old
            joined[name] = _column(name, [*before, *(row.get(name) for row in full)])
        return Labels(joined)

    def _full(self, row: dict[str, Any], place: int, last: I64) -> dict[str, Any]:
        """A row with what it leaves out: that of the row it takes the place of, or of any new pair."""
        if "prompt" in row:
            row["prompt_a"] = row["prompt_b"] = row.pop("prompt")
        about = row.get("row")
        if about is not None:
            if not (0 <= about < len(last) and self["row"][about] == about):
                message = f"rows[{place}]: expected the first row of a pair, got row {about!r:.40}"
                raise InputError(message, where="row")
            before = {name: column[last[about]] for name, column in self.columns.items()}
            return {**before, **row, "full_weight": row.get("weight", before["full_weight"])}
        for name in ("response_a", "response_b"):
            if not isinstance(row.get(name), str):
                message = f"rows[{place}]: expected a text {name!r}, got {row.get(name)!r:.60}"
                raise InputError(message, where=name)
        usual = {
            "user": EVERYONE, "prompt_a": "", "prompt_b": "",
            "target": 1.0, "weight": 1.0, "margin": 0.0,
        }  # fmt: skip
        if row.get("base") is not None:
            usual |= {n: self.columns[n][row["base"]] for n in INHERITED if n in self.columns}
        row = usual | row | {"row": place}
        return row | {"full_weight": row["weight"]}


def read_labels(path: str | Path, *, columns: Mapping[str, str] | None = None) -> Labels:
    """A table of labels, or the comparisons of any layout as recorded labels.

    Args:
        path: Parquet, JSON Lines or CSV.
        columns: the file's own names of columns, for comparisons.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is neither.
    """
    table = read_table(path)
    if {"builder", "row", "full_weight"} <= set(table.columns):
        found = dict(table.columns)
        if "prompt" in found:
            found["prompt_a"] = found["prompt_b"] = found.pop("prompt")
        absent = sorted(set(ALWAYS) - set(found))
        if absent:
            message = f"{path}: expected the columns {list(ALWAYS)}, without {absent}"
            raise InputError(message, where=str(path))
        return Labels({name: _column(name, list(found[name])) for name in found})
    return Labels.of(_recorded(table, columns or {}), source=Path(path).name)


def _recorded(table: Table, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    """Comparisons as plain rows, with the columns that no layout reads."""
    c = to_comparisons(table, columns=columns)
    known = renamed(table, columns)
    more = {n: v for n, v in known.columns.items() if n not in NAMES and n not in ALWAYS}
    assert c.source_row is not None, "to_comparisons says which row each comparison was"
    return [
        {**row, **{name: values[source] for name, values in more.items()}}
        for row, source in zip(_plain(c), c.source_row.tolist(), strict=True)
    ]


def _plain(c: Comparisons) -> Iterable[dict[str, Any]]:
    given = {"event": c.event, "split": c.split, "order": c.order}
    more = {name: column.tolist() for name, column in given.items() if column is not None}
    for i in range(len(c)):
        yield {
            "user": c.user_ids[c.user[i]], "prompt": c.prompts[c.prompt[i]],
            "response_a": c.item_texts[c.a[i]], "response_b": c.item_texts[c.b[i]],
            "target": float(c.target[i]), "weight": float(c.weight[i]),
            **{name: column[i] for name, column in more.items()},
        }  # fmt: skip


def _column(name: str, values: list[Any]) -> Column:
    if name in NUMBERS:
        array = np.array(values, np.float64)
        high = 1.0 if name == "target" else np.inf
        low = -np.inf if name == "margin" else 0.0
        return finite(name, array, low=low, high=high) if len(array) else array
    if name in WHOLE:
        return np.array(values, np.int64)
    if name == "on":
        marks: Bool = np.array([True if v is None else v for v in values], np.bool_)
        return marks
    column = np.empty(len(values), dtype=object)
    column[:] = [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
    return column
