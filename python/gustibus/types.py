"""Array names and shape letters used everywhere.

Letters in shape comments: `b` batch, `p` people, `n` responses, candidates or rows, `m` items,
`d` item feature, `r` representation, `u` user vector, `g` groups of a prior, `s` evidence rows.
Leading dimensions that merely broadcast are `*b`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
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
