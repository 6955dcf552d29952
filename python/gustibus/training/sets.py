"""Views of a data set for fitting and for placing people: codes from zero, features beside them."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np

from gustibus.data import Dataset, Split
from gustibus.errors import InputError
from gustibus.models.base import TrainingSet
from gustibus.types import F32, I32, I64, Bool

_TAG: Final = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def training_set(
    dataset: Dataset,
    rows: I64,
    *,
    is_support: Bool | None = None,
    groups: str = "",
    margins: str = "",
    degrees: str = "",
) -> tuple[TrainingSet, I64]:
    """Rows of a data set with people coded from zero.

    Args:
        dataset: with item features; prompt features are passed on when there are any.
        rows: `(n,)` rows of its comparisons.
        is_support: `(n,)`, see `TrainingSet`.
        groups: column of `dataset.row_table` that names the data set of each row; none where empty.
        margins: column of it with the margins that an objective asks for; none where empty.
        degrees: column of it with the degrees by which b is a degraded variant of a, 0 in empty
            cells; none where empty.

    Returns:
        The set, with the grades of rows that are of ranked lists, and `(p,)` the data set's code of
        each of its people.

    Raises:
        InputError: the data set has no item features, or no such column, or a margin or grade is no
            number.
    """
    if dataset.item_features is None:
        message = "dataset: has texts but no item features; encode them first"
        raise InputError(message, where="dataset")
    c = dataset.comparisons
    people, user = np.unique(c.user[rows], return_inverse=True)
    prompts: F32 | None = dataset.prompt_features
    return (
        TrainingSet(
            user=user.astype(np.int32),
            prompt=c.prompt[rows],
            a=c.a[rows],
            b=c.b[rows],
            target=c.target[rows],
            weight=c.weight[rows],
            item_features=dataset.item_features,
            prompt_features=prompts,
            people=len(people),
            is_support=is_support,
            group=_groups(dataset, groups)[rows] if groups else None,
            margin=_numbers(dataset, margins, "margins")[rows] if margins else None,
            grade=_grades(dataset, rows),
            degree=_degrees(dataset, degrees)[rows] if degrees else None,
        ),
        people.astype(np.int64),
    )


def _groups(dataset: Dataset, column: str) -> I32:
    """Codes of the data sets of all comparisons."""
    labels = [str(label) for label in column_of(dataset, column, "groups")]
    return np.unique(labels, return_inverse=True)[1].astype(np.int32)


def _grades(dataset: Dataset, rows: I64) -> F32 | None:
    """Grades `(n, 2)` of both sides of rows of ranked lists; None where any has none."""
    sides = [f"grade_{side}" for side in "ab"]
    if any(name not in dataset.row_table for name in sides):
        return None
    grades = np.stack([_numbers(dataset, name, "grades", absent=np.nan)[rows] for name in sides], 1)
    return None if np.isnan(grades).any() else grades


def _degrees(dataset: Dataset, column: str) -> I32:
    """A further column as whole numbers of at least 0."""
    values = _numbers(dataset, column, "degrees")
    if ((values < 0) | (values != np.floor(values))).any():
        message = f"degrees: expected whole numbers of at least 0 in column {column!r}, got others"
        raise InputError(message, where="data.degrees")
    return values.astype(np.int32)


def _numbers(dataset: Dataset, column: str, what: str, *, absent: float = 0.0) -> F32:
    """A further column as finite numbers, with empty cells as `absent`."""
    cells = column_of(dataset, column, what)
    filled = [absent if cell is None or cell == "" or cell != cell else cell for cell in cells]
    try:
        values = np.asarray(filled, np.float32)
    except (TypeError, ValueError):
        values = np.full(len(filled), np.inf, np.float32)
    if np.isinf(values).any():
        message = f"{what}: expected finite numbers in column {column!r}, got others"
        raise InputError(message, where=f"data.{what}")
    return values


def column_of(dataset: Dataset, column: str, what: str) -> np.ndarray[Any, Any]:
    """Cells `(n,)` of a further column, which a run asks for by the name `what`.

    Raises:
        InputError: there is no such column.
    """
    if column not in dataset.row_table:
        found = sorted(dataset.row_table)
        message = f"{what}: the comparisons have no further column {column!r}; there are {found}"
        raise InputError(message, where=f"data.{what}")
    return dataset.row_table[column]


def language_tags(dataset: Dataset, column: str) -> list[str]:
    """Language tags of all comparisons from a further column, as they are written; "" in empty cells.

    Raises:
        InputError: there is no such column, or a cell holds something else.
    """
    tags = []
    for row, cell in enumerate(column_of(dataset, column, "languages")):
        tag = "" if cell is None or cell != cell else cell
        if tag != "" and not (isinstance(tag, str) and _TAG.fullmatch(tag)):
            message = (
                f"languages: expected language tags such as de-AT in column {column!r}, "
                f"got {cell!r} in comparison {row}"
            )
            raise InputError(message, where="data.languages")
        tags.append(tag)
    return tags


def valid_set(
    dataset: Dataset, split: Split, *, groups: str = "", margins: str = "", degrees: str = ""
) -> TrainingSet | None:
    """The validation people of a split, None when it has none."""
    rows = split.get("valid_people")
    if rows is None or len(rows) == 0:
        return None
    if "valid_support" not in split:
        return training_set(dataset, rows, groups=groups, margins=margins, degrees=degrees)[0]
    support, query = split["valid_support"], split["valid_query"]
    both = np.concatenate([support, query])
    marks = np.arange(len(both)) < len(support)
    found, _ = training_set(
        dataset, both, is_support=marks, groups=groups, margins=margins, degrees=degrees
    )
    return found


def people_rows(dataset: Dataset, rows: I64) -> tuple[TrainingSet, I64, I64]:
    """Rows sorted by person: the set, each person's code, and `(p + 1,)` where their rows begin."""
    ordered = rows[np.argsort(dataset.comparisons.user[rows], kind="stable")]
    view, people = training_set(dataset, ordered)
    counts = np.bincount(view.user, minlength=view.people)
    return view, people, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
