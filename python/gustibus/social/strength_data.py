"""Comparisons and rankings as callers have them, turned into arrays for the compiled core."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.strength_labels import Codes, Labels, intern
from gustibus.types import F64, I64, doubles

A, B, TIE, SKIP = range(4)
NAMES = {
    "a": A, "x": A, "left": A, "win": A, "first": A, "model_a": A,
    "b": B, "y": B, "right": B, "loss": B, "second": B, "model_b": B,
    "tie": TIE, "draw": TIE, "both_bad": TIE, "tie (bothbad)": TIE,
    "skip": SKIP,
}  # fmt: skip
"""How a comparison ended, by the names in use."""


def checked_threads(threads: int | None) -> int | None:
    """The number of threads, which has to be at least 1 where it is given."""
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        message = f"threads: expected a number of at least 1 or None, got {threads!r}"
        raise InputError(message)
    return threads


def checked_seed(seed: int) -> int:
    """A seed in `[0, 2^64)`."""
    if not isinstance(seed, int) or not 0 <= seed < 2**64:
        message = f"seed: expected an integer in [0, 2^64), got {seed!r}"
        raise InputError(message)
    return seed


def checked_limits(tolerance: float, max_iter: int) -> tuple[float, int]:
    """Tolerance and most iterations, as the compiled core takes them."""
    if not isinstance(max_iter, int) or max_iter < 0:
        message = f"max_iter: expected an integer of at least 0, got {max_iter!r}"
        raise InputError(message)
    return float(tolerance), max_iter


def checked_start(start: Any) -> F64 | None:
    """Log strengths to start from, which have to be finite where they are given."""
    if start is None:
        return None
    try:
        values = np.ascontiguousarray(doubles(start))
    except (TypeError, ValueError) as error:
        message = f"start: expected numbers, got {type(start).__name__}: {error}"
        raise InputError(message) from error
    if not np.isfinite(values).all():
        message = "start: expected finite numbers, got NaN or infinity"
        raise InputError(message)
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Rows of comparisons: item numbers, how they ended, weights, labels."""

    a: Codes
    b: Codes
    outcomes: NDArray[np.uint8] | None
    weights: F64 | None
    labels: Labels
    declared: bool
    """Whether the caller said which items there are."""

    @classmethod
    def read(
        cls,
        winners: Any,
        losers: Any,
        outcomes: Any = None,
        *,
        weights: Any = None,
        ties: Any = None,
        items: int | Iterable[Hashable] | None = None,
    ) -> Comparisons:
        """Rows from columns; what is wrong with them is said by name.

        Raises:
            InputError: Columns of different lengths or types, unknown outcomes, bad weights.
        """
        (a, b), labels = intern({"winners": winners, "losers": losers}, items)
        if len(a) != len(b):
            message = f"losers: expected shape ({len(a)},), got ({len(b)},)"
            raise InputError(message)
        if outcomes is not None and ties is not None:
            message = "ties: expected either outcomes or ties, got both"
            raise InputError(message)
        ended = None
        if outcomes is not None:
            ended = read_outcomes(outcomes, len(a))
        elif ties is not None:
            tied = column("ties", ties, len(a), np.bool_)
            ended = np.where(tied, np.uint8(TIE), np.uint8(A))
        counted = None if weights is None else column("weights", weights, len(a), np.float64)
        return cls(a, b, ended, counted, labels, items is not None)

    def cells(self, threads: int | None) -> tuple[_core.Cells, Labels]:
        """Sums per pair, and the labels of the items; those never seen are left out unless declared."""
        threads = checked_threads(threads)
        cells = _core.reduce_comparisons(
            self.a, self.b, self.outcomes, self.weights, len(self.labels), threads
        )
        compact = None if self.declared else cells.compact()
        if compact is None:
            return cells, self.labels
        used, cells = compact
        return cells, tuple(self.labels[i] for i in used.tolist())


def reduced(data: Comparisons, threads: int | None) -> tuple[_core.Cells, Labels]:
    """`data.cells` of comparisons that are not empty."""
    if not len(data.a):
        message = "winners: expected at least one comparison, got none"
        raise InputError(message)
    return data.cells(threads)


def column(name: str, values: Any, length: int, dtype: Any) -> NDArray[Any]:
    """One number per row."""
    try:
        array = np.ascontiguousarray(
            doubles(values) if dtype is np.float64 else values, dtype=dtype
        )
    except (TypeError, ValueError) as error:
        message = f"{name}: expected numbers, got {type(values).__name__}: {error}"
        raise InputError(message) from error
    if array.shape != (length,):
        message = f"{name}: expected shape ({length},), got {array.shape}"
        raise InputError(message)
    return array


def read_outcomes(outcomes: Any, length: int) -> NDArray[np.uint8]:
    """How every row ended: names, `True` for the first, or targets 1, 0 and 0.5.

    Members of an enumeration go by their name, so that those of other libraries are understood.

    Raises:
        InputError: An unknown outcome.
    """
    if isinstance(outcomes, np.ndarray) and outcomes.dtype.kind in "bfiu":
        return _targets(outcomes, length)
    values = outcomes.tolist() if hasattr(outcomes, "tolist") else list(outcomes)
    if len(values) != length:
        message = f"outcomes: expected shape ({length},), got ({len(values)},)"
        raise InputError(message)
    try:
        kinds = dict.fromkeys(map(_named, dict.fromkeys(values)))
    except TypeError as error:
        message = f"outcomes: expected names or numbers, {error}"
        raise InputError(message) from error
    if not all(isinstance(kind, str) for kind in kinds):
        return _targets(_numbers(values), length)
    code = {value: _code(value) for value in dict.fromkeys(values)}
    return np.fromiter(map(code.__getitem__, values), np.uint8, length)


def _numbers(values: list[Any]) -> F64:
    try:
        return doubles(values)
    except (TypeError, ValueError) as error:
        message = f"outcomes: expected names or numbers, {error}"
        raise InputError(message) from error


def _named(value: Any) -> Any:
    return value.name if isinstance(value, Enum) else value


def _code(value: Any) -> int:
    name = str(_named(value)).lower()
    if name not in NAMES:
        message = f"outcomes: expected one of {sorted(NAMES)} or 1, 0.5, 0, got {value!r}"
        raise InputError(message)
    return NAMES[name]


def _targets(values: NDArray[Any], length: int) -> NDArray[np.uint8]:
    if values.shape != (length,):
        message = f"outcomes: expected shape ({length},), got {values.shape}"
        raise InputError(message)
    first, second, tied = values == 1, values == 0, values == 0.5
    known = first | second | tied
    if not known.all():
        at = int(np.argmin(known))
        message = f"outcomes: expected 1 (first), 0 (second) or 0.5 (tie), got {values[at]} at {at}"
        raise InputError(message)
    ended = np.full(length, TIE, np.uint8)
    ended[first], ended[second] = A, B
    return ended


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """Rankings in flat arrays: `items[starts[r]:starts[r + 1]]`, the first `chosen[r]` in order."""

    items: Codes
    starts: I64
    chosen: NDArray[np.uint32] | None
    weights: F64 | None
    labels: Labels

    @classmethod
    def read(
        cls,
        rankings: Any,
        *,
        starts: Any = None,
        chosen: Any = None,
        weights: Any = None,
        items: int | Iterable[Hashable] | None = None,
        unranked: str = "ignore",
    ) -> Rankings:
        """Rankings from an array, lists, flat arrays or a profile.

        Raises:
            InputError: Something that is no collection of strict rankings of the items.
        """
        if unranked not in ("ignore", "last"):
            message = f"unranked: expected 'ignore' or 'last', got {unranked!r}"
            raise InputError(message)
        if callable(getattr(rankings, "lists", None)):
            flat, bounds, labels, weights = _profile(rankings, weights)
            codes: Codes = flat
        elif starts is not None:
            bounds = column("starts", starts, np.size(starts), np.int64)
            (codes,), labels = intern({"rankings": rankings}, items)
        elif isinstance(rankings, np.ndarray) and rankings.ndim == 2:
            flat, bounds = _table(rankings)
            (codes,), labels = intern({"rankings": flat}, items)
        else:
            lists = _lists(rankings)
            bounds = np.cumsum([0, *map(len, lists)])
            (codes,), labels = intern({"rankings": [x for row in lists for x in row]}, items)
        count = len(bounds) - 1
        counted = None if weights is None else column("weights", weights, count, np.float64)
        known = None if chosen is None else _chosen(chosen, bounds)
        if items is None:
            codes, labels = _seen(codes, labels)
        read = cls(codes, bounds.astype(np.int64), known, counted, labels)
        return read.completed() if unranked == "last" else read

    def completed(self) -> Rankings:
        """The same with the items that a ranking leaves out available to every choice."""
        count, sizes = len(self.labels), np.diff(self.starts)
        present = np.zeros((len(sizes), count), np.bool_)
        row = np.repeat(np.arange(len(sizes)), sizes)
        present[row, self.items.astype(np.int64)] = True
        absent = np.nonzero(~present)
        order = np.argsort(np.concatenate([row, absent[0]]), kind="stable")
        flat = np.concatenate([self.items.astype(np.uint32), absent[1].astype(np.uint32)])[order]
        chosen = self.chosen if self.chosen is not None else sizes.astype(np.uint32)
        starts = np.arange(len(sizes) + 1, dtype=np.int64) * count
        return Rankings(flat, starts, chosen, self.weights, self.labels)

    @property
    def arrays(self) -> tuple[Codes, I64, NDArray[np.uint32] | None, F64 | None, int]:
        """What the compiled core takes."""
        return self.items, self.starts, self.chosen, self.weights, len(self.labels)


def _seen(codes: Codes, labels: Labels) -> tuple[Codes, Labels]:
    """The items that appear, numbered anew where some do not."""
    present = np.zeros(len(labels), np.bool_)
    present[codes] = True
    if present.all():
        return codes, labels
    number = np.cumsum(present, dtype=np.uint32) - np.uint32(1)
    return number[codes], tuple(labels[i] for i in np.flatnonzero(present).tolist())


def _profile(profile: Any, weights: Any) -> tuple[Codes, I64, Labels, Any]:
    """Ballots of a profile; ties have no place in a model of choices."""
    lists = profile.lists()
    if not np.asarray(lists.ends).all():
        message = "rankings: expected strict rankings, got a profile with ties"
        raise InputError(message)
    weights = profile.weights if weights is None else weights
    return np.asarray(lists.items), np.asarray(lists.starts), profile.labels, weights


def _table(rankings: NDArray[Any]) -> tuple[Codes, I64]:
    """An array `(n, l)`; negative numbers at the end of a row fill it up."""
    n, length = rankings.shape
    if rankings.dtype.kind == "i" and rankings.size and rankings.min() < 0:
        there = rankings >= 0
        if (there[:, 1:] & ~there[:, :-1]).any():
            message = "rankings: expected negative numbers at the end of a row alone"
            raise InputError(message)
        return rankings[there], np.concatenate([[0], np.cumsum(there.sum(1))])
    return np.ascontiguousarray(rankings).reshape(-1), np.arange(n + 1) * length


def _lists(rankings: Any) -> list[Sequence[Any]]:
    if isinstance(rankings, str | bytes) or not hasattr(rankings, "__iter__"):
        message = f"rankings: expected rankings, got {type(rankings).__name__}"
        raise InputError(message)
    lists = [r.tolist() if isinstance(r, np.ndarray) else r for r in rankings]
    for at, row in enumerate(lists):
        if isinstance(row, str | bytes) or not hasattr(row, "__len__"):
            message = f"rankings: expected a list of items, got {row!r} as ranking {at}"
            raise InputError(message)
    return lists


def _chosen(chosen: Any, starts: I64) -> NDArray[np.uint32]:
    sizes = np.diff(starts)
    if np.ndim(chosen) == 0:
        chosen = np.minimum(int(chosen), sizes)
    values = column("chosen", chosen, len(sizes), np.int64)
    if (values < 0).any():
        message = "chosen: expected numbers of at least 0, got a negative one"
        raise InputError(message)
    return values.astype(np.uint32)
