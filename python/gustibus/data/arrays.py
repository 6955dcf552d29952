"""Arrays that functions are called with: numbers, shapes and ranges, refused with their name."""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.types import F64, I64, Bool


def finite(
    name: str, values: Any, *, dims: int = 1, low: float = -np.inf, high: float = np.inf
) -> F64:
    """An array of finite doubles with `dims` dimensions, all of them in `[low, high]`.

    Raises:
        NotFiniteError: a number is NaN or infinite.
        DimensionError: it has another number of dimensions, or no numbers.
        InputError: something is no number, or is out of range.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        message = f"{name}: expected numbers in {dims} dimension(s), got {values!r:.80}"
        raise InputError(message, where=name) from error
    if array.ndim != dims or (dims and array.size == 0):
        message = f"{name}: expected {dims} dimension(s) and no empty one, got shape {array.shape}"
        raise DimensionError(message, where=name)
    if not np.isfinite(array).all():
        message = f"{name}: expected finite numbers, got NaN or infinity"
        raise NotFiniteError(message, where=name)
    outside = array[(array < low) | (array > high)]
    if outside.size:
        message = f"{name}: expected numbers in [{low:g}, {high:g}], got {outside.flat[0]:g}"
        raise InputError(message, where=name)
    return array


def dims_of(name: str, values: Any, *, least: int = 0) -> int:
    """How many dimensions values have, at least `least`; for functions that take any.

    Raises:
        InputError: rows are of different lengths.
    """
    try:
        return max(int(np.ndim(values)), least)
    except ValueError as error:
        message = f"{name}: expected numbers in rows of equal length, got {values!r:.80}"
        raise InputError(message, where=name) from error


def number(
    name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, open_ends: str = ""
) -> float:
    """One finite number in a range.

    Args:
        name: for the message.
        value: what was given.
        low: least value.
        high: largest value.
        open_ends: `(` where `low` itself is refused, `)` where `high` is, `()` where both are.

    Raises:
        InputError: it is no finite number, or out of range.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and np.isfinite(value) and low <= value <= high:
        at_end = ("(" in open_ends and value == low) or (")" in open_ends and value == high)
        if not at_end:
            return float(value)
    left = "(" if "(" in open_ends or low == -np.inf else "["
    right = ")" if ")" in open_ends or high == np.inf else "]"
    message = f"{name}: expected a number in {left}{low:g}, {high:g}{right}, got {value!r:.80}"
    raise InputError(message, where=name)


def above(name: str, value: Any, bound: float = 0.0) -> float:
    """One finite number above a bound."""
    found = number(name, value)
    if found <= bound:
        message = f"{name}: expected a number above {bound:g}, got {found:g}"
        raise InputError(message, where=name)
    return found


def count(name: str, value: Any, *, low: int = 1) -> int:
    """A whole number of at least `low`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low:
        message = f"{name}: expected a whole number of at least {low}, got {value!r:.80}"
        raise InputError(message, where=name)
    return int(value)


def codes(name: str, values: Any, *, dims: int = 1) -> I64:
    """Whole numbers with `dims` dimensions."""
    array = finite(name, values, dims=dims)
    if (array != np.floor(array)).any():
        message = f"{name}: expected whole numbers, got {array[array != np.floor(array)].flat[0]:g}"
        raise InputError(message, where=name)
    return array.astype(np.int64)


def flags(name: str, values: Any) -> Bool:
    """`(n,)` truth values; 0 and 1 count as such."""
    array = finite(name, values)
    if not np.isin(array, (0, 1)).all():
        wrong = array[~np.isin(array, (0, 1))][0]
        message = f"{name}: expected true or false, got {wrong:g}"
        raise InputError(message, where=name)
    return array.astype(np.bool_)


def names(name: str, values: Any) -> np.ndarray[Any, Any]:
    """`(n,)` objects that are compared for equality alone, such as labels; None is refused."""
    try:
        listed = list(values)
    except TypeError as error:
        message = f"{name}: expected a list of values, got {values!r:.80}"
        raise InputError(message, where=name) from error
    if any(isinstance(v, list | tuple | np.ndarray) for v in listed):
        message = f"{name}: expected single values, got lists among them"
        raise InputError(message, where=name)
    if not listed or any(v is None or v != v for v in listed):
        got = "none" if not listed else "an absent one"
        message = f"{name}: expected at least one value and all of them present, got {got}"
        raise InputError(message, where=name)
    array = np.empty(len(listed), dtype=object)
    array[:] = [v.item() if isinstance(v, np.generic) else v for v in listed]
    return array


def texts(name: str, values: Any) -> list[str]:
    """A list of texts, of any length.

    Raises:
        InputError: it is no list, or something in it is no text.
    """
    listed = list(values) if isinstance(values, list | tuple | np.ndarray) else [values]
    if isinstance(values, str) or not all(isinstance(value, str) for value in listed):
        message = f"{name}: expected a list of texts, got {values!r:.80}"
        raise InputError(message, where=name)
    return [str(value) for value in listed]


def same_length(**arrays: Any) -> None:
    """Refuse arrays that differ in their first dimension; None is left out."""
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        message = f"{', '.join(lengths)}: expected equal lengths, got {lengths}"
        raise DimensionError(message, where=next(iter(lengths)))


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """A word out of a few."""
    if value not in known:
        message = f"{name}: expected one of {list(known)}, got {value!r:.80}"
        raise InputError(message, where=name)
    return value
