"""The column layouts in which comparison logs come, each read into `Comparisons`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeAlias

import numpy as np

from gustibus.data.coding import numbers
from gustibus.data.columns import NAMES, ColumnMap, renamed, require
from gustibus.data.comparisons import Comparisons, Identical
from gustibus.data.dataset import JOINT_SEPARATOR
from gustibus.data.files import Column, Table
from gustibus.data.messages import Messages, as_messages, as_transcript, common_prefix, render
from gustibus.data.origin import MAPPING, quoted
from gustibus.errors import InputError
from gustibus.registry import Registry
from gustibus.types import F64, I64, Bool

OUTCOMES: Mapping[str, str] = {
    **dict.fromkeys(("a", "model_a", "response_a", "item_a"), "a"),
    **dict.fromkeys(("b", "model_b", "response_b", "item_b"), "b"),
    "tie": "tie",
    **dict.fromkeys(("both_bad", "bothbad", "tie (bothbad)", "tie (both bad)"), "both_bad"),
    "skip": "skip",
}
"""What an outcome cell may say, in any case, and the outcome that it means."""

Rows: TypeAlias = tuple[Column, Column, Column, F64, Mapping[str, Bool]]
"""Prompt, a, b, target, and masks of the rows whose outcome was `both_bad` or `skip`."""

_TARGETS = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5, "skip": 0.5}


@dataclass(frozen=True, slots=True)
class Layout:
    """What columns a layout needs and how it is read."""

    needs: tuple[tuple[str, ...], ...]
    """Groups of names of `NAMES`: the layout fits where each group has at least one column."""
    read: Callable[[Table, Identical], Comparisons]
    pairs: Callable[[Table], Table] | None = None
    """Makes rows of comparisons of rows of another kind, before `read`."""


LAYOUTS: Registry[Layout] = Registry("layout")


def to_comparisons(
    table: Table,
    *,
    layout: str = "auto",
    columns: ColumnMap | None = None,
    identical: Identical = "refuse",
) -> Comparisons:
    """Read a table of columns in one of the `LAYOUTS`.

    Args:
        table: The columns; those that no layout knows are ignored.
        layout: A name in `LAYOUTS`, or "auto" to choose by the names of the columns.
        columns: The file's own names, as in `{"chosen": "good", "user": "annotator"}`.
        identical: Whether a row with the same text or item on both sides is an error or dropped.

    Raises:
        UnknownNameError: No such layout.
        InputError: Columns are missing or a value is wrong; the message names file, row and column.
    """
    table, found = laid_out(table, layout=layout, columns=columns)
    return found.read(table, identical)


def laid_out(table: Table, *, layout: str, columns: ColumnMap | None) -> tuple[Table, Layout]:
    """The table with one row a comparison, and the layout that reads it; as for `to_comparisons`."""
    table = renamed(table, columns or {})
    found = LAYOUTS[detect(table) if layout == "auto" else layout].run
    return (table if found.pairs is None else found.pairs(table)), found


def detect(table: Table) -> str:
    """Name of the layout whose columns the table has.

    Raises:
        InputError: None fits, or several do.
    """
    fits = [name for name, entry in LAYOUTS.items() if not _lacks(table, entry.run)]
    if len(fits) == 1:
        return fits[0]
    _check_separator(table)
    described = "; ".join(
        f"{name} needs " + " and ".join(" or ".join(_accepted(g)) for g in entry.run.needs)
        for name, entry in LAYOUTS.items()
    )
    found = sorted(table.origin.columns.get(name, name) for name in table.columns)
    problem = f"fits the layouts {fits}, name one" if fits else f"fits no layout{_nearly(table)}"
    message = f"{table.origin.name}: {problem}; found columns {found}; {described}; {MAPPING}"
    raise InputError(message, where=table.origin.name)


def _lacks(table: Table, layout: Layout) -> list[tuple[str, ...]]:
    return [group for group in layout.needs if not any(name in table.columns for name in group)]


def _check_separator(table: Table) -> None:
    """Refuse a table that is one column because something else separates its fields."""
    (header,) = table.columns if len(table.columns) == 1 else ("",)
    other = next((mark for mark in ";\t|" if mark in header), None)
    if other is not None:
        name = table.origin.name
        message = (
            f"{name}: expected fields separated by ',' (.csv) or '\\t' (.tsv), got one column "
            f"{quoted(header)}, which looks as if {other!r} separated them"
        )
        raise InputError(message, where=name)


def _nearly(table: Table) -> str:
    """The layout that lacks least, and what it lacks; nothing where none has a column."""
    lacks = {name: _lacks(table, entry.run) for name, entry in LAYOUTS.items()}
    fitting = {n: len(LAYOUTS[n].run.needs) - len(lacks[n]) for n in LAYOUTS}
    nearest = max(LAYOUTS, key=lambda name: (fitting[name] > 0, -len(lacks[name])))
    if not fitting[nearest]:
        return ""
    absent = " and ".join(repr(group[0]) for group in lacks[nearest])
    return f"; nearest is {nearest}, which lacks {absent}"


def _accepted(group: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for known in group for name in NAMES[known])


def read_items(
    table: Table,
    identical: Identical,
    *,
    item_texts: Mapping[str, str] | None = None,
    user_ids: Iterable[str] = (),
    prompts: Iterable[str] = (),
) -> Comparisons:
    """The layout `gustibus`, optionally over given tables of items, people and prompts."""
    if "prompt_a" in table.columns and "prompt_b" in table.columns:
        return _read_across_prompts(table, identical)
    require(table, ("user", "prompt"))
    columns = table.columns
    if "item_a" not in columns or "item_b" not in columns:
        return _read_texts(table, identical)
    a, b = columns["item_a"], columns["item_b"]
    if item_texts is None and "response_a" in columns and "response_b" in columns:
        item_texts = _texts_by_id(table)
    target, met = _answers(table)
    rows = (columns["prompt"], a, b, target, met)
    return _build(
        table, rows, ("item_a", "item_b"), identical,
        item_texts=item_texts, user_ids=user_ids, prompts=prompts,
    )  # fmt: skip


LAYOUTS.add("gustibus", source="gustibus")(
    Layout(
        (("item_a", "response_a"), ("item_b", "response_b"), ("target", "label", "outcome")),
        read_items,
    )
)


def _read_across_prompts(table: Table, identical: Identical) -> Comparisons:
    """Sides with a prompt of their own: an item is then prompt and response together."""
    require(table, ("user", "response_a", "response_b"))
    target, met = _answers(table)
    sides = []
    for side in "ab":
        columns = table.columns[f"prompt_{side}"], table.columns[f"response_{side}"]
        asked, said = ([_text(table, "prompt", r, v) for r, v in enumerate(c)] for c in columns)
        sides.append([JOINT_SEPARATOR.join(filter(None, x)) for x in zip(asked, said, strict=True)])
    rows = ([""] * len(table), sides[0], sides[1], target, met)
    return _of_texts(table, rows, ("response_a", "response_b"), identical)


def _texts_by_id(table: Table) -> dict[str, str]:
    """The texts that the rows give for item ids."""
    found: dict[str, str] = {}
    for side in ("a", "b"):
        ids, texts = table.columns[f"item_{side}"], table.columns[f"response_{side}"]
        for row, (item, value) in enumerate(zip(ids, texts, strict=True)):
            text = value if isinstance(value, str) else _text(table, f"response_{side}", row, value)
            if found.setdefault(str(item), text) != text:
                expected = f"the text that item {quoted(item)} has in an earlier row"
                raise table.origin.problem(row, f"response_{side}", expected, text)
    return found


def _read_texts(table: Table, identical: Identical) -> Comparisons:
    """Responses by text; the common beginning of conversations is the prompt if none is given."""
    require(table, ("user", "response_a", "response_b"))
    target, met = _answers(table)
    prompts, a, b = pairs(table, "response_a", "response_b")
    return _of_texts(table, (prompts, a, b, target, met), ("response_a", "response_b"), identical)


def _read_arena(table: Table, identical: Identical) -> Comparisons:
    """Like `gustibus` with a column `winner`; texts need no prompt."""
    require(table, ("user", "winner"))
    origin = table.origin
    columns = {n: c for n, c in table.columns.items() if n not in ("target", "label", "winner")}
    columns["outcome"] = table.columns["winner"]
    names = {**origin.columns, "outcome": origin.columns.get("winner", "winner")}
    table = Table(columns, replace(origin, columns=names))
    if "item_a" in columns and "item_b" in columns:
        return read_items(table, identical)
    return _read_texts(table, identical)


LAYOUTS.add("arena", source="LMSYS chatbot arena logs")(
    Layout((("item_a", "response_a"), ("item_b", "response_b"), ("winner",)), _read_arena)
)


def _read_chosen_rejected(table: Table, identical: Identical) -> Comparisons:
    """`chosen` was preferred to `rejected`; a hash that ignores which is which draws sides."""
    require(table, ("user", "chosen", "rejected"))
    prompts, chosen, rejected = pairs(table, "chosen", "rejected")
    first = [
        draws_lesser(u, q, *sorted((c, r))) == (c < r)
        for u, q, c, r in zip(table.columns["user"], prompts, chosen, rejected, strict=True)
    ]
    a = [c if f else r for f, c, r in zip(first, chosen, rejected, strict=True)]
    b = [r if f else c for f, c, r in zip(first, chosen, rejected, strict=True)]
    target = np.asarray(first, dtype=np.float64)
    rows = (prompts, a, b, target, _none_met(len(a)))
    return _of_texts(table, rows, ("chosen", "rejected"), identical)


LAYOUTS.add("chosen_rejected", source="common preference data sets")(
    Layout((("chosen",), ("rejected",)), _read_chosen_rejected)
)


def draws_lesser(user: Any, prompt: str, lesser: str, greater: str) -> bool:
    """Whether side a gets the lexically smaller text: a coin that every run tosses alike."""
    text = "\0".join((str(user), prompt, lesser, greater)).encode("utf-8", "surrogatepass")
    return bool(blake2b(text, digest_size=1).digest()[0] & 1)


def pairs(table: Table, left: str, right: str) -> tuple[list[str], list[str], list[str]]:
    """Prompt and the two texts of every row; lists of messages lose their common beginning."""
    given = table.columns.get("prompt")
    prompts: list[str] = []
    texts: tuple[list[str], list[str]] = ([], [])
    columns = (table.columns[left], table.columns[right])
    for row, (x, y) in enumerate(zip(*columns, strict=True)):
        prompt = "" if given is None else _text(table, "prompt", row, given[row])
        if not (isinstance(x, str) and isinstance(y, str)) or x.startswith("\n\nHuman:"):
            u, v = _conversation(table, left, row, x), _conversation(table, right, row, y)
            shared = common_prefix(u, v)
            if given is None:
                prompt = render(u[:shared]) if shared else ""
            x, y = render(u[shared:]), render(v[shared:])
        prompts.append(prompt)
        texts[0].append(x)
        texts[1].append(y)
    return prompts, *texts


def _conversation(table: Table, column: str, row: int, value: Any) -> Messages:
    """The messages of a cell; a plain text is one message."""
    if isinstance(value, str):
        return as_transcript(value) or [("assistant", value)]
    messages = as_messages(value)
    if messages is None:
        expected = "a text or a list of {'role', 'content'} messages"
        raise table.origin.problem(row, column, expected, value)
    return messages


def _text(table: Table, column: str, row: int, value: Any) -> str:
    """A cell as text; messages are rendered, and an absent prompt is the empty one."""
    if isinstance(value, str):
        return value
    if value is None and column == "prompt":
        return ""
    return render(_conversation(table, column, row, value))


def text_id(text: str) -> str:
    """The id of an item that is known by its text alone: equal texts are one item."""
    return "t-" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _answers(table: Table) -> tuple[F64, dict[str, Bool]]:
    """`(n,)` target from whichever column has it, and masks of the special outcomes."""
    columns = table.columns
    if not any(name in columns for name in ("target", "outcome", "label")):
        require(table, ("target",))
    if "target" in columns:
        values = numbers(columns["target"], "target", table.origin, "a probability in [0, 1]")
        return values, _none_met(len(values))
    if "outcome" in columns:
        return _outcomes(table)
    expected = "1 where a was preferred or 0 where b was"
    values = numbers(columns["label"], "label", table.origin, expected)
    bad = np.flatnonzero((values != 0) & (values != 1))
    if len(bad):
        raise table.origin.problem(int(bad[0]), "label", expected, values[bad[0]])
    return values, _none_met(len(values))


def _outcomes(table: Table) -> tuple[F64, dict[str, Bool]]:
    said = [v.strip().lower() if isinstance(v, str) else v for v in table.columns["outcome"]]
    try:
        outcomes = np.array([OUTCOMES[v] for v in said], dtype=object)
    except (KeyError, TypeError):
        row = next(i for i, v in enumerate(said) if not isinstance(v, str) or v not in OUTCOMES)
        expected = f"one of {', '.join(OUTCOMES)}"
        raise table.origin.problem(
            row, "outcome", expected, table.columns["outcome"][row]
        ) from None
    target = np.array([_TARGETS[v] for v in outcomes], dtype=np.float64)
    return target, {name: outcomes == name for name in ("both_bad", "skip")}


def _none_met(count: int) -> dict[str, Bool]:
    return {name: np.zeros(count, dtype=bool) for name in ("both_bad", "skip")}


def _of_texts(
    table: Table, rows: Rows, sides: tuple[str, str], identical: Identical
) -> Comparisons:
    """Comparisons of items that are known by their texts."""
    prompt, a, b, target, met = rows
    ids = {text: text_id(text) for text in (*a, *b)}
    coded = (prompt, [ids[t] for t in a], [ids[t] for t in b], target, met)
    texts = {item: text for text, item in ids.items()}
    return _build(table, coded, sides, identical, item_texts=texts)


def _build(
    table: Table, rows: Rows, sides: tuple[str, str], identical: Identical, **tables: Any
) -> Comparisons:
    """`Comparisons.build` over the rows that are not skips, with the outcomes counted."""
    prompt, a, b, target, met = rows
    kept = np.flatnonzero(~met["skip"])
    if not len(kept):
        message = f"{table.origin.name}: no comparisons; all {len(table)} rows are skips"
        raise InputError(message, where=table.origin.name)
    columns: dict[str, Any] = {"user": table.columns["user"], "prompt": prompt, "a": a, "b": b}
    columns["target"] = target
    columns |= {n: table.columns.get(n) for n in ("weight", "event", "split", "order")}
    names = dict(table.origin.columns)
    names |= {side: names.get(name, name) for side, name in zip("ab", sides, strict=True)}
    origin = replace(table.origin, columns=names)
    if len(kept) < len(table):
        columns = {n: c if c is None else take_column(c, kept) for n, c in columns.items()}
        origin = origin.take(kept)
    built = Comparisons.build(**columns, **tables, identical=identical, origin=origin)
    counted = {name: int(mask.sum()) for name, mask in met.items()}
    source = kept if built.source_row is None else kept[built.source_row]
    tally = {**built.tally, "rows": len(table), **counted}
    return replace(built, tally=tally, source_row=source)


def take_column(column: Column, index: I64) -> Column:
    """The values of a column at `index`."""
    return column[index] if isinstance(column, np.ndarray) else [column[i] for i in index]
