"""Hierarchical Bayes: user vectors from a Gaussian (mixture) whose mean and covariance are learned.

`w_u ~ N(mu, S)`, `P(a) = sigmoid((x_a - x_b) . w_u)`. The fitted model is served in a short basis:
the
population part `mu` becomes the shared offset, and `S = B B^T` becomes `phi = x B` with a standard
normal prior, cut after the directions that hold nearly all of the personal variance.

Source: Laplace EM as in Gelman et al. 2013, "Bayesian Data Analysis", 3rd ed., ch. 13,
16.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.models.base import (
    MODELS,
    Fitted,
    LinearInUser,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.posterior import Answering, GaussianPrior
from gustibus.types import F32


@MODELS.add(
    "hierarchical",
    source="Gelman et al. 2013, Bayesian Data Analysis, ch. 13 and 16",
    laws=("antisymmetric", "transitive"),
)
@dataclass(frozen=True)
class Hierarchical(LinearInUser):
    """Linear reward with a personal vector in a learned basis; representation `[offset, phi]`."""

    center: F32
    """`(d,)` mean feature of the training items; the zero of every reward."""
    population: F32
    """`(d,)` reward direction that everybody shares."""
    basis: F32
    """`(d, k)` directions in which people differ, in units of their standard deviation."""
    prior: GaussianPrior
    answering: Answering

    family: ClassVar[str] = "hierarchical"
    prompt_dim: ClassVar[int] = 0

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def user_dim(self) -> int:
        """Number of personal directions."""
        return self.basis.shape[1]

    @property
    def representation_dim(self) -> int:
        """The offset and one number a direction."""
        return 1 + self.user_dim

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1 + k)`."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.column_stack([x @ self.population, x @ self.basis])

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "population": self.population, "basis": self.basis,
            "prior.weights": self.prior.weights, "prior.means": self.prior.means,
            "prior.covariances": self.prior.covariances,
        }  # fmt: skip
        return {"lapse": self.answering.lapse, "tie": self.answering.tie}, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Hierarchical:
        """Inverse of `save`."""
        prior = GaussianPrior(
            arrays["prior.weights"], arrays["prior.means"], arrays["prior.covariances"]
        )
        return cls(
            arrays["center"], arrays["population"], arrays["basis"], prior,
            Answering(params["lapse"], params["tie"]),
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
        """Empirical Bayes in the compiled engine; options are those of `HierarchicalOptions`."""
        from gustibus.models.hierarchical_fit import fit_hierarchical
        from gustibus.models.hierarchical_options import hierarchical_options

        return fit_hierarchical(
            train, valid, options=hierarchical_options(options),
            seed=seed, device=device, progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
