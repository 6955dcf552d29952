"""How much of a loss one person and one key may have, together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from gustibus.data.arrays import above, finite, number, same_length
from gustibus.types import F64, I64, Bool

_EXACT = 1e-12  # of a total, below which two are the same


class Shares(NamedTuple):
    """Weights under which nobody has more than their share."""

    weight: F64
    """`(n,)` of each row, at most what it was."""
    share: float
    """The most that one key may have of the sum, in (0, 1]."""
    limited: dict[str, float]
    """By which factor, below 1, the weights of a key were multiplied."""


def limit_shares(
    weight: F64,
    key: Sequence[str | None],
    *,
    share: float,
    trusted: Collection[str] = (),
    person: Sequence[str] | None = None,
    person_share: float = 1.0,
) -> Shares:
    """Scale rows down so that no key and no person has more than a share of what remains.

    Water-filling for both at once: with the sum T of what remains, a person has at most `person_share * T`
    and a key at most `share * T`, and T is the largest sum for which that holds. Where few keys, or keys
    with few people, make `share` impossible, the smallest share that is possible takes its place: 1/n for
    n keys that all have people enough. Rows without a key and those of trusted keys are held to the share
    of people alone; rows without one count towards T, and make no smaller share of a key possible.

    Args:
        weight: `(n,)` at or above 0.
        key: `(n,)` that brought each row, None where that is not known.
        share: of one key, in (0, 1].
        trusted: keys that may have any share.
        person: `(n,)` whose each row is; None for no cap on people.
        person_share: of one person, in (0, 1]; 1 over the number of people with weight where that is more.

    Raises:
        InputError: no rows, weights that are not finite or below 0, shares out of range, columns of
            several lengths.
    """
    weight = finite("weight", weight, low=0)
    share = above("share", number("share", share, high=1))
    person_share = above("person_share", number("person_share", person_share, high=1))
    same_length(weight=weight, key=key, **({} if person is None else {"person": person}))
    names, code = np.unique(["" if one is None else f".{one}" for one in key], return_inverse=True)
    free = np.array([not name or name[1:] in trusted for name in names.tolist()], np.bool_)
    keyed = np.array([one is not None for one in key], np.bool_)
    rows = _Rows(weight, code.astype(np.int64), free)
    if person is not None and person_share < 1:
        _, who = np.unique(list(person), return_inverse=True)
        people = int(np.count_nonzero(np.bincount(who, weight)))
        least = 1.0 / max(people, 1)
        rows = rows._replace(person=who.astype(np.int64), person_share=max(person_share, least))
    if not rows.weight.any():
        return Shares(rows.weight, share, {})
    possible = _possible(rows, keyed, share)
    limited, scale = _scaled(rows, _sum_of_all(rows, possible), possible)
    told = {
        name[1:]: float(factor)
        for name, factor in zip(names.tolist(), scale, strict=True)
        if factor < 1 - _EXACT
    }
    return Shares(limited, possible, told)


class _Rows(NamedTuple):
    weight: F64
    key: I64
    free: Bool
    """`(k,)` keys without a cap."""
    person: I64 | None = None
    person_share: float = 1.0


def _possible(rows: _Rows, keyed: Bool, share: float) -> float:
    """The smallest share of a key, from `share` on, under which rows with a key can have a sum above 0.

    Near 0 every cap binds: people have `person_share * T` each, so that a key with n people (parts of
    people where they are of several keys) has at most `n * person_share * T`, and all keys together have
    to have T.
    """
    some = keyed & (rows.weight > 0)
    count = len(rows.free)
    if rows.person is None:
        most = np.where(np.bincount(rows.key[some], minlength=count) > 0, np.inf, 0.0)
    else:
        own = np.bincount(rows.person[some], rows.weight[some])[rows.person[some]]
        people = np.bincount(rows.key[some], rows.weight[some] / own, minlength=count)
        most = people * max(rows.person_share, 1.0 / max(people.sum(), 1.0))
    left = 1.0 - float(most[rows.free].sum())
    capped = np.sort(most[~rows.free & (most > 0)])
    if left <= _EXACT or not len(capped) or np.minimum(capped, share).sum() >= left - _EXACT:
        return share
    for place, one in enumerate(capped.tolist()):
        rest = len(capped) - place
        if one * rest >= left - _EXACT:
            return min(1.0, left / rest)
        left -= one
    return 1.0


def _sum_of_all(rows: _Rows, share: float) -> float:
    """The largest T that the capped rows sum up to: Newton steps from above, as their sum is concave in T.

    It is piecewise linear, too, so that the steps end at the exact sum.
    """
    total = float(rows.weight.sum())
    while True:
        fixed, slope = _line(rows, total, share)
        if fixed + slope * total >= total * (1 - _EXACT) or slope >= 1:
            return total
        total = fixed / (1 - slope)


def _line(rows: _Rows, total: float, share: float) -> tuple[float, float]:
    """The capped sum near T as `fixed + slope * T`."""
    fixed, slope = rows.weight, np.zeros_like(rows.weight)
    if rows.person is not None:
        own = np.bincount(rows.person, rows.weight)[rows.person]
        over = own > rows.person_share * total
        part = np.divide(rows.weight, own, out=np.zeros_like(own), where=own > 0)
        fixed = np.where(over, 0.0, rows.weight)
        slope = np.where(over, rows.person_share * part, 0.0)
    count = len(rows.free)
    of_key = np.bincount(rows.key, fixed, minlength=count)
    rising = np.bincount(rows.key, slope, minlength=count)
    over_key = ~rows.free & (of_key + rising * total > share * total)
    return (
        float(np.where(over_key, 0.0, of_key).sum()),
        float(np.where(over_key, share, rising).sum()),
    )


def _scaled(rows: _Rows, total: float, share: float) -> tuple[F64, F64]:
    """The rows under their caps, and `(k,)` the factor of each key."""
    found = rows.weight
    if rows.person is not None:
        most = rows.person_share * total
        own = np.bincount(rows.person, rows.weight)
        found = found * (most / np.maximum(own, most))[rows.person]
    of_key = np.bincount(rows.key, found, minlength=len(rows.free))
    scale: F64 = np.where(rows.free, 1.0, share * total / np.maximum(of_key, share * total))
    return found * scale[rows.key], scale
