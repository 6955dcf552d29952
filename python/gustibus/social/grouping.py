"""Groups of items: labels to numbers, shares, and bounds on the prefixes of a ranking."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gustibus.errors import InputError
from gustibus.social.arguments import reals
from gustibus.social.interning import Labels, in_order
from gustibus.types import integers

if TYPE_CHECKING:
    from gustibus.types import F64, I64

ROUNDING = 1e-9
"""Absorbs rounding in products such as `100 * 0.29`."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """One group per item: `codes` `(m,)` number the groups by their place in `names`."""

    codes: NDArray[np.uint32]
    names: Labels

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.names)

    def sizes(self) -> I64:
        """`(g,)`, number of items of each group."""
        return np.bincount(self.codes, minlength=self.count).astype(np.int64)

    def reordered(self, names: Labels) -> Grouping:
        """The same groups, numbered in another order."""
        number = {name: i for i, name in enumerate(names)}
        codes = np.array([number[name] for name in self.names], np.uint32)[self.codes]
        return Grouping(codes, names)


def grouping(groups: Any, items: int | None = None, *, name: str = "groups") -> Grouping:
    """The groups that labels `(m,)` name; groups are numbered in sorted order of their labels.

    Raises:
        InputError: no items, another number of them than `items`, a label that is missing or
            cannot be hashed.
    """
    labels = groups
    for convert in ("to_pylist", "tolist", "to_list"):  # of Arrow, numpy and pandas, polars
        if hasattr(groups, convert):
            labels = getattr(groups, convert)()
            break
    if isinstance(labels, str | bytes) or not hasattr(labels, "__iter__"):
        message = f"{name}: expected one label per item, got {groups!r:.80}"
        raise InputError(message)
    labels = list(labels)
    if not labels or (items is not None and len(labels) != items):
        wanted = "at least one label" if items is None else f"{items} labels"
        message = f"{name}: expected {wanted}, got {len(labels)}"
        raise InputError(message)
    try:
        known: set[Hashable] = set(labels)
    except TypeError:
        message = f"{name}: expected labels that can be hashed, got {labels[0]!r:.80}"
        raise InputError(message) from None
    if any(label is None or label != label for label in known):
        at = next(i for i, label in enumerate(labels) if label is None or label != label)
        message = f"{name}: expected a label for every item, got {labels[at]} for item {at}"
        raise InputError(message)
    names = in_order(known, labels)
    number = {label: i for i, label in enumerate(names)}
    return Grouping(np.array([number[label] for label in labels], np.uint32), names)


def shares_of(shares: Any, grouped: Grouping) -> F64:
    """`(g,)`, the wanted share of each group; by default that among the items.

    Raises:
        InputError: a group is missing or unknown, or shares are not numbers.
    """
    if shares is None:
        return grouped.sizes() / len(grouped.codes)
    if isinstance(shares, Mapping):
        return reals("shares", _by_group("shares", shares, grouped))
    array = reals("shares", shares)
    if len(array) != grouped.count:
        message = f"shares: expected one per group {grouped.names}, got {len(array)}"
        raise InputError(message)
    return array


def _by_group(name: str, values: Mapping[Any, Any], grouped: Grouping) -> list[Any]:
    if set(values) != set(grouped.names):
        message = f"{name}: expected the groups {grouped.names}, got {tuple(values)}"
        raise InputError(message)
    return [values[group] for group in grouped.names]


def bounds_of(
    grouped: Grouping, k: int, shares: Any, lower: Any, upper: Any
) -> tuple[I64, I64] | None:
    """Tables `(k, g)` of bounds that were given, or None where the shares' floors and ceilings count.

    Raises:
        InputError: a table of another shape, or of other than whole numbers from 0.
    """
    if lower is None and upper is None:
        return None
    if shares is not None:
        message = "lower: expected either shares or bounds, got both"
        raise InputError(message)
    shape = (k, grouped.count)
    low = np.zeros(shape, np.int64) if lower is None else _table("lower", lower, grouped, shape)
    high = np.full(shape, k, np.int64) if upper is None else _table("upper", upper, grouped, shape)
    return low, high


def share_bounds(shares: F64, k: int) -> tuple[I64, I64]:
    """`floor(i * share)` and `ceil(i * share)` for every prefix, `(k, g)` each.

    Raises:
        InputError: shares below 0, or that sum to more than 1.
    """
    if (shares < 0).any() or not shares.sum() <= 1 + ROUNDING:
        message = f"shares: expected numbers from 0 with a sum of at most 1, got {shares.tolist()}"
        raise InputError(message)
    wanted = np.arange(1, k + 1)[:, None] * shares
    low = np.floor(wanted + ROUNDING).astype(np.int64)
    return low, np.ceil(wanted - ROUNDING).astype(np.int64)


def _table(name: str, values: Any, grouped: Grouping, shape: tuple[int, int]) -> I64:
    if isinstance(values, Mapping):
        columns = [integers(name, c) for c in _by_group(name, values, grouped)]
        if any(len(column) != shape[0] for column in columns):
            message = f"{name}: expected {shape[0]} numbers per group"
            raise InputError(message)
        values = np.stack(columns, axis=1)
    table = integers(name, values, dims=2)
    if table.shape != shape:
        message = f"{name}: expected shape {shape}, a row per prefix, got {table.shape}"
        raise InputError(message)
    return table
