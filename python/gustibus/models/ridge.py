"""Bradley-Terry for each person, drawn towards the reward that everybody shares.

The cheapest personal model: nothing is learned about how people differ but how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.models.base import MODELS, Fitted, Progress, TrainingSet
from gustibus.models.tastes import LinearTaste
from gustibus.posterior import Answering, GaussianPrior
from gustibus.types import F32


@MODELS.add("ridge", source="Hoerl & Kennard 1970", laws=("antisymmetric", "transitive"))
@dataclass(frozen=True)
class Ridge(LinearTaste):
    """A shared linear reward and a personal one, `N(0, I)` in the basis, which holds the spread."""

    center: F32
    population: F32
    basis: F32
    """`(d, k)` principal components of the features, times the spread of people along them."""
    prior: GaussianPrior
    """Standard normal, unless more is known of somebody."""

    family: ClassVar[str] = "ridge"
    most_known: ClassVar[int] = 0

    @property
    def answering(self) -> Answering:
        """Logistic answers without lapses."""
        return Answering(lapse=0.0)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "population": self.population, "basis": self.basis,
            "prior.weights": self.prior.weights, "prior.means": self.prior.means,
            "prior.covariances": self.prior.covariances,
        }  # fmt: skip
        return {}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Ridge:
        """Inverse of `save`."""
        del params
        prior = GaussianPrior(
            arrays["prior.weights"], arrays["prior.means"], arrays["prior.covariances"]
        )
        return cls(arrays["center"], arrays["population"], arrays["basis"], prior)

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
        """The shared reward, and how far people depart from it; options: `RidgeOptions`."""
        del checkpoint  # the fit takes seconds
        from gustibus.models.ridge_fit import fit_ridge, ridge_options

        return fit_ridge(
            train, valid, options=ridge_options(options), seed=seed, device=device,
            progress=progress,
        )  # fmt: skip
