"""Losses of lists: worked numbers, limits, equalities and brute force."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
import torch

from gustibus import ops
from gustibus.errors import InputError
from gustibus.objectives import LISTWISE

S, PSI = [0.4, 0.1, -0.3], [0.9, 0.5, 0.1]


def near(found, expected):
    """To 1e-6 in double and 1e-4 in single precision."""
    close = 1e-4 if getattr(found, "dtype", None) == torch.float32 else 1e-6
    np.testing.assert_allclose(np.asarray(found), expected, atol=close)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pair_logistic", 1.470557),
        ("pair_hinge", 1.6),
        ("list_mle", 1.318331),
        ("softmax_ce", 1.427974),
        ("point_mse", 0.57),
        ("point_sigmoid", 1.831767),
        ("lipo_lambda", 0.397567),
    ],
)
def test_worked_numbers(name, expected, single):
    s = torch.tensor(S, dtype=torch.float32) if single else S
    near(getattr(ops, name)(s=s, psi=PSI), expected)


@pytest.mark.parametrize("single", [False, True])
def test_preference_ranking_optimization_has_the_worked_numbers(single):
    p = [-1.2, -1.5, -1.1]
    p = torch.tensor(p, dtype=torch.float32) if single else p
    near(ops.pro_ranking(p), 1.958926)
    near(ops.pro_ranking(p, [2, 1.2, -0.4]), 3.096476)


@pytest.mark.parametrize("single", [False, True])
def test_ranked_lists_have_the_worked_number(single):
    s = [1, 0.6, 0.7, -0.2]
    near(ops.ranklist(torch.tensor(s) if single else s, max_skip=2), 0.995583)


def test_labels_of_a_win_matrix_are_mean_chances():
    p = [[0.0, 0.9, 0.6], [0.1, 1.0, 0.3], [0.4, 0.7, 0.0]]
    np.testing.assert_allclose(ops.win_matrix_labels(p), [2.0 / 3, 0.9 / 3, 1.6 / 3])


def test_a_list_of_two_is_a_pair():
    s = [0.7, -0.2]
    pair = ops.bt_pair(*s)
    assert ops.pair_logistic(s, [1, 0]) == pytest.approx(pair)
    assert ops.list_mle(s, [1, 0]) == pytest.approx(pair)
    assert ops.pro_ranking(s) == pytest.approx(pair)
    assert ops.pro_ranking(s, [2.0, 0.5]) == pytest.approx(ops.bt_pair(1.5 * 0.7, 1.5 * -0.2))
    assert ops.lipo_lambda(s, [1, 0]) == pytest.approx(0.532456 * pair, abs=1e-6)
    for form in ("pairs", "suffix_lse", "adjacent_lse"):
        assert ops.ranklist(s, form=form) == pytest.approx(pair)


def test_labels_that_order_alike_differ_only_where_their_size_counts():
    near_by, far = [0.51, 0.5, 0.49], [0.99, 0.5, 0.01]
    assert ops.list_mle(S, near_by) == ops.list_mle(S, far)
    assert ops.lipo_lambda(S, near_by) < 0.1 * ops.lipo_lambda(S, far)


def test_lambda_weights_are_the_change_of_dcg_by_exchange():
    rng = np.random.default_rng(0)
    s, psi = rng.standard_normal(5), rng.random(5)

    def dcg(order):
        return sum((2 ** psi[i] - 1) / np.log(1 + tau) for tau, i in enumerate(order, 1))

    found, order = ops.lambda_weights(s, psi), list(np.argsort(-s))
    for x, y in combinations(range(5), 2):
        swapped = order.copy()
        swapped[x], swapped[y] = swapped[y], swapped[x]
        i, j = order[x], order[y]
        assert found[i, j] == pytest.approx(abs(dcg(order) - dcg(swapped)))
    np.testing.assert_allclose(found, found.T)
    assert (np.diag(found) == 0).all()


def test_lambda_weights_are_constants_for_the_gradient():
    s = torch.tensor(S, dtype=torch.float64, requires_grad=True)
    assert not ops.lambda_weights(s, torch.tensor(PSI, dtype=torch.float64)).requires_grad


def test_equal_scores_rank_in_the_order_given():
    weights = ops.lambda_weights([0.0, 0.0], [1.0, 0.0])
    assert weights[0, 1] == pytest.approx(1 / np.log(2) - 1 / np.log(3))


def test_list_mle_is_the_chance_of_drawing_the_order():
    s = np.array([0.4, 1.0, -0.3])
    chances = []
    for order in permutations(range(3)):
        psi = np.empty(3)
        psi[list(order)] = [3, 2, 1]
        chances.append(np.exp(-ops.list_mle(s, psi)))
    assert sum(chances) == pytest.approx(1)
    first = np.exp(s[1]) / np.exp(s).sum()
    assert chances[2] == pytest.approx(first * 1 / (1 + np.exp(s[2] - s[0])))


def test_equal_labels_keep_the_order_of_the_input():
    assert ops.list_mle([1.0, 0.0], [0.5, 0.5]) < ops.list_mle([0.0, 1.0], [0.5, 0.5])


class TestPreferenceRanking:
    def test_without_rewards_it_is_plackett_luce(self):
        assert ops.pro_ranking(S) == pytest.approx(ops.list_mle(S, PSI))

    def test_rewards_sort_the_list(self):
        sorted_list = ops.pro_ranking([-1.2, -1.5, -1.1], [2, 1.2, -0.4])
        assert ops.pro_ranking([-1.1, -1.2, -1.5], [-0.4, 2, 1.2]) == pytest.approx(sorted_list)

    def test_equal_rewards_make_a_term_constant(self):
        s = torch.tensor([0.3, 0.9], dtype=torch.float64, requires_grad=True)
        loss = ops.pro_ranking(s, torch.tensor([1.0, 1.0], dtype=torch.float64))
        assert loss.item() == pytest.approx(np.log(2))
        assert torch.autograd.grad(loss, s)[0].abs().max() == 0

    def test_large_scores_cost_nothing_in_a_wrong_order_but_log_probabilities_do(self):
        wrong, rewards = np.array([100.0, 101.0, 0.0]), [1.0, 0.5, 0.0]
        assert ops.pro_ranking(wrong, rewards) < 1e-9
        logp = wrong - np.log(np.exp(wrong).sum())
        assert ops.pro_ranking(logp, rewards) > 0.5

    def test_the_best_response_is_learned_with_a_weight_that_grows_with_the_list(self):
        plain = ops.pro_ranking([S, S])
        more = ops.pro_ranking([S, S], sft_coef=0.05, sum_logp_best=[-10.0, 0.0])
        np.testing.assert_allclose(more - plain, [0.05 * 4 * 10, 0])

    def test_the_best_response_must_be_given_to_be_learned(self):
        with pytest.raises(InputError, match="sum_logp_best: expected log-probabilities"):
            ops.pro_ranking(S, sft_coef=0.05)


class TestRankedLists:
    s = np.random.default_rng(1).standard_normal((20, 5))

    def test_suffixes_are_the_likelihood_of_the_order(self):
        psi = np.arange(5, 0, -1)
        np.testing.assert_allclose(
            ops.ranklist(self.s, form="suffix_lse"), ops.list_mle(self.s, psi)
        )

    def test_shortcuts_are_below_the_sums_that_they_stand_for(self):
        neighbours = 4 * ops.ranklist(self.s)
        pairs = ops.pair_logistic(self.s, np.arange(5, 0, -1))
        assert (ops.ranklist(self.s, form="adjacent_lse") <= neighbours).all()
        assert (ops.ranklist(self.s, form="suffix_lse") <= pairs).all()

    def test_a_further_skip_only_adds(self):
        levels = [ops.ranklist(self.s, max_skip=k) for k in (1, 2, 3, 4, 9)]
        assert all((b >= a).all() for a, b in pairwise(levels))
        np.testing.assert_allclose(levels[3], levels[4])

    def test_weights_of_skips(self):
        near_by, both = ops.ranklist(self.s), ops.ranklist(self.s, max_skip=2)
        found = ops.ranklist(self.s, max_skip=2, weights=[0.5, 2.0])
        np.testing.assert_allclose(found, 0.5 * near_by + 2 * (both - near_by))

    def test_labels_that_are_close_are_not_compared(self):
        found = ops.ranklist([0.0, 0.3, 0.9], psi=[1.0, 0.9, 0.2], min_gap=0.5)
        assert found == pytest.approx(ops.bt_pair(0.3, 0.9))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"form": "all"}, "form: expected one of"),
            ({"max_skip": 0}, "max_skip: expected a number"),
            ({"max_skip": 1.5}, "max_skip: expected a whole number"),
            ({"max_skip": 2, "weights": [1.0]}, r"weights: expected shape \(2,\)"),
            ({"min_gap": 0.1}, "min_gap: needs labels"),
        ],
    )
    def test_wrong_options_are_refused_by_name(self, options, message):
        with pytest.raises(InputError, match=message):
            ops.ranklist(S, **options)


def test_labels_out_of_range_are_refused_where_they_are_probabilities():
    with pytest.raises(InputError, match="psi: expected probabilities"):
        ops.point_sigmoid(S, [0.9, 0.5, 1.1])


def test_rows_and_methods_are_the_same_function():
    for name in ("pair_logistic", "list_mle", "lipo_lambda"):
        row = LISTWISE[name].run(torch.tensor(S).double(), torch.tensor(PSI).double(), None)
        assert getattr(ops, name)(S, PSI) == pytest.approx(float(row))
