"""Rows of people: what places them, what judges them, and views of a data set for fitting."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gustibus.data import Dataset, Split
from gustibus.errors import InputError
from gustibus.models.base import TrainingSet
from gustibus.types import F32, F64, I64, Bool

FITTED = ("train", "val")
"""Parts that place a seen person: the person's own answers that were open to the model."""
CELLS = ("test", "test_new_items", "query", "query_new_items")
"""Judged parts: seen people, seen people on new items, new people, new people on new items."""


class Rows(NamedTuple):
    """Rows of a data set grouped by person; person `i` has `row[starts[i]:starts[i + 1]]`."""

    row: I64
    starts: I64

    @property
    def people(self) -> int:
        """Number of people, those without rows included."""
        return len(self.starts) - 1

    @property
    def counts(self) -> I64:
        """`(p,)` rows of each person."""
        return np.diff(self.starts)

    @property
    def person(self) -> I64:
        """`(n,)` whose each row is."""
        return np.repeat(np.arange(self.people), self.counts)

    def of(self, people: I64) -> Rows:
        """The rows of some people, in the order given; a person may come more than once."""
        counts = self.counts[people]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        shift = np.repeat(self.starts[people] - starts[:-1], counts)
        return Rows(self.row[np.arange(starts[-1]) + shift], starts)

    def none(self) -> Rows:
        """The same people without rows."""
        return Rows(self.row[:0], np.zeros_like(self.starts))

    def keep(self, mask: Bool) -> Rows:
        """The rows under a mask `(n,)`, with the same people."""
        counts = np.bincount(self.person[mask], minlength=self.people)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Rows(self.row[mask], starts)


def people_with(dataset: Dataset, rows: I64) -> I64:
    """Codes of the people who have any of the rows, ascending."""
    return np.unique(dataset.comparisons.user[rows]).astype(np.int64)


def rows_of(dataset: Dataset, rows: I64, people: I64) -> Rows:
    """Rows of the given people (ascending codes), in order of person and as given within one.

    Rows of other people and rows of weight 0 are left out.
    """
    c = dataset.comparisons
    rows = rows[c.weight[rows] > 0]
    place = np.searchsorted(people, c.user[rows])
    place = np.minimum(place, max(len(people) - 1, 0))
    mine = people[place] == c.user[rows] if len(people) else np.zeros(len(rows), np.bool_)
    order = np.argsort(place[mine], kind="stable")
    counts = np.bincount(place[mine], minlength=len(people))
    return Rows(rows[mine][order], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def targets(dataset: Dataset, rows: Rows) -> F64:
    """`(n,)` what each row's person answered."""
    return dataset.comparisons.target[rows.row].astype(np.float64)


def fitting_sets(dataset: Dataset, split: Split) -> tuple[TrainingSet, TrainingSet | None]:
    """What a family is fitted on, and the validation people that choose its settings.

    Raises:
        InputError: the split has no `train`, or the data set no item features.
    """
    if "train" not in split or len(split["train"]) == 0:
        message = f"split: expected a part 'train' to fit on, got {sorted(split)}"
        raise InputError(message, where="split")
    train = _view(dataset, split["train"], None)
    if "valid_support" not in split:
        rows = split.get("valid_people")
        return train, None if rows is None or len(rows) == 0 else _view(dataset, rows, None)
    support, query = split["valid_support"], split["valid_query"]
    both = np.concatenate([support, query])
    if len(both) == 0:
        return train, None
    return train, _view(dataset, both, np.arange(len(both)) < len(support))


def shuffle_users(data: TrainingSet, *, seed: int) -> TrainingSet:
    """The same answers given to people at random: each keeps their number of rows, not their own.

    What marks a validation person's placing rows stays with the rows.
    """
    rng = np.random.default_rng(seed)
    user = data.user.copy()
    marks = np.zeros(len(data), np.bool_) if data.is_support is None else data.is_support
    for part in (np.flatnonzero(marks), np.flatnonzero(~marks)):
        user[part] = rng.permutation(user[part])
    return replace(data, user=user)


def strata(dataset: Dataset, rows: Rows) -> I64:
    """`(p,)` the prompt that most of a person's rows are about, or zeros where that says nothing.

    People who were asked about different things differ for that reason alone, so that a swap of
    people stays within one prompt; but not where most people have a prompt to themselves.
    """
    prompt = dataset.comparisons.prompt[rows.row]
    main = np.full(rows.people, -1, np.int64)
    for person in range(rows.people):
        mine = prompt[rows.starts[person] : rows.starts[person + 1]]
        if len(mine):
            main[person] = Counter(mine.tolist()).most_common(1)[0][0]
    sizes = Counter(main[main >= 0].tolist())
    alone = sum(1 for p in main.tolist() if p >= 0 and sizes[p] < 2)
    if 2 * alone > int((main >= 0).sum()):
        return np.where(main >= 0, 0, -1)
    return main


def _view(dataset: Dataset, rows: I64, is_support: Bool | None) -> TrainingSet:
    c = dataset.comparisons
    if dataset.item_features is None:
        message = "dataset: has texts but no item features; encode them first"
        raise InputError(message, where="dataset")
    people, user = np.unique(c.user[rows], return_inverse=True)
    prompts: F32 | None = dataset.prompt_features
    return TrainingSet(
        user=user.astype(np.int32), prompt=c.prompt[rows], a=c.a[rows], b=c.b[rows],
        target=c.target[rows], weight=c.weight[rows], item_features=dataset.item_features,
        prompt_features=prompts, people=len(people), is_support=is_support,
    )  # fmt: skip
