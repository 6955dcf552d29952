"""The table of comparisons: who preferred what, validated once and frozen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gustibus.data.coding import Coder, encodable, numbers, optional_text
from gustibus.data.origin import Origin
from gustibus.errors import DimensionError, InputError
from gustibus.showing import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gustibus.data.files import Column
    from gustibus.types import F32, I32, I64

SPLITS = ("train", "val", "test", "test_new_items", "support", "query", "")
"""What the `split` column may say; the empty string means none."""

Identical = Literal["refuse", "drop"]
"""What to do with a row that has the same item on both sides."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """`n` comparisons as columns of codes into four tables of strings.

    Made by `build`, which checks everything; the arrays are read-only. A tie has target 0.5.
    """

    user: I32
    """`(n,)` index into `user_ids`."""
    prompt: I32
    """`(n,)` index into `prompts`."""
    a: I32
    """`(n,)` index of side a into `item_ids` and `item_texts`."""
    b: I32
    """`(n,)` likewise for side b; never equal to `a`."""
    target: F32
    """`(n,)` probability in [0, 1] that a is preferred."""
    weight: F32
    """`(n,)` at or above 0; 1 where nothing was said."""
    user_ids: tuple[str, ...]
    prompts: tuple[str, ...]
    item_ids: tuple[str, ...]
    item_texts: tuple[str, ...]
    event: np.ndarray[Any, Any] | None = None
    """`(n,)` the client's own id of the answer, str or None; unique where given."""
    split: np.ndarray[Any, Any] | None = None
    """`(n,)` one of `SPLITS`."""
    order: I32 | None = None
    """`(n,)` position among the person's answers; -1 where not given."""
    source_row: I64 | None = None
    """`(n,)` index of the given row that each comparison was; None after `concat`."""
    tally: Mapping[str, int] = field(default_factory=dict)
    """What reading met: rows, tie, both_bad, skip, repeated, identical."""

    def __repr__(self) -> str:
        return shown(
            self, rows=len(self), people=len(self.user_ids), prompts=len(self.prompts),
            items=len(self.item_ids),
        )  # fmt: skip

    @classmethod
    def build(
        cls,
        user: Column,
        prompt: Column,
        a: Column,
        b: Column,
        target: Column,
        weight: Column | None = None,
        event: Column | None = None,
        split: Column | None = None,
        order: Column | None = None,
        item_texts: Mapping[str, str] | None = None,
        *,
        user_ids: Iterable[str] = (),
        prompts: Iterable[str] = (),
        identical: Identical = "refuse",
        origin: Origin | None = None,
    ) -> Comparisons:
        """Check columns of plain values and code their strings.

        Args:
            user: `(n,)` ids; non-empty strings, or integers, which are read as their digits.
            prompt: `(n,)` texts; None counts as the empty prompt.
            a: `(n,)` item ids of side a.
            b: `(n,)` item ids of side b.
            target: `(n,)` probability in [0, 1] that a is preferred; a tie is 0.5.
            weight: `(n,)` finite and at or above 0; None in a row counts as 1.
            event: `(n,)` ids of the answers or None. Rows that repeat an id and its content are
                dropped and counted in `tally`; one id with two contents is an error.
            split: `(n,)` values of `SPLITS`; None counts as "".
            order: `(n,)` integers; None counts as -1.
            item_texts: From item id to text, in the order that the item table shall have; every id
                in `a` and `b` must occur. None: an item's id is its text.
            user_ids: People who get the first codes, in this order, whether or not they have rows.
            prompts: Likewise for prompts.
            identical: Whether the same item on both sides is an error or dropped and counted.
            origin: What errors call the rows.

        Raises:
            InputError: A value is wrong; the message names row and column.
            DimensionError: The columns differ in length.
        """
        origin = origin or Origin()
        given = {
            "user": user, "prompt": prompt, "a": a, "b": b, "target": target,
            "weight": weight, "event": event, "split": split, "order": order,
        }  # fmt: skip
        count = _common_length(origin, given)
        people = Coder("user", origin, start=user_ids)
        asked = Coder("prompt", origin, start=prompts, empty=True)
        items = Coder("item", origin, start=item_texts or (), closed=item_texts is not None)
        result = cls(
            user=people.code(user),
            prompt=asked.code(prompt),
            a=items.code(a, column="a"),
            b=items.code(b, column="b"),
            target=_targets(target, origin),
            weight=_weights(weight, count, origin),
            user_ids=people.names,
            prompts=asked.names,
            item_ids=items.names,
            item_texts=items.names if item_texts is None else tuple(item_texts.values()),
            event=None if event is None else optional_text(event, "event", origin),
            split=None if split is None else _splits(split, origin),
            order=None if order is None else _orders(order, origin),
            source_row=np.arange(count),
        )
        result._check_texts(origin)
        return result._checked(origin, identical)._frozen()

    def _check_texts(self, origin: Origin) -> None:
        if self.item_texts is self.item_ids:
            return
        for code, text in enumerate(self.item_texts):
            if not (isinstance(text, str) and encodable(text)):
                row = int(np.argmax((self.a == code) | (self.b == code)))
                column = "a" if self.a[row] == code else "b"
                raise origin.problem(row, column, "a text of valid Unicode", text)

    def _checked(self, origin: Origin, identical: Identical) -> Comparisons:
        """Without repeated events and, where asked, without rows that compare an item to itself."""
        count, keep = len(self), np.ones(len(self), dtype=bool)
        same = np.flatnonzero(self.a == self.b)
        if len(same) and identical == "refuse":
            expected = "another item than on side a (--identical drop leaves such rows out)"
            item = self.item_texts[self.a[same[0]]]
            raise origin.problem(int(same[0]), "b", expected, item)
        keep[same] = False
        repeated = _repeated_events(self, origin)
        keep[repeated] = False
        tally = {
            "rows": count,
            "tie": int((self.target[keep] == 0.5).sum()),
            "repeated": len(repeated),
            "identical": len(same),
        }
        kept = self if keep.all() else self.take(np.flatnonzero(keep))
        return replace(kept, tally=tally)

    def _frozen(self) -> Comparisons:
        for part in fields(self):
            value = getattr(self, part.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        return self

    def __len__(self) -> int:
        return len(self.user)

    @property
    def counts(self) -> I32:
        """`(p,)` comparisons of each person."""
        return np.bincount(self.user, minlength=len(self.user_ids)).astype(np.int32)

    def take(self, index: I64) -> Comparisons:
        """The rows at `index` (integers or a mask), over the same tables."""
        index = np.asarray(index)
        changed: dict[str, Any] = {
            part.name: value[index]
            for part in fields(self)
            if isinstance(value := getattr(self, part.name), np.ndarray)
        }
        return replace(self, **changed, tally={})._frozen()

    def swap_sides(self) -> Comparisons:
        """The same answers with a and b exchanged."""
        return replace(self, a=self.b, b=self.a, target=1 - self.target)._frozen()

    def rows_of_people(self, index: I64 | None = None) -> tuple[I64, I64]:
        """Rows grouped by person.

        Args:
            index: `(k,)` the rows to group; all when None.

        Returns:
            `(order, starts)`: `(k,)` row numbers and `(p + 1,)` offsets; person `i` has the rows
            `order[starts[i]:starts[i + 1]]`, in the order in which they were given.
        """
        rows = np.arange(len(self)) if index is None else np.asarray(index, dtype=np.int64)
        who = self.user[rows]
        sizes = np.bincount(who, minlength=len(self.user_ids))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return rows[np.argsort(who, kind="stable")], starts

    @classmethod
    def concat(cls, parts: Sequence[Comparisons]) -> Comparisons:
        """One after the other over joint tables.

        Raises:
            InputError: No parts, or an item id stands for two texts, or an event for two answers.
        """
        if not parts:
            message = "parts: expected at least one Comparisons, got none"
            raise InputError(message, where="parts")
        texts: dict[str, str] = {}
        for part in parts:
            for item, text in zip(part.item_ids, part.item_texts, strict=True):
                if texts.setdefault(item, text) != text:
                    message = f"parts: item {item!r} stands for two different texts"
                    raise InputError(message, where="parts")
        every = [part.decoded() for part in parts]
        joined: dict[str, Column | None] = {
            name: np.concatenate([columns[name] for columns in every])
            for name in every[0]
            if name in {"user", "prompt", "a", "b", "target", "weight"}
        }
        for name in ("event", "split", "order"):
            if any(name in columns for columns in every):
                joined[name] = np.concatenate(
                    [c.get(name, np.full(len(c["user"]), None, dtype=object)) for c in every]
                )
        result = cls.build(
            **joined,  # type: ignore[arg-type]  # the required six are always there
            item_texts=texts,
            user_ids=[u for part in parts for u in part.user_ids],
            prompts=[q for part in parts for q in part.prompts],
        )
        total: Counter[str] = Counter()
        for part in (*parts, replace(result, tally={"repeated": result.tally["repeated"]})):
            total.update(part.tally)
        return replace(result, tally=dict(total), source_row=None)

    def decoded(self) -> dict[str, np.ndarray[Any, Any]]:
        """The columns that `build` takes, with strings in the place of codes."""
        items = _strings(self.item_ids)
        columns: dict[str, np.ndarray[Any, Any]] = {
            "user": _strings(self.user_ids)[self.user],
            "prompt": _strings(self.prompts)[self.prompt],
            "a": items[self.a],
            "b": items[self.b],
            "target": self.target,
            "weight": self.weight,
        }
        more = {"event": self.event, "split": self.split, "order": self.order}
        return columns | {name: value for name, value in more.items() if value is not None}

    def write(self, path: str | Path) -> None:
        """Write Parquet or JSON Lines, chosen by the ending; `read` gives the same rows back.

        Codes may come back in another order, and people, prompts and items without rows do not
        come back. The file appears whole or not at all.

        Raises:
            InputError: The ending is neither `.parquet` nor `.jsonl`.
        """
        from gustibus.data.writing import write_comparisons

        write_comparisons(self, Path(path))


def _strings(names: Sequence[str]) -> np.ndarray[Any, Any]:
    return np.array([*names, None], dtype=object)[:-1]


def _common_length(origin: Origin, columns: Mapping[str, Column | None]) -> int:
    lengths = {name: len(column) for name, column in columns.items() if column is not None}
    if len(set(lengths.values())) > 1:
        message = f"{origin.name}: expected columns of one length, got {lengths}"
        raise DimensionError(message, where=origin.name)
    return lengths["user"]


def _targets(values: Column, origin: Origin) -> F32:
    target = numbers(values, "target", origin, "a probability in [0, 1]")
    bad = np.flatnonzero((target < 0) | (target > 1))
    if len(bad):
        raise origin.problem(int(bad[0]), "target", "a probability in [0, 1]", target[bad[0]])
    return target.astype(np.float32)


def _weights(values: Column | None, count: int, origin: Origin) -> F32:
    if values is None:
        return np.ones(count, dtype=np.float32)
    weight = numbers(values, "weight", origin, "a finite number at or above 0", absent=1.0)
    bad = np.flatnonzero((weight < 0) | (weight > np.finfo(np.float32).max))
    if len(bad):
        expected = "a finite number at or above 0"
        raise origin.problem(int(bad[0]), "weight", expected, weight[bad[0]])
    return weight.astype(np.float32)


def _orders(values: Column, origin: Origin) -> I32:
    order = numbers(values, "order", origin, "an integer", absent=-1.0)
    bad = np.flatnonzero((order != np.floor(order)) | (np.abs(order) > np.iinfo(np.int32).max))
    if len(bad):
        raise origin.problem(int(bad[0]), "order", "an integer", order[bad[0]])
    return order.astype(np.int32)


def _splits(values: Column, origin: Origin) -> np.ndarray[Any, Any]:
    split = np.array(["" if v is None else v for v in values] + [None], dtype=object)[:-1]
    for wrong in set(split.tolist()) - set(SPLITS):
        row = int(np.flatnonzero(split == wrong)[0])
        raise origin.problem(row, "split", f"one of {list(SPLITS)}", wrong)
    return split


def _repeated_events(c: Comparisons, origin: Origin) -> I64:
    """Rows that repeat an earlier event with the same content."""
    if c.event is None:
        return np.empty(0, dtype=np.int64)
    first: dict[str, int] = {}
    repeated: list[int] = []
    content = (c.user, c.prompt, c.a, c.b, c.target, c.weight)
    for row, event in enumerate(c.event.tolist()):
        if event is None or (before := first.setdefault(event, row)) == row:
            continue
        if any(column[row] != column[before] for column in content):
            expected = f"the same answer as {origin.at(before)}, which has this id too"
            raise origin.problem(row, "event", expected, event)
        repeated.append(row)
    return np.asarray(repeated, dtype=np.int64)
