"""Where answers place a person: priors, evidence, posteriors, predictions and questions.

The numerics are compiled; this package converts arrays, names results and is the only door to
`gustibus._core`. A row of evidence has `delta = phi(left) - phi(right)`, an offset `c`, a target in
`[0, 1]` (probability that left is preferred) and a weight; its margin is `z = c + delta . w` for
the user vector `w`. Results do not depend on the number of threads.
"""

from __future__ import annotations

from gustibus.posterior.beliefs import Evidence, Posterior, Posteriors
from gustibus.posterior.expected import ExpectedLoss
from gustibus.posterior.placing import (
    particle_weights,
    place,
    place_particles,
    place_simplex,
    simplex_moments,
)
from gustibus.posterior.population import Population, fit_population
from gustibus.posterior.priors import Answering, GaussianPrior, ParticlePrior, Prior
from gustibus.posterior.questions import (
    QUESTION_RULES,
    acquire,
    acquire_batch,
    predict,
    predict_tie,
    target_gain,
)

__all__ = [
    "QUESTION_RULES",
    "Answering",
    "Evidence",
    "ExpectedLoss",
    "GaussianPrior",
    "ParticlePrior",
    "Population",
    "Posterior",
    "Posteriors",
    "Prior",
    "acquire",
    "acquire_batch",
    "fit_population",
    "particle_weights",
    "place",
    "place_particles",
    "place_simplex",
    "predict",
    "predict_tie",
    "simplex_moments",
    "target_gain",
]
