"""VPL: a set encoder reads a person from their comparisons, a decoder scores items for that reading.

Amortised: a person is placed in one forward pass. Of each comparison a network sees the preferred
and the other item; attention and a mean over comparisons, which do not depend on their order, give
the mean and the variance of the person's latent vector; the reward is a network of item and vector.

Source: Poddar et al. 2024, "Personalizing Reinforcement Learning from Human Feedback with
Variational Preference Learning", arXiv 2408.10075; SPL, arXiv 2603.12595, for the swap loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gustibus.models.base import (
    MODELS,
    Fitted,
    Progress,
    TrainingSet,
    Transitive,
    check_features,
)
from gustibus.models.network import Network, activate, activation_slope
from gustibus.posterior import Answering, GaussianPrior, Posteriors
from gustibus.types import F32, F64, I64

RESCALE = ("never", "always", "training")
"""When a latent vector is brought to length `sqrt(L)`; `training` is the published mismatch."""


class Encoder(NamedTuple):
    """The part that reads a person."""

    pair: Network
    """`2 r -> L`: preferred item, other item."""
    attention: F32
    """`(3, L, L)`: maps to queries, keys and values."""
    mean: Network
    """`L -> L`."""
    spread: Network
    """`L -> L`, log variances."""
    low: float
    """Smallest log variance; the largest is 1."""

    def __call__(self, a: F64, b: F64, target: F64, weight: F64) -> tuple[F64, F64]:
        """Mean and log variance `(L,)` from a person's answers `(s, r)`, at least one with weight.

        An answer counts as a preferred with its target and as b preferred with the rest.
        """
        share = np.concatenate([target * weight, (1 - target) * weight])
        both = np.concatenate([np.concatenate([a, b], 1), np.concatenate([b, a], 1)])
        told = share > 0
        share, token = share[told], self.pair(both[told])  # (n,), (n, L)
        query, key, value = (token @ m for m in self.attention.astype(np.float64))
        score = query @ key.T / np.sqrt(token.shape[1]) + np.log(share)
        raised = np.exp(score - score.max(1, keepdims=True))
        seen = (raised / raised.sum(1, keepdims=True)) @ value  # (n, L)
        pooled = share @ seen / share.sum()
        return (
            np.clip(self.mean(pooled), -1.0, 1.0),
            np.clip(self.spread(pooled), self.low, 1.0),
        )


@MODELS.add(
    "vpl", source="Poddar et al. 2024, arXiv 2408.10075", laws=("antisymmetric", "transitive")
)
@dataclass(frozen=True)
class Vpl(Transitive):
    """A fitted model; representations are the item's coordinates, user vectors are latent."""

    center: F32
    """`(d,)` subtracted from item features."""
    turn: F32
    """`(d, r)` from centred features to the coordinates that the networks read."""
    encoder: Encoder
    decoder: Network
    """`r + L -> 1`."""
    rescale: str
    """See `RESCALE`."""
    scatter: F64
    """`(L, L)` second moment of people's latent vectors around 0, that of one without answers."""
    answering: Answering

    family: ClassVar[str] = "vpl"
    prompt_dim: ClassVar[int] = 0
    most_known: ClassVar[int] = 0

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def representation_dim(self) -> int:
        """Coordinates of an item."""
        return self.turn.shape[1]

    @property
    def user_dim(self) -> int:
        """Length L of a latent vector."""
        return len(self.scatter)

    @cached_property
    def prior(self) -> GaussianPrior:
        """Where people are who have not answered: around 0."""
        return GaussianPrior.single(np.zeros(self.user_dim), self.scatter)

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, r)`: what the decoder and, of a person's answers, the encoder read."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.asarray(x @ self.turn, np.float32)

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, u)`, `(n, r)` -> `(*b, n)`."""
        users = np.asarray(users, np.float64)[..., None, :]  # (*b, 1, u)
        return self._reward(users, np.asarray(representations, np.float64))

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, u)`, `(*b, r)`, `(*b, r)` -> `(*b)`."""
        users = np.asarray(users, np.float64)
        first, second = (np.asarray(side, np.float64) for side in (a, b))
        return self._reward(users, first) - self._reward(users, second)

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """Utility `(n,)` and its gradient `(n, u)`, from the last layer back to the first."""
        layers = self._layers(np.asarray(user, np.float64), np.asarray(representations, np.float64))
        weights, name = self.decoder.weights, self.decoder.activation
        slope = np.ones((len(representations), 1))
        for before, weight in zip(layers[-2::-1], weights[:0:-1], strict=True):
            slope = (slope @ weight.astype(np.float64).T) * activation_slope(before, name)
        return layers[-1][:, 0], slope @ weights[0][self.representation_dim :].astype(np.float64).T

    def _reward(self, users: F64, items: F64) -> F64:
        """Users and items of shapes that broadcast up to the last dimension."""
        return self._layers(users, items)[-1][..., 0]

    def _layers(self, users: F64, items: F64) -> list[F64]:
        """Every layer before its activation; the last one is the reward."""
        first, *rest = (w.astype(np.float64) for w in self.decoder.weights)
        bias, *biases = (b.astype(np.float64) for b in self.decoder.biases)
        r = self.representation_dim
        found = [items @ first[:r] + users @ first[r:] + bias]
        for weight, more in zip(rest, biases, strict=True):
            found.append(activate(found[-1], self.decoder.activation) @ weight + more)
        return found

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
        """One forward pass a person; people one by one, so that nobody depends on who else is there."""
        first, second = (np.asarray(side, np.float64) for side in (a, b))
        target = np.asarray(target, np.float64)
        w = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)
        edges = np.array([0, len(target)]) if starts is None else np.asarray(starts)
        n, u = len(edges) - 1, self.user_dim
        means = np.repeat(self.prior.mean[None], n, 0)
        spread = np.repeat(self.prior.covariance[None], n, 0)
        for person, (start, stop) in enumerate(pairwise(edges)):
            rows = slice(start, stop)
            if not w[rows].any():
                continue
            mean, log_variance = self.encoder(first[rows], second[rows], target[rows], w[rows])
            size = 1.0
            if self.rescale == "always":
                size = float(np.sqrt(u) / max(np.linalg.norm(mean), 1e-9))
            means[person], spread[person] = size * mean, size**2 * np.diag(np.exp(log_variance))
        return Posteriors(
            np.ones((n, 1)), means[:, None], spread[:, None] if covariance else spread[:, :0, :0],
            np.zeros(n), np.zeros(n), np.zeros(n, np.int64), np.ones(n, np.bool_),
            np.diff(edges).astype(np.int64),
        )  # fmt: skip

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays: dict[str, np.ndarray] = {
            "center": self.center, "turn": self.turn, "attention": self.encoder.attention,
            "scatter": self.scatter,
        }  # fmt: skip
        params: dict[str, Any] = {
            "rescale": self.rescale, "low": self.encoder.low, "lapse": self.answering.lapse,
            "tie": self.answering.tie,
        }  # fmt: skip
        for name in _NETWORKS:
            network = self.decoder if name == "decoder" else getattr(self.encoder, name)
            params[name], more = network.save(name)
            arrays |= more
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Vpl:
        """Inverse of `save`."""
        networks = {name: Network.load(params[name], arrays, name) for name in _NETWORKS}
        decoder = networks.pop("decoder")
        encoder = Encoder(attention=arrays["attention"], low=params["low"], **networks)
        return cls(
            arrays["center"], arrays["turn"], encoder, decoder, params["rescale"],
            arrays["scatter"], Answering(params["lapse"], params["tie"]),
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
        """Train encoder and decoder on episodes of the seen people; options: `VplOptions`."""
        del checkpoint  # minutes at most
        from gustibus.models.vpl_fit import fit_vpl
        from gustibus.models.vpl_options import vpl_options

        return fit_vpl(
            train, valid, options=vpl_options(options), seed=seed, device=device, progress=progress
        )


_NETWORKS = ("pair", "mean", "spread", "decoder")
