"""Few-shot draws in which every larger set contains the smaller ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gustibus.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gustibus.types import I32, I64, Bool

SIZES = (0, 1, 2, 5, 10, 20, 50)
"""The usual numbers of shots."""


@dataclass(frozen=True, slots=True, eq=False)
class Shots:
    """For each draw, every person's support rows in an order whose first `n` are the `n` shots."""

    sizes: tuple[int, ...]
    rows: I64
    """`(draws, k)` rows, grouped by person as `starts` says."""
    starts: I64
    """`(p + 1,)` offsets; in each draw person `i` has `rows[draw, starts[i]:starts[i + 1]]`."""
    available: Bool
    """`(p, len(sizes))` whether the person has that many support rows."""

    def take(self, draw: int, size: int) -> tuple[I64, I64]:
        """The shots of every person who has `size` of them.

        Returns:
            `(rows, starts)` as in `Comparisons.rows_of_people`; people without enough have none.

        Raises:
            InputError: `size` is not one of `sizes`.
        """
        if size not in self.sizes:
            message = f"size: expected one of {list(self.sizes)}, got {size}"
            raise InputError(message, where="size")
        enough = self.available[:, self.sizes.index(size)]
        starts = np.concatenate([[0], np.cumsum(np.where(enough, size, 0))])
        first = np.repeat(self.starts[:-1][enough], size)
        return self.rows[draw][first + np.tile(np.arange(size), int(enough.sum()))], starts

    def of_person(self, person: int, draw: int, size: int) -> I64:
        """`(size,)` the shots of one person; fewer rows only where the person has fewer."""
        begin, end = self.starts[person], self.starts[person + 1]
        return self.rows[draw, begin : min(begin + size, end)]


def nested_shots(
    rows: I64,
    starts: I64,
    *,
    sizes: Sequence[int] = SIZES,
    draws: int = 10,
    seed: int,
    order: I32 | None = None,
) -> Shots:
    """Draw nested few-shot sets, the same for every method that is given them.

    Args:
        rows: `(k,)` support rows grouped by person, from `Comparisons.rows_of_people`.
        starts: `(p + 1,)` offsets of the people in `rows`.
        sizes: Numbers of shots, each at or above 0.
        draws: At least 1.
        seed: Of the random draws.
        order: `(n,)` the `order` column of the comparisons. Draw 0 follows it (rows without a place
            come last, ties in row order); None: draw 0 is random as well.

    Raises:
        InputError: A size is negative or there are no draws.
    """
    if draws < 1 or not sizes or min(sizes) < 0:
        message = f"expected sizes at or above 0 and draws at or above 1, got {sizes} and {draws}"
        raise InputError(message, where="sizes")
    rng = np.random.default_rng(seed)
    counts = np.diff(starts)
    person = np.repeat(np.arange(len(counts)), counts)
    keys = rng.random((draws, len(rows)))
    if order is not None:
        keys[0] = np.where(order[rows] < 0, np.inf, order[rows])
    drawn = [rows[np.lexsort((key, person))] for key in keys]
    return Shots(
        sizes=tuple(int(size) for size in sizes),
        rows=np.stack(drawn).astype(np.int64),
        starts=np.asarray(starts, dtype=np.int64),
        available=counts[:, None] >= np.asarray(sizes),
    )
