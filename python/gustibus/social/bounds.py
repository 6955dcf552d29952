"""Bounds on how many members a committee takes from each group, by number, share or policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np

from gustibus.errors import InputError, UnknownNameError
from gustibus.social.interning import Labels, is_number

Amount: TypeAlias = int | float
Bounded: TypeAlias = tuple[str, list[int], int, int]
"""A group as the core takes it: name, items, fewest and most members."""

_SEVERAL = (set, frozenset, tuple, list)  # names of groups that one item is in together
_EPS = 1e-9  # a share of 1/3 of 6 seats is 2 seats


@dataclass(frozen=True, slots=True)
class Policy:
    """What a bylaw says about one group, or about every group when `group` is None."""

    kind: str
    group: Hashable | None = None
    amount: Amount | None = None


def proportional() -> Policy:
    """Every group gets its share of the items, rounded down or up: `floor(k |G| / m)` to `ceil`."""
    return Policy("proportional")


def equal() -> Policy:
    """Every group gets the same: `floor(k / p)` to `ceil(k / p)` for `p` groups."""
    return Policy("equal")


def at_least(group: Hashable | None, amount: Amount) -> Policy:
    """At least a number of members, or a share of the committee, from a group or from each."""
    return Policy("at_least", group, amount)


def at_most(group: Hashable | None, amount: Amount) -> Policy:
    """At most a number of members, or a share of the committee, from a group or from each.

    "No more than one third from one organisation" is `at_most(None, 1 / 3)`.
    """
    return Policy("at_most", group, amount)


def rooney(group: Hashable) -> Policy:
    """At least one member from a group."""
    return Policy("at_least", group, 1)


def exactly(group: Hashable, amount: int) -> Policy:
    """That many members from a group."""
    return Policy("exactly", group, amount)


def shares(population: Mapping[Hashable, float]) -> list[Policy]:
    """Every group gets its share of a reference population, rounded down or up.

    Raises:
        InputError: shares are not numbers of at least 0 with a sum of at most 1.
    """
    values = list(population.values())
    if any(not 0 <= share <= 1 for share in values) or sum(values) > 1 + _EPS:
        message = f"shares: expected numbers of at least 0 with a sum of at most 1, got {values}"
        raise InputError(message)
    return [Policy("share", group, share) for group, share in population.items()]


Limits: TypeAlias = Mapping[Any, Amount] | Sequence[Amount] | Amount | None
Policies: TypeAlias = Policy | str | Iterable[Policy | str] | None
_NAMED = {"proportional": proportional, "equal": equal}


def resolve(
    m: int,
    k: int,
    *,
    labels: Labels,
    groups: Any,
    lower: Limits,
    upper: Limits,
    bounds: Policies,
) -> list[Bounded]:
    """Groups with the tightest of all bounds that are given; those without bounds are left out.

    Args:
        m: Number of items.
        k: Size of the committee.
        labels: Names of the items.
        groups: One name, or a set of names, per item (None for no group); or a mapping from name to
            the items of the group.
        lower: Fewest members by group, or for every group. Floats are shares of the committee.
        upper: Most members, likewise.
        bounds: Policies, or the names `proportional` and `equal`.

    Raises:
        InputError: groups or bounds are malformed.
        UnknownNameError: a bound names a group that there is not.
    """
    sets = members_of(groups, m, labels)
    limits = {name: [0, k] for name in sets}
    for policy in _policies(bounds):
        _apply(policy, limits, sets, m, k)
    for name, amount in _amounts("lower", lower, sets):
        _apply(Policy("at_least", name, amount), limits, sets, m, k)
    for name, amount in _amounts("upper", upper, sets):
        _apply(Policy("at_most", name, amount), limits, sets, m, k)
    return [
        (str(name), sets[name], low, high)
        for name, (low, high) in limits.items()
        if low > 0 or high < min(k, len(sets[name]))
    ]


def members_of(groups: Any, m: int, labels: Labels) -> dict[Hashable, list[int]]:
    """The items of every group, in order of first appearance."""
    sets: dict[Hashable, list[int]] = defaultdict(list)
    if groups is None:
        return {}
    if isinstance(groups, Mapping):
        return {
            name: item_numbers(items, labels, "groups", below=(str(name),))
            for name, items in groups.items()
        }
    rows = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    if len(rows) != m:
        message = f"groups: expected one entry for each of {m} items, got {len(rows)}"
        raise InputError(message)
    if not any(issubclass(kind, _SEVERAL) for kind in set(map(type, rows))):
        for item, name in enumerate(rows):
            sets[name].append(item)
    else:
        for item, row in enumerate(rows):
            for name in dict.fromkeys(row if isinstance(row, _SEVERAL) else [row]):
                sets[name].append(item)
    return {name: items for name, items in sets.items() if name is not None}


def item_numbers(
    items: Iterable[Any], labels: Labels, argument: str, *, below: tuple[str, ...] = ()
) -> list[int]:
    """Numbers of items that are called by label, or by number where no label is one.

    Args:
        items: labels or numbers.
        labels: names of all items.
        argument: what the items are given as.
        below: under which names they stand in it.

    Raises:
        InputError: an item is unknown or stands twice; it points at the item.
    """
    steps = (step.replace("~", "~0").replace("/", "~1") for step in (argument, *below))
    where = "".join(f"/{step}" for step in steps)
    table: dict[Any, int] = {label: number for number, label in enumerate(labels)}
    by_number = not any(map(is_number, labels))
    out: list[int] = []
    for place, item in enumerate(items):
        number = table.get(item)
        if number is None and by_number and is_number(item) and 0 <= item < len(labels):
            number = int(item)
        if number is None:
            message = f"{argument}: expected items among {labels!r:.60}, got {item!r}"
            raise InputError(message, where=f"{where}/{place}")
        out.append(number)
    if len(set(out)) < len(out):
        place = next(at for at, number in enumerate(out) if number in out[:at])
        message = f"{argument}: expected each item once, got {labels[out[place]]!r} twice"
        raise InputError(message, where=f"{where}/{place}")
    return out


def _policies(bounds: Policies) -> list[Policy]:
    if bounds is None:
        return []
    rows = [bounds] if isinstance(bounds, Policy | str) else list(bounds)
    out = []
    for row in rows:
        if isinstance(row, Policy):
            out.append(row)
        elif row in _NAMED:
            out.append(_NAMED[row]())
        else:
            raise UnknownNameError.of("policy of bounds", str(row), _NAMED)
    return out


def _amounts(
    argument: str, limits: Limits, sets: Mapping[Hashable, list[int]]
) -> list[tuple[Hashable, Amount]]:
    if limits is None:
        return []
    if not sets:
        message = f"{argument}: expected groups with it, got none"
        raise InputError(message)
    if isinstance(limits, Mapping):
        return list(limits.items())
    if isinstance(limits, int | float | np.integer | np.floating):
        return [(name, limits) for name in sets]
    rows = list(limits)
    if len(rows) != len(sets):
        message = f"{argument}: expected a number for each of {len(sets)} groups, got {len(rows)}"
        raise InputError(message)
    return list(zip(sets, rows, strict=True))


def _apply(
    policy: Policy,
    limits: dict[Hashable, list[int]],
    sets: Mapping[Hashable, list[int]],
    m: int,
    k: int,
) -> None:
    if not sets:
        message = f"bounds: expected groups for {policy.kind!r}, got none"
        raise InputError(message)
    if policy.group is not None and policy.group not in sets:
        raise UnknownNameError.of("group", str(policy.group), map(str, sets))
    for name in sets if policy.group is None else [policy.group]:
        low, high = _limits(policy, len(sets[name]), len(sets), m, k)
        limits[name] = [max(limits[name][0], low), min(limits[name][1], high)]


def _limits(policy: Policy, size: int, groups: int, m: int, k: int) -> tuple[int, int]:
    match policy.kind:
        case "proportional":
            return k * size // m, -(-k * size // m)
        case "equal":
            return k // groups, -(-k // groups)
        case "share":
            share = float(policy.amount or 0) * k
            return floor(share + _EPS), ceil(share - _EPS)
        case "at_least":
            return ceil(_seats(policy, k) - _EPS), k
        case "at_most":
            return 0, floor(_seats(policy, k) + _EPS)
        case _:
            number = round(_seats(policy, k))
            return number, number


def _seats(policy: Policy, k: int) -> float:
    """A number of members; floats are shares of the committee."""
    amount = policy.amount
    if isinstance(amount, int | np.integer) and is_number(amount) and amount >= 0:
        return float(amount)
    if isinstance(amount, float | np.floating) and 0 <= amount <= 1:
        return float(amount) * k
    message = (
        f"bounds: expected a whole number of members or a share from 0.0 to 1.0 for group "
        f"{policy.group!r}, got {amount!r}"
    )
    raise InputError(message)
