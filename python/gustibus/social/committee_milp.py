"""Exact committees as mixed-integer programs, solved by the HiGHS that scipy brings.

Every rule that sums over voters becomes counts of members in sets: a ranking is the nested sets of its
first `r` items, each worth the step from one score to the next; utilities likewise. A set of which `j`
members are chosen is worth `weight * (lambda_1 + ... + lambda_j)`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus import _core
from gustibus.errors import InfeasibleError, InputError, MissingExtraError
from gustibus.social.bounds import Bounded

if TYPE_CHECKING:
    from gustibus.types import F64, I64

_MODULAR = ("sntv", "bloc", "k_borda", "positional", "av", "sav", "sum")


class _Sets:
    """Weighted sets of items and factors of their first, second, ... member."""

    def __init__(self, starts: I64, items: I64, weights: F64, factors: F64) -> None:
        self.starts, self.items, self.weights, self.factors = starts, items, weights, factors


class _Program:
    """Variables `x` of the items, then others; maximised."""

    def __init__(self, m: int) -> None:
        self.m, self.size = m, m
        self.gain: list[tuple[int, float]] = []
        self.most: dict[int, float] = {}
        self.rows: list[tuple[list[int], list[float], float, float]] = []

    def variables(self, count: int, most: float) -> range:
        """New variables from 0 to `most`."""
        first = self.size
        self.size += count
        for index in range(first, self.size):
            self.most[index] = most
        return range(first, self.size)

    def row(self, columns: list[int], values: list[float], low: float, high: float) -> None:
        """A constraint `low <= values . columns <= high`."""
        self.rows.append((columns, values, low, high))


def solve(
    profile: Any,
    kind: str,
    rule: str,
    k: int,
    groups: list[Bounded],
    params: Any,
    time_limit: float | None,
) -> tuple[Any, ...]:
    """What `_core.elect` returns, by mixed-integer programming; overlapping groups are no harder.

    Raises:
        InfeasibleError: no committee meets the bounds.
        InputError: the rule maximises nothing that can be written as a program.
        MissingExtraError: scipy is not installed.
    """
    m = profile.n_items
    if k > m:
        message = f"k: expected a number from 0 to {m}, got {k}"
        raise InputError(message)
    program = _Program(m)
    program.row(list(range(m)), [1.0] * m, k, k)
    for _, members, low, high in groups:
        program.row(members, [1.0] * len(members), low, high)
    _objective(program, profile, kind, rule, k, params)
    found = _run(program, time_limit, groups, k)
    members = [c for c in range(m) if found.x[c] > 0.5]
    if rule in ("bloc", "approval_cc") and params.t is None:
        params = params._replace(t=max(k, 1))
    value = _core.committee_score(rule, profile.handle, params, members)
    bound = -float(found.mip_dual_bound)
    if rule == "minimaxav":
        bound = -bound
    optimal = found.status == 0
    upper = value if optimal else bound
    return members, value, upper, optimal, [], [], optimal, "milp"


def _objective(program: _Program, profile: Any, kind: str, rule: str, k: int, params: Any) -> None:
    if rule in _MODULAR:
        given = params._replace(t=params.t or max(k, 1))
        for item in range(program.m):
            value = _core.committee_score(rule, profile.handle, given, [item])
            program.gain.append((item, float(value or 0)))
    elif rule == "minimaxav":
        _minimax(program, profile, k)
    elif rule == "egalitarian_cc":
        _egalitarian(program, _worths(profile, kind, None))
    elif rule == "monroe":
        _monroe(program, profile, kind, k)
    else:
        _counts(program, _sets(profile, kind, rule, k, params), k)


def _sets(profile: Any, kind: str, rule: str, k: int, params: Any) -> _Sets:
    factors = _factors(kind, rule, k, params)
    if kind == "approvals":
        sets = profile.sets()
        starts = np.concatenate([[0], np.cumsum([len(s) for s in sets])]).astype(np.int64)
        items = np.concatenate(sets).astype(np.int64) if sets else np.zeros(0, np.int64)
        return _Sets(starts, items, profile.weights, factors)
    scores = None
    if kind == "rankings":
        m = profile.n_items
        scores = np.arange(m - 1, -1, -1, dtype=np.float64)
        t = max(k, 1) if params.t is None and rule == "approval_cc" else params.t
        if t is not None and rule != "t_borda":
            scores = (np.arange(m) < t).astype(np.float64)
        if rule in ("cc", "seqcc") and params.vector is not None:
            scores = params.vector
    return _nested(_worths(profile, kind, scores), profile.weights, factors)


def _factors(kind: str, rule: str, k: int, params: Any) -> F64:
    j = np.arange(1, max(k, 1) + 1, dtype=np.float64)
    match rule:
        case "pav" | "seqpav" | "revseqpav":
            return 1 / j
        case "slav" | "seqslav":
            return 1 / (2 * j - 1)
        case "cc" | "seqcc" | "approval_cc":
            return np.array([1.0])
        case "geometric":
            return np.power(params.p or 2.0, -j)
        case "threshold" | "t_borda" | "t_best" if params.t is not None:
            return np.ones(min(params.t, len(j)))
        case "owa" | "thiele" if params.vector is not None:
            tail = params.vector[-1] if rule == "thiele" else 0.0
            extra = np.full(max(0, len(j) - len(params.vector)), tail)
            return np.concatenate([params.vector, extra])[: len(j)]
    message = f"method: expected another than 'milp' for rule {rule!r} on {kind}, got 'milp'"
    raise InputError(message)


def _worths(profile: Any, kind: str, scores: F64 | None) -> F64:
    """`(n, m)`, what every item is worth to every voter."""
    if kind == "utilities":
        values: F64 = profile.values
        return values
    places = profile.places().T.astype(np.int64)
    if scores is None:
        return (profile.n_items - 1 - places).astype(np.float64)
    worths: F64 = scores[places]
    return worths


def _nested(worths: F64, weights: F64, factors: F64) -> _Sets:
    """Sets of a voter's best `r` items, weighted by the step to the next; equal sets are merged."""
    merged: dict[bytes, float] = {}
    for row, weight in zip(worths, weights, strict=True):
        levels = np.unique(np.append(row, 0.0))
        for low, high in pairwise(levels):
            key = np.packbits(row >= high).tobytes()
            merged[key] = merged.get(key, 0.0) + weight * (high - low)
    m = worths.shape[1]
    chosen = [np.unpackbits(np.frombuffer(key, np.uint8), count=m).nonzero()[0] for key in merged]
    starts = np.concatenate([[0], np.cumsum([len(c) for c in chosen])]).astype(np.int64)
    items = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    return _Sets(starts, items, np.array(list(merged.values())), factors)


def _counts(program: _Program, sets: _Sets, k: int) -> None:
    factors = [f for f in sets.factors.tolist() if f > 0]
    for index, weight in enumerate(sets.weights.tolist()):
        items = sets.items[sets.starts[index] : sets.starts[index + 1]].tolist()
        depth = min(len(factors), len(items), k)
        if depth == 0 or weight <= 0:
            continue
        counted = program.variables(depth, 1.0)
        program.gain += [(z, weight * f) for z, f in zip(counted, factors, strict=False)]
        columns, values = [*counted, *items], [1.0] * depth + [-1.0] * len(items)
        program.row(columns, values, -np.inf, 0.0)


def _minimax(program: _Program, profile: Any, k: int) -> None:
    (worst,) = program.variables(1, float(profile.n_items + k))
    program.gain.append((worst, -1.0))
    for items, weight in zip(profile.sets(), profile.weights, strict=True):
        if weight > 0:
            columns = [worst, *items.tolist()]
            program.row(columns, [1.0] + [2.0] * len(items), len(items) + k, np.inf)


def _egalitarian(program: _Program, worths: F64) -> None:
    (least,) = program.variables(1, float(worths.max()))
    program.gain.append((least, 1.0))
    for row in worths:
        levels = np.unique(np.append(row, 0.0))
        reached = program.variables(len(levels) - 1, 1.0)
        steps = np.diff(levels).tolist()
        program.row([least, *reached], [1.0, *(-s for s in steps)], -np.inf, 0.0)
        for z, level in zip(reached, levels[1:], strict=True):
            items = np.nonzero(row >= level)[0].tolist()
            program.row([z, *items], [1.0] + [-1.0] * len(items), -np.inf, 0.0)


def _monroe(program: _Program, profile: Any, kind: str, k: int) -> None:
    if k == 0:
        return
    approved = kind == "approvals"
    worths = profile.matrix().astype(np.float64) if approved else _worths(profile, kind, None)
    weights = profile.weights
    low, high = int(weights.sum()) // k, -(-int(weights.sum()) // k)
    n, m = worths.shape
    flow = program.variables(n * m, float(weights.max()))
    columns = np.array(flow).reshape(n, m)
    program.gain += list(zip(flow, worths.ravel().tolist(), strict=True))
    for v in range(n):
        program.row(columns[v].tolist(), [1.0] * m, weights[v], weights[v])
        for item in range(m):
            program.row([columns[v, item], item], [1.0, -weights[v]], -np.inf, 0.0)
    for item in range(m):
        served = columns[:, item].tolist()
        program.row([*served, item], [1.0] * n + [-float(low)], 0.0, np.inf)
        program.row([*served, item], [1.0] * n + [-float(high)], -np.inf, 0.0)


def _run(program: _Program, time_limit: float | None, groups: list[Bounded], k: int) -> Any:
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array
    except ImportError as error:
        raise MissingExtraError.of("scipy", "social") from error
    lengths = np.cumsum([0] + [len(columns) for columns, _, _, _ in program.rows])
    columns = np.concatenate([np.asarray(row[0], np.int64) for row in program.rows])
    values = np.concatenate([np.asarray(row[1]) for row in program.rows])
    matrix = csr_array((values, columns, lengths), (len(program.rows), program.size))
    low, high = (np.array([row[side] for row in program.rows]) for side in (2, 3))
    aim = np.zeros(program.size)
    for column, gain in program.gain:
        aim[column] -= gain
    most = np.ones(program.size)
    for column, value in program.most.items():
        most[column] = value
    whole = np.zeros(program.size)
    whole[: program.m] = 1
    options = (
        {"mip_rel_gap": 0.0}
        if time_limit is None
        else {"mip_rel_gap": 0.0, "time_limit": time_limit}
    )
    found = milp(
        aim, integrality=whole, bounds=Bounds(0, most), options=options,
        constraints=LinearConstraint(matrix, low, high),
    )  # fmt: skip
    if found.status == 2:
        names = ", ".join(name for name, *_ in groups)
        message = f"no committee of {k} meets the bounds of {names} together"
        raise InfeasibleError(message)
    if found.x is None:
        message = f"time_limit: expected enough for a first committee, got {time_limit}"
        raise InputError(message)
    return found
