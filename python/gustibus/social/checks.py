"""Axioms of representation: whether a committee gives groups of voters what they can claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InfeasibleError, InputError, MissingExtraError, UnknownNameError
from gustibus.social.approvals import ApprovalProfile
from gustibus.social.bounds import item_numbers

if TYPE_CHECKING:
    from gustibus.types import F64

AXIOMS = ("jr", "pjr", "ejr", "ejr+", "core", "pareto", "priceable")
"""Justified representation, proportional and extended; the core; Pareto optimality; priceability."""

_LIMIT = 1  # the status of scipy's solvers when time was over


@dataclass(frozen=True, slots=True)
class AxiomCheck:
    """Whether an axiom holds, and why not.

    When it fails, `voters` agree on `items` and are entitled to `seats`: under `core`, they prefer the
    items and can afford them; under `pareto`, the items are a committee that they prefer and nobody
    minds.
    """

    axiom: str
    holds: bool | None
    """None when time was over before it was known."""
    voters: tuple[int, ...] = ()
    items: tuple[int, ...] = ()
    seats: int = 0

    def __bool__(self) -> bool:
        return self.holds is True


def check_committee(
    profile: ApprovalProfile,
    members: Any,
    *,
    axioms: Iterable[str] = ("jr", "pjr", "ejr", "ejr+"),
    time_limit: float | None = None,
) -> dict[str, AxiomCheck]:
    """Checks axioms on a committee; its size counts as the number of seats.

    `jr` and `ejr+` take polynomial time and `priceable` a linear program (needs scipy); the others
    search sets of items and suit a few dozen.

    Args:
        profile: Approval sets.
        members: The committee, by label or number.
        axioms: Names of `AXIOMS`.
        time_limit: Seconds for each axiom.

    Raises:
        InputError: an item is unknown or stands twice.
        UnknownNameError: an axiom is not in `AXIOMS`.

    Examples:
        >>> ballots = ApprovalProfile([{"a", "b"}] * 6 + [{"c"}] * 3, labels="abcd")
        >>> failed = check_committee(ballots, "acd")["ejr"]
        >>> failed.holds, failed.items, failed.seats
        (False, (0, 1), 2)

    Source: Lackner and Skowron 2023, chapter 4.
    """
    if not isinstance(profile, ApprovalProfile):
        message = f"profile: expected an ApprovalProfile, got {type(profile).__name__}"
        raise InputError(message)
    numbers = item_numbers(members, profile.labels, "members")
    return {axiom: _check(axiom, profile, numbers, time_limit) for axiom in axioms}


def _check(
    axiom: str, profile: ApprovalProfile, members: list[int], time_limit: float | None
) -> AxiomCheck:
    if axiom not in AXIOMS:
        raise UnknownNameError.of("axiom", axiom, AXIOMS)
    try:
        if axiom == "priceable":
            found = price_system(profile, members, time_limit=time_limit)
            return AxiomCheck(axiom, found is not None)
        holds, witness = _core.check_axiom(axiom, profile.handle, members, time_limit)
    except InfeasibleError:
        return AxiomCheck(axiom, None)
    if witness is None:
        return AxiomCheck(axiom, holds)
    voters, items, seats = witness
    return AxiomCheck(axiom, holds, tuple(voters), tuple(items), seats)


def price_system(
    profile: ApprovalProfile, members: Any, *, time_limit: float | None = None
) -> tuple[float, F64] | None:
    """A price and who pays what, `(n, k)`, that explain a committee; None if there are none.

    Voters hold 1 each and pay for members that they approve; every member gets the price; supporters of
    an outsider have no more than the price left between them.

    Raises:
        InputError: an item is unknown or stands twice.
        InfeasibleError: the program was not solved within the time limit, in seconds.
        MissingExtraError: scipy is not installed.

    Source: Peters and Skowron 2020, definition 1.
    """
    try:
        from scipy.optimize import linprog
        from scipy.sparse import coo_array, vstack
    except ImportError as error:
        raise MissingExtraError.of("scipy", "social") from error
    numbers = item_numbers(members, profile.labels, "members")
    approves = profile.matrix()
    n, k = profile.n_voters, len(numbers)
    if k == 0:
        return None
    voter, member = np.nonzero(approves[:, numbers])
    pays = len(voter)  # variables: payments, then the price
    ones = np.ones(pays)
    spent = coo_array((ones, (voter, np.arange(pays))), (n, pays + 1)).tocsr()
    income = coo_array(
        (np.concatenate([ones, -np.ones(k)]),
         (np.concatenate([member, np.arange(k)]),
          np.concatenate([np.arange(pays), np.full(k, pays)]))), (k, pays + 1),
    ).tocsr()  # fmt: skip
    outside = np.setdiff1d(np.arange(profile.n_items), numbers)
    support = coo_array(approves[:, outside].T.astype(np.float64)).tocsr()
    price = coo_array(
        (np.ones(len(outside)), (np.arange(len(outside)), np.full(len(outside), pays))),
        (len(outside), pays + 1),
    ).tocsr()
    rows = vstack([spent, -(support @ spent) - price])
    limits = np.concatenate([profile.weights, -(support @ profile.weights)])
    aim = np.zeros(pays + 1)
    aim[-1] = -1
    options = {} if time_limit is None else {"time_limit": time_limit}
    found = linprog(aim, A_ub=rows, b_ub=limits, A_eq=income, b_eq=np.zeros(k), options=options)
    if found.status == _LIMIT:
        message = f"time_limit: {time_limit:g} s were over before there was a result"
        raise InfeasibleError(message)
    if found.status != 0 or found.x[-1] <= 1e-9:
        return None
    payments = np.zeros((n, k))
    payments[voter, member] = found.x[:-1]
    return float(found.x[-1]), payments
