"""PRO: several rewards, weighed by a small adapter that reads the prompt.

`reward(x, y) = c sum_k w_k(x) u_k rn_k(y)`: normalised rewards rn, weights w on the simplex from the
prompt, and a person's multipliers u, whose population is learned and in which the reward is linear.

Source: "Preference Orchestrator: Prompt-Aware Multi-Objective Alignment for Large Language Models",
arXiv 2511.10656; the gate of Wang et al. 2024, "Interpretable Preferences via Multi-Objective Reward
Modeling and Mixture-of-Experts" (ArmoRM), arXiv 2406.12845.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.errors import DimensionError, InputError
from gustibus.models.base import (
    MODELS,
    Fitted,
    LinearInUser,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.models.network import Network
from gustibus.models.pro_options import OBJECTIVES
from gustibus.posterior import Answering, GaussianPrior
from gustibus.types import F32, F64


@MODELS.add(
    "pro", source="arXiv 2511.10656; arXiv 2406.12845", laws=("antisymmetric", "transitive")
)
@dataclass(frozen=True)
class Orchestrator(LinearInUser):
    """A fitted model; representations are `[0, c w_1 rn_1, .., rn_1, ..]`.

    Where nobody differs, the sum of the c w_k rn_k stands in their place. The plain rewards at the
    end are for people who state what they want (`gustibus.models.directions`).
    """

    heads: F32
    """`(d, m)` item features -> rewards, on centred features."""
    center: F32
    """`(d,)` subtracted from item features; zeros where rewards are columns of them."""
    mean: F64
    """`(m,)` of each reward over both responses of the training comparisons; frozen."""
    spread: F64
    """`(m,)` standard deviation of each reward, likewise."""
    adapter: Network
    """Standardised prompts -> `(n, m)` logits; no layers where the prompt is not read."""
    prompt_center: F32
    """`(h,)` mean of the training prompts; empty where the prompt is not read."""
    prompt_spread: F32
    """`(h,)` their standard deviation."""
    logits: F64
    """`(m,)` added to the adapter's, and all there is without one."""
    scale: float
    """c: log-odds of a difference of one standard deviation in every reward."""
    stated: F64
    """`(m,)` weights on the simplex that somebody states."""
    trust: float
    """Share a of the stated weights in `[0, 1]`: `w_k` is proportional to `f_k^(1 - a) stated_k^a`."""
    prior: GaussianPrior
    """Of people's multipliers; empty where everybody gets the same reward."""
    answering: Answering
    names: tuple[str, ...] = ()
    """Of the m rewards; empty for a model of an earlier version, which keeps no plain rewards."""

    family: ClassVar[str] = "pro"
    own_objectives: ClassVar[tuple[str, ...]] = OBJECTIVES

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def prompt_dim(self) -> int:
        """Length of a prompt's feature vector; 0 where the prompt is not read."""
        return len(self.prompt_center)

    @property
    def objectives(self) -> int:
        """Number m of rewards."""
        return len(self.mean)

    @property
    def user_dim(self) -> int:
        """One multiplier a reward, or none."""
        return self.prior.dim

    @property
    def representation_dim(self) -> int:
        """The part that everybody shares, one number a multiplier, and the plain rewards."""
        return 1 + self.user_dim + self.kept

    @property
    def kept(self) -> int:
        """Number of plain rewards at the end of a representation: m, or 0."""
        return len(self.names)

    def rewards(self, items: F32) -> F64:
        """`(n, d)` -> `(n, m)` normalised rewards."""
        x = check_features("items", items, self.item_dim) - self.center
        raw = x.astype(np.float64) @ self.heads
        return np.asarray((raw - self.mean) / self.spread)

    def weights(self, prompts: F32 | None, *, rows: int = 1) -> F64:
        """`(n, h)` -> `(n, m)` weights on the simplex, the stated ones mixed in.

        Args:
            prompts: of a model that reads them.
            rows: n, where prompts are not read.

        Raises:
            InputError: a model that reads prompts got none.
        """
        if self.trust == 1.0:
            n = rows if prompts is None else len(prompts)
            return np.repeat(self.stated[None], n, axis=0)
        logits = self._logits(prompts, rows)
        if self.trust == 0.0:
            return softmax(logits)
        with np.errstate(divide="ignore"):  # a stated weight of 0 excludes an objective
            return softmax((1 - self.trust) * logits + self.trust * np.log(self.stated))

    def _logits(self, prompts: F32 | None, rows: int) -> F64:
        if not self.prompt_dim:
            return np.repeat(self.logits[None], rows, axis=0)
        if prompts is None:
            message = "prompts: this model weighs its rewards by the prompt; got none"
            raise InputError(message, where="prompts")
        e = check_features("prompts", prompts, self.prompt_dim)
        x = ((e - self.prompt_center) / self.prompt_spread).astype(np.float64)
        return np.asarray(self.adapter(x) + self.logits)

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)`, and `(n, h)` where prompts are read, -> `(n, r)`.

        Raises:
            InputError: prompts are read and there are none, or shapes do not fit.
        """
        rewards = self.rewards(items)
        if self.prompt_dim and prompts is not None and len(prompts) != len(rewards):
            message = f"prompts: expected {len(rewards)} rows, one an item, got {len(prompts)}"
            raise InputError(message, where="prompts")
        read = prompts if self.prompt_dim else None
        phi = self.scale * self.weights(read, rows=len(rewards)) * rewards  # (n, m)
        plain = rewards[:, : self.kept]
        if self.user_dim == 0:
            return np.column_stack([phi.sum(1), plain]).astype(np.float32)
        return np.column_stack([np.zeros(len(phi)), phi, plain]).astype(np.float32)

    def scored_weights(self, user: F64, prompts: F32 | None, *, rows: int = 1) -> F64:
        """The weights that score, `c w_k(x) u_k`: `(u,)` -> `(n, m)`, in log-odds a standard deviation.

        A person's utility is their product with the normalised rewards, up to rounding to single
        precision. They are neither clipped nor normalised: one below 0 is of a reward that the
        person wants less of. Where everybody gets the same reward they are `c w_k(x)`.

        Args:
            user: `(u,)` multipliers of the person.
            prompts: `(n, h)` of a model that reads them.
            rows: n, where prompts are not read.

        Raises:
            InputError: a model that reads prompts got none.
        """
        weights = self.scale * self.weights(prompts, rows=rows)
        return weights * user if self.user_dim else weights

    def personal_weights(self, user: F64, prompts: F32 | None, *, rows: int = 1) -> F64:
        """How much of what a person likes each reward is, for display: `(u,)` -> `(n, m)` on the simplex.

        Exact up to the common factor that the simplex takes away, `scored_weights` over their sum,
        where no multiplier is below 0. One below 0 counts as 0 here, though it does score: then these
        are shares of what the person wants more of, and do not rank responses as the person's
        utility does. Without any multiplier above 0 they are everybody's weights. `scored_weights` is
        exact for everybody.

        Raises:
            InputError: a model that reads prompts got none.
        """
        weights = self.weights(prompts, rows=rows)
        if self.user_dim == 0:
            return weights
        own = weights * np.maximum(user, 0.0)
        total = own.sum(1, keepdims=True)
        return np.where(total > 0, own / np.where(total > 0, total, 1.0), weights)

    def with_stated(self, weights: F64, *, trust: float) -> Orchestrator:
        """The same model with stated weights mixed in geometrically.

        Args:
            weights: `(m,)` at or above 0, not all 0; they are divided by their sum.
            trust: 0 is the adapter alone, 1 the stated weights alone.

        Raises:
            InputError: a number is out of range or there are not m weights.
        """
        stated = np.asarray(weights, np.float64)
        if stated.shape != (self.objectives,):
            message = f"weights: expected shape ({self.objectives},), got {stated.shape}"
            raise DimensionError(message, where="weights")
        if not (np.isfinite(stated).all() and (stated >= 0).all() and stated.sum() > 0):
            message = f"weights: expected numbers at or above 0, not all 0, got {stated.tolist()}"
            raise InputError(message, where="weights")
        if not 0 <= trust <= 1:
            message = f"trust: expected a number in [0, 1], got {trust}"
            raise InputError(message, where="trust")
        total = float(stated.sum())
        return replace(self, stated=stated if total == 1.0 else stated / total, trust=float(trust))

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        adapter, arrays = self.adapter.save("adapter")
        for name in _ARRAYS:
            arrays[name] = getattr(self, name)
        for name in ("weights", "means", "covariances"):
            arrays[f"prior.{name}"] = getattr(self.prior, name)
        params = {
            "adapter": adapter, "scale": self.scale, "trust": self.trust, "names": self.names,
            "lapse": self.answering.lapse, "tie": self.answering.tie,
        }  # fmt: skip
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Orchestrator:
        """Inverse of `save`."""
        prior = (arrays[f"prior.{name}"] for name in ("weights", "means", "covariances"))
        return cls(
            **{name: arrays[name] for name in _ARRAYS},
            adapter=Network.load(params["adapter"], arrays, "adapter"),
            scale=params["scale"],
            trust=params["trust"],
            prior=GaussianPrior(*prior),
            answering=Answering(params["lapse"], params["tie"]),
            names=tuple(params.get("names", ())),
        )

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
        """Learn the adapter and the population; options are those of `ProOptions`.

        A fit takes seconds; `checkpoint` is not used.
        """
        del checkpoint
        from gustibus.models.pro_fit import fit_pro
        from gustibus.models.pro_options import pro_options

        return fit_pro(
            train, valid, options=pro_options(options), seed=seed, device=device, progress=progress
        )


_ARRAYS = (
    "heads", "center", "mean", "spread", "prompt_center", "prompt_spread", "logits", "stated",
)  # fmt: skip


def softmax(logits: F64) -> F64:
    """`(n, m)` -> `(n, m)`; every row sums to 1."""
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
