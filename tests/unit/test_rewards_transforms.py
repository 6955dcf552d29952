"""Worked numbers of reward transforms, and what each is for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gustibus import ops
from gustibus.errors import InputError
from gustibus.rewards import Statistics

REFS = [0.1, -0.4, 0.9, 0.3, 0.6]

NUMBERS = [
    ("lsc", {"r": [-1, 0.5, 4], "ref": 0.5}, [-1.701413, -0.693147, -0.029750]),
    ("ref_quantile", {"refs": REFS, "q": 0.85, "method": "normal"}, 0.813019),
    ("ref_quantile", {"refs": REFS, "q": 0.85, "method": "empirical"}, 0.72),
    ("par", {"r": 1, "refs": [0, 0.5, 2]}, 0.540820),
    ("centred", {"r": [1, 2], "refs": [0, 1]}, [0.5, 1.5]),
    ("tanh", {"r": [1, 2], "refs": [0, 1]}, [math.tanh(0.5), math.tanh(1.5)]),
    ("arctan", {"r": [1, 2], "refs": [0, 1]}, [math.atan(0.5), math.atan(1.5)]),
    ("shifted_sigmoid", {"r": [4], "refs": [0, 2]}, [0.5]),
    ("mean_std", {"r": [1, 4], "refs": [0, 2]}, [0, 3]),
    ("min_max", {"r": [1, 4], "refs": [0, 2]}, [0.5, 2]),
    ("clip", {"r": [-9, 1.5, 9], "refs": [0, 2]}, [0, 1.5, 2]),
    ("ceiling", {"r": [0, 5], "c": 2}, [0, 2]),
    ("length_penalty", {"r": [1, 1], "length": [50, 150], "limit": 100}, [1, 0.5]),
]


@pytest.mark.parametrize(("name", "given", "expected"), NUMBERS)
def test_worked_numbers(name, given, expected):
    np.testing.assert_allclose(getattr(ops, name)(**given), expected, atol=1e-6)


def test_lsc_is_the_log_of_the_win_probability_with_slopes_from_one_to_nothing():
    assert ops.lsc(2.0, 2.0) == pytest.approx(-math.log(2))
    step = 1e-6
    for r, slope in ((-20.0, 1.0), (0.0, 0.5), (20.0, 0.0)):
        found = (ops.lsc(r + step, 0.0) - ops.lsc(r - step, 0.0)) / (2 * step)
        assert found == pytest.approx(slope, abs=1e-6)
    np.testing.assert_allclose(ops.lsc([-1e4, 1e4], 0.0), [-1e4, 0.0])


def test_par_with_one_reference_is_the_models_own_probability():
    r = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(ops.par(r, [0.4]), 1 / (1 + np.exp(0.4 - r)))
    np.testing.assert_allclose(np.log(ops.par(r, [0.4])), ops.lsc(r, 0.4))


def test_par_grows_fastest_at_the_reference_and_saturates():
    r = np.linspace(-6, 10, 400)
    slope = np.diff(ops.par(r, [2.0]))
    assert r[slope.argmax()] == pytest.approx(2.0, abs=0.05)
    assert slope[-1] < slope.max() / 500


WITHIN = {
    "par": (0, 1), "shifted_sigmoid": (0, 1), "tanh": (-1, 1), "arctan": (-math.pi / 2, math.pi / 2),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHIN)
def test_a_bounded_shape_is_centred_grows_fast_at_first_and_saturates(name):
    run, (low, high) = getattr(ops, name), WITHIN[name]
    refs = np.array([-1.0, 0.0, 1.0])
    r = np.linspace(-30, 30, 601)
    out = run(r, refs)
    assert (low <= out).all()
    assert (out <= high).all()
    assert out[-1] - out[0] > 0.95 * (high - low)
    np.testing.assert_allclose(run(r + 7, refs + 7), out, atol=1e-12)  # of the centred reward
    slope = np.diff(out)
    steepest = 3 if name == "shifted_sigmoid" else 0
    assert r[slope.argmax()] == pytest.approx(steepest, abs=0.15)
    assert slope[-1] < slope.max() / 300


def test_a_quantile_is_taken_prompt_by_prompt():
    refs = np.array([REFS, [3.0, 4.0, 5.0, 6.0, 7.0]])
    for method in ("normal", "empirical"):
        found = ops.ref_quantile(refs, 0.85, method)
        np.testing.assert_allclose(found, [ops.ref_quantile(row, 0.85, method) for row in refs])
    assert ops.ref_quantile([0.7]) == 0.7  # a fixed safe answer


def test_min_max_puts_what_it_has_seen_between_nothing_and_one():
    seen = np.random.default_rng(0).standard_normal(50)
    out = ops.min_max(seen, Statistics.of(seen))
    assert (out.min(), out.max()) == (0.0, 1.0)


def test_lengths_and_rates_below_nothing_are_refused():
    with pytest.raises(InputError, match="length: expected at least 0, got -3"):
        ops.length_penalty([1.0], [-3], 10)
    with pytest.raises(InputError, match="rate: expected a number in"):
        ops.length_penalty([1.0], [3], 10, rate=-1)
