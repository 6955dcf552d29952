"""People who judge families that were not fitted on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.models.validation import part
from gustibus.types import I64

_JUDGES, _FOLDS, _FEWEST = 400, 4, 10
"""People who should judge; draws of them at most; people below which nobody is held out."""
_JUDGING, _VALID = 0.25, 0.15
"""Shares: of people who judge, and of the rest who are a family's validation people."""
_ROWS = 150_000
"""Comparisons that candidates are fitted on at most; with far fewer than the last fit gets, what is
simpler, and what is blended with it, looks better than it will be."""


class Draw(NamedTuple):
    """People of one draw."""

    train: TrainingSet
    valid: TrainingSet | None
    judges: TrainingSet


def draws_of(both: TrainingSet, seed: int) -> Iterator[Draw]:
    """Draws of judging people, until enough have judged; nobody judges twice."""
    people = np.flatnonzero(np.bincount(both.user, minlength=both.people))
    if len(people) < _FEWEST:
        return
    order = np.random.default_rng(seed).permutation(people)
    each = max(int(_JUDGING * len(people)), 2)
    count = int(np.clip(np.ceil(_JUDGES / each), 1, _FOLDS))
    for number in range(count):
        judges = order[number * each : (number + 1) * each][:_JUDGES]
        rest = np.setdiff1d(people, judges)
        rest = _as_many_as(both, np.random.default_rng([seed, number]).permutation(rest))
        valid = max(int(_VALID * len(rest)), 1)
        yield Draw(
            part(both, np.sort(rest[valid:])), part(both, np.sort(rest[:valid])),
            part(both, np.sort(judges)),
        )  # fmt: skip


def _as_many_as(data: TrainingSet, people: I64) -> I64:
    """The first people who have `_ROWS` rows together, or all."""
    rows = np.cumsum(np.bincount(data.user, minlength=data.people)[people])
    return people[: max(int(np.searchsorted(rows, _ROWS)), 2)]
