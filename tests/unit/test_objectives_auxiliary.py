"""Terms beside a loss: worked numbers, limits and bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gustibus import ops
from gustibus.errors import InputError
from gustibus.objectives import AUXILIARY


def test_contrast_has_the_worked_numbers():
    h, h_pos = [[1.0, 0.0], [0.0, 1.0]], [[0.8, 0.6], [0.0, 2.0]]
    np.testing.assert_allclose(ops.info_nce(h, h_pos, tau=0.5), [0.183901, 0.371101], atol=1e-6)
    single = ops.info_nce(torch.tensor(h), h_pos, tau=0.5)
    np.testing.assert_allclose(single.numpy(), [0.183901, 0.371101], atol=1e-4)


def test_one_row_alone_has_nothing_to_be_told_from():
    assert ops.info_nce([[0.3, 2.0]], [[1.0, -1.0]]).tolist() == [0.0]


def test_spread_has_the_worked_number_and_bounds():
    assert ops.metarm_spread([0.2, -0.1, 0.9]) == pytest.approx(0.438598, abs=1e-6)
    single = ops.metarm_spread(torch.tensor([0.2, -0.1, 0.9]))
    assert float(single) == pytest.approx(0.438598, abs=1e-4)
    scores = np.random.default_rng(0).standard_normal((50, 4)) * 3
    found = ops.metarm_spread(scores)
    assert (found >= 3 / 8).all()
    assert (found <= 3 / 4).all()
    assert ops.metarm_spread([1.0] * 4) == pytest.approx(3 / 8)
    assert ops.metarm_spread([0.0, 1e3, 2e3, 3e3]) == pytest.approx(3 / 4)


def test_meta_step_takes_the_gradient_after_the_ascent():
    square = lambda t: (t**2).sum()  # noqa: E731 - a formula
    found = ops.metarm_step([1.0, -2.0], square, square, eta=0.1, alpha=0.5)
    np.testing.assert_allclose(found, [1 - 0.5 * 2 * 1.2, -2 + 0.5 * 2 * 2.4])


def test_meta_step_without_ascent_is_gradient_descent():
    theta = torch.tensor([1.0, 3.0], requires_grad=True)
    found = ops.metarm_step(theta, torch.sum, lambda t: (t**2).sum(), eta=0.0, alpha=0.5)
    assert found.tolist() == [0.0, 0.0]
    assert not found.requires_grad


def test_degrees_have_the_worked_number():
    assert ops.degree_ce([0.2, -0.1, 0.6, 0], 2) == pytest.approx(0.999056, abs=1e-6)
    single = ops.degree_ce(torch.tensor([0.2, -0.1, 0.6, 0]), 2)
    assert float(single) == pytest.approx(0.999056, abs=1e-4)


def test_equal_logits_know_nothing():
    np.testing.assert_allclose(ops.degree_ce(np.ones((3, 4)), [0, 1, 3]), np.log(4))


@pytest.mark.parametrize("degree", [4, -1])
def test_a_degree_that_is_no_class_is_refused(degree):
    with pytest.raises(InputError, match="degree: expected whole numbers from 0 to 3"):
        ops.degree_ce([0.2, -0.1, 0.6, 0], degree)


def test_degrees_without_weight_leave_the_alignment_loss():
    align = [0.5, 0.7]
    found = ops.spo_total(align, [1.2, 1.0], [1.3, 1.1], gamma=0, alpha=0)
    assert found.tolist() == align
    found = ops.spo_total(align, [1.0, 2.0], [3.0, 4.0], gamma=0.5, alpha=0.1)
    np.testing.assert_allclose(found, [0.5 + 0.5 + 0.3, 0.7 + 1.0 + 0.4])


def test_traces_and_pairs_have_the_worked_number():
    found = ops.tool_rm_total(lm=1.25, r_w=[0.4, 1], r_l=[0.1, 1.2])
    assert found == pytest.approx(1.588124, abs=1e-6)
    single = ops.tool_rm_total(lm=1.25, r_w=torch.tensor([0.4, 1]), r_l=[0.1, 1.2])
    assert float(single) == pytest.approx(1.588124, abs=1e-4)
    assert ops.tool_rm_total(1.25, [0.4], [0.1], rank_weight=0) == 1.25


def test_regression_on_scores_is_least_at_the_score():
    score = np.array([0.3, -0.3])
    assert ops.gpo_regression(score / 2, score, beta=2).tolist() == [0, 0]
    np.testing.assert_allclose(ops.gpo_regression([0.5], [0.4], beta=2), [0.09])


def test_mean_scores_against_a_group_are_centred():
    s = np.random.default_rng(0).standard_normal((4, 4))
    assert (s - s.T).mean(1).sum() == pytest.approx(0)


def test_terms_are_the_means_of_the_methods():
    rng = torch.Generator().manual_seed(0)
    h, more = torch.randn(2, 6, 3, generator=rng)
    degree = torch.tensor([0, 1, 2, 0, 1, 2])
    torch.testing.assert_close(AUXILIARY["info_nce"].run(h, more), ops.info_nce(h, more).mean())
    torch.testing.assert_close(
        AUXILIARY["degree_ce"].run(h, degree), ops.degree_ce(h, degree).mean()
    )
    torch.testing.assert_close(
        AUXILIARY["metarm_spread"].run(h, None), -ops.metarm_spread(h).mean()
    )


@pytest.mark.parametrize("name", ["info_nce", "degree_ce"])
def test_terms_ask_for_the_labels_that_they_read(name):
    with pytest.raises(InputError, match="labels: expected"):
        AUXILIARY[name].run(torch.ones(2, 3), None)
