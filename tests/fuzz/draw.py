"""Random arguments: valid ones, their edges, and now and then something that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

EDGES = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 5e-324, 1e-16, 1e16, 2.0**53, 1e154, 1e200, 1e308, -1e308,
    float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
WHOLE = (0, 1, -1, 2, 7, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40)
VAST = (2**53, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -(2**63))
OTHER = (None, "3", 1.5, b"1", [], {}, (), True, object())
WORDS = ("", "no such", "Borda", "größe", "順位", "a\x00b", "\ud800", "x" * 5000, "order ")


class Draw:
    """Arguments of one case.

    A third of all cases are valid throughout, which alone reaches deep; in the others a share of the
    values is replaced by edges and by what does not fit.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.share = float(self.rng.choice([0.0, 0.03, 0.2]))

    def spoils(self) -> bool:
        """Whether to replace the next value."""
        return bool(self.rng.random() < self.share)

    def chance(self, p: float) -> bool:
        """True with probability `p`."""
        return bool(self.rng.random() < p)

    def pick(self, values: Sequence[T]) -> T:
        """One of `values`."""
        return values[int(self.rng.integers(len(values)))]

    def maybe(self, value: Callable[[], T], p: float = 0.5) -> T | None:
        """A value or None."""
        return value() if self.chance(p) else None

    def count(self, low: int, high: int, *, work: bool = False, capped: bool = False) -> Any:
        """A whole number; one that says how much `work` to do is large only where that is an error."""
        if self.spoils():
            large = VAST if work and capped else () if work else WHOLE + VAST
            return self.pick((low - 1, high + 1, *OTHER, *large))
        return int(self.rng.integers(low, high + 1))

    def number(self, low: float, high: float) -> Any:
        """A float."""
        if self.spoils():
            return self.pick((*EDGES, *OTHER))
        if self.chance(0.2):
            return self.pick((low, high))
        return float(self.rng.uniform(low, high))

    def name(self, known: Sequence[str]) -> Any:
        """One of a few words."""
        return self.pick((*WORDS, None, 3, b"x")) if self.spoils() else self.pick(known)

    def flag(self) -> Any:
        """True or False."""
        return self.pick((None, 1, "yes")) if self.spoils() else self.chance(0.5)

    def seed(self) -> Any:
        """A seed."""
        return self.count(0, 2**53)

    def threads(self) -> Any:
        """A number of threads."""
        return self.pick((None, 0, *WHOLE, *VAST)) if self.spoils() else self.pick((None, 1, 2, 3))

    def seconds(self) -> Any:
        """A limit of time; always one where sizes may be spoiled, for then a search may be long."""
        if self.spoils():
            return self.pick((float("nan"), float("inf"), -1.0, 1e300, "3"))
        limit = float(self.rng.uniform(0, 0.2))
        return limit if self.share or self.chance(0.3) else None

    def limits(self) -> Any:
        """A tolerance and a number of iterations."""
        return (self.number(1e-12, 1e-3), self.count(1, 60, work=True))

    def array(self, values: Any, dtype: Any, *, work: bool = False) -> Any:
        """An array of a type, its layout and now and then its contents changed."""
        array = np.asarray(values, dtype=dtype)
        if self.spoils():
            array = self.filled(array, work=work)
        if self.spoils():
            return self.misshapen(array)
        return self.laid_out(array)

    def filled(self, array: Any, *, work: bool) -> Any:
        """Edges in some places."""
        array = array.copy()
        if array.size == 0:
            return array
        where = self.rng.integers(0, array.size, int(self.rng.integers(1, 4)))
        flat = array.reshape(-1)
        if array.dtype.kind == "f":
            flat[where] = self.rng.choice(EDGES, len(where))
        elif array.dtype.kind in "iu":
            span = np.iinfo(array.dtype)
            edges = [v for v in (*WHOLE, *(() if work else VAST)) if span.min <= v <= span.max]
            flat[where] = np.array([self.pick(edges) for _ in where], array.dtype)
        elif array.dtype.kind == "b":  # a flag is a byte
            flat.view(np.uint8)[where] = self.rng.integers(0, 256, len(where))
        if self.chance(0.1):
            flat[:] = flat[0]  # all alike
        return array

    def misshapen(self, array: Any) -> Any:
        """Another length, number of dimensions or type, or no array at all."""
        kind = int(self.rng.integers(9))
        if kind == 0:
            return array[:0]
        if kind == 1:
            return array[: max(len(array) - 1, 0)] if array.ndim else array
        if kind == 2:
            return np.concatenate([array, array[-1:]]) if array.ndim else array
        if kind == 3:
            return array[None]
        if kind == 4:
            return array.reshape(-1) if array.ndim > 1 else array.reshape(-1, 1)
        if kind == 5:
            with np.errstate(invalid="ignore", over="ignore"):
                return array.astype(
                    self.pick(("f4", "f8", "i8", "i4", "u4", "u1", "?", ">f8", "O", "c16"))
                )
        if kind == 6:
            return array.tolist()
        if kind == 7:
            return np.zeros((0, 0), array.dtype)
        return self.pick(OTHER)

    def laid_out(self, array: Any) -> Any:
        """The same contents in another layout."""
        kind = int(self.rng.integers(12))
        if kind == 0 and array.ndim:
            return np.repeat(array, 2, axis=0)[::2]
        if kind == 1 and array.ndim:
            return array[::-1].copy()[::-1]
        if kind == 2:
            return np.asfortranarray(array)
        if kind == 3:
            array = array.copy()
            array.flags.writeable = False
        if kind == 4:
            spaced = np.zeros(array.nbytes + 1, np.uint8)[1:]  # off the type's alignment
            spaced[:] = np.frombuffer(array.tobytes(), np.uint8)
            return np.frombuffer(spaced, array.dtype).reshape(array.shape)
        return array

    def starts(self, rows: int, entries: int) -> Any:
        """Boundaries of `rows` rows of `entries` entries in all."""
        inner = np.sort(self.rng.integers(0, entries + 1, max(rows - 1, 0)))
        ends = [0, *inner.tolist(), entries] if rows else [0]
        return self.array(ends, np.int64)
