"""LoRe's rows of T3 and VPL's of T2.

As in `test_t1_to_t4`, a figure is a floor less 0.02.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gustibus.data.synthetic import ideal_point_world, linear_mixture_world
from gustibus.models import MODELS
from tests.acceptance.worlds import Judge, fitting

TOLERANCE = 0.02
LORE = MODELS["lore"].run
SHOTS = [1, 2, 4, 8, 16, 32, 64]


def t3(**options):
    """`seen`, then accuracy at each number of shots, mean of three seeds."""
    found = []
    for seed in range(3):
        dataset, _ = linear_mixture_world(seed=seed)
        judge = Judge(dataset, LORE.fit(fitting(dataset), None, seed=seed, **options).model)
        found.append([judge.seen(), *judge.new(SHOTS, draws=2)])
    return np.mean(found, axis=0)


PUBLISHED = {"recipe": "published", "steps": 300, "onboarding_steps": 100}
ROW = np.array([0.786, 0.651, 0.678, 0.736, 0.789, 0.818, 0.831, 0.838])


def test_t3_lore_as_published_reaches_its_row_and_its_default_passes_it():
    published = t3(rank=6, **PUBLISHED)
    assert (published >= ROW - TOLERANCE).all(), published
    default = t3(rank=6, ridges=[3.0])
    assert (default >= ROW - TOLERANCE).all(), default
    # Other kernels of linear algebra lead one of the seeds into another optimum, 0.03 lower.
    assert default[0] > published[0] + 0.015
    assert default[-1] > published[-1] + 0.015
    few = slice(1, 4)  # no random start: one answer does no harm
    assert (default[few] > published[few] + 0.01).all(), (default, published)


def test_t3_one_reward_of_lore_is_the_pooled_floor():
    found = t3(rank=1, **PUBLISHED)
    assert 0.63 < found[0] < 0.73
    np.testing.assert_allclose(found[1:], found[1], atol=1e-12)


VPL = MODELS["vpl"].run
SIZES = {"latent": 8, "hidden": 32, "equalise": -1.0, "context": 30, "empty": 0.0}
AS_PUBLISHED = {
    **SIZES, "activation": "leaky_relu", "rescale": "training", "low": -1.0, "lr": 2e-3,
    "steps": 2000,
}  # fmt: skip
T2_SHOTS = [1, 2, 5, 10, 20, 50]
FREE = np.array([0.824, 0.828, 0.850, 0.864, 0.877, 0.888])
HELD = np.array([0.805, 0.816, 0.828, 0.831, 0.839, 0.849])
HELD_RESCALED = np.array([0.783, 0.796, 0.827, 0.832, 0.856, 0.860])


def test_t2_vpl_reads_ideal_points_and_collapses_under_a_heavy_divergence():
    dataset, _ = ideal_point_world(seed=0)
    model, report = VPL.fit(fitting(dataset), None, seed=0, steps=700, **SIZES)
    found = np.array(Judge(dataset, model).new(T2_SHOTS, draws=2))
    assert (found >= FREE - TOLERANCE).all(), found
    assert report["warning"] is None
    heavy, report = VPL.fit(fitting(dataset), None, seed=0, steps=250, beta=0.5, **SIZES)
    found = np.array(Judge(dataset, heavy).new([1, 10, 50], draws=1))
    assert "have collapsed" in report["warning"]
    assert np.ptp(found) < 0.01, found  # answers change nothing
    assert found[0] > 0.7


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_t2_vpl_reaches_its_rows_as_published():
    found = {}
    for beta in (0.0, 0.05, 0.5):
        rows = []
        for seed in range(4 if beta == 0.05 else 2):  # worlds differ by 0.03 there
            dataset, _ = ideal_point_world(seed=seed)
            model, _ = VPL.fit(fitting(dataset), None, seed=seed, beta=beta, **AS_PUBLISHED)
            rescaled = replace(model, rescale="always")
            rows.append([Judge(dataset, m).new(T2_SHOTS) for m in (model, rescaled)])
        found[beta] = np.mean(rows, axis=0)
    assert (found[0.0][0] >= FREE - TOLERANCE).all(), found
    assert (found[0.05][0] >= HELD - TOLERANCE).all(), found
    assert (found[0.05][1] >= HELD_RESCALED - TOLERANCE).all(), found
    assert found[0.05][1][0] < found[0.05][0][0]  # one answer, overstated
    assert np.ptp(found[0.5][0]) < 0.01, found
