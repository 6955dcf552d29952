"""A factor model of people and items by their names alone: what features have to beat.

Every item that enough people were asked about has factors of its own; a person's taste is a vector
over them. Features only tell which item it is: a new item is worth what an item is worth on
average, which is 0.

Source: Mnih and Salakhutdinov 2007, "Probabilistic Matrix Factorization", with the logistic
likelihood of comparisons, as in Rendle et al. 2009, "BPR".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.models.base import MODELS, Fitted, LinearInUser, Progress, TrainingSet, check_features
from gustibus.models.known import KnownItems
from gustibus.posterior import Answering, GaussianPrior
from gustibus.types import F32


@MODELS.add(
    "factors",
    source="Mnih & Salakhutdinov 2007; Rendle et al. 2009",
    laws=("antisymmetric", "transitive"),
)
@dataclass(frozen=True)
class Factors(LinearInUser):
    """`r(i) = strength_i + factors_i . w` of known items, 0 of others."""

    known: KnownItems
    table: F32
    """`(c, 1 + k)` representation of each known item."""
    prior: GaussianPrior
    answering: Answering

    family: ClassVar[str] = "factors"
    prompt_dim: ClassVar[int] = 0
    most_known: ClassVar[int] = 0
    """Of `Hybrid`, which would give the items coordinates that they have here already."""
    reads_features: ClassVar[bool] = False
    """Features tell which item it is, and nothing of an item that is not known."""

    @property
    def item_dim(self) -> int:
        """Length of the feature vector by which an item is recognised."""
        return self.known.dim

    @property
    def user_dim(self) -> int:
        """Number of factors."""
        return self.table.shape[1] - 1

    @property
    def representation_dim(self) -> int:
        """The strength, and the factors."""
        return self.table.shape[1]

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1 + k)`; zeros for items that are not known."""
        del prompts
        found = self.known.find(check_features("items", items, self.item_dim))
        out = np.zeros((len(found), self.representation_dim), np.float32)
        out[found >= 0] = self.table[found[found >= 0]]
        return out

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        known, own = self.known.save()
        arrays: dict[str, np.ndarray] = {
            "table": self.table, "prior.weights": self.prior.weights,
            "prior.means": self.prior.means, "prior.covariances": self.prior.covariances,
            **{f"items.{name}": value for name, value in own.items()},
        }  # fmt: skip
        params = {"items": known, "lapse": self.answering.lapse, "tie": self.answering.tie}
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Factors:
        """Inverse of `save`."""
        own = {n.removeprefix("items."): v for n, v in arrays.items() if n.startswith("items.")}
        prior = GaussianPrior(
            arrays["prior.weights"], arrays["prior.means"], arrays["prior.covariances"]
        )
        return cls(
            KnownItems.load(params["items"], own), arrays["table"], prior,
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
        """Empirical Bayes over known items alone; options are those of `FactorOptions`."""
        from gustibus.models.factors_fit import factor_options, fit_factors

        return fit_factors(
            train, valid, options=factor_options(options), seed=seed, device=device,
            progress=progress, checkpoint=checkpoint,
        )  # fmt: skip
