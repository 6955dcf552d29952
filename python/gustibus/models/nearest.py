"""Nearest people: a new person is foretold by the seen people who answer most alike.

Seen people are kept as rewards, so that people can be alike who never met the same items. Of a new
person's answers, the log likelihood under each seen person's reward says how much alike they are;
the nearest few are averaged by it, and with few answers the average is drawn to that of everybody.

Source: the user-based neighbours of Resnick et al. 1994, "GroupLens", with the weighting by
likelihood of Choi et al. 2025, "CoPL", arXiv 2503.01658.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.models.base import MODELS, Fitted, Progress, TrainingSet
from gustibus.models.heads import (
    Person,
    Weighed,
    head_scores,
    normalised,
)
from gustibus.posterior import Answering, ParticlePrior
from gustibus.types import F32, F64


@MODELS.add(
    "nearest",
    source="Resnick et al. 1994; Choi et al. 2025, arXiv 2503.01658",
    laws=("antisymmetric", "transitive"),
)
@dataclass(frozen=True)
class Nearest(Weighed):
    """Seen people are the particles of the prior: user vectors in the basis."""

    center: F32
    population: F32
    basis: F32
    prior: ParticlePrior
    neighbours: int
    """How many seen people foretell a person."""
    imaginary: float
    """Answers' worth of everybody's mean in each person's."""
    similarity: str
    """`log`, the log likelihood, or `zero_one`, agreement."""

    family: ClassVar[str] = "nearest"
    most_known: ClassVar[int] = 0

    @property
    def answering(self) -> Answering:
        """Logistic answers without lapses."""
        return Answering(lapse=0.0)

    def weigh(self, person: Person) -> F64:
        """Weights `(j,)`: the nearest by their likelihood, then everybody a little."""
        everybody = np.asarray(self.prior.log_weights, np.float64)
        scores = everybody + head_scores(
            person, self.prior.particles, self.answering, self.similarity
        )
        near = np.argsort(-scores, kind="stable")[: self.neighbours]
        weights = np.zeros(len(scores))
        weights[near] = normalised(scores[near])
        share = self.imaginary / (self.imaginary + person.weight.sum() or 1.0)
        return np.asarray((1 - share) * weights + share * normalised(everybody))

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "population": self.population, "basis": self.basis,
            "people": self.prior.particles, "log_weights": self.prior.log_weights,
        }  # fmt: skip
        return {
            "neighbours": self.neighbours, "imaginary": self.imaginary,
            "similarity": self.similarity,
        }, arrays  # fmt: skip

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Nearest:
        """Inverse of `save`."""
        return cls(
            arrays["center"], arrays["population"], arrays["basis"],
            ParticlePrior(arrays["people"], arrays["log_weights"]),
            params["neighbours"], params["imaginary"], params["similarity"],
        )  # fmt: skip

    @classmethod
    def fit(
        cls,
        train: TrainingSet,
        valid: TrainingSet | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
        checkpoint: Path | None = None,
        **options: Any,
    ) -> Fitted:
        """A reward of each seen person, and how many of them to ask; options: `NearestOptions`."""
        del checkpoint  # the fit takes seconds
        from gustibus.models.nearest_fit import fit_nearest, nearest_options

        return fit_nearest(
            train, valid, options=nearest_options(options), seed=seed, device=device,
            progress=progress,
        )  # fmt: skip
