"""Prompts that vary, segments, trees and stages: worked numbers and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gustibus import ops
from gustibus.errors import DimensionError, NotFiniteError

STEPS = [[0.5, 0.2], [0.1, -0.3], [0.4, -0.1]]
EMB = [[[1, 0], [0, 1]], [[1, 0], [1, 1]], [[0.8, 0.6], [0, 1]]]
PSI = [0.9, 0.1, 0.5]


def test_prompts_that_vary_have_the_worked_numbers():
    np.testing.assert_allclose(
        ops.mapl_intra(r_matching_prompt=[1.1, 0.2], r_other_prompt=[0.4, 0.5]),
        [0.403186, 0.854355], atol=1e-6,
    )  # fmt: skip
    found = ops.mapl_inter(margin_strong=torch.tensor([1.5, 0.3]), margin_weak=[0.7, 0.6])
    np.testing.assert_allclose(found.numpy(), [0.371101, 0.854355], atol=1e-4)


def test_segments_are_judged_by_regret_or_by_return():
    first, second = ([1, -0.5, 0.2], 3, 2), ([0.3, 0.1], 2, 1.8)
    assert ops.regret(*first) == pytest.approx(0.3)
    assert ops.regret(*second) == pytest.approx(-0.2)
    assert ops.regret_prob(*first, *second) == pytest.approx(0.377541, abs=1e-6)
    assert ops.partial_return_prob(first[0], second[0]) == pytest.approx(0.574443, abs=1e-6)
    single = ops.regret_prob(torch.tensor(first[0]), *first[1:], *second)
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(0.377541, abs=1e-4)


def test_equal_starts_and_ends_leave_the_return():
    r_1, r_2 = [1.0, 0.3], [0.2, 0.4]
    found = ops.regret_prob(r_1, 2, 1, r_2, 2, 1)
    assert found == pytest.approx(ops.partial_return_prob(r_1, r_2))


def test_a_constant_on_all_rewards_moves_returns_of_unequal_lengths_but_no_regret():
    horizon, shift = 5, 0.7  # values rise by the shift times the steps still to go
    r_1, r_2 = np.array([1, -0.5, 0.2]), np.array([0.3, 0.1])
    values = (3 + shift * horizon, 2 + shift * (horizon - 3))
    others = (2 + shift * horizon, 1.8 + shift * (horizon - 2))
    moved = ops.regret_prob(r_1 + shift, *values, r_2 + shift, *others)
    assert moved == pytest.approx(ops.regret_prob(r_1, 3, 2, r_2, 2, 1.8))
    by_return = ops.partial_return_prob(r_1 + shift, r_2 + shift)
    assert by_return != pytest.approx(ops.partial_return_prob(r_1, r_2))


def test_an_optimal_segment_has_no_regret():
    assert ops.regret([1.0, 2.0], 5.0, 2.0) == 0
    assert ops.regret_stochastic([3.0, 2.0], [3.0, 2.0]) == 0


def test_regret_by_advantages_agrees_where_nothing_is_left_to_chance():
    rewards, values = np.array([1, -0.5, 0.2]), np.array([3.0, 2.4, 2.5, 2.0])
    action_values = rewards + values[1:]
    assert ops.regret_stochastic(values[:-1], action_values) == pytest.approx(
        ops.regret(rewards, values[0], values[-1])
    )


def test_exchanging_the_segments_gives_the_other_chance():
    first, second = ([1, -0.5], 3, 2), ([0.3, 0.1], 2, 1.8)
    assert ops.regret_prob(*first, *second) + ops.regret_prob(*second, *first) == pytest.approx(1)


def test_chances_by_regret_are_consistent_over_three_segments():
    segments = ([1, -0.5], 3, 2), ([0.3, 0.1], 2, 1.8), ([0.2, 0.9], 4, 1)

    def log_odds(first, second):
        p = ops.regret_prob(*first, *second)
        return np.log(p / (1 - p))

    one, two, three = segments
    assert log_odds(one, three) == pytest.approx(log_odds(one, two) + log_odds(two, three))


class TestTrees:
    def test_without_likeness_it_is_lambda_on_summed_steps(self):
        summed = np.sum(STEPS, axis=1)
        assert ops.tpo(STEPS, EMB, PSI, b=0.0) == pytest.approx(ops.lipo_lambda(summed, PSI))

    def test_one_step_of_orthogonal_embeddings_is_lambda(self):
        found = ops.tpo([[0.3], [-0.2], [0.4]], np.eye(3)[:, None], PSI)
        assert found == pytest.approx(ops.lipo_lambda([0.3, -0.2, 0.4], PSI))

    def test_a_step_that_all_responses_share_has_no_weight(self):
        first = torch.tensor([[0.5], [0.1], [0.4]], dtype=torch.float64, requires_grad=True)
        rest = torch.tensor([[0.2], [-0.3], [-0.1]], dtype=torch.float64)
        same = np.stack([np.tile([0.6, 0.8], (3, 1)), np.asarray(EMB)[:, 1]], axis=1)
        loss = ops.tpo(torch.cat([first, rest], 1), same, PSI)
        assert torch.autograd.grad(loss, first)[0].abs().max() < 1e-12

    def test_responses_left_out_change_nothing(self):
        steps, emb = [*STEPS, [9.0, 9.0]], [*EMB, [[1, 1], [0, 1]]]
        found = ops.tpo(steps, emb, [*PSI, 0.7], mask=[True, True, True, False])
        assert found == pytest.approx(ops.tpo(STEPS, EMB, PSI))

    def test_a_worse_ranking_costs_more(self):
        assert ops.tpo(STEPS, EMB, PSI) < ops.tpo(-np.asarray(STEPS), EMB, PSI)


def test_trees_have_the_worked_number():
    assert ops.tpo(STEPS, EMB, PSI) == pytest.approx(0.562212, abs=1e-6)
    single = ops.tpo(torch.tensor(STEPS), EMB, PSI)
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(0.562212, abs=1e-4)


def test_stages_go_from_easy_to_hard():
    assert ops.curriculum_stages([9, 7, 4, 2]) == [[(0, 3)], [(0, 2)], [(0, 1)]]
    assert ops.curriculum_stages([4, 9, 4, 2]) == [[(1, 3)], [(1, 0), (1, 2)]]


def test_responses_as_good_as_the_best_are_in_no_stage():
    assert ops.curriculum_stages([9, 9, 4]) == [[(0, 2)]]
    assert ops.curriculum_stages([5, 5]) == []
    assert ops.curriculum_stages([]) == []


def test_ratings_must_be_one_finite_list():
    with pytest.raises(DimensionError, match="ratings: expected shape"):
        ops.curriculum_stages([[1, 2]])
    with pytest.raises(NotFiniteError, match="ratings: expected finite numbers, got nan at 1"):
        ops.curriculum_stages([1, float("nan")])
