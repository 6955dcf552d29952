"""HyRe: a person as a mixture of heads, each weighed by how well it foretells their answers.

`w_j ~ prior_j exp(-sum_t loss_j(t))`; the reward of a person is the weighted mean of the heads',
folded into one user vector. Nothing is fitted to a person but the weights.

Source: Lee et al. 2024, "Test-Time Alignment via Hypothesis Reweighting", arXiv 2412.08812.
That the heads are the denoised rewards of seen people is the project's own.
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
    people_of,
)
from gustibus.posterior import Answering, ParticlePrior
from gustibus.types import F32, F64, I64


@MODELS.add(
    "hyre", source="Lee et al. 2024, arXiv 2412.08812", laws=("antisymmetric", "transitive")
)
@dataclass(frozen=True)
class Hyre(Weighed):
    """Heads are the particles of the prior: user vectors in the basis."""

    center: F32
    population: F32
    basis: F32
    prior: ParticlePrior
    answering: Answering
    score: str
    """`log` or `zero_one`: the loss by which heads are weighed."""
    sharpness: float
    """Factor of the summed loss; 1 takes every answer at its word."""

    family: ClassVar[str] = "hyre"

    def weights(
        self,
        a: F32,
        b: F32,
        target: F64,
        *,
        weight: F64 | None = None,
        starts: I64 | None = None,
    ) -> F64:
        """`(p, j)` weights of the heads for each person; arguments as of `place`."""
        people = people_of(a, b, target, weight, starts)
        return np.stack([self.weigh(person) for person in people])

    def weigh(self, person: Person) -> F64:
        """Weights `(j,)` of the heads: their prior, sharpened by how well they foretell."""
        prior = np.asarray(self.prior.log_weights, np.float64)
        if len(person.target) == 0:
            return normalised(prior)
        scores = head_scores(person, self.prior.particles, self.answering, self.score)
        return normalised(prior + self.sharpness * scores)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "population": self.population, "basis": self.basis,
            "heads": self.prior.particles, "log_weights": self.prior.log_weights,
        }  # fmt: skip
        params = {
            "lapse": self.answering.lapse, "tie": self.answering.tie, "score": self.score,
            "sharpness": self.sharpness,
        }  # fmt: skip
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Hyre:
        """Inverse of `save`."""
        return cls(
            arrays["center"], arrays["population"], arrays["basis"],
            ParticlePrior(arrays["heads"], arrays["log_weights"]),
            Answering(params["lapse"], params["tie"]), params["score"], params["sharpness"],
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
        """Make heads of seen people or of resampled data; options are those of `HyreOptions`."""
        from gustibus.models.hyre_fit import fit_hyre, hyre_options

        return fit_hyre(
            train, valid, options=hyre_options(options), seed=seed, device=device,
            progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
