"""Pooled Bradley-Terry: one reward for everybody, the floor under every personal model."""

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
    PreferenceModel,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.models.network import Network
from gustibus.posterior import Answering, GaussianPrior
from gustibus.types import F32


@MODELS.add("bt", source="Bradley & Terry 1952", laws=("antisymmetric", "transitive"))
@dataclass(frozen=True)
class BradleyTerry(LinearInUser):
    """`r(x) = network(x)`, the same for everybody; the user vector is empty."""

    network: Network
    center: F32
    """`(d,)` mean feature of the training items; its reward is the zero of the scale."""
    answering: Answering

    family: ClassVar[str] = "bt"
    takes_objective: ClassVar[bool] = True
    takes_lists: ClassVar[bool] = True
    adds_terms: ClassVar[bool] = True
    fits_quickly: ClassVar[bool] = True
    """Of `Hybrid`, which fits it twice sooner than it could tell whether that is needed."""
    prompt_dim: ClassVar[int] = 0
    representation_dim: ClassVar[int] = 1
    user_dim: ClassVar[int] = 0

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @cached_property
    def prior(self) -> GaussianPrior:
        """A distribution over nothing: there is one user vector, the empty one."""
        return GaussianPrior(np.ones(1), np.zeros((1, 0)), np.zeros((1, 0, 0)))

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, 1)`: the reward itself."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.asarray(self.network(x), np.float32)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        network, arrays = self.network.save("reward")
        params = {"reward": network, "lapse": self.answering.lapse, "tie": self.answering.tie}
        return params, {**arrays, "center": self.center}

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> BradleyTerry:
        """Inverse of `save`."""
        network = Network.load(params["reward"], arrays, "reward")
        return cls(network, arrays["center"], Answering(params["lapse"], params["tie"]))

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
        hidden: int = 0,
        ridge: float | None = None,
        reducer: str = "mean",
        objective: str | None = None,
        objective_options: Mapping[str, Any] | None = None,
        auxiliary: Mapping[str, Any] | None = None,
        tail: float | None = None,
        steps: int = 400,
    ) -> Fitted:
        """Maximum likelihood, or the least loss of another objective, with a ridge on the reward.

        Args:
            train: comparisons of the seen people.
            valid: comparisons of other people, which choose the ridge.
            seed: of the initial network when there are hidden layers.
            device: `auto`, `cpu` or `cuda`.
            progress: called after every candidate ridge.
            checkpoint: not used: the fit takes seconds.
            hidden: hidden layers of the reward, each as wide as `min(d, 256)`; 0 is linear.
            ridge: penalty in units of comparisons; None tries a range on `valid`.
            reducer: `mean` of all comparisons; `more`, which weighs the data sets of
                `train.group` so that each step serves all of them, however small they are; or a
                name of `REDUCERS`, over these data sets or, without them, people.
            objective: a row of `PAIRWISE` or `LISTWISE`; the log loss when None. A listwise one
                takes what one person said of the responses to one prompt as a list. Where the
                margins that it learns are no log-odds, one factor makes them so at the end.
            objective_options: of the row.
            auxiliary: rows of `AUXILIARY` that stand beside the objective: for each name its
                weight, or a mapping with `weight` and options; see `bt_auxiliary.choose_terms`.
            tail: share of the largest losses that the reducer `cvar` averages, in `(0, 1]`; 0.2
                when None.
            steps: of stochastic gradients, where lists, groups or terms leave no smooth loss for
                an exact solver.
        """
        del checkpoint
        from gustibus.models.bt_fit import fit_reward

        network, center, report = fit_reward(
            train, valid, seed=seed, device=device, progress=progress, hidden=hidden, ridge=ridge,
            reducer=reducer, objective=objective, objective_options=objective_options,
            auxiliary=auxiliary, tail=tail, steps=steps,
        )  # fmt: skip
        model: PreferenceModel = cls(network, center, Answering(lapse=0.0))
        return Fitted(model, report)
