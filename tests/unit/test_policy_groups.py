"""Groups of samples: advantages, win rates, rewards for the unlikely."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gustibus.errors import InputError
from gustibus.policy.groups import (
    group_advantage,
    group_win_rate,
    group_win_rate_advantage,
    opponents,
    unlikeliness,
    unlikeliness_advantage,
    win_matrix,
)

BANDIT = Path(__file__).parents[2] / "benchmarks" / "methods" / "unlikely.py"
quick = settings(max_examples=25, deadline=None)

WINS = [[0, 1, 1, 0.5], [0, 0, 1, 0], [0, 0, 0, 0], [0.5, 1, 1, 0]]
scores = st.lists(st.integers(-50, 50), min_size=2, max_size=8)


def test_worked_numbers():
    assert np.allclose(
        group_advantage([1, 0, 0, 1]), [0.866024, -0.866024, -0.866024, 0.866024], atol=1e-6
    )
    found = unlikeliness([1, 0, 1, 1], [-0.2, -0.5, -1.4, -0.9], beta=0.25)
    assert np.allclose(found, [0.8125, 0, 1, 0.9375], atol=1e-12)
    assert np.allclose(group_win_rate(WINS), [0.833333, 0.333333, 0, 0.833333], atol=1e-6)


@quick
@given(scores, st.floats(-5, 5), st.floats(0.1, 10))
def test_advantages_read_neither_level_nor_scale(r, level, scale):
    r = np.array(r, float)
    found = group_advantage(r, eps=1e-12)
    assert np.allclose(found.sum(), 0, atol=1e-9)
    assert np.allclose(group_advantage(scale * r + level, eps=1e-12), found, atol=1e-6)
    if np.ptp(r):
        assert found.std(ddof=1) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_group_without_spread_is_skipped_whatever_rounding_does(dtype):
    r = torch.tensor([[0.1] * 7, [0.1] * 6 + [0.2]], dtype=dtype, requires_grad=True)
    found = group_advantage(r)
    assert (found[0] == 0).all()
    assert (found[1] != 0).all()
    found[1, 0].backward()
    assert torch.isfinite(r.grad).all()
    assert group_advantage([0.7]) == 0


def test_tiny_differences_of_scores_become_large_advantages_but_win_rates_name_their_order_alone():
    r = np.array([0.501, 0.500, 0.502, 0.499])
    assert np.abs(group_advantage(r)).max() > 1
    wins = (np.sign(r[:, None] - r) + 1) / 2
    huge = np.exp(9 * r) * 1e3
    assert np.array_equal(wins, (np.sign(huge[:, None] - huge) + 1) / 2)
    assert np.allclose(group_win_rate(wins), [2 / 3, 1 / 3, 1, 0])


@quick
@given(scores)
def test_win_rates_of_one_judge_average_to_one_half(s):
    s = np.array(s)
    rates = group_win_rate((np.sign(s[:, None] - s) + 1) / 2)
    assert rates.mean() == pytest.approx(0.5)
    assert ((rates >= 0) & (rates <= 1)).all()


def test_a_group_of_two_wins_or_loses_and_a_cycle_is_a_draw():
    assert np.array_equal(group_win_rate([[0, 1], [0, 0]]), [1, 0])
    cycle = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert np.array_equal(group_win_rate(cycle), [0.5, 0.5, 0.5])
    assert (group_win_rate_advantage(cycle) == 0).all()


def test_wrong_groups_are_named():
    with pytest.raises(InputError, match="compared: expected an opponent"):
        group_win_rate([[0.0]])
    with pytest.raises(InputError, match=r"matrix: expected probabilities in \[0, 1\], got 3"):
        group_win_rate([[0, 3], [0, 0]])
    with pytest.raises(InputError, match="matrix: expected shape"):
        group_win_rate([[0, 1, 1], [0, 0, 1]])
    with pytest.raises(InputError, match="eps"):
        group_advantage([1, 2], eps=0)


@quick
@given(st.lists(st.floats(-5, 0), min_size=1, max_size=8, unique=True), st.floats(0, 1))
def test_the_unlikely_gain_most_and_wrong_answers_nothing(logps, beta):
    g = len(logps)
    right = unlikeliness([1.0] * g, logps, beta)
    assert right[np.argmin(logps)] == 1
    assert (np.diff(right[np.argsort(logps)]) <= 0).all()
    assert (right >= 1 - beta).all()
    assert (unlikeliness([0.0] * g, logps, beta) == 0).all()
    assert (unlikeliness(logps, logps, 0) == logps).all()


def test_equally_likely_members_keep_their_order():
    assert np.allclose(unlikeliness([1, 1, 1], [-1, -1, -1], 0.3), [1, 0.9, 0.8])


def test_the_order_of_right_answers_is_that_of_likelihood_reversed():
    logps = np.array([-0.2, -0.5, -1.4, -0.9])
    right = unlikeliness([1.0] * 4, logps, 0.25)
    np.testing.assert_array_equal(np.argsort(-right), np.argsort(logps))
    assert len(set(right.tolist())) == 4


def test_rewards_for_the_unlikely_keep_several_right_arms_of_the_bandit():
    made = runpy.run_path(str(BANDIT))
    entropy, mass = [], []
    for beta in (0.0, 0.25, 0.5):
        p = made["train"](beta, seeds=20, steps=300, rate=0.4)
        right = p[:, :4]
        share = right / right.sum(1, keepdims=True)
        entropy.append(-(share * np.log(np.maximum(share, 1e-300))).sum(1).mean())
        mass.append(right.sum(1).mean())
    assert min(mass) >= 0.985
    assert entropy[0] < 0.03 < 0.06 < entropy[1] < 0.25 < 0.3 < entropy[2]  # seen .01, .10, .46


def test_a_preference_that_runs_in_circles_gives_equal_rates_which_no_scalar_could_tell():
    angle = 2 * np.pi * np.arange(3) / 3
    vectors = np.stack([np.cos(angle), np.sin(angle)], 1)
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # skew: what beats what depends on both
    chance = 1 / (1 + np.exp(-3 * vectors @ turn @ vectors.T))
    assert chance[0, 1] == pytest.approx(chance[1, 2]) == pytest.approx(chance[2, 0])
    assert abs(chance[0, 1] - 0.5) > 0.4
    np.testing.assert_allclose(group_win_rate(chance), 0.5)


def test_batches_are_groups_one_by_one():
    rng = np.random.default_rng(0)
    r, logps = rng.random((2, 3, 5)), rng.random((2, 3, 5))
    whole = unlikeliness_advantage(r, logps)
    for b in np.ndindex(2, 3):
        assert np.allclose(whole[b], unlikeliness_advantage(r[b], logps[b]))


def test_compositions_are_what_their_names_say():
    rewards, logps = [1, 0, 1, 1], [-0.2, -0.5, -1.4, -0.9]
    expected = group_advantage(unlikeliness(rewards, logps, 0.5), 1e-4)
    assert np.array_equal(unlikeliness_advantage(rewards, logps, 0.5, 1e-4), expected)
    assert np.array_equal(group_win_rate_advantage(WINS), group_advantage(group_win_rate(WINS)))


def test_gradients_are_those_of_finite_differences():
    r = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(group_advantage, [r])
    logps = torch.tensor([-0.5, -0.1, -0.9], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: unlikeliness(x, logps), [r])


@quick
@given(st.integers(2, 9), st.integers(1, 8), st.integers(0, 99))
def test_everybody_meets_as_many_others(size, rounds, seed):
    if rounds >= size or size * rounds % 2:
        with pytest.raises(InputError, match="rounds: expected"):
            opponents(size, rounds, seed=seed)
        return
    pairs = opponents(size, rounds, seed=seed)
    assert len({frozenset(p) for p in pairs.tolist()}) == len(pairs) == size * rounds // 2
    assert (np.bincount(pairs.ravel(), minlength=size) == rounds).all()


def test_all_opponents_are_the_whole_matrix_and_few_are_right_on_average():
    rng = np.random.default_rng(1)
    chance = rng.random((6, 6))
    chance = np.triu(chance, 1) + np.tril(1 - chance.T, -1)

    def rates(rounds, seed):
        verdicts = {(i, j): chance[i, j] for i, j in opponents(6, rounds, seed=seed).tolist()}
        return group_win_rate(*win_matrix(verdicts, 6))

    assert np.allclose(rates(5, 0), group_win_rate(chance))
    mean = np.mean([rates(2, seed) for seed in range(800)], 0)
    assert np.allclose(mean, group_win_rate(chance), atol=0.03)


def test_a_verdict_that_cannot_be_read_is_a_tie():
    wins, compared = win_matrix({(0, 1): 1.0, (2, 0): None}, 3)
    assert np.array_equal(group_win_rate(wins, compared), [0.75, 0, 0.5])
    for wrong in [{(0, 0): 1}, {(0, 3): 1}, {(0, 1): 1, (1, 0): 0}]:
        with pytest.raises(InputError, match="verdicts: expected each pair"):
            win_matrix(wrong, 3)
