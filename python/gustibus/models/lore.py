"""LoRe: a few shared rewards, and a person who is a mixture of them.

`r(x) = x V w` with shared rewards V and a person's weights w on the simplex, or free weights with a
Gaussian population, which can also express the opposite of a reward.

Source: Bose et al. 2025, "LoRe: Personalizing LLMs via Low-Rank Reward Modeling", arXiv 2504.14439.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
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
from gustibus.models.lore_published import onboarded
from gustibus.models.mixtures import place_weights, weight_prior
from gustibus.posterior import Answering, Evidence, GaussianPrior, Posteriors
from gustibus.types import F32, F64, I64


@dataclass(frozen=True, slots=True)
class Onboarding:
    """How the published code places a person: Adam on logits from a random start."""

    steps: int = 500
    lr: float = 0.1
    seed: int = 0


@MODELS.add(
    "lore", source="Bose et al. 2025, arXiv 2504.14439", laws=("antisymmetric", "transitive")
)
@dataclass(frozen=True)
class Lore(LinearInUser):
    """Mixtures of shared rewards; representation `[0, x V]`, user vector w."""

    center: F32
    """`(d,)` subtracted from item features."""
    basis: F32
    """`(d, k)` the shared rewards V, in log-odds."""
    simplex: bool
    """Whether w lies on the simplex."""
    population: GaussianPrior
    """Of the logits of w on the simplex, of w itself otherwise."""
    answering: Answering
    onboarding: Onboarding | None = None
    """None places by the posterior."""

    family: ClassVar[str] = "lore"
    prompt_dim: ClassVar[int] = 0

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def user_dim(self) -> int:
        """Number of shared rewards."""
        return self.basis.shape[1]

    @property
    def representation_dim(self) -> int:
        """An empty offset, and the shared rewards."""
        return 1 + self.user_dim

    @cached_property
    def prior(self) -> GaussianPrior:
        """Of w; on the simplex the moments of the population's weights."""
        return weight_prior(self.population) if self.simplex else self.population

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1 + k)`."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.column_stack([np.zeros(len(x), np.float32), x @ self.basis])

    def place(
        self,
        a: F32,
        b: F32,
        target: F64,
        *,
        weight: F64 | None = None,
        starts: I64 | None = None,
        covariance: bool = True,
    ) -> Posteriors:
        """Posteriors of w; those of the published recipe are points, sure of themselves."""
        if not self.simplex:
            return super().place(a, b, target, weight=weight, starts=starts, covariance=covariance)
        diff = np.asarray(a, np.float64) - np.asarray(b, np.float64)
        rows = len(diff)
        evidence = Evidence(
            delta=np.ascontiguousarray(diff[:, 1:]), offset=np.ascontiguousarray(diff[:, 0]),
            target=np.asarray(target, np.float64),
            weight=np.ones(rows) if weight is None else np.asarray(weight, np.float64),
            starts=np.array([0, rows]) if starts is None else np.asarray(starts, np.int64),
        )  # fmt: skip
        if self.onboarding is None:
            return place_weights(evidence, self.population, self.prior, self.answering)
        o = self.onboarding
        return onboarded(evidence, self.prior, steps=o.steps, lr=o.lr, seed=o.seed)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "basis": self.basis,
            "population.weights": self.population.weights,
            "population.means": self.population.means,
            "population.covariances": self.population.covariances,
        }  # fmt: skip
        o = self.onboarding
        params = {
            "simplex": self.simplex, "lapse": self.answering.lapse, "tie": self.answering.tie,
            "onboarding": None if o is None else {"steps": o.steps, "lr": o.lr, "seed": o.seed},
        }  # fmt: skip
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Lore:
        """Inverse of `save`."""
        population = GaussianPrior(
            arrays["population.weights"], arrays["population.means"],
            arrays["population.covariances"],
        )  # fmt: skip
        o = params["onboarding"]
        return cls(
            arrays["center"], arrays["basis"], params["simplex"], population,
            Answering(params["lapse"], params["tie"]), None if o is None else Onboarding(**o),
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
        """Learn the shared rewards and the population; options are those of `LoreOptions`."""
        del checkpoint  # the fit takes seconds
        from gustibus.models.lore_fit import fit_lore, lore_options

        return fit_lore(
            train, valid, options=lore_options(options), seed=seed, device=device, progress=progress
        )
