"""Reverse sequential PAV looks at each approval once before its first choice, not at each pair of a ballot."""

from __future__ import annotations

import time

import numpy as np
import pytest

import gustibus.social as g
from gustibus.errors import InfeasibleError


def test_its_value_is_that_of_its_members():
    rng = np.random.default_rng(3)
    for k in (0, 1, 4, 9, 12):
        profile = g.ApprovalProfile(
            (rng.random((30, 12)) < 0.4).astype(int), weights=rng.integers(1, 5, 30)
        )
        found = g.committee(profile, k, rule="revseqpav")
        assert found.value == pytest.approx(g.committee_value(profile, found.members, rule="pav"))
        gone = sum(step.gain for step in found.steps)
        everything = g.committee_value(profile, range(12), rule="pav")
        assert everything - gone == pytest.approx(found.value)


# a machine that is busy with other things may be late once
@pytest.mark.flaky(reruns=2)
def test_a_limit_that_is_over_ends_it_before_long_ballots_are_paired():
    """Pairs of 499 approvals took a hundred times what counting them takes, whatever the limit."""
    rng = np.random.default_rng(0)
    matrix = np.ones((4000, 500), int)
    matrix[np.arange(4000), rng.integers(500, size=4000)] = 0
    profile = g.ApprovalProfile(matrix)
    g.committee(profile, 5, rule="av")  # what all rules share is made once
    counted, paired = [], []
    for _ in range(3):
        began = time.perf_counter()
        g.committee(profile, 5, rule="av")
        counted.append(time.perf_counter() - began)
        began = time.perf_counter()
        with pytest.raises(InfeasibleError, match="time_limit: 0 s were over"):
            g.committee(profile, 5, rule="revseqpav", time_limit=0)
        paired.append(time.perf_counter() - began)
    assert min(paired) < 30 * min(counted) + 0.05
