"""Losses of pairs: worked numbers, limits and equalities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from gustibus import ops
from gustibus.errors import InputError
from gustibus.objectives import PAIRWISE

H_GAP = [3.0, -2.5]  # log-ratios of two pairs of responses, chosen minus rejected
LOG_2 = np.log(2)


def both(run, expected, *args, **options):
    """The worked numbers, to 1e-6 in double and 1e-4 in single precision."""
    np.testing.assert_allclose(run(*args, **options), expected, atol=1e-6)
    single = run(*(torch.tensor(x, dtype=torch.float32) for x in args), **options)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, atol=1e-4)


def row(name, margin, target=1.0, **options):
    m = torch.as_tensor(margin, dtype=torch.float64)
    return PAIRWISE[name].run(m, torch.full_like(m, target), **options)


def test_worked_numbers():
    both(ops.bt_pair, [0.313262, 1.037488, 0.693147], [1.2, 0.3, -0.5], [0.2, 0.9, -0.5])
    both(ops.cream_pair, [0.371101, 0.779355, 1.126928], [0.8, -0.3, 2.0], [1.0, 0.75, 0.5])
    both(ops.smoothed_pair, [0.545893, 0.693147], [4.0, -2.0], [0.9, 0.5], gamma=1, beta=0.1)


@pytest.mark.parametrize(
    ("name", "scale", "options", "expected"),
    [
        ("ipo", 1.0, {"tau": 0.1}, [4.0, 56.25]),
        ("rdpo", 0.1, {"eps": 0.2}, [0.454355, 0.909273]),
        ("bt_pair", 0.1, {}, [0.554355, 0.825939]),
    ],
)
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_worked_numbers_of_rows(name, scale, options, expected, dtype, close):
    m = torch.tensor([scale * h for h in H_GAP], dtype=dtype)
    found = PAIRWISE[name].run(m, torch.ones_like(m), **options)
    np.testing.assert_allclose(found.numpy(), expected, atol=close)


def test_joint_preferences_over_two_prompts_are_pairs():
    log_ratio = (-33 + 36) - (-12.5 + 11)
    assert float(row("bt_pair", 0.1 * log_ratio)) == pytest.approx(0.493249, abs=1e-6)


def test_a_pair_without_a_difference_costs_log_2():
    assert ops.bt_pair(0.7, 0.7) == pytest.approx(LOG_2)
    assert ops.bt_pair(5.0, 5.0, label_smoothing=0.3) == pytest.approx(LOG_2)


def test_a_shift_of_both_rewards_changes_nothing():
    assert ops.bt_pair(101.5, 100.0) == pytest.approx(ops.bt_pair(1.5, 0.0))


def test_smoothed_labels_move_the_minimum_to_their_log_odds():
    z = torch.tensor(np.log(0.9 / 0.1), requires_grad=True)
    (slope,) = torch.autograd.grad(ops.bt_pair(z, 0.0, label_smoothing=0.1), z)
    assert abs(float(slope)) < 1e-12


def test_a_margin_is_what_must_be_exceeded():
    np.testing.assert_allclose(ops.bt_pair([2.0], [0.5], margin=[1.0]), ops.bt_pair([0.5], [0.0]))


def test_far_margins_are_finite_and_exact():
    np.testing.assert_allclose(ops.bt_pair([1600.0, 0.0], [0.0, 1600.0]), [0.0, 1600.0])
    assert ops.bt_pair(40.0, 0.0) == pytest.approx(np.exp(-40), rel=1e-9)


def test_soft_labels_are_binary_cross_entropy():
    d, p = torch.tensor([1.0, -0.4, 3.0]), torch.tensor([0.9, 0.5, 0.2])
    expected = binary_cross_entropy_with_logits(d, p, reduction="none")
    torch.testing.assert_close(ops.soft_bt(d, torch.zeros(3), p), expected)


def test_consistency_is_label_smoothing():
    z = np.array([0.8, -0.3, 2.0])
    np.testing.assert_allclose(ops.cream_pair(z, 0.8), ops.bt_pair(z, 0 * z, label_smoothing=0.2))
    np.testing.assert_allclose(ops.cream_pair(z, 1.0), ops.bt_pair(z, 0 * z))
    np.testing.assert_allclose(ops.cream_pair(z, 0.5), ops.cream_pair(-z, 0.5))
    assert ops.cream_pair(0.0, 0.5) < ops.cream_pair(0.1, 0.5)


class TestRobust:
    def test_without_flips_it_is_the_log_loss(self):
        z = [-3.0, 0.2, 8.0]
        torch.testing.assert_close(row("rdpo", z, eps=0.0), row("bt_pair", z))

    @pytest.mark.parametrize("eps", [0.05, 0.2, 0.45])
    def test_flipped_labels_give_the_clean_loss_on_average(self, eps):
        z = np.linspace(-6, 6, 13)
        average = (1 - eps) * row("rdpo", z, eps=eps) + eps * row("rdpo", z, 0.0, eps=eps)
        torch.testing.assert_close(average, row("bt_pair", z))

    def test_it_may_be_below_nothing(self):
        assert float(row("rdpo", 20.0, eps=0.3)) < -1

    @pytest.mark.parametrize("eps", [0.5, 0.7, -0.1, float("nan"), "0.1"])
    def test_rates_of_one_half_and_more_are_refused(self, eps):
        with pytest.raises(InputError, match=r"eps: expected a number in \[0, 0.5\)"):
            row("rdpo", 1.0, eps=eps)

    def test_it_bends_like_the_log_loss(self):
        z = torch.tensor(0.7, dtype=torch.float64)
        bend = torch.autograd.functional.hessian
        torch.testing.assert_close(
            bend(lambda m: PAIRWISE["rdpo"].run(m, torch.ones_like(m), eps=0.3), z),
            bend(lambda m: PAIRWISE["bt_pair"].run(m, torch.ones_like(m)), z),
        )


def test_slope_of_the_robust_loss_is_its_gradient():
    z = torch.linspace(-30, 30, 11, dtype=torch.float64, requires_grad=True)
    loss = PAIRWISE["rdpo"].run(z, torch.ones_like(z), eps=0.2)
    (slope,) = torch.autograd.grad(loss.sum(), z)
    found = ops.rdpo_grad_logit(z.detach(), eps=0.2)
    torch.testing.assert_close(found, slope)
    expected = -(0.8 * torch.sigmoid(-z) + 0.2 * torch.sigmoid(z)) / 0.6
    torch.testing.assert_close(found, expected.detach())
    assert (found < -0.2 / 0.6 + 1e-9).all()


def test_a_coin_flip_teaches_nothing():
    m = torch.tensor([-2.0, 5.0], requires_grad=True)
    loss = ops.smoothed_pair(m, torch.tensor([0.5, 0.5]))
    (slope,) = torch.autograd.grad(loss.sum(), m)
    np.testing.assert_allclose(loss.detach(), LOG_2, rtol=1e-6)
    assert (slope == 0).all()


def test_certain_labels_leave_the_log_loss_and_unlikely_ones_reverse_the_pair():
    m = np.array([4.0, -2.0])
    np.testing.assert_allclose(ops.smoothed_pair(m, 1.0), ops.bt_pair(m, 0 * m))
    np.testing.assert_allclose(ops.smoothed_pair(m, 0.1), ops.smoothed_pair(-m, 0.9))


def test_squared_margins_are_pulled_to_one_value_from_both_sides():
    loss = row("ipo", [4.0, 5.0, 6.0], tau=0.1)
    assert loss.tolist() == [1.0, 0.0, 1.0]


def test_a_hinge_asks_for_its_gap():
    assert row("hinge", [0.4, 1.0, 2.0]).tolist() == pytest.approx([0.6, 0.0, 0.0])
    assert row("hinge", [0.4], gap=2.0).tolist() == pytest.approx([1.6])


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: ops.soft_bt(1.0, 0.0, 1.2), r"p: expected probabilities in \[0, 1\], got 1.2"),
        (lambda: ops.cream_pair(1.0, -0.1), "consistency: expected probabilities"),
        (lambda: ops.smoothed_pair(1.0, 2.0), "p_w: expected probabilities"),
        (lambda: ops.smoothed_pair(1.0, 0.5, beta=0), r"beta: expected a number in \(0, inf\)"),
        (lambda: ops.bt_pair(1.0, 0.0, label_smoothing=2), "label_smoothing: expected a number"),
        (lambda: row("ipo", 1.0, tau=0), r"tau: expected a number in \(0, inf\), got 0"),
    ],
)
def test_values_out_of_range_are_refused_by_name(run, message):
    with pytest.raises(InputError, match=message):
        run()


def test_a_row_across_prompts_moves_the_level_between_them():
    prompt = torch.tensor([0, 0, 1, 1])  # of four responses

    def offset(pairs):
        reward = torch.zeros(4, requires_grad=True)
        optimizer = torch.optim.SGD([reward], lr=0.5)
        for _ in range(50):
            better, worse = torch.tensor(pairs).T
            optimizer.zero_grad()
            ops.bt_pair(reward[better], reward[worse]).mean().backward()
            optimizer.step()
        level = [reward[prompt == q].mean() for q in (0, 1)]
        return (level[1] - level[0]).item()

    assert offset([(0, 1), (2, 3)]) == pytest.approx(0, abs=1e-6)
    assert offset([(0, 1), (2, 3), (3, 0)]) > 0.5
