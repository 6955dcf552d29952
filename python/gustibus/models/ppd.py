"""PPD: a person from a few pairs, as an encoder, a basis or the people of the training set knows them.

A set encoder turns answers into a user vector and is trained in episodes to foretell other answers.
What it has learned is served in one of three ways: `map` keeps the directions in which it sets
people apart as a basis and places a person by their posterior there; `encoder` reads a person in one
forward pass; `particles` weighs the people of the training set by how well they agree. The prompt is
not read: representations are of items as they are embedded.

Source: Dang et al. 2025, "Personalized Preference Fine-tuning of Diffusion Models",
arXiv 2501.06655 (PPD); Lee et al. 2024, arXiv 2412.08812 (HyRe) for weights over heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import (
    MODELS,
    Fitted,
    LinearInUser,
    Progress,
    TrainingSet,
    check_features,
)
from gustibus.models.pal import load_prior, prior_arrays
from gustibus.models.ppd_attention import AttentionHead
from gustibus.models.ppd_encoder import Pooled, SetEncoder
from gustibus.posterior import (
    Answering,
    Evidence,
    GaussianPrior,
    ParticlePrior,
    Posteriors,
    Prior,
    particle_weights,
    place_particles,
)
from gustibus.types import F32, F64, I64


@MODELS.add(
    "ppd", source="Dang et al. 2025, arXiv 2501.06655", laws=("antisymmetric", "transitive")
)
@dataclass(frozen=True)
class Ppd(LinearInUser):
    """A fitted model; the user vector is what the encoder reads, or coordinates in its basis.

    Representations are `[offset, what meets the person, what the encoder reads]`; the last part is
    there only where people are placed by the encoder. What meets the person is a basis, or the
    lifted item under attention.
    """

    center: F32
    """`(d,)` subtracted from item features."""
    projection: F32
    """`(d, r)`: representations are centred features times this."""
    population: Prior
    """Of user vectors; a `ParticlePrior` places by weights over its particles."""
    answering: Answering
    encoder: SetEncoder | None = None
    """Places people where there is one."""
    attention: AttentionHead | None = None
    """None is the bilinear head."""

    family: ClassVar[str] = "ppd"
    prompt_dim: ClassVar[int] = 0
    most_known: ClassVar[int] = 256
    """Known items with coordinates of their own: the encoder has a weight for each, too."""

    @property
    def item_dim(self) -> int:
        """Length of an item's feature vector."""
        return len(self.center)

    @property
    def user_dim(self) -> int:
        """Length of a user vector."""
        return self.population.dim

    @property
    def representation_dim(self) -> int:
        """The offset, the part that meets the person, the part that the encoder reads."""
        return self.projection.shape[1]

    @property
    def prior(self) -> Prior:
        """Distribution of user vectors; its mean is the population's reward."""
        return self.population

    @property
    def refine(self) -> str:
        """How people are placed: `map`, `encoder` or `particles`."""
        if self.encoder is not None:
            return "encoder"
        return "particles" if isinstance(self.population, ParticlePrior) else "map"

    @property
    def _meets(self) -> int:
        """Columns of a representation that a reward is made of."""
        return 1 + (self.user_dim if self.attention is None else self.attention.lifted_dim)

    def represent(self, items: F32, prompts: F32 | None = None) -> F32:
        """`(n, d)` -> `(n, r)`."""
        del prompts
        x = check_features("items", items, self.item_dim) - self.center
        return np.ascontiguousarray(x @ self.projection, np.float32)

    def utility(self, users: F64, representations: F32) -> F64:
        """`(*b, u)`, `(n, r)` -> `(*b, n)`."""
        meets = np.asarray(representations)[..., : self._meets]
        if self.attention is None:
            return super().utility(users, meets)
        rep, users = meets.astype(np.float64), np.asarray(users, np.float64)
        out = np.empty((*users.shape[:-1], len(rep)))
        for index in np.ndindex(*users.shape[:-1]):  # person by person, to fit
            out[index] = rep[:, 0] + self.attention(users[index][None], rep[:, 1:])
        return out

    def margin(self, users: F64, a: F32, b: F32) -> F64:
        """`(*b, u)`, `(*b, r)`, `(*b, r)` -> `(*b)`."""
        a, b = np.asarray(a)[..., : self._meets], np.asarray(b)[..., : self._meets]
        if self.attention is None:
            return super().margin(users, a, b)
        left, right = a.astype(np.float64), b.astype(np.float64)
        users = np.asarray(users, np.float64)
        apart = self.attention(users, left[..., 1:]) - self.attention(users, right[..., 1:])
        return np.asarray(left[..., 0] - right[..., 0] + apart)

    def linearize(self, user: F64, representations: F32) -> tuple[F64, F64]:
        """`(u,)`, `(n, r)` -> utility `(n,)`, gradient `(n, u)`; under attention by differences."""
        if self.attention is None:
            return super().linearize(user, representations[:, : self._meets])
        step = 1e-4
        moves = np.concatenate([np.eye(self.user_dim), -np.eye(self.user_dim)]) * step
        up, down = np.split(self.utility(user + moves, representations), 2)  # (u, n) each
        return self.utility(user, representations), (up - down).T / (2 * step)

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
        """Posteriors by the engine, by one forward pass, or by weights over particles."""
        if self.refine == "map":
            return super().place(a, b, target, weight=weight, starts=starts, covariance=covariance)
        evidence = _answers(target, weight, starts)
        if isinstance(self.population, ParticlePrior):
            margins = self._particle_margins(self.population, a, b, evidence.starts)
            return place_particles(margins, evidence, self.population, answering=self.answering)
        return self._read(a, b, evidence, covariance=covariance)

    def _particle_margins(self, prior: ParticlePrior, a: F32, b: F32, starts: I64) -> F64:
        """Margin of every row under every particle: `(s, r)` twice -> `(s, c)`.

        One person at a time: a matrix product may round a row otherwise among other rows.
        """
        margins = np.empty((len(a), len(prior.particles)))
        for start, stop in pairwise(starts.tolist()):
            rows = slice(start, stop)
            if self.attention is None:
                apart = np.asarray(a[rows], np.float64) - b[rows]  # (s, r)
                margins[rows] = apart[:, 1:] @ prior.particles.T + apart[:, :1]
            else:
                both = self.utility(prior.particles, np.concatenate([a[rows], b[rows]]))
                margins[rows] = (both[:, : stop - start] - both[:, stop - start :]).T
        return margins

    def effective_particles(self, a: F32, b: F32, target: F64) -> float:
        """How many particles one person's answers leave in play: `1 / sum of squared weights`.

        Raises:
            InputError: people are not placed by particles.
        """
        if not isinstance(self.population, ParticlePrior):
            message = f"refine: expected a model with particles, got {self.refine!r}"
            raise InputError(message, where="refine")
        evidence = _answers(target, None, None)
        margins = self._particle_margins(self.population, a, b, evidence.starts)
        weights, _ = particle_weights(margins, evidence, self.population, answering=self.answering)
        return float(1 / (weights[0] ** 2).sum())

    def sides(self, representations: F32) -> F64:
        """`(n, r)` -> `(n, s)` what the encoder reads of them; empty without an encoder."""
        return np.asarray(representations)[..., self._meets :].astype(np.float64)

    def add(self, pooled: Pooled, a: F32, b: F32, target: float, *, weight: float = 1.0) -> Pooled:
        """A person with one more answer about `(r,)` representations; `reads.empty()` begins."""
        return self.reads.add(pooled, self.sides(a), self.sides(b), target, weight=weight)

    def remove(
        self, pooled: Pooled, a: F32, b: F32, target: float, *, weight: float = 1.0
    ) -> Pooled:
        """A person without an answer that was added before."""
        return self.reads.remove(pooled, self.sides(a), self.sides(b), target, weight=weight)

    @property
    def reads(self) -> SetEncoder:
        """The encoder.

        Raises:
            InputError: people are not placed by one.
        """
        if self.encoder is None:
            message = f"refine: expected a model with an encoder, got {self.refine!r}"
            raise InputError(message, where="refine")
        return self.encoder

    def _read(self, a: F32, b: F32, evidence: Evidence, *, covariance: bool) -> Posteriors:
        """The encoder's vectors, with the curvature of the answers around them as uncertainty."""
        prior = self.population
        assert isinstance(prior, GaussianPrior), "an encoder has a Gaussian population"
        users = self.reads.encode(
            self.sides(a), self.sides(b), evidence.target, evidence.weight, evidence.starts
        )
        people, u = users.shape
        spread = np.empty((people, 1, u, u)) if covariance else np.zeros((people, 1, 0, 0))
        log_evidence = np.zeros(people)
        precision = np.linalg.inv(prior.covariance)
        for person, (start, stop) in enumerate(pairwise(evidence.starts.tolist())):
            rows = slice(start, stop)
            weight, target = evidence.weight[rows], evidence.target[rows]
            z = self.margin(
                np.repeat(users[person : person + 1], stop - start, 0), a[rows], b[rows]
            )
            log_evidence[person] = (weight * (target * z - np.logaddexp(0, z))).sum()
            if covariance and weight.any():
                _, slope = self.contrast(users[person], a[rows], b[rows])
                p = np.exp(-np.logaddexp(0, -z))
                inverse = np.linalg.inv((slope.T * (weight * p * (1 - p))) @ slope + precision)
                spread[person, 0] = (inverse + inverse.T) / 2
            elif covariance:
                spread[person, 0] = prior.covariance
        return Posteriors(
            np.ones((people, 1)), users[:, None], spread, log_evidence, np.zeros(people),
            np.zeros(people, np.int64), np.ones(people, np.bool_), np.diff(evidence.starts),
        )  # fmt: skip

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """JSON parameters and arrays."""
        arrays = {"center": self.center, "projection": self.projection}
        arrays |= prior_arrays(self.population)
        params: dict[str, Any] = {"lapse": self.answering.lapse, "tie": self.answering.tie}
        params |= {"encoder": None, "tokens": None}
        if self.encoder is not None:
            params["encoder"], more = self.encoder.save()
            arrays |= more
        if self.attention is not None:
            params["tokens"] = self.attention.tokens
            arrays |= self.attention.save()
        return params, arrays

    @classmethod
    def load(cls, params: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Ppd:
        """Inverse of `save`."""
        reads, tokens = params["encoder"], params["tokens"]
        return cls(
            arrays["center"], arrays["projection"], load_prior(arrays),
            Answering(params["lapse"], params["tie"]),
            None if reads is None else SetEncoder.load(reads, arrays),
            None if tokens is None else AttentionHead.load(tokens, arrays),
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
        """Train encoder and head in episodes; options are those of `PpdOptions`."""
        del checkpoint  # the fit takes seconds
        from gustibus.models.ppd_fit import fit_ppd
        from gustibus.models.ppd_options import ppd_options

        return fit_ppd(
            train, valid, options=ppd_options(options), seed=seed, device=device, progress=progress
        )


def _answers(target: F64, weight: F64 | None, starts: I64 | None) -> Evidence:
    """Answers whose margins the posterior engine does not need."""
    rows = len(target)
    return Evidence(
        delta=np.zeros((rows, 0)), offset=np.zeros(rows), target=np.asarray(target, np.float64),
        weight=np.ones(rows) if weight is None else np.asarray(weight, np.float64),
        starts=np.array([0, rows]) if starts is None else np.asarray(starts, np.int64),
    )  # fmt: skip
