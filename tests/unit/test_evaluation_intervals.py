"""Intervals over people: their coverage, their pairing, their agreement with a plain loop."""

import numpy as np
import pytest

from gustibus.errors import InputError
from gustibus.evaluation.intervals import Estimate, Resamples
from gustibus.evaluation.metrics import calibration, calibration_gaps, worst_share


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    over = Resamples(60, 1000, seed=1)
    covered = 0
    for _ in range(400):
        found = over.mean(rng.beta(6, 3, 60))
        covered += found.low <= 6 / 9 <= found.high
    assert 0.91 <= covered / 400 <= 0.975


def test_people_not_answers_are_drawn_so_that_busy_people_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    rate = rng.beta(4, 2, 50)
    few, many = (over_answers(rng, rate, n) for n in (20, 2000))
    assert many.high - many.low > 0.06  # 100 000 independent answers would give 0.006
    assert abs((many.high - many.low) - (few.high - few.low)) < 0.05


def over_answers(rng, rate, n):
    right = rng.binomial(n, rate).astype(float)
    return Resamples(50, 1000).ratio(right, np.full(50, float(n)))


def test_differences_are_paired():
    rng = np.random.default_rng(3)
    base = rng.random(80)
    better = base + 0.01 + rng.normal(0, 0.005, 80)
    over = Resamples(80)
    assert over.mean(better - base).low > 0
    one, two = over.mean(better), over.mean(base)
    assert one.low < two.high  # apart they say nothing


def test_draws_have_as_many_people_as_there_are_and_repeat_with_the_seed():
    one, two, other = Resamples(7, seed=4), Resamples(7, seed=4), Resamples(7, seed=5)
    assert (one.counts.sum(1) == 7).all()
    np.testing.assert_array_equal(one.counts, two.counts)
    assert (one.counts != other.counts).any()


def test_every_figure_equals_a_plain_loop_over_the_draws():
    rng = np.random.default_rng(1)
    people, rows = 23, 300
    starts = np.sort(np.concatenate([[0, rows], rng.integers(0, rows, people - 1)]))
    p, correct = rng.random(rows), rng.integers(0, 2, rows).astype(float)
    gaps, counts = calibration_gaps(p, correct, starts), np.diff(starts).astype(float)
    values = rng.random(people)
    over = Resamples(people, 1000, seed=2)
    drawn = [np.repeat(np.arange(people), c.astype(int)) for c in over.counts]
    loops = {
        "mean": (over.mean(values), [values[d].mean() for d in drawn]),
        "worst": (over.worst_share(values), [worst_share(values[d]) for d in drawn]),
        "ratio": (over.ratio(values, counts), [values[d].sum() / counts[d].sum() for d in drawn]),
        "gaps": (
            over.calibration_error(gaps, counts),
            [np.abs(gaps[d].sum(0)).sum() / counts[d].sum() for d in drawn],
        ),
    }
    for found, slow in loops.values():
        np.testing.assert_allclose([found.low, found.high], np.quantile(slow, [0.025, 0.975]))
        assert found.error == pytest.approx(np.std(slow))
    assert loops["gaps"][0].value == pytest.approx(calibration(p, correct).error)
    assert loops["worst"][0].value == pytest.approx(worst_share(values))


def test_people_without_a_value_are_left_out_and_nobody_gives_nan():
    over = Resamples(5)
    found = over.mean(np.array([0.2, np.nan, 0.4, np.nan, 0.6]))
    assert (found.value, found.people) == (pytest.approx(0.4), 3)
    assert np.isnan(over.mean(np.full(5, np.nan)).value)
    assert over.worst_share(np.full(5, np.nan)).people == 0


def test_among_many_figures_one_has_to_be_further_from_zero():
    found = Estimate(0.02, 0.001, 0.039, 0.0097, 100)  # about two errors away
    assert found.is_above_zero()
    assert not found.is_above_zero(tests=20)
    assert Estimate(0.05, 0.03, 0.07, 0.0097, 100).is_above_zero(tests=20)


def test_a_few_people_show_nothing_however_much_they_agree():
    for tests, enough in ((1, 6), (20, 10)):  # 2 / 2**n <= 0.05 / tests
        sure = [Estimate(0.5, 0.4, 0.6, 0.01, n).is_above_zero(tests=tests) for n in range(15)]
        assert sure == [n >= enough for n in range(15)]


@pytest.mark.parametrize("bad", [{"draws": 999}, {"level": 1.0}])
def test_too_few_draws_and_impossible_levels_are_refused(bad):
    with pytest.raises(InputError, match="expected"):
        Resamples(10, **bad)
