"""T5: onboarding by the posterior mean on a grid of two-prototype weights, published figures.

Two prototypes, margins N(0, 4) per pair, labels drawn from sigma(z / 0.25); accuracy against drawn
labels on held-out pairs. Figures: published study, see `docs` on evaluation; within 0.02 at each
number of answers.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from gustibus.posterior import Answering, Evidence, ParticlePrior, place_particles

SHOTS = [1, 2, 5, 10, 20]
FIGURES = {
    "one-hot": ([0.799, 0.840, 0.890, 0.915, 0.924], 0.932, 0.741),
    "dirichlet": ([0.836, 0.857, 0.886, 0.903, 0.912], 0.922, 0.804),
}
TEMPERATURE = 0.25
USERS = 200
PAIRS = 200


def simulate(kind, rng):
    """Accuracy of the posterior mean at every number of answers, of the truth, and of uniform weights."""
    if kind == "one-hot":
        truth = np.eye(2)[rng.integers(0, 2, USERS)]
    else:
        truth = rng.dirichlet(np.full(2, 0.5), USERS)
    shown = 2 * rng.normal(size=(USERS, max(SHOTS), 2))
    asked = 2 * rng.normal(size=(USERS, PAIRS, 2))
    chance = expit(np.einsum("uik,uk->ui", shown, truth) / TEMPERATURE)
    target = (rng.random(chance.shape) < chance).astype(float)
    chance = expit(np.einsum("uik,uk->ui", asked, truth) / TEMPERATURE)
    held_out = rng.random(chance.shape) < chance

    def accuracy(weights):
        return ((np.einsum("uik,uk->ui", asked, weights) > 0) == held_out).mean()

    prior = ParticlePrior.dirichlet(np.full(2, 0.5), seed=0)
    scores = []
    for shots in SHOTS:
        delta = shown[:, :shots].reshape(-1, 2)
        person = np.repeat(np.arange(USERS), shots)
        evidence = Evidence.build(delta, target[:, :shots].reshape(-1), person=person)
        margins = delta @ prior.particles.T / TEMPERATURE
        got = place_particles(margins, evidence, prior, answering=Answering(0.0))
        scores.append(accuracy(got.mean))
    return scores, accuracy(truth), accuracy(np.full((USERS, 2), 0.5))


@pytest.mark.parametrize("kind", sorted(FIGURES))
def test_posterior_mean_reaches_the_published_figures(kind):
    runs = [simulate(kind, np.random.default_rng(seed)) for seed in range(5)]
    scores, oracle, uniform = FIGURES[kind]
    np.testing.assert_allclose(np.mean([r[0] for r in runs], 0), scores, atol=0.02)
    assert np.mean([r[1] for r in runs]) == pytest.approx(oracle, abs=0.02)
    assert np.mean([r[2] for r in runs]) == pytest.approx(uniform, abs=0.02)
