"""Ranking accuracy, what its objective allows, and the gap between them, worked by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gustibus.errors import DimensionError, InputError, NotFiniteError
from gustibus.evaluation.probes.ranking import (
    alignment_gap,
    difficulties,
    idealized_accuracy,
    idealized_log_ratio,
    list_accuracy,
    pair_difficulty,
    ranking_accuracy,
    reward_accuracy,
)

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LOGP = st.floats(-60, 0)


def test_the_worked_log_ratio():
    assert idealized_log_ratio(-29, -27, 0.8, 0.5) == pytest.approx(0.772589, abs=1e-6)
    both = idealized_log_ratio([-29, -20], [-27, -21], [0.8, 0.5], 0.5)
    np.testing.assert_allclose(both, [0.772589, 1.0], atol=1e-6)


def test_shares_of_annotators_are_clipped():
    assert idealized_log_ratio(0, 0, 1.0, 1.0) == pytest.approx(np.log(0.999 / 0.001))
    assert idealized_log_ratio(0, 0, 0.0, 1.0) == pytest.approx(-np.log(0.999 / 0.001))


def test_a_pair_is_ranked_right_when_the_chosen_response_is_at_least_as_likely():
    assert ranking_accuracy([-1, -5, -3, -4], [-2, -4, -3, -9]) == 0.75


def test_means_per_token_are_compared_when_lengths_are_given():
    assert ranking_accuracy([-20], [-9]) == 0
    assert ranking_accuracy([-20], [-9], len_w=[10], len_l=[3]) == 1


def test_a_tie_of_people_is_right_where_probabilities_are_within_a_hundredth():
    w, low = np.log([0.5, 0.5, 0.2]), np.log([0.505, 0.52, 0.1])
    assert ranking_accuracy(w, low, tie=[1, 1, 0]) == pytest.approx(2 / 3)


def test_reward_accuracy_subtracts_the_reference_and_ranking_accuracy_does_not():
    pi_w, pi_l, ref_w, ref_l = [-20.0], [-18.0], [-25.0], [-18.5]
    assert ranking_accuracy(pi_w, pi_l) == 0
    assert reward_accuracy(pi_w, pi_l, ref_w, ref_l) == 1


@few
@given(LOGP, LOGP, st.floats(0.51, 1), st.floats(0.01, 10))
def test_a_right_reference_with_most_annotators_stays_right(ref_w, ref_l, alpha, beta):
    if ref_w > ref_l:
        assert idealized_accuracy([ref_w], [ref_l], [alpha], beta=beta) == 1


@few
@given(LOGP, LOGP, st.floats(0.01, 10))
def test_undecided_annotators_change_nothing(ref_w, ref_l, beta):
    assert idealized_log_ratio(ref_w, ref_l, 0.5, beta) == pytest.approx(ref_w - ref_l)


def test_a_small_beta_follows_the_annotators_and_a_large_one_the_reference():
    ref_w, ref_l, alpha = [-29, -20], [-27, -22], [0.8, 0.3]
    assert idealized_accuracy(ref_w, ref_l, alpha, beta=1e-4) == 0.5  # the first: 0.8 > 1/2
    assert idealized_log_ratio(ref_w, ref_l, alpha, 1e-4)[0] > 0
    np.testing.assert_allclose(idealized_log_ratio(ref_w, ref_l, alpha, 1e6), [-2, 2], atol=1e-4)


def test_the_gap_is_the_idealised_less_the_observed_accuracy():
    found = alignment_gap([-20, -30], [-24, -28], [-21, -29], [-22, -29.5], [0.9, 0.9], beta=0.1)
    assert found == {"idealized": 1.0, "observed": 0.5, "alignment_gap": 0.5}


@few
@given(LOGP, LOGP, LOGP, LOGP, st.floats(0.01, 5))
def test_a_pair_is_right_exactly_when_its_loss_is_below_the_threshold(
    pi_w, pi_l, ref_w, ref_l, beta
):
    loss = np.logaddexp(0, -beta * ((pi_w - ref_w) - (pi_l - ref_l)))
    threshold = difficulties([ref_w], [ref_l], beta=beta)[0]
    if abs(pi_w - pi_l) > 1e-6:
        assert (ranking_accuracy([pi_w], [pi_l]) == 1) == (loss <= threshold)


def test_the_worked_difficulties():
    np.testing.assert_allclose(
        difficulties([-29, -40], [-28, -55], beta=0.1), [0.644397, 1.701413], atol=1e-6
    )
    assert pair_difficulty([-29, -40], [-28, -55])["wrong_at_first"] == 0.5


def test_a_list_counts_only_as_a_whole():
    assert list_accuracy([[3, 2, 1], [3, 3, 1], [3, 1, 2], [1, 2, 3]]) == 0.5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([-1, -2], [-1]), DimensionError, "pi_w, pi_l"),
        (([np.nan], [-1]), NotFiniteError, "pi_w"),
        (([], []), InputError, "pi_w"),
        (([-1], [-1], [0], [1]), InputError, "len_w: expected numbers in"),
        (([-1], [-1], None, None, [2]), InputError, "tie"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        ranking_accuracy(*arguments)


def test_a_beta_that_is_not_positive_is_refused():
    with pytest.raises(InputError, match="beta: expected a number above 0"):
        idealized_log_ratio(0, 0, 0.5, 0)


def test_accuracy_and_win_rate_are_drawn_against_the_divergence(tmp_path):
    plots = pytest.importorskip("gustibus.evaluation.probes.plots")
    path = plots.plot_against_kl([0, 1, 4], [0.5, 0.6, 0.6], [0.5, 0.6, 0.8], tmp_path / "kl.png")
    assert path.stat().st_size > 1000
    with pytest.raises(InputError, match="win_rate: expected numbers in"):
        plots.plot_against_kl([0], [0.5], [1.5], tmp_path / "kl.png")
