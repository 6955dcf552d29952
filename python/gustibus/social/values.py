"""Checks of small arguments that several functions take."""

from __future__ import annotations

import numpy as np

from gustibus.errors import InputError


def check_threads(threads: int | None) -> int | None:
    """The number of threads as it is.

    Raises:
        InputError: Not a whole number of at least 1.
    """
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        message = f"threads: expected a number of at least 1, got {threads!r}"
        raise InputError(message)
    return threads


def check_seed(seed: int) -> int:
    """The seed as it is.

    Raises:
        InputError: Not a whole number from 0 to 2^53.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= 1 << 53:
        message = f"seed: expected a whole number from 0 to 2^53, got {seed!r}"
        raise InputError(message)
    return seed


def check_count(name: str, count: int) -> int:
    """The count as it is.

    Raises:
        InputError: Not a whole number of at least 1.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        message = f"{name}: expected a whole number of at least 1, got {count!r}"
        raise InputError(message)
    return int(count)
