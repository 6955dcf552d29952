"""Approval ballots: the set of items that each person accepts."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gustibus import _core
from gustibus.errors import InputError
from gustibus.social.interning import Labels, checked_labels, in_order, is_number
from gustibus.types import F64, I64, doubles

if TYPE_CHECKING:
    from gustibus.social.profile import Profile


_MOST_IDS = 10_000_000  # numbers up to here may leave others out


class ApprovalProfile:
    """Weighted approval sets over labelled items.

    Args:
        ballots: A set, list or tuple of labels per person; or a matrix `(n, m)` of 0 and 1 or booleans.
        weights: `(n,)`, at least 0 with a positive sum; 1 each by default. Integers stay exact.
        labels: Names of the items; items that nobody approves exist only if they are named here. By
            default the names that ballots use, sorted; whole numbers from 0 keep their values. Where
            no label is an integer, ballots may also call items by number.

    Raises:
        InputError: No ballots, an item unknown or twice on a ballot, a bad weight or label.

    Examples:
        >>> profile = ApprovalProfile([{"tea", "milk"}, {"milk"}, set()], weights=[2, 1, 1])
        >>> profile.n_items, profile.n_voters, profile.labels
        (2, 3, ('milk', 'tea'))
    """

    __slots__ = ("__weakref__", "_handle", "_items", "_labels", "_starts", "_weights")

    def __init__(
        self, ballots: Any, *, weights: Any = None, labels: Iterable[Hashable] | None = None
    ) -> None:
        names = checked_labels(labels)
        if isinstance(ballots, np.ndarray) and ballots.ndim == 2 and ballots.dtype.kind in "biuf":
            starts, items = _of_matrix(ballots)
            self._fill(starts, items, ballots.shape[1], names, weights)
            return
        starts, items, found = _of_sets(ballots, names)
        self._fill(starts, items, len(found), found, weights)

    @classmethod
    def from_csr(
        cls,
        starts: Any,
        items: Any,
        n_items: int,
        *,
        weights: Any = None,
        labels: Iterable[Hashable] | None = None,
    ) -> ApprovalProfile:
        """Sets end to end: that of person `v` is `items[starts[v]:starts[v + 1]]`, in any order.

        Raises:
            InputError: As for the constructor.
        """
        self = cls.__new__(cls)
        begins, flat = _whole("starts", starts), _whole("items", items)
        if flat.size and not 0 <= flat.min() <= flat.max() < n_items:
            message = f"items: expected numbers from 0 to {n_items - 1}, got {flat.max()}"
            raise InputError(message)
        self._fill(begins, flat, n_items, checked_labels(labels), weights)
        return self

    @classmethod
    def from_rankings(cls, profile: Profile, t: int) -> ApprovalProfile:
        """The sets of everybody's first `t` items.

        Raises:
            InputError: `t` is not from 0 to the number of items, or ballots are partial or weak.
        """
        n, m = profile.n_ballots, profile.n_items
        if not 0 <= t <= m:
            message = f"t: expected a number from 0 to {m}, got {t}"
            raise InputError(message)
        items = profile.rankings[:, :t].astype(np.int64).ravel()
        starts = np.arange(n + 1, dtype=np.int64) * t
        return cls.from_csr(starts, items, m, weights=profile.weights, labels=profile.labels)

    def _fill(self, starts: I64, items: I64, m: int, labels: Labels | None, weights: Any) -> None:
        if labels is not None and len(labels) != m:
            message = f"labels: expected {m}, got {len(labels)}"
            raise InputError(message)
        if len(starts) < 2:
            message = "ballots: expected at least one, got none"
            raise InputError(message)
        self._starts = starts
        self._labels: Labels = labels or tuple(range(m))
        self._items = _sorted_sets(starts, items, self._labels)
        self._weights = None if weights is None else _weights(weights)
        self._handle = _core.Approvals(starts, self._items, m, self._weights)

    @property
    def handle(self) -> _core.Approvals:
        """The sets as the compiled core holds them."""
        return self._handle

    @property
    def n_items(self) -> int:
        """Number of items, `m`."""
        return len(self._labels)

    @property
    def n_voters(self) -> int:
        """Number of people, `n`."""
        return len(self._starts) - 1

    @property
    def labels(self) -> Labels:
        """Names of the items `0..m-1`."""
        return self._labels

    @property
    def weights(self) -> F64:
        """`(n,)`."""
        return np.ones(self.n_voters) if self._weights is None else self._weights.copy()

    def sets(self) -> list[NDArray[np.uint32]]:
        """The sorted items of every person."""
        return np.split(self._items, self._starts[1:-1])

    def matrix(self) -> NDArray[np.bool_]:
        """`(n, m)`, who approves what."""
        out = np.zeros((self.n_voters, self.n_items), np.bool_)
        out[np.repeat(np.arange(self.n_voters), np.diff(self._starts)), self._items] = True
        return out

    def __repr__(self) -> str:
        return f"ApprovalProfile({self.n_voters} sets over {self.n_items} items)"


def _of_matrix(matrix: NDArray[Any]) -> tuple[I64, I64]:
    if 0 in matrix.shape:
        message = f"ballots: expected at least one person and one item, got {matrix.shape}"
        raise InputError(message)
    if not np.isin(matrix, (0, 1)).all():
        message = "ballots: expected a matrix of 0 and 1, got other numbers"
        raise InputError(message)
    chosen = matrix.astype(np.bool_)
    starts = np.concatenate([[0], np.cumsum(chosen.sum(1))]).astype(np.int64)
    return starts, np.nonzero(chosen)[1].astype(np.int64)


def _of_sets(ballots: Any, labels: Labels | None) -> tuple[I64, I64, Labels]:
    try:
        rows = [tuple(_ballot(ballot)) for ballot in ballots]
        names = {name for row in rows for name in row}
    except TypeError as error:
        message = f"ballots: expected a set of hashable items per person, got {ballots!r:.80}"
        raise InputError(message) from error
    numbers = all(map(is_number, names))
    if labels is None and numbers:
        most = max(names, default=-1)
        if most >= _MOST_IDS:
            message = f"ballots: expected labels beside numbers above {_MOST_IDS}, got {most}"
            raise InputError(message)
        labels = tuple(range(most + 1))
    elif labels is None:
        labels = in_order(names, (name for row in rows for name in row))
    table: dict[Any, int] = {label: number for number, label in enumerate(labels)}
    if numbers and not any(map(is_number, labels)):
        table = {number: number for number in range(len(labels))}
    unknown = next((name for name in names if name not in table), None)
    if unknown is not None or (names and not labels):
        message = f"ballots: expected items among {labels!r:.60}, got {unknown!r}"
        raise InputError(message)
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = (table[name] for row in rows for name in row)
    return starts, np.fromiter(flat, np.int64, int(starts[-1])), labels


def _ballot(ballot: Any) -> Any:
    if isinstance(ballot, str | bytes):
        message = f"ballots: expected a set of items per person, got {ballot!r:.80}"
        raise InputError(message)
    return ballot


def _sorted_sets(starts: I64, items: I64, labels: Labels) -> NDArray[np.uint32]:
    """Items sorted within each set; the core refuses those that stand twice."""
    if starts[0] != 0 or starts[-1] != len(items) or (np.diff(starts) < 0).any():
        message = f"starts: expected numbers rising from 0 to {len(items)}, got others"
        raise InputError(message)
    person = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    rising = (items[1:] > items[:-1]) | (person[1:] != person[:-1])
    if not rising.all():
        items = items[np.lexsort((items, person))]
        same = (items[1:] == items[:-1]) & (person[1:] == person[:-1])
        if same.any():
            at = int(np.argmax(same))
            message = (
                "ballots: expected each item at most once on a ballot, "
                f"got {labels[items[at]]!r} twice on ballot {person[at]}"
            )
            raise InputError(message)
    return items.astype(np.uint32)


def _whole(name: str, values: Any) -> I64:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        message = f"{name}: expected whole numbers, shape (n,), got {array.dtype} {array.shape}"
        raise InputError(message)
    return np.ascontiguousarray(array, np.int64)


def _weights(weights: Any) -> F64:
    try:
        out = np.array(doubles(weights))
    except (TypeError, ValueError) as error:
        message = f"weights: expected numbers, got {type(weights).__name__}: {error}"
        raise InputError(message) from error
    if out.ndim != 1:
        message = f"weights: expected shape (n,), got {out.shape}"
        raise InputError(message)
    return out
