"""How answers arise, and where people are before they answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gustibus import _core
from gustibus.errors import InputError
from gustibus.posterior.arrays import floats, mixture, mixture_covariance, mixture_mean, softmax
from gustibus.posterior.simplex import beta_cells, simplex_sample
from gustibus.showing import shown

if TYPE_CHECKING:
    from gustibus.types import F64


@dataclass(frozen=True, slots=True)
class Answering:
    """How answers arise from margins.

    `P(left) = lapse/2 + (1 - lapse) s(z - tie)`, right likewise with `-z`, and the rest are ties.
    With `tie` at 0 there are none and a target of 0.5 is a soft label.
    """

    lapse: float = 0.05
    """Probability of pressing left or right at random, in `[0, 0.5)`."""
    tie: float = 0.0
    """Threshold `eta` of Rao and Kupper 1967, at least 0."""

    def __post_init__(self) -> None:
        """Refuse chances and thresholds that are none."""
        for name, value, most in (("lapse", self.lapse, 0.5), ("tie", self.tie, np.inf)):
            if not isinstance(value, Real) or not 0 <= value < most:
                message = f"{name}: expected a number in [0, {most:g}), got {value!r}"
                raise InputError(message, where=name)


USUAL = Answering()
"""The usual lapses of people, no ties."""
EXACT = Answering(lapse=0.0)
"""No lapses, no ties: the Bradley-Terry model."""


@dataclass(frozen=True)
class GaussianPrior:
    """Mixture of Gaussians over user vectors; its arrays are not to be changed."""

    weights: F64  # (g,)
    means: F64  # (g, u)
    covariances: F64  # (g, u, u)

    @classmethod
    def standard(cls, dim: int, scale: float = 1.0) -> GaussianPrior:
        """One Gaussian with mean 0 and covariance `scale**2` times the identity.

        Raises:
            InputError: `dim` is no whole number of at least 0, or `scale` not a number above 0.
        """
        if not isinstance(dim, int | np.integer) or dim < 0:
            message = f"dim: expected a whole number of at least 0, got {dim!r}"
            raise InputError(message, where="dim")
        if not isinstance(scale, Real) or not 0 < scale < np.inf:
            message = f"scale: expected a number above 0, got {scale!r}"
            raise InputError(message, where="scale")
        return cls(np.ones(1), np.zeros((1, dim)), scale**2 * np.eye(dim)[None])

    @classmethod
    def single(cls, mean: F64, covariance: F64) -> GaussianPrior:
        """One Gaussian with mean `(u,)` and covariance `(u, u)`."""
        return cls(np.ones(1), floats("mean", mean)[None], floats("covariance", covariance)[None])

    def __repr__(self) -> str:
        parts = len(self.weights)
        return shown(self, dim=self.dim, parts=parts if parts > 1 else None)

    @property
    def dim(self) -> int:
        """Length of a user vector."""
        return int(self.means.shape[-1])

    @property
    def mean(self) -> F64:
        """Mean of the mixture, `(u,)`."""
        return mixture_mean(self.weights, self.means)

    @property
    def covariance(self) -> F64:
        """Covariance of the mixture, `(u, u)`."""
        return mixture_covariance(self.weights, self.means, self.covariances)

    @cached_property
    def factored(self) -> _core.Prior:
        """For the core, with its Cholesky factors.

        Raises:
            InputError: No numbers, arrays that do not fit together or a covariance that is not positive
                definite.
        """
        return _core.Prior(*mixture(self.weights, self.means, self.covariances))


@dataclass(frozen=True, slots=True)
class ParticlePrior:
    """Candidate user vectors with prior weights, for simplices and margins not linear in `w`."""

    particles: F64  # (c, u)
    log_weights: F64  # (c,), up to a constant

    @classmethod
    def dirichlet(
        cls, alpha: F64, *, draws: int = 400, seed: int, proposal: float = 0.3
    ) -> ParticlePrior:
        """Particles for a Dirichlet prior on the simplex.

        Two prototypes: 100 equal cells of `[0, 1]`, each with its mass and at its centroid, so that
        `alpha` far below 1, where the mass sits in the corners, is exact too. More: the corners,
        each with the prior mass of the points within `CORNER` of it, and `draws` points outside
        these regions drawn from Dirichlet(`proposal`) with weights target over proposal.

        Args:
            alpha: `(u,)`, above 0.
            draws: Number of points besides the corners.
            seed: Seed of the draws; unused for two prototypes.
            proposal: Concentration drawn from, lowered to `alpha` where that is smaller.
        """
        alpha = floats("alpha", alpha)
        if alpha.ndim != 1 or alpha.size == 0 or not np.all((alpha > 0) & np.isfinite(alpha)):
            message = f"alpha: expected one row of numbers above 0, got {alpha}"
            raise InputError(message)
        if alpha.size == 1:
            return cls(np.ones((1, 1)), np.zeros(1))
        if alpha.size == 2:
            return cls(*beta_cells(alpha))
        return cls(*simplex_sample(alpha, draws, seed, proposal))

    def __repr__(self) -> str:
        return shown(self, dim=self.dim, particles=len(self.particles))

    @property
    def dim(self) -> int:
        """Length of a user vector."""
        return int(self.particles.shape[-1])

    @property
    def mean(self) -> F64:
        """Prior mean, `(u,)`."""
        return softmax(self.log_weights) @ self.particles

    @property
    def covariance(self) -> F64:
        """Prior covariance, `(u, u)`."""
        centred = self.particles - self.mean
        return (centred.T * softmax(self.log_weights)) @ centred


Prior: TypeAlias = GaussianPrior | ParticlePrior
