"""From whatever names items to numbers from 0: labels in lists, arrays and columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import InputError

if TYPE_CHECKING:
    from gustibus.types import I64, Bool

Labels: TypeAlias = tuple[Hashable, ...]
BUCKETS = (list, tuple, set, frozenset)
"""Types that tie items when they stand inside a ballot."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Ballots as numbers: `items` of ballot `v` are `starts[v]:starts[v + 1]`, best first."""

    starts: I64
    items: NDArray[Any]
    ends: Bool | None
    labels: Labels


def checked_labels(labels: Iterable[Hashable] | None) -> Labels | None:
    """Labels as a tuple, each once.

    Raises:
        InputError: a label stands twice or cannot be hashed, or there is none.
    """
    if labels is None:
        return None
    try:
        out = tuple(labels)
        known = set(out)
    except TypeError as error:
        message = f"labels: expected a sequence of hashable names, got {labels!r:.80}"
        raise InputError(message) from error
    if not out:
        message = "labels: expected at least one, got none"
        raise InputError(message)
    if len(known) != len(out):
        seen: set[Hashable] = set()
        twice = next(x for x in out if x in seen or seen.add(x))  # type: ignore[func-returns-value]
        message = f"labels: expected different ones, got {twice!r} twice"
        raise InputError(message)
    return out


def is_number(label: object) -> bool:
    """Whether a label is an integer, `True` and `False` aside."""
    return isinstance(label, int | np.integer) and not isinstance(label, bool)


def by_number(labels: Labels, names: Iterable[object]) -> bool:
    """Whether ballots call items by number: they hold integers, and no label is one."""
    return all(map(is_number, names)) and not any(map(is_number, labels))


def in_order(names: set[Hashable], met: Iterable[Hashable]) -> Labels:
    """Distinct names, sorted where they can be compared and otherwise as they were met."""
    try:
        return tuple(sorted(names))  # type: ignore[type-var]
    except TypeError:
        return tuple(dict.fromkeys(met))


def _plain(name: Any) -> Any:
    return name.item() if isinstance(name, np.generic) else name


def code_lists(ballots: Sequence[Any], labels: Labels | None) -> Coded:
    """Numbers of ballots that are sequences of labels; a sequence or set inside one ties its items.

    Raises:
        InputError: a ballot is not a sequence, or names an item that `labels` lacks.
    """
    try:
        names = set(chain.from_iterable(map(_ballot, ballots)))
        weak = any(isinstance(name, BUCKETS) for name in names)
    except TypeError:
        weak = True
    if weak:
        return _code_weak(ballots, labels)
    lengths = np.fromiter(map(len, ballots), np.int64, len(ballots))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = chain.from_iterable(ballots)
    if labels is None:
        labels = in_order(names, chain.from_iterable(ballots))
        labels = tuple(map(_plain, labels))
    table = _table(labels, names)
    try:
        items = np.fromiter(map(table.__getitem__, flat), np.int64, int(starts[-1]))
    except KeyError as error:
        raise _unknown(error.args[0], ballots, labels) from None
    return Coded(starts, items, None, labels)


def _ballot(ballot: Any) -> Any:
    if isinstance(ballot, str | bytes) or not hasattr(ballot, "__len__"):
        message = f"rankings: expected a sequence of items per ballot, got {ballot!r:.80}"
        raise InputError(message)
    return ballot


def _code_weak(ballots: Sequence[Any], labels: Labels | None) -> Coded:
    flat: list[Any] = []
    ends: list[bool] = []
    starts = [0]
    for ballot in ballots:
        for place in _ballot(ballot):
            bucket = list(place) if isinstance(place, BUCKETS) else [place]
            flat += bucket
            ends += [False] * (len(bucket) - 1) + [True] * bool(bucket)
        starts.append(len(flat))
    strict = code_lists([flat], labels)
    return replace(strict, starts=np.array(starts, np.int64), ends=np.array(ends, np.bool_))


def _table(labels: Labels, names: set[Hashable]) -> dict[Hashable, int]:
    if by_number(labels, names):
        return {number: number for number in range(len(labels))}
    return {label: number for number, label in enumerate(labels)}


def _unknown(name: Any, ballots: Sequence[Any], labels: Labels) -> InputError:
    at = next((v for v, b in enumerate(ballots) if len(ballots) > 1 and name in b), None)
    where = "" if at is None else f" on ballot {at}"
    some = ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
    return InputError(f"rankings: expected items among the labels {some}; got {name!r}{where}")


def code_table(table: NDArray[Any], labels: Labels | None) -> Coded:
    """Numbers of a table `(n, places)` of integers or names; negative, NaN and None are unranked.

    Raises:
        InputError: a name that `labels` lacks, or a gap before a ranked item.
    """
    missing = _missing(table)
    ranked = ~missing
    if (missing[:, :-1] & ranked[:, 1:]).any():
        v = int((missing[:, :-1] & ranked[:, 1:]).any(1).argmax())
        message = f"rankings: expected no gap before a ranked item, got one on ballot {v}"
        raise InputError(message)
    starts = np.concatenate([[0], np.cumsum(ranked.sum(1))]).astype(np.int64)
    flat = table[ranked]
    if flat.dtype == object:
        coded = code_lists([flat.tolist()], labels)
        return replace(coded, starts=starts)
    if flat.dtype.kind == "f":
        whole = flat.astype(np.int64)
        if (whole != flat).any():
            message = f"rankings: expected names or whole numbers, got {flat[whole != flat][0]}"
            raise InputError(message)
        flat = whole
    names, items = np.unique(flat, return_inverse=True)
    known: list[Hashable] = names.tolist()
    if labels is None:
        return Coded(starts, items, None, tuple(known))
    lookup = _table(labels, set(known))
    try:
        number = np.array([lookup[name] for name in known], np.int64)
    except KeyError as error:
        raise _unknown(error.args[0], table.tolist(), labels) from None
    return Coded(starts, number[items] if len(items) else items, None, labels)


def _missing(table: NDArray[Any]) -> Bool:
    if table.dtype.kind in "iu":
        return table < 0
    if table.dtype.kind == "f":
        return ~np.isfinite(table) | (table < 0)
    if table.dtype == object:
        return np.array([[x is None or x != x for x in row] for row in table.tolist()], np.bool_)
    if table.dtype.kind in "US":
        return np.char.str_len(table) == 0
    message = f"rankings: expected integers or names, got an array of {table.dtype}"
    raise InputError(message)
