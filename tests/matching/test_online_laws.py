"""What every rule obeys on every prefix of random streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.matching import (
    RULES,
    Arrivals,
    Matcher,
    max_matching,
    max_weight_b_matching,
)
from tests.matching.streams import (
    BIDS,
    EVERY,
    NO_VALUES,
    STOCHASTIC,
    edges,
    make,
    one_by_one,
    stream_for,
)

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=60, deadline=None)


def test_every_rule_of_the_table_is_tested():
    assert set(RULES) == set(EVERY)
    assert all(entry.source and entry.laws for entry in RULES.values())


@pytest.mark.parametrize("rule", EVERY)
@few
@given(seed=seeds)
def test_every_prefix_is_feasible_and_adds_up(rule, seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for(rule, rng)
    matcher = make(rule, options, seed)
    limit = np.asarray(options.get("budget", options.get("capacity")), float)
    weight = np.broadcast_to(options.get("weight", 1.0), limit.shape)
    value = load = 0.0
    spent, kept = np.zeros_like(limit), [[] for _ in limit]
    for v in range(len(arrivals)):
        items, values = arrivals.row(v)
        before = matcher.stats()["used"]
        item, attempt = matcher.arrive(items, values)
        success = matcher.draw(attempt) if attempt is not None else item is not None
        stats = matcher.stats()
        assert item is None or item in items
        assert np.all(stats["used"] <= limit)
        assert stats["successes"] <= stats["attempts"]
        if item is None:
            assert np.array_equal(stats["used"], before)
            continue
        worth = 1.0 if values is None else values[list(items).index(item)]
        if rule in STOCHASTIC:
            load += worth
            value += weight[item] * success
        elif rule in BIDS:
            value += min(worth, limit[item] - spent[item])
            spent[item] = min(spent[item] + worth, limit[item])
        elif rule == "exponential_averaging":
            kept[item] = sorted([*kept[item], worth], reverse=True)[: int(limit[item])]
            value = sum(map(sum, kept))
        else:
            value += weight[item] * worth
        assert stats["value"] == pytest.approx(value, abs=1e-9)
        assert stats["load"].sum() == pytest.approx(load, abs=1e-9)
        assert stats["expected_successes"] == pytest.approx(load, abs=1e-9)


@pytest.mark.parametrize("rule", ["ranking", "perturbed_greedy", "balance", *STOCHASTIC])
@few
@given(seed=seeds)
def test_nobody_is_left_while_there_is_room(rule, seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for(rule, rng)
    matcher = make(rule, options, seed)
    limit = np.asarray(options["capacity"], float)
    for v in range(len(arrivals)):
        items, values = arrivals.row(v)
        room = np.any((matcher.stats()["used"] < limit)[items]) if len(items) else False
        item, attempt = matcher.arrive(items, values)
        assert (item is not None) == room
        if attempt is not None:
            matcher.draw(attempt)


@pytest.mark.parametrize("rule", NO_VALUES)
@few
@given(seed=seeds)
def test_equal_weights_earn_half_in_every_run(rule, seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for(rule, rng)
    matcher = Matcher(rule, capacity=options["capacity"], seed=seed)
    matched = (matcher.arrive_many(arrivals.indptr, arrivals.items) >= 0).sum()
    assert 2 * matched >= max_matching(arrivals, options["capacity"]).value


@pytest.mark.parametrize("rule", EVERY)
@few
@given(seed=seeds)
def test_bulk_is_one_by_one_whatever_the_order_in_a_row(rule, seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for(rule, rng)
    bulk, single, shuffled = (make(rule, options, seed) for _ in range(3))
    rows = arrivals.indptr, arrivals.items, arrivals.values
    decisions = bulk.arrive_many(*rows)
    assert np.array_equal(decisions, one_by_one(single, arrivals))
    assert bulk.snapshot() == single.snapshot()
    order = np.concatenate(
        [np.zeros(0, int)]
        + [rng.permutation(np.arange(a, b)) for a, b in zip(rows[0][:-1], rows[0][1:], strict=True)]
    )
    values = None if rows[2] is None else rows[2][order]
    assert np.array_equal(decisions, shuffled.arrive_many(rows[0], rows[1][order], values))


@pytest.mark.parametrize("rule", EVERY)
@few
@given(seed=seeds)
def test_resuming_anywhere_changes_nothing(rule, seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for(rule, rng)
    whole, parted = make(rule, options, seed), make(rule, options, seed)
    cut = int(rng.integers(0, len(arrivals) + 1))
    decisions = whole.arrive_many(arrivals.indptr, arrivals.items, arrivals.values)
    head, tail = arrivals.take(0, cut), arrivals.take(cut, len(arrivals))
    first = parted.arrive_many(head.indptr, head.items, head.values)
    saved = parted.snapshot()
    parted = Matcher.resume(saved)
    assert parted.snapshot() == saved
    last = parted.arrive_many(tail.indptr, tail.items, tail.values)
    assert np.array_equal(decisions, np.concatenate([first, last]))
    assert whole.snapshot() == parted.snapshot()


@pytest.mark.parametrize("rule", ["perturbed_greedy", "balance", *STOCHASTIC])
@few
@given(seed=seeds, power=st.integers(-30, 30))
def test_weights_may_be_scaled_by_a_power_of_two(rule, seed, power):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for(rule, rng)
    scaled = {**options, "weight": np.asarray(options["weight"]) * 2.0**power}
    rows = arrivals.indptr, arrivals.items, arrivals.values
    assert np.array_equal(
        make(rule, options, seed).arrive_many(*rows), make(rule, scaled, seed).arrive_many(*rows)
    )


@pytest.mark.parametrize("kind", ["item", "unit"])
@few
@given(seed=seeds)
def test_equal_weights_turn_perturbed_greedy_into_ranking(kind, seed):
    _, arrivals, options = stream_for("ranking", np.random.default_rng(seed))
    rows = arrivals.indptr, arrivals.items
    ranked = Matcher("ranking", seed=seed, seeds=kind, **options).arrive_many(*rows)
    weighted = Matcher("perturbed_greedy", seed=seed, seeds=kind, weight=0.7, **options)
    assert np.array_equal(ranked, weighted.arrive_many(*rows))


@few
@given(seed=seeds)
def test_sure_success_turns_the_stochastic_rule_into_perturbed_greedy(seed):
    _, arrivals, options = stream_for("perturbed_greedy", np.random.default_rng(seed))
    rows = arrivals.indptr, arrivals.items
    sure = make("stochastic_perturbed_greedy", options, seed).arrive_many(*rows)
    assert np.array_equal(sure, make("perturbed_greedy", options, seed).arrive_many(*rows))


@few
@given(seed=seeds)
def test_one_unit_turns_averaging_into_greedy_on_gains(seed):
    rng = np.random.default_rng(seed)
    n, arrivals = edges(rng, values=lambda k: rng.integers(1, 9, k).astype(float))
    decisions = Matcher("exponential_averaging", n, 1).arrive_many(
        arrivals.indptr, arrivals.items, arrivals.values
    )
    kept = np.zeros(n)
    for v, decision in enumerate(decisions):
        items, values = arrivals.row(v)
        gains = {u: w - kept[u] for u, w in zip(items.tolist(), values, strict=True)}
        top = max([*gains.values(), 0.0])
        expected = min([u for u, gain in gains.items() if gain == top]) if top > 0 else -1
        assert decision == expected
        if decision >= 0:
            kept[decision] = values[list(items).index(decision)]


@few
@given(seed=seeds)
def test_equal_chances_attempt_the_least_loaded_item(seed):
    rng = np.random.default_rng(seed)
    n, arrivals = edges(rng)
    values = np.full(len(arrivals.items), 0.25)
    stream = Arrivals(arrivals.indptr, arrivals.items, values)
    matcher = Matcher("stochastic_balance", n, 2, seed=seed)
    for v in range(len(stream)):
        stats = matcher.stats()
        items, p = stream.row(v)
        open_items = [u for u in items.tolist() if stats["used"][u] < 2]
        expected = min(open_items, key=lambda u: (stats["load"][u], u), default=None)
        item, attempt = matcher.arrive(items, p)
        assert item == expected
        if attempt is not None:
            matcher.draw(attempt)


@few
@given(seed=seeds)
def test_relabelling_items_relabels_deterministic_decisions(seed):
    rng = np.random.default_rng(seed)
    n, arrivals = edges(rng, values=lambda k: 1 - rng.random(k))
    weight, capacity = rng.random(n) + 0.1, rng.integers(1, 4, n)
    label = rng.permutation(n)
    moved_weight, moved_capacity = np.empty(n), np.empty(n)
    moved_weight[label], moved_capacity[label] = weight, capacity
    plain = Matcher("greedy", capacity=capacity, weight=weight)
    moved = Matcher("greedy", capacity=moved_capacity, weight=moved_weight)
    first = plain.arrive_many(arrivals.indptr, arrivals.items, arrivals.values)
    items = label[np.asarray(arrivals.items, dtype=int)]
    second = moved.arrive_many(arrivals.indptr, items, arrivals.values)
    assert np.array_equal(np.where(first >= 0, label[first], -1), second)


def test_another_seed_ranks_otherwise():
    runs = {
        tuple(Matcher("ranking", 20, 1, seed=s).arrive_many([0, 20], np.arange(20)))
        for s in range(9)
    }
    assert len(runs) > 1


@few
@given(seed=seeds)
def test_one_arrival_less_changes_ranking_by_one_item(seed):
    rng = np.random.default_rng(seed)
    n, arrivals = edges(rng)
    if not len(arrivals):
        return
    gone = int(rng.integers(len(arrivals)))
    rows = [arrivals.row(v)[0] for v in range(len(arrivals))]
    sets = []
    for kept in (rows, rows[:gone] + rows[gone + 1 :]):
        stream = Arrivals.of(kept)
        taken = Matcher("ranking", n, 1, seed=seed).arrive_many(stream.indptr, stream.items)
        sets.append(set(taken[taken >= 0].tolist()))
    assert sets[1] <= sets[0]
    assert len(sets[0] - sets[1]) <= 1


@few
@given(seed=seeds)
def test_more_room_never_lowers_an_optimum_or_a_bound(seed):
    rng = np.random.default_rng(seed)
    n, arrivals = edges(rng, values=lambda k: 1 - rng.random(k))
    capacity = rng.integers(0, 3, n).astype(float)
    more = capacity + (np.arange(n) == rng.integers(n))
    best = [max_weight_b_matching(arrivals, c).value for c in (capacity, more)]
    assert best[0] <= best[1] + 1e-12
