"""Online matching: arrivals are taken one by one or in bulk, and decisions are final."""

from __future__ import annotations

from typing import Any

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.matching.arrays import boundaries, numbers, per_item, whole_numbers
from gustibus.registry import Entry
from gustibus.types import I32

RULES: dict[str, Entry[dict[str, Any]]] = {
    name: Entry(
        name,
        {"reads": reads, "budget": budget, "weight": weight, "stochastic": stochastic,
         "options": tuple(options)},
        source,
        tuple(laws),
    )
    for name, source, laws, reads, budget, weight, stochastic, options in _core.matching_rules()
}  # fmt: skip
"""Every rule with its source, its laws, and what it reads."""


class Matcher:
    """A run of one rule over items with limited room; decisions are reproducible to the bit.

    | rule | for | guarantee against the offline optimum |
    |---|---|---|
    | `ranking` | equal weights | 1 - 1/e in expectation |
    | `perturbed_greedy` | item weights | 1 - 1/e in expectation |
    | `balance` | item weights, capacities not tiny | `1 - (1 + 1/b)^-b` in every run |
    | `budget_balance` | budgets and bids | tends to 1 - 1/e for small bids |
    | `exponential_averaging` | edge weights, items may drop what they hold | `1 - (1 + 1/b)^-b` |
    | `threshold` | edge weights in a known range, nothing is given back | `1 / alpha` |
    | `dual_prices` | arrivals alike over time | loss of order `sqrt(horizon)` |
    | `stochastic_balance` | matches succeed with a probability | 0.576, 1 - 1/e for large capacities |
    | `stochastic_perturbed_greedy` | the same, chances of product form | 1 - 1/e |
    | `greedy` | a baseline | 1/2 for item weights |

    A matcher is a value: `snapshot` gives its bytes, `resume` goes on from them. One thread writes at
    a time; calls of others wait. A call that raises changes nothing.

    Args:
        rule: One of `RULES`.
        n: Number of items; may be left out when `capacity` or `budget` is an array.
        capacity: `(n,)` or one whole number, how many matches (or successes) an item can take.
        budget: `(n,)` or one number, for the rules that spend budgets; instead of `capacity`.
        weight: `(n,)` or one number at or above 0, what a match with the item is worth; 1 by default.
        seed: Of the random rules and of the simulator's coins, from 0 to 2^64 - 1.
        seeds: `"item"` or `"unit"`: one random seed per item, or one per unit, which varies less.
        range: Least and largest edge weight, for `threshold`.
        horizon: Number of arrivals to expect, for `dual_prices`.
        step: Multiple of `1 / sqrt(horizon)` by which prices move, for `dual_prices`.
        score: `"table"` or, for capacity 1, `"gompertz"`, for `stochastic_balance`.
        late: `"instant"`: every outcome is reported before the next arrival, the model of the
            guarantees. `"reserve"`: an attempt holds a unit until reported or expired. `"overbook"`:
            attempts wait together while the chance of too many successes stays below `delta`.
        delta: For `"overbook"`, in `[0, 1]`.
        remember: How many arrivals with an id are remembered for retries.

    Raises:
        UnknownNameError: no such rule.
        InputError: a number, shape or option is wrong, or no item has room.

    Examples:
        >>> matcher = Matcher("balance", capacity=[1, 2])
        >>> [matcher.arrive(np.array([0, 1]))[0] for _ in range(4)]
        [0, 1, 1, None]
        >>> matcher.stats()["value"]
        3.0

    Source: the module's rules name theirs, see `RULES`.
    """

    __slots__ = ("_core",)

    def __init__(
        self,
        rule: str,
        n: int | None = None,
        capacity: Any = None,
        *,
        budget: Any = None,
        weight: Any = None,
        seed: int = 0,
        seeds: str | None = None,
        range: tuple[float, float] | None = None,  # noqa: A002 - the field's word
        horizon: float | None = None,
        step: float | None = None,
        score: str | None = None,
        late: str | None = None,
        delta: float | None = None,
        remember: int = 1024,
    ) -> None:
        entry = RULES.get(rule)
        spends = entry is not None and entry.run["budget"]
        limits = _limits(capacity, budget, spends=spends, n=n)
        weights = None if weight is None else per_item("weight", weight, len(limits))
        if not 0 <= seed < 2**64:
            message = f"seed: expected a whole number from 0 to 2^64 - 1, got {seed}"
            raise InputError(message, where="seed")
        self._core = _core.Matcher(
            rule, limits, weights, seed, seeds, range, horizon, step, score, late, delta, remember
        )

    def arrive(
        self,
        items: Any,
        values: Any = None,
        arrival_id: str | None = None,
        *,
        sizes: Any = None,
        deadline: float | None = None,
    ) -> tuple[int | None, int | None]:
        """Take one arrival.

        Args:
            items: `(k,)` whole numbers, the items it may go to, in any order.
            values: `(k,)`, a probability, bid or weight per edge, as the rule reads; 1 by default.
            arrival_id: A name; the same name again gets the first decision, and nothing changes.
            sizes: `(k,)`, what a match takes from the budget, for `dual_prices`; 1 by default.
            deadline: When to give up waiting for the outcome, see `expire`.

        Returns:
            The item or None, and the number of the attempt where matches may fail.

        Raises:
            InputError: the row is wrong, or an instant outcome is missing.
        """
        try:
            return self._core.arrive(items, values, arrival_id, sizes=sizes, deadline=deadline)
        except InputError:
            # nothing changed: arrays of the usual types are not looked at twice, others are converted
            rows = [
                whole_numbers("items", items),
                *map(_given, ("values", "sizes"), (values, sizes)),
            ]
            if rows[0] is items and rows[1] is values and rows[2] is sizes:
                raise
        return self._core.arrive(rows[0], rows[1], arrival_id, sizes=rows[2], deadline=deadline)

    def decide(self, items: Any, values: Any = None, *, sizes: Any = None) -> int | None:
        """What `arrive` would choose now; nothing changes."""
        return self._core.decide(
            whole_numbers("items", items),
            _given("values", values),
            sizes=_given("sizes", sizes),
        )

    def report(self, attempt_id: int, success: bool) -> None:  # noqa: FBT001 - the outcome itself
        """Record the outcome of an attempt.

        Raises:
            InputError: no attempt with this number waits for an outcome.
        """
        self._core.report(_attempt(attempt_id), success)

    def draw(self, attempt_id: int) -> bool:
        """Let the simulator's next coin decide an attempt, and record the outcome.

        Raises:
            InputError: no attempt with this number waits for an outcome.
        """
        return self._core.draw(_attempt(attempt_id))

    def arrive_many(
        self, indptr: Any, items: Any, values: Any = None, *, sizes: Any = None, coins: Any = None
    ) -> I32:
        """Take many arrivals, exactly as one by one.

        Args:
            indptr: `(m + 1,)` row boundaries.
            items: `(edges,)` item numbers.
            values: `(edges,)` as for `arrive`.
            sizes: `(edges,)` as for `arrive`.
            coins: `(m,)` booleans, the outcome if arrival `v` leads to an attempt. Without them the
                simulator draws coins; with late outcomes attempts are left to be reported, numbered
                on from `stats()["attempts"]`.

        Returns:
            `(m,)` item numbers, -1 for nobody.

        Raises:
            InputError: some row is wrong; nothing was taken.
        """
        return self._core.arrive_many(
            boundaries(indptr),
            whole_numbers("items", items),
            _given("values", values),
            sizes=_given("sizes", sizes),
            coins=None if coins is None else _coins(coins),
        )

    def add_items(self, capacity: Any, weight: Any = None) -> int:
        """Add items with a capacity or budget each; returns the number of the first.

        An item that appears late is one that was there from the start without edges: no guarantee
        suffers.
        """
        limits = per_item("capacity", np.atleast_1d(np.asarray(capacity)))
        weights = None if weight is None else per_item("weight", weight, len(limits))
        return self._core.add_items(limits, weights)

    def expire(self, now: float) -> int:
        """Give up attempts whose deadline is before `now`; returns how many.

        What they held is free again, and outcomes reported later are refused.
        """
        return self._core.expire(now)

    def snapshot(self) -> bytes:
        """Everything that later decisions depend on."""
        return self._core.snapshot()

    @classmethod
    def resume(cls, snapshot: bytes) -> Matcher:
        """The matcher a snapshot was taken of; later decisions are the same to the bit.

        Raises:
            InputError: the bytes are no snapshot, cut short or altered.
        """
        matcher = cls.__new__(cls)
        matcher._core = _core.Matcher.resume(snapshot)
        return matcher

    def bound(
        self,
        indptr: Any = None,
        items: Any = None,
        values: Any = None,
        *,
        sizes: Any = None,
        steps: int = 300,
    ) -> float:
        """Upper bound on the offline optimum of the arrivals so far.

        Without arguments it comes from running totals, in constant time per item, for the rules
        whose prices only rise. With the arrivals it starts from the prices of now and improves them
        by projected subgradient steps; it then serves every rule, and is mostly tighter.

        Args:
            indptr: `(m + 1,)` row boundaries of all arrivals so far.
            items: `(edges,)` item numbers.
            values: `(edges,)`.
            sizes: `(edges,)`.
            steps: Subgradient steps, one pass over the arrivals each.

        Raises:
            InputError: the rule keeps no running bound, or outcomes come late, and no arrivals came.
        """
        if indptr is None or items is None:
            return self._core.running_bound()
        return self._core.bound(
            boundaries(indptr),
            whole_numbers("items", items),
            _given("values", values),
            _given("sizes", sizes),
            steps,
        )

    def stats(self) -> dict[str, Any]:
        """Totals, and arrays per item: limit, used, load (sum of chances) and tries.

        With estimated chances compare `successes` with `expected_successes`, and per item `used` with
        `load`: the guarantees assume that they agree.
        """
        return self._core.stats()

    def __len__(self) -> int:
        return len(self._core)


def _attempt(number: int) -> int:
    """A number that an attempt can have; the core tells whether one has it."""
    if isinstance(number, int | np.integer) and not 0 <= number < 2**64:
        message = f"attempt_id: expected a whole number from 0 to 2^64 - 1, got {number}"
        raise InputError(message, where="attempt_id")
    return number


def _given(name: str, values: Any) -> Any:
    return None if values is None else numbers(name, values)


def _limits(capacity: Any, budget: Any, *, spends: bool, n: int | None) -> Any:
    name = "budget" if spends else "capacity"
    given, other = (budget, capacity) if spends else (capacity, budget)
    if given is None or other is not None:
        message = f"{name}: expected for this rule, and not its counterpart"
        raise InputError(message, where=name)
    if n is None and np.ndim(given) == 0:
        message = "n: expected the number of items, as the capacity is one number"
        raise InputError(message, where="n")
    if n is not None and n < 1:
        message = f"n: expected at least one item, got {n}"
        raise InputError(message, where="n")
    return per_item(name, given, n)


def _coins(coins: Any) -> Any:
    array = np.asarray(coins)
    if array.ndim != 1 or array.dtype != np.bool_:
        message = (
            f"coins: expected one dimension of booleans, got {array.dtype} of shape {array.shape}"
        )
        raise InputError(message, where="coins")
    return array
