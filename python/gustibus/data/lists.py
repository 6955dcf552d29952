"""Layouts of ranked lists, which become comparisons of every pair of a list.

The grades of both sides stay beside the comparisons as further columns `grade_a` and `grade_b`, so
that a listwise objective can put the lists together again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.coding import numbers
from gustibus.data.columns import require
from gustibus.data.files import Column, Table
from gustibus.data.layouts import LAYOUTS, Layout, draws_lesser, read_items
from gustibus.types import F64


class _List(NamedTuple):
    """Responses of one person to one prompt."""

    row: int
    """Of the table, for messages."""
    texts: list[Any]
    grades: F64
    """`(k,)` higher for better."""
    weight: float


def pairs_of_lists(table: Table) -> Table:
    """One row a list, with columns `responses` and `grades` or `ranks`, as one row a pair.

    Grades are higher for better; those outside [0, 1] are put there by the least and the largest of
    the table. Ranks are 1 for the best, and become grades that fall evenly from 1 to 0. A list of k
    weighs as much as k - 1 comparisons: its pairs say no more than a chain of them.

    Raises:
        InputError: a cell is no list of at least two, or lengths differ.
    """
    require(table, ("user", "responses"))
    grading = "grades" if "grades" in table.columns else "ranks"
    weights = _weights(table)
    lists = []
    for row, texts in enumerate(table.columns["responses"]):
        if not isinstance(texts, list | tuple | np.ndarray) or len(texts) < 2:
            raise table.origin.problem(row, "responses", "a list of at least two texts", texts)
        grades = _marks(table, row, grading, len(texts))
        lists.append(_List(row, list(texts), grades, weights[row]))
    return _pairs(table, lists, scale=grading == "grades")


def pairs_of_grades(table: Table) -> Table:
    """One row a response, with columns `response` and `grade`, as one row a pair of a list.

    A list is what one person graded of one prompt; its weight is the mean of its rows' weights.
    Grades are treated as by `pairs_of_lists`. Lists of one response are left out.

    Raises:
        InputError: a grade is no finite number, or no list has two responses.
    """
    require(table, ("user", "response", "grade"))
    grades = _finite(table, "grade", table.columns["grade"])
    weights = _weights(table)
    prompts = table.columns.get("prompt", [""] * len(table))
    members: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(table.columns["user"], prompts, strict=True)):
        members[str(key[0]), str(key[1])].append(row)
    texts = table.columns["response"]
    lists = [
        _List(rows[0], [texts[row] for row in rows], grades[rows], float(weights[rows].mean()))
        for rows in members.values()
        if len(rows) > 1
    ]
    if not lists:
        expected = "at least two responses of one person to one prompt"
        raise table.origin.problem(0, "response", expected, texts[0])
    return _pairs(table, lists, scale=True)


LAYOUTS.add("lists", source="lists of responses with grades or ranks, one a row")(
    Layout((("responses",), ("grades", "ranks")), read_items, pairs_of_lists)
)
LAYOUTS.add("grades", source="graded responses, one a row")(
    Layout((("response",), ("grade",)), read_items, pairs_of_grades)
)


def _pairs(table: Table, lists: list[_List], *, scale: bool) -> Table:
    """A table of comparisons from lists; which side a response gets is drawn by a hash."""
    low, high = 0.0, 1.0
    if scale:
        low = min(float(one.grades.min()) for one in lists)
        high = max(float(one.grades.max()) for one in lists)
        low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    users, prompts = table.columns["user"], table.columns.get("prompt")
    splits = table.columns.get("split")
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    sources = []
    for one in lists:
        prompt = "" if prompts is None else prompts[one.row]
        grades = (one.grades - low) / ((high - low) or 1.0)
        for x, y in _sides(users[one.row], prompt, one.texts):
            sources.append(one.row)
            columns["user"].append(users[one.row])
            columns["prompt"].append(prompt)
            columns["response_a"].append(one.texts[x])
            columns["response_b"].append(one.texts[y])
            columns["target"].append(0.5 + 0.5 * float(np.sign(grades[x] - grades[y])))
            columns["weight"].append(one.weight * 2 / len(one.texts))
            columns["grade_a"].append(float(grades[x]))
            columns["grade_b"].append(float(grades[y]))
            if splits is not None:
                columns["split"].append(splits[one.row])
    origin = table.origin.take(np.asarray(sources, np.int64))
    names = dict.fromkeys(
        ("response_a", "response_b"), origin.columns.get("responses", "responses")
    )
    return Table(columns, replace(origin, columns={**origin.columns, **names}))


def _sides(user: Any, prompt: Any, texts: list[Any]) -> Iterator[tuple[int, int]]:
    """Places of the responses a and b of every pair."""
    for x, y in combinations(range(len(texts)), 2):
        first, second = str(texts[x]), str(texts[y])
        lesser, greater = sorted((first, second))
        draws_x = draws_lesser(user, str(prompt), lesser, greater) == (first < second)
        yield (x, y) if draws_x else (y, x)


def _marks(table: Table, row: int, column: str, count: int) -> F64:
    """Grades of one list, higher for better."""
    cell = table.columns[column][row]
    if not isinstance(cell, list | tuple | np.ndarray) or len(cell) != count:
        raise table.origin.problem(row, column, f"a list of {count} numbers, one a response", cell)
    try:
        marks = np.asarray(cell, np.float64)
    except (TypeError, ValueError):
        marks = np.full(count, np.nan)
    if not np.isfinite(marks).all():
        raise table.origin.problem(row, column, "a list of finite numbers", cell)
    if column == "grades":
        return marks
    if marks.min() < 1 or marks.max() > count:
        raise table.origin.problem(row, column, f"ranks from 1 for the best to {count}", cell)
    return np.asarray((count - marks) / (count - 1))


def _weights(table: Table) -> F64:
    if "weight" not in table.columns:
        return np.ones(len(table))
    return _finite(table, "weight", table.columns["weight"], absent=1.0)


def _finite(table: Table, name: str, column: Column, *, absent: float | None = None) -> F64:
    values = numbers(column, name, table.origin, "a finite number", absent=absent)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise table.origin.problem(int(bad[0]), name, "a finite number", values[bad[0]])
    return values
