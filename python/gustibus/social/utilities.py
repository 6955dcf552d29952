"""Utilities: how much each person values each item, and how people are made comparable."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.social.approvals import _weights
from gustibus.social.interning import Labels, checked_labels
from gustibus.types import F64, doubles

LARGEST = 1e100
"""Largest size of a utility: squares and sums of smaller ones are finite."""


class UtilityProfile:
    """Weighted utilities of people for labelled items.

    Adding or comparing utilities of different people supposes a common scale. `transform` makes one, and
    results report which.

    Args:
        utilities: `(n, m)`, a row per person; finite, at least 0 for `none` and `sum`, and from -1e100 to
            1e100 for whatever computes with them before they are on a scale.
        weights: `(n,)`, at least 0 with a positive sum; 1 each by default.
        labels: Names of the items; `0..m-1` by default.
        transform: How each person's row is rescaled.
            `none`: taken as it is. `rank`: number of items that are worse, ties halved, over `m - 1`.
            `min_max`: least 0, most 1; all 0 for who does not care. `sum`: shares of the sum.
            `z`: in standard deviations above the person's worst item. `softmax`: probability of
            choosing the item, at `temperature`.
        temperature: Of `softmax`, above 0.

    Raises:
        InputError: Not a matrix, NaN, numbers that are too large or negative, a bad weight or label.

    Examples:
        >>> profile = UtilityProfile(np.array([[1.0, 3.0, 2.0], [0.0, 0.0, 9.0]]), transform="rank")
        >>> profile.values.tolist()
        [[0.0, 1.0, 0.5], [0.25, 0.25, 1.0]]
    """

    __slots__ = ("__weakref__", "_handle", "_labels", "_transform", "_values", "_weights")

    def __init__(
        self,
        utilities: Any,
        *,
        weights: Any = None,
        labels: Iterable[Hashable] | None = None,
        transform: str = "none",
        temperature: float = 1.0,
    ) -> None:
        values = _matrix(utilities)
        names = checked_labels(labels) or tuple(range(values.shape[1]))
        if len(names) != values.shape[1]:
            message = f"labels: expected {values.shape[1]}, got {len(names)}"
            raise InputError(message)
        if transform not in {"none", "rank"}:
            _refuse_large(values)
        if transform == "softmax":
            values = _softmax(values, temperature)
        elif transform in TRANSFORMS:
            values = TRANSFORMS[transform](values)
        else:
            raise UnknownNameError.of("transform", transform, [*TRANSFORMS, "softmax"])
        if values.min() < 0:
            message = (
                f"utilities: expected numbers of at least 0, got {values.min():g}; "
                "shift them or choose another transform, such as 'min_max'"
            )
            raise InputError(message)
        self._values, self._labels, self._transform = values, names, transform
        self._weights = np.ones(len(values)) if weights is None else _weights(weights)
        self._handle = _core.Utilities(np.ascontiguousarray(values.T), self._weights)

    @property
    def handle(self) -> _core.Utilities:
        """The utilities as the compiled core holds them."""
        return self._handle

    @property
    def n_items(self) -> int:
        """Number of items, `m`."""
        return self._values.shape[1]

    @property
    def n_voters(self) -> int:
        """Number of people, `n`."""
        return len(self._values)

    @property
    def labels(self) -> Labels:
        """Names of the items `0..m-1`."""
        return self._labels

    @property
    def weights(self) -> F64:
        """`(n,)`."""
        return self._weights.copy()

    @property
    def values(self) -> F64:
        """`(n, m)`, transformed."""
        return self._values.copy()

    @property
    def transform(self) -> str:
        """How people were made comparable."""
        return self._transform

    def __repr__(self) -> str:
        return (
            f"UtilityProfile({self.n_voters} people over {self.n_items} items, "
            f"transform {self._transform})"
        )


def _matrix(utilities: Any) -> F64:
    try:
        values = np.array(doubles(utilities))
    except (TypeError, ValueError) as error:
        message = f"utilities: expected numbers, got {type(utilities).__name__}: {error}"
        raise InputError(message) from error
    if values.ndim != 2 or 0 in values.shape:
        message = f"utilities: expected shape (n, m) with at least one of each, got {values.shape}"
        raise InputError(message)
    wrong = ~np.isfinite(values)
    if wrong.any():
        person, item = np.argwhere(wrong)[0]
        message = (
            f"utilities: expected finite numbers, got {values[person, item]} at ({person}, {item})"
        )
        raise NotFiniteError(message)
    return values


def _refuse_large(values: F64) -> None:
    large = np.abs(values) > LARGEST
    if large.any():
        person, item = np.argwhere(large)[0]
        message = (
            f"utilities: expected numbers from {-LARGEST:g} to {LARGEST:g}, "
            f"got {values[person, item]:g} at ({person}, {item})"
        )
        raise InputError(message)


def _rank(values: F64) -> F64:
    below = (values[:, :, None] > values[:, None, :]).sum(2, dtype=np.float64)
    tied = (values[:, :, None] == values[:, None, :]).sum(2, dtype=np.float64) - 1
    return (below + tied / 2) / max(values.shape[1] - 1, 1)


def _ranks(values: F64) -> F64:
    rows = max(1, 4_000_000 // values.shape[1] ** 2)  # bounds the memory of all pairs
    return np.concatenate([_rank(values[v : v + rows]) for v in range(0, len(values), rows)])


def _min_max(values: F64) -> F64:
    above: F64 = values - values.min(1, keepdims=True)
    return _over(above, above.max(1, keepdims=True))


def _sum(values: F64) -> F64:
    if values.min() < 0:  # a sum below 0 has no shares, and one above 0 would have some above 1
        message = (
            f"utilities: expected numbers of at least 0 for the transform 'sum', got {values.min():g}; "
            "shift them or choose another transform, such as 'min_max'"
        )
        raise InputError(message)
    return _over(values, values.sum(1, keepdims=True))


def _z(values: F64) -> F64:
    return _over(values - values.min(1, keepdims=True), values.std(1, keepdims=True))


def _over(values: F64, size: F64) -> F64:
    """Rows divided by sizes; rows of size 0 become 0."""
    out: F64 = np.divide(values, size, out=np.zeros_like(values), where=size > 0)
    return out


def _softmax(values: F64, temperature: float) -> F64:
    if not 0 < temperature < np.inf:
        message = f"temperature: expected a number above 0, got {temperature}"
        raise InputError(message)
    powers: F64 = np.exp((values - values.max(1, keepdims=True)) / temperature)
    powers /= powers.sum(1, keepdims=True)
    return powers


TRANSFORMS: dict[str, Callable[[F64], F64]] = {
    "none": lambda values: values,
    "rank": _ranks,
    "min_max": _min_max,
    "sum": _sum,
    "z": _z,
}
