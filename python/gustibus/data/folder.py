"""A folder of tables and embeddings, read into a `Dataset` and written from one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gustibus.data.columns import NAMES, renamed, require
from gustibus.data.comparisons import Comparisons, Identical
from gustibus.data.dataset import Dataset
from gustibus.data.files import SUFFIXES, Column, Table, read_table
from gustibus.data.layouts import read_items, take_column
from gustibus.data.writing import write_table, write_whole
from gustibus.errors import DimensionError, InputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gustibus.types import F32, I64


def read_folder(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    ties: str | None = "",
    identical: Identical = "refuse",
) -> Dataset:
    """Read a folder of tables.

    Each table may be Parquet, JSON Lines, CSV or TSV:

    - `comparisons`: user, prompt, item_a, item_b, and label, outcome or target; perhaps split,
      order, weight, event. Further columns go to `Dataset.row_table`.
    - `items`: item_id and text; `new_item` marks the items kept out of fitting. Further columns go
      to `Dataset.item_table`.
    - `users`, if any: user_id and facts; `prompts`, if any: prompt; these give their order to the
      tables of the result (people without a comparison are left out).
    - `ties`, if any: user, item_a, item_b and perhaps prompt; appended with target 0.5. A prompt
      that is not given is the one that every comparison of the two items has. Ties whose prompt or
      person is in no comparison are dropped and counted in `tally` as `tie_without_prompt` and
      `tie_without_person`.
    - `embeddings.npy`, `prompt_embeddings.npy`, if any: one row per row of `items` and `prompts`.

    Args:
        path: The folder.
        columns: Names that differ in the comparisons table, as for `read`.
        ties: What the ties' `split` is, or None to leave them out.
        identical: Whether the same item on both sides is an error or dropped.

    Raises:
        NotFoundError: No folder, or no comparisons or items in it.
        InputError: A value is wrong, or rows do not match; the message names file, row and column.
    """
    path = Path(path)
    tables = {
        name: _table(path, name) for name in ("comparisons", "items", "users", "prompts", "ties")
    }
    rows, items = tables["comparisons"], tables["items"]
    if rows is None or items is None:
        name = "comparisons" if rows is None else "items"
        message = f"{path}: expected a file {name} with one of the endings {list(SUFFIXES)}"
        raise NotFoundError(message, where=str(path))
    rows = _with_item_columns(renamed(rows, columns or {}))
    texts = _texts(items)
    people = {} if tables["users"] is None else rows_by_id(tables["users"], NAMES["user"])
    prompts = {} if tables["prompts"] is None else rows_by_id(tables["prompts"], NAMES["prompt"])
    met = {str(user) for user in set(rows.columns["user"])}
    comparisons = read_items(
        rows,
        identical,
        item_texts=texts,
        user_ids=[user for user in people if user in met],
        prompts=prompts,
    )
    more = further_columns(rows, comparisons.source_row)
    if tables["ties"] is not None and ties is not None:
        comparisons, more = _with_ties(comparisons, more, tables["ties"], ties)
    return Dataset(
        comparisons,
        item_features=_embeddings(path / "embeddings.npy", items, len(texts)),
        prompt_features=_prompt_features(path, tables["prompts"], len(comparisons.prompts)),
        item_new=_item_new(items),
        user_table=_user_table(tables["users"], people, comparisons.user_ids),
        item_table=_facts(items, {"item_id", "text", "new_item"}),
        row_table=more,
        name=path.resolve().name,
    )


def write_folder(dataset: Dataset, path: str | Path) -> None:
    """Write a data set as a folder that `read_folder` gives back, features as float32."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    c = dataset.comparisons
    columns = c.decoded()
    columns["item_a"], columns["item_b"] = columns.pop("a"), columns.pop("b")
    write_table(columns | dict(dataset.row_table), path / "comparisons.parquet")
    items: dict[str, Any] = {"item_id": _strings(c.item_ids), "text": _strings(c.item_texts)}
    if dataset.item_new is not None:
        items["new_item"] = dataset.item_new
    write_table(items | dict(dataset.item_table), path / "items.parquet")
    users = {"user_id": _strings(c.user_ids)} | dict(dataset.user_table)
    write_table(users, path / "users.parquet")
    write_table({"prompt": _strings(c.prompts)}, path / "prompts.parquet")
    for name, features in (
        ("embeddings.npy", dataset.item_features),
        ("prompt_embeddings.npy", dataset.prompt_features),
    ):
        if features is not None:
            write_whole(path / name, partial(_save, features))


def _save(array: F32, file: BinaryIO) -> None:
    np.save(file, array, allow_pickle=False)


def _table(path: Path, name: str) -> Table | None:
    """The table called `name` in the folder, or None; two files of that name are an error."""
    found = [p for s in SUFFIXES if (p := path / f"{name}{s}").is_file()]
    if len(found) > 1:
        message = f"{path}: expected one file for {name}, got {[p.name for p in found]}"
        raise InputError(message, where=str(path))
    return read_table(found[0]) if found else None


def _with_item_columns(
    table: Table, *, needs: Sequence[str] = ("user", "prompt", "item_a", "item_b")
) -> Table:
    """In a folder, columns called a and b hold item ids."""
    columns, names = dict(table.columns), dict(table.origin.columns)
    for side in ("a", "b"):
        if f"item_{side}" not in columns and names.get(f"response_{side}") == side:
            columns[f"item_{side}"] = columns.pop(f"response_{side}")
            names[f"item_{side}"] = names.pop(f"response_{side}")
    result = Table(columns, replace(table.origin, columns=names))
    require(result, needs)
    return result


def _texts(items: Table) -> dict[str, str]:
    """From item id to text, in file order."""
    absent = [(n,) for n in ("item_id", "text") if n not in items.columns]
    if absent:
        raise items.origin.missing(absent, items.columns)
    values = [("" if v is None else v) for v in items.columns["text"]]
    return dict(zip(rows_by_id(items, ("item_id",)), values, strict=True))


def rows_by_id(table: Table, names: Sequence[str]) -> dict[str, int]:
    """Row of each id, from the first column of `names` that there is; ids must differ."""
    column = next((n for n in names if n in table.columns), None)
    if column is None:
        raise table.origin.missing([names], table.columns)
    rows: dict[str, int] = {}
    for row, value in enumerate(table.columns[column]):
        name = str(value) if isinstance(value, int | np.integer) else value
        if not isinstance(name, str) or not (name.strip() or column in NAMES["prompt"]):
            raise table.origin.problem(row, column, "a non-empty string", value)
        if name in rows:
            raise table.origin.problem(row, column, "an id that no earlier row has", name)
        rows[name] = row
    return rows


def _embeddings(path: Path, table: Table, count: int) -> F32 | None:
    """The finite `(count, d)` matrix in a file, or None where there is no file."""
    if not path.is_file():
        return None
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        message = f"{path}: cannot be read as a NumPy array: {error}"
        raise InputError(message, where=str(path)) from None
    if array.ndim != 2 or len(array) != count or array.dtype.kind not in "fiu":
        message = (
            f"{path}: expected numbers of shape ({count}, d), one row per row of "
            f"{table.origin.name}, got {array.dtype} {array.shape}"
        )
        raise DimensionError(message, where=str(path))
    return np.ascontiguousarray(array, dtype=np.float32)


def _prompt_features(path: Path, prompts: Table | None, count: int) -> F32 | None:
    """Features of the prompts; comparisons may not use a prompt that has none."""
    file = path / "prompt_embeddings.npy"
    if not file.is_file():
        return None
    if prompts is None:
        message = f"{file}: needs a table prompts beside it that says which row is which prompt"
        raise InputError(message, where=str(file))
    if count > len(prompts):
        message = f"{prompts.origin.name}: lacks {count - len(prompts)} prompts of the comparisons"
        raise InputError(message, where=prompts.origin.name)
    return _embeddings(file, prompts, len(prompts))


def _item_new(items: Table) -> np.ndarray[Any, Any] | None:
    if "new_item" not in items.columns:
        return None
    truths = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    values = [v.lower() if isinstance(v, str) else v for v in items.columns["new_item"]]
    for row, value in enumerate(values):
        if value not in truths:
            raise items.origin.problem(row, "new_item", "true or false", value)
    return np.array([truths[v] for v in values], dtype=bool)


def _facts(table: Table, but: Collection[str]) -> dict[str, np.ndarray[Any, Any]]:
    """The columns that are not named in `but`, as arrays."""
    return {name: _array(c) for name, c in table.columns.items() if name not in but}


def further_columns(table: Table, rows: I64 | None) -> dict[str, np.ndarray[Any, Any]]:
    """The columns of a renamed table that gustibus has no name for, at its comparisons' rows."""
    return {name: column[rows] for name, column in _facts(table, NAMES).items()}


def _array(column: Column) -> np.ndarray[Any, Any]:
    """Numbers as numbers, anything else as objects."""
    if isinstance(column, np.ndarray):
        return column
    if all(isinstance(value, int | float) for value in column):
        return np.asarray(column)
    return np.fromiter(column, dtype=object, count=len(column))


def _user_table(
    table: Table | None, people: Mapping[str, int], user_ids: Sequence[str]
) -> dict[str, np.ndarray[Any, Any]]:
    """Facts about the people of the comparisons, in the order of their codes."""
    if table is None:
        return {}
    absent = [u for u in user_ids if u not in people]
    if absent:
        message = f"{table.origin.name}: no row for {len(absent)} people, such as {absent[0]!r}"
        raise InputError(message, where=table.origin.name)
    rows = np.array([people[u] for u in user_ids], dtype=np.int64)
    return {name: column[rows] for name, column in _facts(table, NAMES["user"]).items()}


def _with_ties(
    c: Comparisons, more: dict[str, np.ndarray[Any, Any]], ties: Table, split: str
) -> tuple[Comparisons, dict[str, np.ndarray[Any, Any]]]:
    """The comparisons with the ties after them, and their further columns, empty for the ties."""
    ties = _with_item_columns(renamed(ties, {}), needs=("user", "item_a", "item_b"))
    prompt = ties.columns.get("prompt", _prompts_of_pairs(ties, c))
    known = set(c.user_ids)
    prompts = set(c.prompts)
    asked = np.array([q in prompts for q in prompt])
    met = np.array([str(user) in known for user in ties.columns["user"]])
    kept = np.flatnonzero(asked & met)
    tally = {**c.tally, "ties_read": len(ties)}
    tally |= {"tie_without_prompt": int((~asked).sum()), "tie_without_person": int((~met).sum())}
    if not len(kept):
        return replace(c, tally=tally), more
    columns = {n: take_column(ties.columns[n], kept) for n in ("user", "item_a", "item_b")}
    columns |= {"prompt": take_column(prompt, kept), "target": np.full(len(kept), 0.5)}
    if c.split is not None:
        columns["split"] = [split] * len(kept)
    texts = dict(zip(c.item_ids, c.item_texts, strict=True))
    table = Table(columns, ties.origin.take(kept))
    read = read_items(table, "drop", item_texts=texts, user_ids=c.user_ids, prompts=c.prompts)
    tally["tie"] += len(read)
    whole = replace(Comparisons.concat([c, read]), tally=tally)
    return whole, {n: np.concatenate([v, _absent(v, len(read))]) for n, v in more.items()}


def _prompts_of_pairs(ties: Table, c: Comparisons) -> list[str | None]:
    """The one prompt that all comparisons of both items have, or None."""
    low = np.full(len(c.item_ids), len(c.prompts))
    high = np.full(len(c.item_ids), -1)
    for side in (c.a, c.b):
        np.minimum.at(low, side, c.prompt)
        np.maximum.at(high, side, c.prompt)
    of_item = {i: (lo, hi) for i, lo, hi in zip(c.item_ids, low, high, strict=True) if hi >= 0}
    prompts: list[str | None] = []
    for a, b in zip(ties.columns["item_a"], ties.columns["item_b"], strict=True):
        codes = {code for item in (a, b) for code in of_item.get(str(item), ())}
        prompts.append(c.prompts[codes.pop()] if len(codes) == 1 else None)
    return prompts


def _absent(like: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """`count` missing values that can follow `like`: NaN after numbers, else None."""
    number = like.dtype.kind in "fiu"
    return np.full(count, np.nan if number else None, dtype=np.float64 if number else object)


def _strings(names: Sequence[str]) -> np.ndarray[Any, Any]:
    return np.fromiter(names, dtype=object, count=len(names))
