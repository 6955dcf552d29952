"""A short run of the fuzz targets: every export has one, and none panics, dies or hangs."""

from __future__ import annotations

import pytest

from tests.fuzz.cases import TARGETS, exports, run

CASES = 40


def test_every_export_has_a_target():
    assert exports() == TARGETS.keys()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_random_calls_end_as_documented(target):
    ends = [run(target, seed) for seed in range(CASES)]
    stories = {seed: story for seed, (_, story) in enumerate(ends) if story is not None}
    assert not stories, next(iter(stories.values()))
    assert "returned" in {kind for kind, _ in ends}, "no case of the target is valid"
