"""Ranked lists put together from comparisons: what one person said of the responses to one prompt."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gustibus.models.base import TrainingSet
from gustibus.types import F32, F64, I64, Bool

LONGEST = 32
"""Members of a list; longer ones are cut at random into lists of about one length."""


class RankedLists(NamedTuple):
    """`l` lists of at most `k` members, the places behind the last member left out."""

    item: I64
    """`(l, k)` rows of the item features."""
    grade: F32
    """`(l, k)` labels in [0, 1], higher for better."""
    mask: Bool
    """`(l, k)` which members there are; at least two a list."""
    weight: F32
    """`(l,)` weight of the rows that a list is made of, in units of one row a further member."""
    row: I64
    """`(l,)` one of the rows that it is made of."""


def ranked_lists(data: TrainingSet, *, longest: int = LONGEST, seed: int = 0) -> RankedLists:
    """The lists of a training set, by person and prompt.

    Labels are the grades, where rows have them. Otherwise they are the mean chances to win against
    the members of the list, itself and those never compared with counting one half.

    Args:
        data: comparisons; rows without weight are left out.
        longest: most members.
        seed: of the cuts.
    """
    kept = np.flatnonzero(data.weight > 0)
    prompts = int(data.prompt[kept].max(initial=0)) + 1
    _, of_row = np.unique(
        data.user[kept].astype(np.int64) * prompts + data.prompt[kept], return_inverse=True
    )
    m = len(data.item_features)
    sides = np.concatenate([of_row * m + data.a[kept], of_row * m + data.b[kept]])
    keys, member = np.unique(sides, return_inverse=True)
    of_member, item = np.divmod(keys, m)
    size = np.bincount(of_member)
    if data.grade is None:
        label = _chances(
            member.reshape(2, -1), data.target[kept], data.weight[kept], size[of_member]
        )
    else:
        grades = data.grade[kept].T.ravel()
        label = np.bincount(member, grades) / np.bincount(member)
    row = np.zeros(len(size), np.int64)
    row[of_row] = kept
    heft = np.bincount(of_row, data.weight[kept]) / (size - 1)
    return _padded(of_member, item, label, heft, row, longest, seed)


def _chances(member: I64, target: F32, weight: F32, size: I64) -> F64:
    """Mean chance of each member to win; `(2, n)` codes of the members that rows compare."""
    count = len(size)
    low, high = member.min(0), member.max(0)
    first = np.where(member[0] == low, target, 1 - target).astype(np.float64)
    pairs, pair = np.unique(low * count + high, return_inverse=True)
    chance = np.bincount(pair, first * weight) / np.bincount(pair, weight)
    low, high = np.divmod(pairs, count)
    won = np.bincount(low, chance, count) + np.bincount(high, 1 - chance, count)
    met = np.bincount(low, minlength=count) + np.bincount(high, minlength=count)
    return np.asarray((won + 0.5 * (size - met)) / size)


def _padded(
    of: I64, item: I64, label: F64, heft: F64, row: I64, longest: int, seed: int
) -> RankedLists:
    """Matrices of the members, whose lists `of` rise; lists that are too long are cut."""
    order = np.lexsort((np.random.default_rng(seed).permutation(len(of)), of))
    size = np.bincount(of)
    place = np.arange(len(of)) - np.repeat(np.cumsum(size) - size, size)
    pieces = -(-size // longest)
    piece = np.zeros(len(of), np.int64)
    piece[order] = place % pieces[of[order]]
    keys, code = np.unique(of * int(pieces.max(initial=1)) + piece, return_inverse=True)
    order = np.argsort(code, kind="stable")
    count = np.bincount(code)
    width = int(count.max(initial=2))
    column = np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)
    shape = (len(keys), width)
    items, grades, mask = (
        np.zeros(shape, np.int64),
        np.zeros(shape, np.float32),
        np.zeros(shape, bool),
    )
    items[code[order], column] = item[order]
    grades[code[order], column] = label[order]
    mask[code[order], column] = True
    whole = keys // int(pieces.max(initial=1))
    return RankedLists(items, grades, mask, heft[whole].astype(np.float32), row[whole])
