"""Ballots of one decision, checked once and kept by the compiled core."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.columns import code_frame, is_frame
from gustibus.social.interning import (
    Coded,
    Labels,
    by_number,
    checked_labels,
    code_lists,
    code_table,
)
from gustibus.social.preflib import read_preflib
from gustibus.social.values import check_threads
from gustibus.types import F64, I64, Bool, doubles

_COMPACT = {True: "always", False: "never", "auto": "auto"}


class Lists(NamedTuple):
    """Ballots end to end: those of ballot `v` are `items[starts[v]:starts[v + 1]]`, best first."""

    starts: I64
    items: NDArray[np.uint32]
    ends: Bool
    """Whether an item is the last of its bucket; items of a bucket are tied."""


class Profile:
    """Weighted ballots over labelled items.

    Args:
        rankings: Ballots, best item first. One of: an integer array `(n, m)`; a sequence of
            sequences of labels, in which a list, tuple or set ties its items; an array, pandas or
            polars frame or Arrow table of names with a column per place; an Arrow, polars or pandas
            column of lists. Negative numbers, NaN and None at the end of a row are unranked.
        weights: `(n,)`, at least 0 with a positive sum; 1 each by default. Integers stay exact.
        labels: Names of the items. By default the names that the ballots use, sorted; integer
            arrays that hold exactly `0..m-1` keep them. Where no label is an integer, ballots may
            also call items by number.
        unranked: What it means that a ballot leaves items out: `last`, tied below all others;
            `ignore`, nothing; `average`, as `last` but sharing the points of the places left.
        compact: Whether to merge equal ballots and add their weights; `auto` does so when a fifth
            of a sample is duplicated. The ballots that remain keep the order of first appearance.
        threads: Number of threads; every core by default.

    Raises:
        InputError: Nothing to rank, an item unknown or twice on a ballot, a bad weight or label.

    Examples:
        >>> profile = Profile([["tea", "milk"], ["milk", ["tea", "rum"]]], weights=[2, 1])
        >>> profile.n_items, profile.n_ballots, profile.labels
        (3, 2, ('milk', 'rum', 'tea'))
    """

    __slots__ = ("__weakref__", "_ballots", "_labels")

    def __init__(
        self,
        rankings: Any,
        *,
        weights: Any = None,
        labels: Iterable[Hashable] | None = None,
        unranked: str = "last",
        compact: bool | str = "auto",
        threads: int | None = None,
    ) -> None:
        names = checked_labels(labels)
        checked, unranked = _weights(weights), _unranked(unranked)
        threads = check_threads(threads)
        table = _integers(rankings)
        if table is not None and _holds_ids(table, names):
            try:
                # One pass checks, narrows and inverts; only what fails it is looked at again.
                self._ballots = _core.Ballots.full(table, checked, _mode(compact), threads)
                self._labels: Labels = names or tuple(range(table.shape[1]))
                return
            except InputError:
                if not _may_be_partial(table):
                    raise
        coded = _code(rankings, table, names)
        self._labels = coded.labels
        self._ballots = _lists(coded, checked, unranked, _mode(compact))

    @classmethod
    def of_handle(cls, ballots: _core.Ballots, labels: Labels) -> Profile:
        """A profile of ballots that the compiled core holds already."""
        self = cls.__new__(cls)
        self._ballots, self._labels = ballots, labels
        return self

    @classmethod
    def from_scores(
        cls,
        scores: Any,
        *,
        weights: Any = None,
        labels: Iterable[Hashable] | None = None,
        unranked: str = "last",
        compact: bool | str = "auto",
    ) -> Profile:
        """Ballots that order items by falling scores `(n, m)`; equal ones tie, NaN is unranked.

        Raises:
            InputError: Not a matrix of numbers, infinite numbers, or what `Profile` rejects.
        """
        try:
            values = doubles(scores)
        except (TypeError, ValueError) as error:
            message = f"scores: expected numbers, got {type(scores).__name__}: {error}"
            raise InputError(message) from error
        if values.ndim != 2 or 0 in values.shape:
            message = f"scores: expected shape (n, m) with at least one of each, got {values.shape}"
            raise InputError(message)
        if np.isinf(values).any():
            message = "scores: expected finite numbers or NaN, got infinity"
            raise InputError(message)
        names = checked_labels(labels) or tuple(range(values.shape[1]))
        if len(names) != values.shape[1]:
            message = f"labels: expected {values.shape[1]}, got {len(names)}"
            raise InputError(message)
        order = np.argsort(-values, axis=1, kind="stable")  # NaN last
        sorted_values = np.take_along_axis(values, order, 1)
        ranked = ~np.isnan(sorted_values)
        ends = np.ones(values.shape, np.bool_)
        ends[:, :-1] = sorted_values[:, :-1] != sorted_values[:, 1:]
        starts = np.concatenate([[0], np.cumsum(ranked.sum(1))]).astype(np.int64)
        coded = Coded(starts, order[ranked], ends[ranked], names)
        ballots = _lists(coded, _weights(weights), _unranked(unranked), _mode(compact))
        return cls.of_handle(ballots, names)

    @classmethod
    def from_places(cls, places: Any, **options: Any) -> Profile:
        """Ballots from the place of each item `(n, m)`, smallest first; equal ones tie.

        NaN and negative numbers are unranked. Options are those of `from_scores`.
        """
        try:
            values = doubles(places)
        except (TypeError, ValueError) as error:
            message = f"places: expected numbers, got {type(places).__name__}: {error}"
            raise InputError(message) from error
        return cls.from_scores(np.where(values < 0, np.nan, -values), **options)

    @classmethod
    def read(
        cls, path: str | Path, *, unranked: str = "last", compact: bool | str = "auto"
    ) -> Profile:
        """The ballots of a PrefLib file: soc, soi, toc, toi or cat.

        Raises:
            InputError: The ending is unknown or a line is wrong; the message has file and line.
            FileNotFoundError: There is no such file.

        Source: Mattei and Walsh 2013, PrefLib: A Library for Preferences.
        """
        coded, counts = read_preflib(path)
        try:
            ballots = _lists(coded, np.array(counts), _unranked(unranked), _mode(compact))
        except InputError as error:
            message = f"{path}: {error.message}"
            raise InputError(message, where=str(path)) from error
        return cls.of_handle(ballots, coded.labels)

    @property
    def handle(self) -> _core.Ballots:
        """The ballots as the compiled core holds them."""
        return self._ballots

    @property
    def n_items(self) -> int:
        """Number of items, `m`."""
        return self._ballots.n_items

    @property
    def n_ballots(self) -> int:
        """Number of ballots that are stored, `n`; fewer than were given once merged."""
        return self._ballots.n_ballots

    @property
    def labels(self) -> Labels:
        """Names of the items `0..m-1`."""
        return self._labels

    @property
    def weights(self) -> F64:
        """`(n,)`, weights of the stored ballots."""
        return self._ballots.weights()

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return self._ballots.total

    @property
    def is_full(self) -> bool:
        """Whether every ballot orders all items without ties."""
        return self._ballots.is_full

    @property
    def is_strict(self) -> bool:
        """Whether no ballot ties two items that it ranks."""
        return self._ballots.is_strict

    @property
    def is_exact(self) -> bool:
        """Whether weights are integers whose sums are exact, so that ties are ties."""
        return self._ballots.is_exact

    @property
    def rankings(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """`(n, m)`, items by ballot and place: bytes up to 256 items, two bytes each beyond.

        Raises:
            InputError: A ballot is partial or weak; `lists` works for all.
        """
        return self._full(self._ballots.order())

    def places(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """`(m, n)`, the place of each item on each ballot, 0 for the best: a row per item.

        Raises:
            InputError: A ballot is partial or weak.
        """
        return self._full(self._ballots.places())

    def support(self, *, ties: str = "none", threads: int | None = None) -> F64:
        """`(m, m)`, the weight of the ballots that rank an item above another; counted once.

        Args:
            ties: `none` of the weight of a tie goes to either item, or `half` to both.
            threads: Number of threads; every core by default.

        Raises:
            InputError: `ties="half"` where unranked items are ignored, for a ballot that leaves an
                item out does not tie it.
        """
        support = self._ballots.support(check_threads(threads))
        if ties == "none":
            return support
        if ties != "half" or self._ballots.unranked == "ignore":
            message = f"ties: expected 'none', or 'half' unless unranked='ignore', got {ties!r}"
            raise InputError(message)
        support += (self.total_weight - support - support.T) / 2
        np.fill_diagonal(support, 0)
        return support

    def margins(self, *, threads: int | None = None) -> F64:
        """`(m, m)`, support of an item over another less that of the other over it."""
        support = self.support(threads=threads)
        return support - support.T

    def rank_histogram(self, *, threads: int | None = None) -> F64:
        """`(m, m)`, the weight of the ballots that put an item at a place; counted once.

        Raises:
            InputError: A ballot is partial or weak.
        """
        return self._ballots.histogram(check_threads(threads))

    def lists(self) -> Lists:
        """All ballots end to end, whatever their kind."""
        return Lists(*self._ballots.to_lists())

    def _full(self, cells: Any) -> Any:
        if cells is None:
            message = "profile: expected full strict rankings, got partial or weak ballots"
            raise InputError(message)
        return cells

    def __repr__(self) -> str:
        kind = "full" if self.is_full else ("strict" if self.is_strict else "weak")
        return (
            f"Profile({self.n_ballots} {kind} ballots over {self.n_items} items, "
            f"weight {self.total_weight:g})"
        )


def _integers(rankings: Any) -> NDArray[Any] | None:
    """The matrix of integers that `rankings` is, or None."""
    if not isinstance(rankings, np.ndarray):
        return None
    if rankings.ndim != 2:
        message = f"rankings: expected shape (n, m), got {rankings.shape}"
        raise InputError(message)
    if 0 in rankings.shape:
        message = f"rankings: expected at least one ballot and one item, got {rankings.shape}"
        raise InputError(message)
    if rankings.dtype.kind not in "iu":
        return None
    return np.ascontiguousarray(rankings, rankings.dtype.newbyteorder("="))


def _holds_ids(table: NDArray[Any], labels: Labels | None) -> bool:
    """Whether a matrix may hold full rankings of ids."""
    if labels is None:
        return True
    return len(labels) == table.shape[1] and (
        labels == tuple(range(len(labels))) or by_number(labels, ())
    )


def _may_be_partial(table: NDArray[Any]) -> bool:
    """Whether a matrix that is no full ranking of ids may be something else that is valid."""
    rows = np.sort(table, axis=1)
    repeated = (rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] >= 0)
    return not bool(repeated.any())


def _code(rankings: Any, table: NDArray[Any] | None, labels: Labels | None) -> Coded:
    if table is not None:
        return code_table(table, labels)
    if isinstance(rankings, np.ndarray):
        return code_table(rankings, labels)
    if is_frame(rankings):
        return code_frame(rankings, labels)
    if isinstance(rankings, str | bytes) or not isinstance(rankings, Sequence):
        message = f"rankings: expected ballots, got {type(rankings).__name__}"
        raise InputError(message)
    if not rankings:
        message = "rankings: expected at least one ballot, got none"
        raise InputError(message)
    return code_lists(rankings, labels)


def _lists(coded: Coded, weights: F64 | None, unranked: str, compact: str) -> _core.Ballots:
    try:
        return _core.Ballots.lists(
            coded.starts, coded.items, coded.ends, len(coded.labels), weights, unranked, compact
        )
    except InputError as error:
        twice = _twice(coded)
        if twice is None:
            raise
        raise InputError(twice) from error


def _twice(coded: Coded) -> str | None:
    """What stands twice on a ballot, by its label."""
    for v, (first, last) in enumerate(zip(coded.starts, coded.starts[1:], strict=False)):
        names, counts = np.unique(coded.items[first:last], return_counts=True)
        if (counts > 1).any():
            label = coded.labels[names[counts > 1][0]]
            return (
                f"rankings: expected each item at most once on a ballot, got {label!r} twice "
                f"on ballot {v}"
            )
    return None


def _weights(weights: Any) -> F64 | None:
    if weights is None:
        return None
    try:
        out = doubles(weights)
    except (TypeError, ValueError) as error:
        message = f"weights: expected numbers, got {type(weights).__name__}: {error}"
        raise InputError(message) from error
    if out.ndim != 1:
        message = f"weights: expected shape (n,), got {out.shape}"
        raise InputError(message)
    return out


def _mode(compact: bool | str) -> str:  # noqa: FBT001 - an option of the caller
    try:
        return _COMPACT[compact]
    except (KeyError, TypeError):
        message = f"compact: expected True, False or 'auto', got {compact!r}"
        raise InputError(message) from None


def _unranked(unranked: str) -> str:
    if unranked not in ("last", "ignore", "average"):
        message = f"unranked: expected 'last', 'ignore' or 'average', got {unranked!r}"
        raise InputError(message)
    return unranked
