"""Answers about items by people whose user vectors are known, from which items are learned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gustibus.errors import InputError
from gustibus.types import F32, F64, I64


class ItemAnswers(NamedTuple):
    """Answers about items, by people whose user vectors are known."""

    item: I64
    """`(n,)` which item, a row of the features that come with them."""
    other: F32
    """`(n, r)` representations of what it was compared with."""
    user: F64
    """`(n, u)` user vectors of those who answered."""
    target: F64
    """`(n,)` in `[0, 1]`, 1 where the item was preferred."""
    weight: F64 | None = None
    """`(n,)` what each counts; 1 where there is none."""


def check_answers(answers: ItemAnswers, number: I64, r: int, u: int) -> None:
    """Refuse answers that do not fit together, or about an item that stands twice among the items.

    Raises:
        InputError: names the field.
    """
    first, place = np.unique(number, return_index=True)
    if len(first) < len(number):
        again = int(np.setdiff1d(np.arange(len(number)), place)[0])
        one = int(np.flatnonzero(number == number[again])[0])
        message = f"items: expected different items, row {again} is the same as row {one}"
        raise InputError(message, where="items")
    n = len(answers.target)
    shapes = {"item": (n,), "other": (n, r), "user": (n, u), "target": (n,), "weight": (n,)}
    for name, shape in shapes.items():
        value = getattr(answers, name)
        if value is None:
            continue
        if np.shape(value) != shape:
            message = f"answers.{name}: expected the shape {shape}, got {np.shape(value)}"
            raise InputError(message, where=f"answers.{name}")
        if not np.isfinite(value).all():
            message = f"answers.{name}: expected finite numbers, got NaN or infinity"
            raise InputError(message, where=f"answers.{name}")
    item, target = np.asarray(answers.item), np.asarray(answers.target)
    if n and not (item.min() >= 0 and item.max() < len(number)):
        message = (
            f"answers.item: expected rows 0 to {len(number) - 1}, got {item.min()} to {item.max()}"
        )
        raise InputError(message, where="answers.item")
    if n and not (target.min() >= 0 and target.max() <= 1):
        message = (
            f"answers.target: expected numbers in [0, 1], got {target.min()} to {target.max()}"
        )
        raise InputError(message, where="answers.target")
    if answers.weight is not None and n and np.min(answers.weight) < 0:
        message = f"answers.weight: expected numbers from 0 on, got {np.min(answers.weight)}"
        raise InputError(message, where="answers.weight")
