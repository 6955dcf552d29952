"""Fits that a search over families makes more than once: within `remembered`, each is made once.

`gpm` starts from a fit of `hierarchical`, which `auto` has just made for the same people.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from gustibus.models.base import TrainingSet

_T = TypeVar("_T")


@dataclass
class _Kept:
    """What was made, and the seconds that it took; and those that were spared since."""

    made: dict[bytes, tuple[Any, float]] = field(default_factory=dict)
    spared: float = 0.0


_kept: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextmanager
def remembered() -> Iterator[None]:
    """Fits that are made through `once` inside are kept until the end."""
    token = _kept.set(_Kept())
    try:
        yield
    finally:
        _kept.reset(token)


def spared() -> float:
    """Seconds that kept fits have spared so far, by what making them took."""
    kept = _kept.get()
    return 0.0 if kept is None else kept.spared


def once(make: Callable[[], _T], *parts: TrainingSet | str | None) -> _T:
    """A fit, or what else is made of data, unless the same was made before.

    A fit is a function of its data, settings and seed, so that one that was kept is the one that
    would be made.

    Args:
        make: makes it.
        *parts: what it depends on: data, which count by content, and settings as text.
    """
    kept = _kept.get()
    if kept is None:
        return make()
    key = identity(*parts)
    if key in kept.made:
        kept.spared += kept.made[key][1]
    else:
        began = time.perf_counter()
        made = make()
        kept.made[key] = made, time.perf_counter() - began
    found: _T = kept.made[key][0]
    return found


def identity(*parts: TrainingSet | str | None) -> bytes:
    """What tells data, by its content, and settings, as text, from all others."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        values = [part]
        if isinstance(part, TrainingSet):
            values = [getattr(part, one.name) for one in fields(part)]
        for value in values:
            _add(state, value)
    return state.digest()


def _add(state: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        state.update(f"{value.dtype} {value.shape}".encode())
        state.update(np.ascontiguousarray(value))
    else:
        state.update(f"{value!r};".encode())
