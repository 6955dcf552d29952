"""Consistency of rankings: worked numbers, scipy as a peer, targets that it draws in."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from gustibus.curation import Labels, build, rank_consistency
from gustibus.curation.consistency import KINDS
from gustibus.errors import DimensionError, InputError

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

A, B = [0.3, 0.9, 0.1, 0.5], [0.2, 0.7, 0.4, 0.6]
SCORES = st.lists(st.integers(-3, 3), min_size=5, max_size=5)


def test_the_worked_consistency():
    assert rank_consistency(A, B) == pytest.approx(0.833333, abs=1e-6)


@few
@given(SCORES, SCORES)
def test_kendall_and_spearman_are_those_of_scipy(a, b):
    if len(set(a)) > 1 and len(set(b)) > 1:
        tau, rho = kendalltau(a, b).statistic, spearmanr(a, b).statistic
        assert rank_consistency(a, b, "kendall") == pytest.approx((tau + 1) / 2)
        assert rank_consistency(a, b, "spearman") == pytest.approx((rho + 1) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_ranking_is_1_and_monotone_changes_play_no_part(kind):
    assert rank_consistency(A, np.exp(A), kind) == 1
    np.testing.assert_allclose(
        rank_consistency([A, A], [B, A], kind), [rank_consistency(A, B, kind), 1]
    )


def test_the_opposite_ranking_is_0_and_no_ranking_a_half():
    for kind in ("kendall", "spearman"):
        assert rank_consistency(A, np.negative(A), kind) == pytest.approx(0)
        assert rank_consistency(A, [1.0] * 4, kind) == 0.5


def test_top_order_asks_which_response_is_best_and_worst():
    assert rank_consistency([3, 1, 2, 0], [9, 2, 1, 0], "top_order") == 1
    assert rank_consistency([3, 1, 2, 0], [9, 0, 1, 2], "top_order") == 0


def test_targets_are_drawn_to_their_opposite_as_far_as_rankings_changed():
    rows = [
        {"user": "u", "prompt": q, "response_a": "x", "response_b": "y", "target": 1.0,
         "scores_before": A, "scores_after": after} for q, after in [("p", A), ("q", B)]
    ]  # fmt: skip
    table = build("consistency", Labels.of(rows, source="log"), source="two rounds")
    assert [row["target"] for row in table.counting()] == pytest.approx([1, 0.833333], abs=1e-6)
    pooled = build("consistency", Labels.of(rows, source="log"), source="two", pooled=True)
    assert [r["target"] for r in pooled.counting()] == pytest.approx([0.916667] * 2, abs=1e-6)


def test_lists_of_different_lengths_and_unknown_kinds_are_refused():
    with pytest.raises(DimensionError, match="b: expected at least two scores"):
        rank_consistency(A, B[:3])
    with pytest.raises(InputError, match="kind: expected one of"):
        rank_consistency(A, B, "pearson")
