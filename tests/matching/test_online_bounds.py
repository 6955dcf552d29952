"""Certificates of single runs, guarantees in expectation, and bounds that stand in line."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.matching import (
    Arrivals,
    Matcher,
    assignment,
    max_weight_b_matching,
    simulate,
    stochastic_lp_bound,
)
from tests.matching.streams import (
    STOCHASTIC,
    best_policy,
    configuration_bound,
    edges,
    make,
    stream_for,
)

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=60, deadline=None)


@few
@given(seed=seeds)
def test_balance_certifies_every_run(seed):
    rng = np.random.default_rng(seed)
    _n, arrivals, options = stream_for("balance", rng)
    matcher = make("balance", options)
    matcher.arrive_many(arrivals.indptr, arrivals.items)
    best = max_weight_b_matching(arrivals, options["capacity"], weight=options["weight"]).value
    used = options["capacity"][options["capacity"] > 0]
    share = 1 - (1 + 1 / used.min()) ** -used.min()
    assert matcher.bound() >= best - 1e-9
    assert matcher.stats()["value"] >= share * matcher.bound() - 1e-9


@few
@given(seed=seeds)
def test_budgets_are_certified_in_every_run(seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for("budget_balance", rng)
    matcher = make("budget_balance", options)
    rows = arrivals.indptr, arrivals.items, arrivals.values
    matcher.arrive_many(*rows)
    budget = options["budget"]
    of = np.asarray(arrivals.items)
    ratio = (arrivals.values / np.maximum(budget[of], 1e-300)).max(
        initial=0.0, where=budget[of] > 0
    )
    share = 1 - np.exp(-1)
    if ratio > 0:
        ratio = min(ratio, 1.0)  # from there on nothing is promised, and expm1 overflows
        share *= (1 - ratio) * ratio / np.expm1(ratio)
    assert matcher.stats()["value"] >= share * matcher.bound() - 1e-9
    assert matcher.bound(*rows, steps=50) <= matcher.bound(*rows, steps=0) + 1e-12


@few
@given(seed=seeds)
def test_free_disposal_is_certified_in_every_run(seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for("exponential_averaging", rng)
    matcher = make("exponential_averaging", options)
    matcher.arrive_many(arrivals.indptr, arrivals.items, arrivals.values)
    best = max_weight_b_matching(arrivals, options["capacity"]).value
    used = options["capacity"][options["capacity"] > 0]
    share = 1 - (1 + 1 / used.min()) ** -used.min()
    assert matcher.bound() >= best - 1e-9
    assert matcher.stats()["value"] >= share * matcher.bound() - 1e-9


@few
@given(seed=seeds)
def test_the_threshold_rule_is_bounded_by_its_prices(seed):
    rng = np.random.default_rng(seed)
    _, arrivals, options = stream_for("threshold", rng)
    matcher = make("threshold", options)
    matcher.arrive_many(arrivals.indptr, arrivals.items, arrivals.values)
    assert matcher.bound() >= max_weight_b_matching(arrivals, options["capacity"]).value - 1e-9


def expected_value(rule, arrivals, n, weight):
    """Exact expectation of a rule over all outcomes."""
    total = 0.0
    for coins in product([False, True], repeat=len(arrivals)):
        matcher = Matcher(rule, n, 1, weight=weight, seed=1)
        taken = matcher.arrive_many(
            arrivals.indptr, arrivals.items, arrivals.values, coins=np.array(coins, dtype=bool)
        )
        chance = 1.0
        for v, (item, coin) in enumerate(zip(taken, coins, strict=True)):
            items, values = arrivals.row(v)
            p = 0.5 if item < 0 else values[list(items).index(item)]
            chance *= p if coin else 1 - p
        total += chance * matcher.stats()["value"]
    return total


def test_bounds_stand_in_line_on_tiny_streams():
    for seed in range(25):
        rng = np.random.default_rng(seed)
        n, arrivals = edges(rng, most_items=3, most_arrivals=6, values=rng.random)
        weight = rng.random(n) + 0.5
        policy = best_policy(arrivals, n, weight)
        configuration = configuration_bound(arrivals, n, weight)
        polymatroid = stochastic_lp_bound(arrivals, 1, weight=weight, n=n, cuts=True)
        plain = stochastic_lp_bound(arrivals, 1, weight=weight, n=n)
        for rule in STOCHASTIC:
            assert expected_value(rule, arrivals, n, weight) <= policy + 1e-9
        matcher = Matcher("stochastic_balance", n, 1, weight=weight)
        rows = arrivals.indptr, arrivals.items, arrivals.values
        matcher.arrive_many(*rows)
        dual = matcher.bound(*rows, steps=300)
        assert policy <= configuration + 1e-9
        assert configuration <= polymatroid + 1e-9
        assert polymatroid <= plain + 1e-9
        assert plain <= dual + 1e-9


@few
@given(seed=seeds)
def test_running_and_improved_bounds_hold_for_stochastic_rewards(seed):
    rng = np.random.default_rng(seed)
    _n, arrivals, options = stream_for("stochastic_balance", rng)
    matcher = make("stochastic_balance", options, seed)
    rows = arrivals.indptr, arrivals.items, arrivals.values
    matcher.arrive_many(*rows)
    program = stochastic_lp_bound(arrivals, options["capacity"], weight=options["weight"])
    assert matcher.bound() >= program - 1e-9
    assert matcher.bound(*rows, steps=100) >= program - 1e-9


def test_a_few_hundred_steps_bring_the_bound_near_the_optimum():
    rng = np.random.default_rng(1)
    arrivals = Arrivals.of([rng.permutation(30)[:5] for _ in range(600)])
    weight = rng.random(30) + 0.2
    matcher = Matcher("balance", 30, 10, weight=weight)
    matcher.arrive_many(arrivals.indptr, arrivals.items)
    best = max_weight_b_matching(arrivals, 10, n=30, weight=weight).value
    bound = matcher.bound(arrivals.indptr, arrivals.items, steps=300)
    assert best - 1e-9 <= bound <= 1.02 * best


@pytest.mark.parametrize("rule", ["ranking", "perturbed_greedy"])
@pytest.mark.parametrize(
    ("count", "runs"), [(40, 500), pytest.param(200, 2000, marks=pytest.mark.slow)]
)
def test_random_instances_earn_their_share_in_expectation(rule, count, runs):
    for seed in range(count):
        rng = np.random.default_rng(seed)
        n, arrivals = edges(rng, most_items=12, most_arrivals=14)
        weight = None if rule == "ranking" else rng.lognormal(size=n)
        best = max_weight_b_matching(
            arrivals, 1, n=n, weight=np.ones(n) if weight is None else weight
        )
        if best.value == 0:
            continue
        earned = []
        for run in range(runs):
            matcher = Matcher(rule, n, 1, weight=weight, seed=run)
            matcher.arrive_many(arrivals.indptr, arrivals.items)
            earned.append(matcher.stats()["value"] / best.value)
        assert np.mean(earned) + 4 * np.std(earned) / runs**0.5 >= 0.632


@pytest.mark.parametrize(("b", "least"), [(1, 0.57610), (2, 0.60905), (5, 0.62616)])
@pytest.mark.parametrize("instance", ["triangular", "trap"])
def test_stochastic_balance_earns_what_its_table_promises(instance, b, least):
    sizes = {"capacity": b, "p": 0.02} | ({"n": 20} if instance == "triangular" else {})
    ratio = simulate("stochastic_balance", instance, runs=200, sizes=sizes, points=1).ratio
    assert ratio.value + 4 * ratio.error >= least


def test_prices_learn_a_stationary_stream():
    rng = np.random.default_rng(0)
    m, n = 4000, 5
    values = rng.random((m, n))
    rows = np.arange(0, m * n + 1, n), np.tile(np.arange(n), m), values.ravel()
    budget = np.full(n, 200.0)
    matcher = Matcher("dual_prices", budget=budget, horizon=m)
    matcher.arrive_many(*rows)
    best = max_weight_b_matching(Arrivals(*rows), budget).value
    assert matcher.stats()["value"] >= best - 6 * m**0.5


def test_sizes_are_taken_from_the_budget():
    matcher = Matcher("dual_prices", budget=[1.0], horizon=10)
    taken = [matcher.arrive([0], [1.0], sizes=[size])[0] for size in (0.6, 0.6, 0.4)]
    assert taken == [0, None, 0]
    assert matcher.stats()["used"][0] == pytest.approx(1.0)


def test_dense_and_sparse_optima_agree():
    rng = np.random.default_rng(0)
    weight = rng.random((12, 12))
    arrivals = Arrivals.of([np.arange(12)] * 12, weight)
    sparse = max_weight_b_matching(arrivals, 1, n=12).value
    assert sparse == pytest.approx(-assignment(-weight).cost)
