"""Optima in hindsight: certificates, brute force, and independent solvers."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog

from gustibus.errors import InfeasibleError, InputError, NotFiniteError
from gustibus.matching import (
    Arrivals,
    assignment,
    hindsight,
    max_matching,
    max_weight_b_matching,
    stochastic_lp_bound,
)
from tests.matching.streams import edges

FAMILIES = {
    "uniform": lambda rng, n, m: rng.random((n, m)),
    "ties": lambda rng, n, m: rng.integers(0, 4, (n, m)).astype(float),
    "geometric": lambda rng, n, m: np.linalg.norm(
        rng.random((n, 1, 2)) - rng.random((1, m, 2)), axis=-1
    ),
    "low rank": lambda rng, n, m: -rng.standard_normal((n, 4)) @ rng.standard_normal((4, m)),
    "products": lambda rng, n, m: np.outer(rng.permutation(n) + 1.0, rng.permutation(m) + 1.0),
    "equal": lambda rng, n, m: np.full((n, m), 2.5),
    "negative": lambda rng, n, m: rng.standard_normal((n, m)) * 1e6,
    "wide range": lambda rng, n, m: (
        rng.standard_normal((n, m)) * 10.0 ** rng.integers(-9, 9, (n, m))
    ),
    "single": lambda rng, n, m: rng.random((n, m)).astype(np.float32),
}


def check_assignment(cost):
    """Certificate of an assignment, and the value of an independent solver."""
    found = assignment(cost)
    exact = np.asarray(cost, dtype=np.float64)
    n, m = exact.shape
    finite = np.isfinite(exact)
    scale = max(np.abs(exact[finite]).max(initial=0.0), 1e-300)
    slack = np.where(finite, exact - found.u[:, None] - found.v[None], np.inf)
    assert len(found.rows) == len(set(found.rows)) == len(set(found.columns)) == min(n, m)
    assert np.all(np.diff(found.rows) > 0)
    assert slack.min(initial=0.0) >= -1e-9 * scale
    assert np.abs(slack[found.rows, found.columns]).max(initial=0.0) <= 1e-9 * scale
    assert abs(found.u.sum() + found.v.sum() - found.cost) <= 1e-9 * scale * max(n, m)
    for prices, matched, is_larger in (
        (found.v, found.columns, m > n),
        (found.u, found.rows, n > m),
    ):
        if is_larger:
            assert prices.max() <= 1e-12 * scale
            assert np.abs(np.delete(prices, matched)).max(initial=0.0) == 0.0
    peer = exact[linear_sum_assignment(exact)].sum()
    assert found.cost == pytest.approx(peer, abs=1e-9 * scale * max(n, m))


@pytest.mark.parametrize("family", FAMILIES)
def test_assignments_of_all_small_shapes(family):
    for trial in range(250):
        rng = np.random.default_rng(trial)
        check_assignment(FAMILIES[family](rng, *rng.integers(1, 14, 2)))


@pytest.mark.parametrize("family", FAMILIES)
def test_assignments_beyond_what_a_row_remembers(family):
    for trial, shape in enumerate(
        [(60, 60), (150, 150), (300, 300), (90, 400), (400, 90), (180, 190)]
    ):
        check_assignment(FAMILIES[family](np.random.default_rng(trial), *shape))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", [(1000, 1000), (2000, 2000), (500, 10_000)])
def test_large_assignments(family, shape):
    check_assignment(FAMILIES[family](np.random.default_rng(0), *shape))


def test_forbidden_pairs():
    outcomes = set()
    for trial in range(400):
        rng = np.random.default_rng(trial)
        n, m = rng.integers(1, 9, 2)
        cost = np.where(rng.random((n, m)) < 0.5, np.inf, rng.integers(0, 5, (n, m)))
        try:
            linear_sum_assignment(cost)
        except ValueError:
            with pytest.raises(InfeasibleError, match="cost"):
                assignment(cost)
            outcomes.add("infeasible")
        else:
            check_assignment(cost)
            outcomes.add("feasible")
    assert len(outcomes) == 2


def test_large_forbidden_blocks_end_with_an_error():
    rng = np.random.default_rng(0)
    cost = rng.random((200, 200))
    cost[:101, :100] = np.inf
    cost[:101, 100:] = rng.random((101, 100))
    with pytest.raises(InfeasibleError):
        assignment(cost)


@pytest.mark.parametrize(
    ("cost", "error"),
    [
        ([[np.nan, 1.0], [1.0, 1.0]], NotFiniteError), ([[-np.inf]], NotFiniteError),
        ([1.0, 2.0], InputError), ([["a"]], InputError), (np.ones((2, 2)) * 1j, InputError),
    ],
)  # fmt: skip
def test_bad_costs(cost, error):
    with pytest.raises(error, match="cost"):
        assignment(cost)


def test_costs_in_any_layout():
    cost = np.random.default_rng(0).random((30, 50))
    expected = assignment(cost)
    for same in (np.asfortranarray(cost), cost[:, ::-1][:, ::-1], cost.tolist()):
        found = assignment(same)
        assert found.columns.tolist() == expected.columns.tolist()
        assert found.cost == pytest.approx(expected.cost)
    check_assignment(np.asfortranarray(cost))
    check_assignment(np.arange(12).reshape(3, 4))


def test_empty_costs():
    for shape in ((0, 0), (0, 3), (3, 0)):
        found = assignment(np.zeros(shape))
        assert (found.cost, len(found.rows)) == (0.0, 0)
        assert (len(found.u), len(found.v)) == shape


WEIGHTS = {
    "uniform": lambda rng, k: rng.random(k),
    "ties": lambda rng, k: rng.integers(0, 4, k).astype(float),
    "near ties": lambda rng, k: 1 + 1e-6 * rng.random(k),
    "equal": lambda rng, k: np.ones(k),
    "wide range": lambda rng, k: rng.random(k) * 10.0 ** rng.integers(-6, 6, k),
}


def program(arrivals, capacity):
    """Value of the linear program by HiGHS; it is integral."""
    items = np.asarray(arrivals.items, dtype=int)
    if len(items) == 0:
        return 0.0
    of = np.repeat(np.arange(len(arrivals)), np.diff(arrivals.indptr))
    one, edge = np.ones(len(items)), np.arange(len(items))
    matrix = sparse.vstack([
        sparse.csr_matrix((one, (items, edge)), (len(capacity), len(items))),
        sparse.csr_matrix((one, (of, edge)), (len(arrivals), len(items))),
    ])  # fmt: skip
    right = np.concatenate([capacity, np.ones(len(arrivals))])
    return -linprog(-arrivals.values, A_ub=matrix, b_ub=right, bounds=(0, 1), method="highs").fun


@pytest.mark.parametrize("family", WEIGHTS)
def test_b_matchings_agree_with_a_linear_program(family):
    for trial in range(120):
        rng = np.random.default_rng(trial)
        n, arrivals = edges(rng, most_items=10, values=lambda k: WEIGHTS[family](rng, k))
        n, arrivals = edges(rng, most_items=10, values=partial(WEIGHTS[family], rng))
        capacity = rng.integers(0, 5, n).astype(float)
        best = max_weight_b_matching(arrivals, capacity)
        scale = max(arrivals.values.max(initial=0.0), 1.0)
        assert best.gap(arrivals, capacity) <= 1e-9 * scale
        assert best.value == pytest.approx(program(arrivals, capacity), abs=1e-6 * scale)


@pytest.mark.parametrize("family", WEIGHTS)
def test_certificates_of_many_b_matchings(family):
    for trial in range(400):
        rng = np.random.default_rng(trial)
        n, arrivals = edges(
            rng, most_items=12, most_arrivals=60, values=partial(WEIGHTS[family], rng)
        )
        capacity = rng.integers(0, 6, n).astype(float)
        scale = max(arrivals.values.max(initial=0.0), 1.0)
        best = max_weight_b_matching(arrivals, capacity)
        values, last = hindsight(arrivals, capacity)
        assert max(best.gap(arrivals, capacity), last.gap(arrivals, capacity)) <= 1e-9 * scale
        assert last.value == pytest.approx(best.value, abs=1e-9 * scale * len(arrivals))
        assert values[-1:] == pytest.approx(
            [last.value][: len(values)], abs=1e-9 * scale * len(arrivals)
        )


@pytest.mark.parametrize("noise", [1.0, 0.1, 1e-3, 1e-5, 0.0])
@pytest.mark.parametrize(("n", "capacity"), [(60, 8), (60, 40), (600, 1)])
def test_contended_b_matchings(noise, n, capacity):
    rng = np.random.default_rng(0)
    quality = rng.random(n)
    rows = [rng.permutation(n)[:8] for _ in range(1200)]
    arrivals = Arrivals.of(rows, [quality[row] + noise * rng.random(8) for row in rows])
    best = max_weight_b_matching(arrivals, capacity, n=n)
    assert best.gap(arrivals, capacity) <= 1e-8
    assert best.value == pytest.approx(program(arrivals, np.full(n, float(capacity))), rel=1e-7)


def test_the_optimum_along_a_stream_is_that_of_every_prefix():
    for trial in range(40):
        rng = np.random.default_rng(trial)
        n, arrivals = edges(rng, values=lambda k: rng.random(k))
        n, arrivals = edges(rng, values=rng.random)
        capacity = rng.integers(0, 4, n).astype(float)
        values, _ = hindsight(arrivals, capacity)
        for v in range(len(arrivals)):
            prefix = max_weight_b_matching(arrivals.take(0, v + 1), capacity)
            assert values[v] == pytest.approx(prefix.value, abs=1e-9)


def test_weights_of_items_and_cardinality():
    for trial in range(400):
        rng = np.random.default_rng(trial)
        n, arrivals = edges(rng, most_items=12, most_arrivals=60)
        capacity = rng.integers(0, 5, n).astype(float)
        weight = rng.integers(0, 4, n) * rng.choice([1.0, 0.37])
        by_item = max_weight_b_matching(arrivals, capacity, weight=weight)
        weighted = Arrivals(
            arrivals.indptr, arrivals.items, weight[np.asarray(arrivals.items, int)]
        )
        assert by_item.gap(weighted, capacity) <= 1e-9
        assert by_item.value == pytest.approx(hindsight(weighted, capacity)[1].value, abs=1e-9)
        count = max_matching(arrivals, capacity)
        assert count.gap(arrivals, capacity) == 0.0
        assert count.value == hindsight(arrivals, capacity)[1].value


def test_long_augmenting_paths_need_no_stack():
    n = 20_000
    rows = [[v, v + 1] if v + 1 < n else [v] for v in range(n)]
    arrivals = Arrivals.of(rows[::-1])
    for found in (max_matching(arrivals, 1, n=n), max_weight_b_matching(arrivals, 1, n=n)):
        assert found.value == n


@pytest.mark.parametrize(
    ("rows", "values", "capacity", "message"),
    [
        ([[0, 0]], None, [1], "item 0 twice"),
        ([[1]], None, [1], "items: expected item numbers below 1"),
        ([[0]], [[-1.0]], [1], "values: expected weights at or above 0"),
        ([[0]], [[np.inf]], [1], "values: expected finite"),
        ([[0]], None, [0.5], "capacity: expected whole numbers"),
        ([[0]], None, [-1], "capacity: expected whole numbers"),
        ([[0]], None, 1, "n: expected the number of items"),
    ],
)
def test_bad_input(rows, values, capacity, message):
    arrivals = Arrivals.of(rows, values)
    with pytest.raises(InputError, match=message):
        max_weight_b_matching(arrivals, capacity)
    with pytest.raises(InputError, match=message):
        hindsight(arrivals, capacity)


def test_a_weight_is_given_once():
    with pytest.raises(InputError, match="not both"):
        max_weight_b_matching(Arrivals.of([[0]], [[1.0]]), [1], weight=[1.0])
    with pytest.raises(InputError, match="as many values"):
        Arrivals.of([[0, 1]], [[1.0]])


def test_the_stochastic_program_by_hand():
    # one item, two arrivals of chance 1/2: both tries cost the unit; a cut allows 3/4
    arrivals = Arrivals.of([[0], [0]], [[0.5], [0.5]])
    assert stochastic_lp_bound(arrivals, [1]) == pytest.approx(1.0)
    assert stochastic_lp_bound(arrivals, [1], cuts=True) == pytest.approx(0.75)
    assert stochastic_lp_bound(arrivals, [1], weight=[2.0]) == pytest.approx(2.0)
    assert stochastic_lp_bound(Arrivals.of([]), [1]) == 0.0
    with pytest.raises(InputError, match="probabilities"):
        stochastic_lp_bound(Arrivals.of([[0]], [[1.5]]), [1])


def test_what_is_no_matrix_or_no_row_of_numbers_is_refused():
    with pytest.raises(InputError, match="cost: expected rows of one length"):
        assignment([[1.0], [2.0, 3.0]])
    with pytest.raises(InputError, match="rows: expected numbers"):
        Arrivals.of([[0], ["x"]])
