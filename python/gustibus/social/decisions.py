"""What a rule decides, in the names of the items, and the one call that runs any rule."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from gustibus import _core
from gustibus.errors import InputError, UnknownNameError
from gustibus.social.interning import Labels
from gustibus.social.profile import Profile
from gustibus.social.values import check_threads
from gustibus.types import F64, I64, doubles

Subject: TypeAlias = "Profile | F64"
"""Ballots, or for rules that need no more a matrix `(m, m)` of pairwise support."""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """Winners, scores and a weak order of all items; items are called by their labels."""

    rule: str
    labels: Labels
    """Names of the items `0..m-1`, to which arrays of the decision refer."""
    buckets: I64
    """`(m,)`, the bucket of each item in the weak order; 0 is the best."""
    winner_ids: I64
    """Numbers of the winners, rising."""
    tie_order: I64
    """`(m,)`, numbers of the items in the order that breaks ties."""
    scores: F64 | None = None
    """`(m,)`, larger is better; None for rules without scores."""
    value: float | None = None
    """What a consensus order costs: its total distance from the ballots."""
    lower_bound: float | None = None
    """No order costs less."""
    gap: float | None = None
    """`value / lower_bound - 1`; 0 for a proven optimum."""
    optimal: bool | None = None
    """Whether the order is proven to be optimal."""
    orders: tuple[Labels, ...] | None = None
    """Every optimal order, where all were asked for."""
    rounds: tuple[Labels, ...] | None = None
    """Items dropped in each round."""
    elected: Labels | None = None
    """Items in the order of their election."""
    dropped: Labels | None = None
    """Items in the order of their exclusion."""
    quota: float | None = None
    """Votes that elect."""
    tallies: F64 | None = None
    """`(stages, m)`, votes at each stage of a count."""
    lottery: F64 | None = None
    """`(m,)`, chances in an optimal lottery."""
    paths: F64 | None = None
    """`(m, m)`, strengths of the strongest paths."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the rule found."""

    @property
    def winners(self) -> Labels:
        """All winners, by rising number of the item."""
        return tuple(self.labels[i] for i in self.winner_ids)

    @property
    def winner(self) -> Hashable:
        """The winner that comes first in the order that breaks ties.

        Raises:
            InputError: There is none, as without a Condorcet winner.
        """
        if not len(self.winner_ids):
            message = f"{self.rule}: expected a winner, there is none"
            raise InputError(message)
        first = self.tie_order[np.isin(self.tie_order, self.winner_ids)][0]
        return self.labels[first]

    @property
    def order_ids(self) -> I64:
        """`(m,)`, numbers of the items from best to worst, ties broken."""
        order: I64 = self.tie_order[np.argsort(self.buckets[self.tie_order], kind="stable")]
        return order

    @property
    def order(self) -> Labels:
        """All items from best to worst, ties broken."""
        return tuple(self.labels[i] for i in self.order_ids)

    @property
    def ranking(self) -> tuple[Labels, ...]:
        """The weak order: buckets of tied items, best first."""
        ids = np.argsort(self.buckets, kind="stable")
        cuts = np.flatnonzero(np.diff(self.buckets[ids])) + 1
        return tuple(tuple(self.labels[i] for i in part) for part in np.split(ids, cuts))


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A row of the table of rules."""

    name: str
    source: str
    laws: tuple[str, ...]
    options: tuple[str, ...]


def rules() -> dict[str, RuleRow]:
    """Every rule that `decide` knows, with its source, its laws and its options."""
    return {
        name: RuleRow(name, source, tuple(laws), tuple(options))
        for name, source, laws, options in _core.social_rules()
    }


def decide(
    subject: Subject,
    rule: str,
    *,
    options: Mapping[str, Any] | None = None,
    time_limit: float | None = None,
    threads: int | None = None,
) -> Decision:
    """The decision of a rule, by name.

    Args:
        subject: Ballots, or a matrix `(m, m)` of pairwise support for rules that need no more.
        rule: A name of `rules()`.
        options: Options of the rule. `order` names all items, and breaks ties; with `seed` a random
            order does, otherwise that of the labels.
        time_limit: Seconds after which a search returns its best; the result may then depend on the
            machine.
        threads: Number of threads; every core by default. Results do not depend on it.

    Raises:
        UnknownNameError: No such rule or option.
        InputError: A value out of range.

    Examples:
        >>> decide(Profile([["tea", "milk"], ["milk", "tea"]], weights=[2, 1]), "copeland").winners
        ('tea',)
    """
    known = rules()
    if rule not in known:
        raise UnknownNameError.of("rule", rule, known)
    chosen = {name: value for name, value in (options or {}).items() if value is not None}
    labels, handle = _subject(subject)
    order = _order(labels, chosen.pop("order", None))
    if order is not None:
        chosen["order"] = order.astype(np.float64).tolist()
    limit = _seconds(time_limit)
    out = _core.social_decide(rule, handle, _plain(chosen), limit, check_threads(threads))
    winners, scores, buckets, facts = out
    return named(rule, labels, winners, scores, buckets, facts, order)


def named(
    rule: str,
    labels: Labels,
    winners: I64,
    scores: F64 | None,
    buckets: I64,
    facts: dict[str, Any],
    order: I64 | None,
) -> Decision:
    """A decision with labels for numbers."""

    def name(ids: Iterable[int]) -> Labels:
        return tuple(labels[i] for i in ids)

    fields: dict[str, Any] = {
        key: facts.pop(key)
        for key in (
            "value",
            "lower_bound",
            "gap",
            "optimal",
            "quota",
            "tallies",
            "lottery",
            "paths",
        )
        if key in facts
    }
    for key in ("orders", "rounds"):
        if key in facts:
            fields[key] = tuple(map(name, facts.pop(key)))
    for key in ("elected", "dropped"):
        if key in facts:
            fields[key] = name(facts.pop(key))
    tie_order = np.arange(len(labels)) if order is None else order
    return Decision(
        rule, labels, buckets, winners, tie_order, scores, facts=MappingProxyType(facts), **fields
    )


def _subject(subject: Subject) -> tuple[Labels, Any]:
    if isinstance(subject, Profile):
        return subject.labels, subject.handle
    matrix = _matrix(subject)
    return tuple(range(len(matrix))), matrix


def _matrix(support: Any) -> F64:
    try:
        matrix = doubles(support)
    except (TypeError, ValueError) as error:
        message = (
            f"subject: expected a Profile or a matrix of support, got {type(support).__name__}"
        )
        raise InputError(message) from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        message = f"support: expected shape (m, m) with at least one item, got {matrix.shape}"
        raise InputError(message)
    return matrix


def _order(labels: Labels, order: Any) -> I64 | None:
    """Numbers of the items in an order given by labels."""
    if order is None:
        return None
    number = {label: i for i, label in enumerate(labels)}
    try:
        ids = [number[label] for label in order]
    except (KeyError, TypeError) as error:
        message = f"order: expected labels of the items, got {error}"
        raise InputError(message) from None
    if sorted(ids) != list(range(len(labels))):
        message = f"order: expected each of the {len(labels)} items once, got {len(ids)} labels"
        raise InputError(message)
    return np.array(ids, np.int64)


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, bool | str):
            out[name] = value
            continue
        try:
            number = doubles(value)
        except (TypeError, ValueError):
            message = f"{name}: expected a number, numbers, a word or a flag, got {value!r:.60}"
            raise InputError(message) from None
        if number.ndim > 1:
            message = f"{name}: expected one dimension, got {number.shape}"
            raise InputError(message)
        out[name] = number.tolist()
    return out


def _seconds(limit: float | None) -> float | None:
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit < 1e9:
        message = f"time_limit: expected seconds, at least 0, got {limit!r}"
        raise InputError(message)
    return float(limit)
