"""Auctions for positions against enumeration, and what makes them truthful."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linprog

from gustibus.errors import InputError, NotFiniteError, UnknownNameError
from gustibus.matching import (
    METHODS,
    Discrete,
    Exponential,
    Uniform,
    place_creatives,
    position_auction,
)

BIDS = np.linspace(0.0, 2.5, 40)


def allocations(n, m, most):
    """Every placement as a tuple of creatives by position, -1 for an empty one."""

    def fill(j, used, shown):
        if j == m:
            yield ()
            return
        for i in [-1, *(i for i in range(n) if i not in used)]:
            if i >= 0 and shown == most:
                continue
            for rest in fill(j + 1, used | {i} if i >= 0 else used, shown + (i >= 0)):
                yield (i, *rest)

    yield from fill(0, frozenset(), 0)


def read(p, phi, pairs):
    """Value of pairs to a reader who stops at the first click."""
    value, on = 0.0, 1.0
    for i, j in pairs:
        value += on * p[i, j] * phi[i]
        on *= 1 - p[i, j]
    return value


def brute(method, p, phi, most):
    a = p / (1 - p)
    best = 0.0
    for slots in allocations(*p.shape, most):
        pairs = [(i, j) for j, i in enumerate(slots) if i >= 0]
        if method == "mnl":
            top = sum(phi[i] * a[i, j] for i, j in pairs)
            value = top / (1 + sum(a[i, j] for i, j in pairs))
        elif method == "cascade":  # the order is checked by permutations in a test of its own
            value = read(p, phi, sorted(pairs, key=lambda pair: -phi[pair[0]]))
        else:
            value = read(p, phi, pairs)
        best = max(best, value)
    return best


def draw(seed, most_n=5, most_m=4):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, most_n + 1)), int(rng.integers(1, most_m + 1))
    p = rng.random((n, m)) * 0.98 + 0.01
    if seed % 3 == 0:
        p = np.round(p, 1).clip(0.1, 0.9)
    phi = rng.normal(0.5, 1.0, n) if seed % 2 else np.round(rng.normal(0.5, 1.0, n))
    return p, phi, int(rng.integers(1, m + 1))


@pytest.mark.parametrize("method", ["mnl", "cascade", "cascade_fixed"])
def test_exact_methods_agree_with_enumeration(method):
    for seed in range(150):
        p, phi, most = draw(seed)
        slate = place_creatives(method, p, phi, most=most)
        assert slate.value == pytest.approx(brute(method, p, phi, most), abs=1e-12)
        assert len(slate.pairs) <= most
        assert all(phi[i] > 0 for i, _ in slate.pairs)
        assert slate.value == pytest.approx(float(phi @ slate.click), abs=1e-12)


@pytest.mark.parametrize("method", ["mnl", "cascade", "cascade_fixed"])
def test_six_creatives_and_five_positions(method):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        p, phi = rng.random((6, 5)) * 0.98 + 0.01, rng.normal(0.7, 1.0, 6)
        slate = place_creatives(method, p, phi)
        assert slate.value == pytest.approx(brute(method, p, phi, 5), abs=1e-12)


def test_falling_value_is_the_best_order_to_read_in():
    for seed in range(60):
        p, phi, most = draw(seed, most_n=4, most_m=3)
        best = max(
            read(p, phi, order)
            for slots in allocations(*p.shape, most)
            for order in permutations([(i, j) for j, i in enumerate(slots) if i >= 0])
        )
        assert place_creatives("cascade", p, phi, most=most).value == pytest.approx(max(best, 0.0))


def test_approximations_keep_their_share():
    for seed in range(300):
        p, phi, most = draw(seed)
        value = {method: place_creatives(method, p, phi, most=most).value for method in METHODS}
        assert value["cascade"] >= value["cascade_fixed"] - 1e-12
        assert value["cascade_fixed"] >= value["cascade_half"] - 1e-12
        assert value["cascade_half"] >= value["cascade"] / 2 - 1e-12
        assert value["cascade_greedy"] >= value["cascade"] / 3 - 1e-12
        assert value["cascade_greedy"] <= value["cascade"] + 1e-12


def test_the_half_is_nearly_tight():
    eps = 1e-3
    p, phi = np.array([[1.0, 0.0], [0.0, eps]]), np.array([1.0, 1 / eps])
    assert place_creatives("cascade", p, phi).value == pytest.approx(2 - eps)
    assert place_creatives("cascade_fixed", p, phi).value == pytest.approx(1.0)


def test_ranking_pairs_by_chance_times_value_would_be_far_off():
    p = np.concatenate([np.full((2, 2), 1.0), np.full((2, 2), 0.009)])
    phi = np.array([1.0, 1.0, 100.0, 100.0])
    assert place_creatives("cascade", p, phi).value == pytest.approx(1.89, abs=2e-3)


def test_greedy_is_not_monotone_in_bids():
    p = np.array([[0.098, 0.337, 0.346], [0.798, 0.903, 0.492], [0.118, 0.659, 0.569]])
    low = place_creatives("cascade_greedy", p, [0.927, 0.574, 0.7767]).click[2]
    high = place_creatives("cascade_greedy", p, [0.927, 0.574, 0.8533]).click[2]
    assert (round(float(low), 3), round(float(high), 3)) == (0.513, 0.431)


def test_thinning_is_not_monotone_in_bids():
    p = np.array([[0.447, 0.714, 0.046], [0.794, 0.965, 0.461]])
    low = place_creatives("cascade_half", p, [1.39, 1.254]).click[0]
    high = place_creatives("cascade_half", p, [1.4667, 1.254]).click[0]
    assert (round(float(low), 3), round(float(high), 3)) == (0.447, 0.147)


def test_the_linear_program_of_the_logit_model_agrees():
    for seed in range(40):
        p, phi, most = draw(seed)
        n, m = p.shape
        a = (p / (1 - p)).ravel()
        gain = np.append(np.repeat(phi, m) * a, 0.0)
        rows, right = [], []
        for i in range(n):
            row = np.zeros(n * m + 1)
            row[i * m : (i + 1) * m], row[-1] = 1, -1
            rows.append(row)
        for j in range(m):
            row = np.zeros(n * m + 1)
            row[j : n * m : m], row[-1] = 1, -1
            rows.append(row)
        rows.append(np.append(np.ones(n * m), -most))
        right = np.zeros(len(rows))
        done = linprog(
            -gain,
            A_ub=np.array(rows),
            b_ub=right,
            A_eq=[np.append(a, 1.0)],
            b_eq=[1.0],
            method="highs",
        )
        assert place_creatives("mnl", p, phi, most=most).value == pytest.approx(-done.fun, abs=1e-9)


@pytest.mark.parametrize("method", ["mnl", "cascade", "cascade_fixed"])
def test_more_bidders_and_more_places_never_hurt_and_values_scale(method):
    for seed in range(60):
        p, phi, most = draw(seed)
        value = place_creatives(method, p, phi, most=most).value
        rng = np.random.default_rng(seed)
        wider = np.vstack([p, rng.random((1, p.shape[1])) * 0.9])
        assert place_creatives(method, wider, np.append(phi, 1.0), most=most).value >= value - 1e-12
        assert place_creatives(method, p, phi, most=most + 1).value >= value - 1e-12
        assert place_creatives(method, p, 3 * phi, most=most).value == pytest.approx(3 * value)


@pytest.mark.parametrize("model", ["mnl", "cascade"])
def test_welfare_payments_are_between_zero_and_the_bid(model):
    for seed in range(150):
        p, phi, most = draw(seed)
        values = np.abs(phi)
        slate = position_auction(model, p, values, most=most)
        assert np.all(slate.payment >= 0)
        assert np.all(slate.payment <= values * slate.click + 1e-12)
        for i in range(len(values)):
            others = place_creatives(
                model, p, np.where(np.arange(len(values)) == i, 0, values), most=most
            )
            external = others.value - (slate.value - values[i] * slate.click[i])
            expected = external if slate.click[i] > 0 else 0.0
            assert slate.payment[i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("model", ["mnl", "cascade"])
@pytest.mark.parametrize("law", [None, Uniform(0.0, 2.0), Exponential(0.5)])
def test_truth_is_the_best_bid_and_clicks_rise_with_bids(model, law):
    for seed in range(8):
        p, phi, most = draw(seed, most_n=4, most_m=3)
        values = np.abs(phi) + 0.2
        laws = None if law is None else [law] * len(values)
        truth = position_auction(model, p, values, most=most, laws=laws)
        for i in range(len(values)):
            honest = values[i] * truth.click[i] - truth.payment[i]
            assert honest >= -1e-9
            clicks = []
            for bid in BIDS:
                bids = np.where(np.arange(len(values)) == i, bid, values)
                other = position_auction(model, p, bids, most=most, laws=laws)
                clicks.append(other.click[i])
                assert values[i] * other.click[i] - other.payment[i] <= honest + 1e-9
                assert 0 <= other.payment[i] <= bid * other.click[i] + 1e-9
            assert np.all(np.diff(clicks) >= -1e-9)


@pytest.mark.parametrize("model", ["mnl", "cascade"])
@pytest.mark.parametrize(
    "law",
    [Uniform(0.0, 2.0), Exponential(0.5), Discrete((0.3, 0.8, 1.1, 2.0), (0.4, 0.1, 0.3, 0.2))],
)
def test_revenue_payments_are_the_integral_of_clicks(model, law):
    for seed in range(6):
        p, phi, most = draw(seed, most_n=3, most_m=3)
        rng = np.random.default_rng(seed)
        values = rng.choice([0.3, 0.8, 1.1, 2.0], len(phi))
        slate = position_auction(model, p, values, most=most, laws=[law] * len(phi))
        for i in range(len(values)):
            if slate.click[i] == 0:
                assert slate.payment[i] == 0
                continue
            grid = (np.arange(2000) + 0.5) / 2000 * values[i]
            clicks = [
                position_auction(
                    model, p, np.where(np.arange(len(values)) == i, z, values), most=most,
                    laws=[law] * len(phi),
                ).click[i]
                for z in grid[::20]
            ]  # fmt: skip
            area = np.mean(clicks) * values[i]
            expected = values[i] * slate.click[i] - area
            assert slate.payment[i] == pytest.approx(expected, abs=0.03)


def test_a_second_price_auction_with_reserve():
    # one position of sure click: the winner pays the larger of the second bid and the reserve
    laws = [Uniform(0.0, 1.0)] * 2
    sure = np.array([[1.0], [1.0]])
    assert position_auction("cascade", sure, [0.9, 0.7], laws=laws).payment[0] == pytest.approx(0.7)
    assert position_auction("cascade", sure, [0.9, 0.2], laws=laws).payment[0] == pytest.approx(0.5)
    assert position_auction("cascade", sure, [0.4, 0.2], laws=laws).pairs == ()
    assert position_auction("cascade", sure, [0.9, 0.7]).payment[0] == pytest.approx(0.7)


def test_many_positions_stay_within_a_fixed_range():
    rng = np.random.default_rng(0)
    p, values = rng.random((25, 18)) * 0.3, rng.random(25)
    slate = position_auction("cascade", p, values)
    worst = np.argsort(p.mean(axis=0))[:2]
    assert not set(worst.tolist()) & {j for _, j in slate.pairs}
    assert np.all(slate.payment <= values * slate.click + 1e-12)
    assert place_creatives("cascade_greedy", p, values).value > 0.6 * slate.value


def test_no_bidders_and_no_positions():
    for shape in ((0, 3), (3, 0)):
        for method in METHODS:
            slate = place_creatives(method, np.zeros(shape), np.ones(shape[0]))
            assert (slate.pairs, slate.value) == ((), 0.0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("logit", [[0.5]], [1.0]), UnknownNameError, "no placement method"),
        (("mnl", [[1.0]], [1.0]), InputError, "chances below 1"),
        (("mnl", [[1.5]], [1.0]), InputError, r"chances in \[0, 1\]"),
        (("mnl", [[np.nan]], [1.0]), InputError, r"chances in \[0, 1\]"),
        (("mnl", [0.5], [1.0]), InputError, "p: expected 2 dimension"),
        (("mnl", [[0.5]], [1.0, 2.0]), InputError, r"values: expected shape \(1,\)"),
        (("mnl", [[0.5]], [np.nan]), NotFiniteError, "values"),
        (("cascade_fixed", np.full((3, 11), 0.5), [1.0] * 3), InputError, "at most 10 positions"),
    ],
)
def test_bad_slates(arguments, error, message):
    with pytest.raises(error, match=message):
        place_creatives(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": [-1.0]}, "bids at or above 0"),
        ({"most": -1}, "most"),
        ({"laws": []}, "laws"),
        ({"laws": [Uniform(1.0, 0.5)]}, "uniform"),
        ({"laws": [Exponential(0.0)]}, "exponential"),
        ({"laws": [Discrete((1.0, 1.0), (0.5, 0.5))]}, "rising"),
        ({"laws": [Discrete((1.0, 2.0), (0.5, 0.6))]}, "sum to 1"),
        ({"model": "cascade_fixed"}, "mnl or cascade"),
    ],
)
def test_bad_auctions(options, message):
    with pytest.raises(InputError, match=message):
        position_auction(**{"model": "mnl", "p": [[0.5]], "values": [1.0], **options})


@pytest.mark.parametrize("f", [place_creatives, position_auction])
def test_rows_of_several_lengths_are_refused(f):
    with pytest.raises(InputError, match="p: expected rows of one length"):
        f("mnl", [[0.1], [0.2, 0.3]], [1.0, 2.0])
    with pytest.raises(InputError, match="values"):
        f("mnl", [[0.1], [0.2]], [1.0, [2.0]])
