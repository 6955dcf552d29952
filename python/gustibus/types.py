"""Array names and shape letters used everywhere.

Letters in shape comments: `b` batch, `p` people, `n` responses, candidates or rows, `m` items,
`d` item feature, `r` representation, `u` user vector, `g` groups of a prior, `s` evidence rows.
Leading dimensions that merely broadcast are `*b`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import InputError

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
Bool: TypeAlias = NDArray[np.bool_]


def doubles(values: Any) -> F64:
    """An array of doubles; a view where it is one already.

    Raises:
        TypeError: Complex numbers, of which NumPy would keep the real part, or others that it cannot read.
        ValueError: No numbers at all, or rows of several lengths.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        message = "rows of several lengths"
        raise ValueError(message) from None
    if array.dtype.kind == "c":
        message = "complex numbers"
        raise TypeError(message)
    return np.asarray(array, np.float64)


def integers(name: str, values: Any, *, dims: int = 1, empty: bool = False) -> I64:
    """A contiguous array of whole numbers with `dims` dimensions.

    Args:
        name: of the argument, for errors.
        values: integers of any width; floats and flags are refused.
        dims: number of dimensions.
        empty: whether the array may hold nothing.

    Raises:
        InputError: not whole numbers, another number of dimensions, or empty where it may not be.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        message = f"{name}: expected whole numbers, got {type(values).__name__}: {error}"
        raise InputError(message) from error
    if array.ndim != dims or (array.size == 0 and not empty):
        message = f"{name}: expected {dims} dimension(s) and no empty one, got {array.shape}"
        raise InputError(message)
    if array.size and array.dtype.kind not in "iu":
        message = f"{name}: expected whole numbers, got an array of {array.dtype}"
        raise InputError(message)
    return np.ascontiguousarray(array, np.int64)
