"""Tables of FA*IR against published values, a peer, and simulation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.social import fail_probability, fair_table


def steps(*runs):
    return [value for value, times in runs for _ in range(times)]


def test_tables_are_the_published_ones():
    first = fair_table(10, 0.2, 0.15)
    assert first.minimum.tolist() == steps((0, 8), (1, 2))
    assert first.alpha == 0.15
    second = fair_table(20, 0.25, 0.1)
    assert second.minimum.tolist() == steps((0, 8), (1, 7), (2, 5))
    assert second.alpha == pytest.approx(0.078125, abs=1e-12)
    third = fair_table(30, 0.3, 0.05)
    assert third.minimum.tolist() == steps((0, 10), (1, 6), (2, 5), (3, 4), (4, 5))


def test_a_step_at_the_last_place_counts_except_in_parity():
    exact = fair_table(10, 0.5, 0.075, adjust=False)
    assert exact.failure == pytest.approx(0.11133, abs=5e-6)
    parity = fair_table(10, 0.5, 0.075, adjust=False, parity=True)
    assert parity.failure == pytest.approx(0.09375, abs=1e-12)
    assert parity.minimum.tolist() == exact.minimum.tolist()


@pytest.mark.parametrize(("k", "p", "alpha"), [(30, 0.4, 0.1), (80, 0.2, 0.2), (200, 0.5, 0.05)])
def test_the_failure_probability_agrees_with_simulation(k, p, alpha):
    table = fair_table(k, p, alpha, adjust=False)
    rng = np.random.default_rng(0)
    trials = 40_000
    counts = (rng.random((trials, k)) < p).cumsum(1)
    share = (counts < table.minimum).any(1).mean()
    deviation = np.sqrt(table.failure * (1 - table.failure) / trials)
    assert abs(share - table.failure) < 4 * deviation
    assert fail_probability(table.minimum, p) == pytest.approx(table.failure, abs=1e-15)


def test_tables_never_fall_and_rise_by_one():
    for k, p, alpha in [(1, 0.5, 0.6), (50, 0.9, 0.3), (400, 0.5, 0.1), (300, 0.05, 0.01)]:
        table = fair_table(k, p, alpha)
        assert set(np.diff(table.minimum, prepend=0)) <= {0, 1}
        assert 0 <= table.failure <= 1
        assert table.alpha <= alpha


def test_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for p, alpha in [(0.3, 0.1), (0.5, 0.05), (0.85, 0.2)]:
        expected = stats.binom.ppf(alpha, np.arange(1, 301), p)
        assert fair_table(300, p, alpha, adjust=False).minimum.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("k", "p", "alpha"), [(10, 0.2, 0.15), (20, 0.25, 0.1), (30, 0.3, 0.05), (25, 0.5, 0.1)]
)
def test_parity_tables_are_those_of_the_published_implementation(k, p, alpha, monkeypatch):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from fairsearchcore.fail_prob import LegalAssignmentKey
            from fairsearchcore.mtable_generator import MTableGenerator
    except ImportError as error:
        pytest.skip(f"fairsearchcore does not import: {error}")
    theirs_hash = LegalAssignmentKey.__hash__  # gives a numpy integer, which Python refuses
    monkeypatch.setattr(LegalAssignmentKey, "__hash__", lambda key: int(theirs_hash(key)))
    theirs = MTableGenerator(k, p, alpha, True)
    ours = fair_table(k, p, alpha, parity=True)
    assert ours.minimum.tolist() == theirs.mtable_as_list()
    assert ours.alpha == pytest.approx(theirs.adjusted_alpha, abs=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [(0, 0.5, 0.1), (5, 0.0, 0.1), (5, 1.0, 0.1), (5, 0.5, 0.0), (5, 0.5, float("nan")),
     (5, "x", 0.1), (2.5, 0.5, 0.1), (10**9, 0.5, 0.1)],
)  # fmt: skip
def test_wrong_numbers_are_errors(arguments):
    with pytest.raises(InputError):
        fair_table(*arguments)


def test_wrong_tables_are_errors():
    for table in [[], [2], [1, 0], [[0, 1]], [0.5], [-1]]:
        with pytest.raises(InputError):
            fail_probability(table, 0.5)
