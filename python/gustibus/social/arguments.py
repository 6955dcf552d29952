"""Arguments of fair ranking, fusion and bias: whole numbers, numbers, rankings."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gustibus.errors import InputError, NotFiniteError
from gustibus.types import F64, doubles


def whole(name: str, value: Any, *, least: int = 1, most: int = 2**63 - 1) -> int:
    """A whole number in a range.

    Raises:
        InputError: it is none, or outside.
    """
    span = f"of at least {least}" if most >= 2**63 - 1 else f"from {least} to {most}"
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        message = f"{name}: expected a whole number {span}, got {value!r}"
        raise InputError(message) from None
    if not least <= number <= most:
        message = f"{name}: expected a whole number {span}, got {number}"
        raise InputError(message)
    return number


def threads_of(threads: Any) -> int | None:
    """A number of threads, or None for every core."""
    return None if threads is None else whole("threads", threads, most=1024)


def seed_of(seed: Any) -> int:
    """A seed of 64 bits."""
    return whole("seed", seed, least=0, most=2**63 - 1)


def real(name: str, value: Any) -> float:
    """A finite number.

    Raises:
        InputError: it is no number; `NotFiniteError` when it is NaN or infinite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        message = f"{name}: expected a number, got {value!r}"
        raise InputError(message) from None
    if not np.isfinite(number):
        message = f"{name}: expected a finite number, got {number}"
        raise NotFiniteError(message)
    return number


def reals(name: str, values: Any, *, dims: int = 1) -> F64:
    """A contiguous array of doubles with `dims` dimensions and at least one number.

    Raises:
        InputError: not numbers, another shape, or empty.
    """
    try:
        array = np.ascontiguousarray(doubles(values))
    except (TypeError, ValueError) as error:
        message = f"{name}: expected numbers, got {type(values).__name__}: {error}"
        raise InputError(message) from error
    if array.ndim != dims or array.size == 0 or np.ndim(values) != dims:
        message = f"{name}: expected {dims} dimension(s) and no empty one, got {np.shape(values)}"
        raise InputError(message)
    return array
