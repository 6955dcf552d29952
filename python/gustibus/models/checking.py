"""What a fit is given, looked at once before any work starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gustibus.data.arrays import count
from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.models.base import TrainingSet, check_features
from gustibus.types import F32, I32, Bool

_LARGEST = np.iinfo(np.int32).max


def checked(
    train: TrainingSet, valid: TrainingSet | None
) -> tuple[TrainingSet, TrainingSet | None]:
    """Training and validation people whose columns fit together, in the types that fits expect.

    Numbers of another type, such as float64 features, are converted; what needs no conversion is
    passed on as it is.

    Args:
        train: comparisons of the seen people.
        valid: comparisons of other people over the same features, or None.

    Raises:
        InputError: a column is of another kind, length or range than `TrainingSet` says; the
            message names the column and the first row that is wrong.
        DimensionError: features have another shape.
        NotFiniteError: a number is NaN or infinite.
    """
    train = checked_set("train", train)
    if valid is None:
        return train, None
    valid = checked_set("valid", valid)
    for name in ("item_features", "prompt_features"):
        ours, theirs = getattr(train, name), getattr(valid, name)
        if (ours is None) != (theirs is None):
            message = f"valid.{name}: expected them where train has them alone, got " + (
                "none" if theirs is None else "some"
            )
            raise InputError(message, where=f"valid.{name}")
        if ours is not None and theirs.shape[1] != ours.shape[1]:
            message = (
                f"valid.{name}: expected {ours.shape[1]} columns, those of train, got "
                f"{theirs.shape[1]}"
            )
            raise DimensionError(message, where=f"valid.{name}")
    rows = len(train.item_features)  # by the choice made, both are fitted on these
    for name in ("a", "b"):
        _refuse_outside(
            f"valid.{name}", getattr(valid, name), rows, "the rows of train.item_features"
        )
    if train.prompt_features is not None:
        rows = len(train.prompt_features)
        _refuse_outside("valid.prompt", valid.prompt, rows, "the rows of train.prompt_features")
    return train, valid


def checked_set(name: str, data: TrainingSet) -> TrainingSet:
    """One of the two sets of `checked`, by the name that messages give it."""
    if not isinstance(data, TrainingSet):
        message = f"{name}: expected a TrainingSet, got {type(data).__name__}"
        raise InputError(message, where=name)
    people = count(f"{name}.people", data.people, low=0)
    user = _codes(f"{name}.user", data.user, None, people, f"{name}.people")
    n = len(user)
    items = _features(f"{name}.item_features", data.item_features)
    prompts = data.prompt_features
    if prompts is not None:
        prompts = _features(f"{name}.prompt_features", prompts)
    own = count(f"{name}.own", data.own, low=0)
    if own > items.shape[1]:
        message = (
            f"{name}.own: expected at most the {items.shape[1]} columns of features, got {own}"
        )
        raise InputError(message, where=f"{name}.own")
    asked = _LARGEST if prompts is None else len(prompts)
    what = f"the rows of {name}.item_features"
    found: dict[str, Any] = {
        "people": people, "user": user, "item_features": items, "prompt_features": prompts,
        "prompt": _codes(
            f"{name}.prompt", data.prompt, n, asked, f"the rows of {name}.prompt_features"
        ),
        "a": _codes(f"{name}.a", data.a, n, len(items), what),
        "b": _codes(f"{name}.b", data.b, n, len(items), what),
        "target": _numbers(f"{name}.target", data.target, (n,), 0.0, 1.0),
        "weight": _numbers(f"{name}.weight", data.weight, (n,), 0.0),
        "own": own,
    }  # fmt: skip
    if data.is_support is not None:
        found["is_support"] = _flags(f"{name}.is_support", data.is_support, n)
    for column in ("group", "degree"):
        if (values := getattr(data, column)) is not None:
            found[column] = _codes(f"{name}.{column}", values, n, _LARGEST, "2^31 - 1")
    if data.margin is not None:
        found["margin"] = _numbers(f"{name}.margin", data.margin, (n,))
    if data.grade is not None:
        found["grade"] = _numbers(f"{name}.grade", data.grade, (n, 2))
    changed = {
        column: value for column, value in found.items() if value is not getattr(data, column)
    }
    return replace(data, **changed) if changed else data


def _features(name: str, value: Any) -> F32:
    """`(rows, columns)` as float32."""
    shape = np.shape(value)
    if len(shape) != 2:
        message = f"{name}: expected shape (rows, columns), got {shape}"
        raise DimensionError(message, where=name)
    return check_features(name, value, shape[1])


def _column(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray[Any, Any]:
    """An array of numbers or truth values of a shape, of which None is any length."""
    array = np.asarray(value)
    if array.ndim != len(shape) or any(
        want not in (None, got) for want, got in zip(shape, array.shape, strict=True)
    ):
        expected = "(" + ", ".join("n" if one is None else str(one) for one in shape) + ",)"
        expected = expected if len(shape) == 1 else expected.replace(",)", ")")
        message = f"{name}: expected shape {expected}, got {array.shape}"
        raise DimensionError(message, where=name)
    return array


def _codes(name: str, value: Any, length: int | None, end: int, of: str) -> I32:
    """Whole numbers from 0 to below `end`, which `of` tells of."""
    array = _column(name, value, (length,))
    if array.dtype.kind not in "iu" and array.size:
        message = f"{name}: expected whole numbers, got {array.dtype}"
        raise InputError(message, where=name)
    _refuse_outside(name, array, end, of)
    return np.ascontiguousarray(array, np.int32)


def _refuse_outside(name: str, array: np.ndarray[Any, Any], end: int, of: str) -> None:
    if array.size and not (array.min() >= 0 and array.max() < end):
        row = int(np.flatnonzero((array < 0) | (array >= end))[0])
        message = (
            f"{name}: expected codes from 0 to below {end}, {of}, got {array[row]} in row {row}"
        )
        raise InputError(message, where=name)


def _numbers(
    name: str, value: Any, shape: tuple[int, ...], low: float = -np.inf, high: float = np.inf
) -> F32:
    """Finite numbers from `low` to `high` as float32."""
    array = _column(name, value, shape)
    if array.dtype.kind not in "fiu" and array.size:
        message = f"{name}: expected numbers, got {array.dtype}"
        raise InputError(message, where=name)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused
        found = np.ascontiguousarray(array, np.float32)
    rows = found if found.ndim > 1 else found[:, None]
    bad = ~np.isfinite(rows)
    if bad.any():
        row = int(np.flatnonzero(bad.any(axis=1))[0])
        message = f"{name}: row {row} holds NaN or infinity"
        raise NotFiniteError(message, where=name)
    outside = (rows < low) | (rows > high)
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        said = f"at least {low:g}" if high == np.inf else f"in [{low:g}, {high:g}]"
        message = (
            f"{name}: expected numbers {said}, got {rows[row][outside[row]][0]:g} in row {row}"
        )
        raise InputError(message, where=name)
    return found


def _flags(name: str, value: Any, length: int) -> Bool:
    """Truth values."""
    array = _column(name, value, (length,))
    if array.dtype.kind != "b" and array.size:
        message = f"{name}: expected true or false, got {array.dtype}"
        raise InputError(message, where=name)
    return array.astype(np.bool_, copy=False)
