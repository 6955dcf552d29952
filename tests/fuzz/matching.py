"""Targets of `gustibus.matching`: matchers with their whole life, offline solvers and auctions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gustibus import _core
from tests.fuzz.draw import Draw
from tests.fuzz.groups import small


def limits(draw: Draw, m: int) -> Any:
    """Capacities or budgets."""
    return draw.array(draw.rng.integers(0 if draw.spoils() else 1, 4, m), np.float64)


def matcher(draw: Draw, m: int) -> Any:
    """A matcher of any rule, with the options that it knows."""
    name, _, _, _, _, weighted, _, options = draw.pick(_core.matching_rules())
    known = set(options)
    if draw.spoils():
        known ^= {"seeds", "late"}
    late = (
        draw.name(("instant", "reserve", "overbook"))
        if "late" in known and draw.chance(0.6)
        else None
    )
    delta = draw.number(0, 1) if late == "overbook" or draw.spoils() else None
    return _core.Matcher(
        draw.name((name,)), limits(draw, m),
        draw.array(draw.rng.random(m) + 0.1, np.float64) if weighted and draw.chance(0.5) else None,
        draw.seed(),
        draw.name(("item", "unit")) if "seeds" in known and draw.chance(0.6) else None,
        (draw.number(0.1, 1), draw.number(1, 9)) if "range" in known else None,
        draw.number(1, 100) if "horizon" in known else None,
        draw.number(0.01, 1) if "step" in known and draw.chance(0.5) else None,
        draw.name(("table", "gompertz")) if "score" in known and draw.chance(0.5) else None,
        late, delta, draw.count(0, 8),
    )  # fmt: skip


def row(draw: Draw, m: int) -> dict[str, Any]:
    """One arrival."""
    k = int(draw.rng.integers(0, m + 1))
    items = draw.array(draw.rng.permutation(m)[:k], draw.pick(("i8", "i4", "u4")))
    values = draw.maybe(lambda: draw.array(draw.rng.random(k), draw.pick(("f8", "f4"))), 0.8)
    sizes = draw.maybe(lambda: draw.array(draw.rng.random(k) + 0.1, np.float64), 0.1)
    return {"items": items, "values": values, "sizes": sizes}


def rows(draw: Draw, m: int) -> tuple[Any, Any, Any]:
    """Boundaries, items and values of several arrivals."""
    lengths = draw.rng.integers(0, m + 1, draw.pick((0, 1, 5)))
    items = np.concatenate([np.zeros(0, int), *(draw.rng.permutation(m)[:k] for k in lengths)])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    values = draw.maybe(lambda: draw.array(draw.rng.random(len(items)), np.float64), 0.8)
    return draw.array(starts, np.int64), draw.array(items, draw.pick(("i8", "i4", "u4"))), values


def step(draw: Draw, held: Any, m: int) -> None:
    """One thing that a matcher does."""
    kind = int(draw.rng.integers(12))
    if kind < 4:
        name = draw.maybe(lambda: draw.pick(("a", "b", "ü", "")), 0.3)
        held.arrive(
            **row(draw, m), arrival_id=name, deadline=draw.maybe(lambda: draw.number(0, 9), 0.2)
        )
    elif kind == 4:
        held.decide(**row(draw, m))
    elif kind == 5:
        held.report(draw.count(0, 6), draw.flag())
    elif kind == 6:
        held.draw(draw.count(0, 6))
    elif kind == 7:
        starts, items, values = rows(draw, m)
        coins = draw.maybe(
            lambda: draw.array(draw.rng.random(max(len(starts) - 1, 0)) < 0.5, bool), 0.3
        )
        held.arrive_many(starts, items, values, coins=coins)
    elif kind == 8:
        held.add_items(limits(draw, 1), draw.maybe(lambda: draw.array([1.0], np.float64), 0.5))
    elif kind == 9:
        held.expire(draw.number(0, 9))
    elif kind == 10:
        held.running_bound()
    else:
        starts, items, values = rows(draw, m)
        held.bound(starts, items, values, None, draw.count(0, 20, work=True))


def live(draw: Draw) -> None:
    """A matcher's life; errors of one step leave it usable for the next."""
    m = small(draw, 5)
    held = matcher(draw, m)
    items = len(held)
    for _ in range(int(draw.rng.integers(1, 12))):
        try:
            step(draw, held, m)
        except (ValueError, TypeError, LookupError, OverflowError):
            assert len(held) >= items, "a matcher lost items"
    held.stats()
    copy = _core.Matcher.resume(held.snapshot())
    assert copy.snapshot() == held.snapshot(), "a resumed matcher differs"
    resume(draw, held.snapshot(), m)


def resume(draw: Draw, snapshot: bytes, m: int) -> None:
    """A damaged snapshot is an error or a matcher that works."""
    damaged = bytearray(snapshot)
    for _ in range(int(draw.rng.integers(1, 4))):
        damaged[int(draw.rng.integers(len(damaged)))] = draw.pick((0, 1, 127, 128, 255))
    cut = damaged[: int(draw.rng.integers(len(damaged) + 1))] if draw.chance(0.3) else damaged
    try:
        held = _core.Matcher.resume(bytes(cut))
        for _ in range(4):
            step(draw, held, m)
    except (ValueError, TypeError, LookupError, OverflowError):
        return


def solve(draw: Draw) -> None:
    """A best matching in hindsight."""
    m = small(draw, 5)
    capacity = draw.array(draw.rng.integers(0, 4, m), np.float64)
    if draw.chance(0.3):
        _core.hindsight(*rows(draw, m), capacity)
        return
    weights = draw.maybe(lambda: draw.array(draw.rng.random(m), np.float64))
    method = draw.name(("cardinality", "items", "edges"))
    _core.b_matching(method, *rows(draw, m), capacity, weights)


def assign(draw: Draw) -> None:
    """A cheapest assignment."""
    shape = (draw.pick((0, 1, 2, 5)), draw.pick((0, 1, 3, 6)))
    cost = draw.rng.integers(0, 5, shape) if draw.chance(0.5) else draw.rng.normal(size=shape)
    _core.assignment(draw.array(cost, draw.pick(("f8", "f8", "f4"))))


def chances(draw: Draw) -> tuple[int, Any]:
    """Click probabilities `(n, m)`."""
    n, m = draw.pick((0, 1, 3, 5)), draw.pick((0, 1, 2, 4))
    p = draw.rng.random((n, m)) * draw.pick((0.3, 0.9, 1.0))
    return n, draw.array(p, np.float64)


def creatives(draw: Draw) -> None:
    """Creatives at positions."""
    n, p = chances(draw)
    methods = ("mnl", "cascade", "cascade_greedy", "cascade_fixed", "cascade_half")
    phi = draw.array(draw.rng.random(n), np.float64)
    _core.place_creatives(draw.name(methods), p, phi, draw.count(0, 4), draw.seconds())


def auction(draw: Draw) -> None:
    """A truthful auction of positions."""
    n, p = chances(draw)
    kinds: tuple[Any, ...] = (
        ("uniform", [draw.number(0, 1), draw.number(1, 3)], []),
        ("exponential", [draw.number(0.1, 3)], []),
        (
            "discrete",
            [draw.number(0, 1), draw.number(1, 2)],
            [draw.number(0, 0.5), draw.number(0.5, 1)],
        ),
        ("discrete", [1.0, 2.0], [0.5, 0.5]),
    )
    laws = draw.maybe(lambda: [draw.pick(kinds) for _ in range(n)])
    values = draw.array(draw.rng.random(n), np.float64)
    model, most = draw.name(("mnl", "cascade")), draw.count(0, 4)
    _core.position_auction(model, p, values, most, laws, draw.seconds())


def iron(draw: Draw) -> None:
    """Ironed virtual values."""
    n = draw.pick((0, 1, 2, 6))
    p = draw.rng.random(n) + 0.01
    values = draw.array(np.sort(draw.rng.random(n)), np.float64)
    _core.ironed_virtual_values(values, draw.array(p / max(p.sum(), 0.01), np.float64))


TARGETS: dict[str, tuple[Callable[[Draw], Any], ...]] = {
    "Matcher": (live,),
    "matching_rules": (lambda _: _core.matching_rules(),),
    "b_matching": (solve,),
    "hindsight": (solve,),
    "assignment": (assign,),
    "place_creatives": (creatives,),
    "position_auction": (auction,),
    "ironed_virtual_values": (iron,),
}
