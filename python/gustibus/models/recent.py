"""Fits that a search over families makes more than once: within `remembered`, each is made once.

`gpm` starts from a fit of `hierarchical`, which `auto` has just made for the same people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from gustibus.models.base import TrainingSet

_T = TypeVar("_T")
_fits: ContextVar[dict[bytes, Any] | None] = ContextVar("fits", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Fits that are made through `once` inside are kept until the end."""
    token = _fits.set({})
    try:
        yield
    finally:
        _fits.reset(token)


def once(make: Callable[[], _T], *parts: TrainingSet | str | None) -> _T:
    """A fit, or what else is made of data, unless the same was made before.

    A fit is a function of its data, settings and seed, so that one that was kept is the one that
    would be made.

    Args:
        make: makes it.
        *parts: what it depends on: data, which count by content, and settings as text.
    """
    known = _fits.get()
    if known is None:
        return make()
    key = identity(*parts)
    if key not in known:
        known[key] = make()
    kept: _T = known[key]
    return kept


def identity(*parts: TrainingSet | str | None) -> bytes:
    """What tells data, by its content, and settings, as text, from all others."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        values = [part]
        if isinstance(part, TrainingSet):
            values = [getattr(part, field.name) for field in fields(part)]
        for value in values:
            _add(state, value)
    return state.digest()


def _add(state: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        state.update(f"{value.dtype} {value.shape}".encode())
        state.update(np.ascontiguousarray(value))
    else:
        state.update(f"{value!r};".encode())
