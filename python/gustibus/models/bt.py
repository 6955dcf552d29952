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
from gustibus.models.bt_options import BtOptions, bt_options
from gustibus.models.keywords import option_names
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
    options_kind: ClassVar[type] = BtOptions
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
        **options: Any,
    ) -> Fitted:
        """Maximum likelihood, or the least loss of another objective, with a ridge on the reward.

        Args:
            train: comparisons of the seen people.
            valid: comparisons of other people, which choose the ridge.
            seed: of the initial network when there are hidden layers.
            device: `auto`, `cpu` or `cuda`.
            progress: called after every candidate ridge.
            checkpoint: not used: the fit takes seconds.
            **options: those of `BtOptions`.

        Raises:
            ConfigError: an option is wrong.
            InputError: there are no comparisons, or not what an option needs.
        """
        del checkpoint
        from gustibus.models.bt_fit import fit_reward

        chosen = bt_options(options)
        network, center, report = fit_reward(
            train, valid, seed=seed, device=device, progress=progress,
            **{name: getattr(chosen, name) for name in option_names(BtOptions)},
        )  # fmt: skip
        model: PreferenceModel = cls(network, center, Answering(lapse=0.0))
        return Fitted(model, report)
