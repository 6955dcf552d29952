"""Evidence about people, and what it says about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gustibus.errors import InputError
from gustibus.posterior.arrays import floats, mixture_covariance, mixture_mean
from gustibus.posterior.priors import ParticlePrior, Prior
from gustibus.showing import shown

if TYPE_CHECKING:
    from gustibus.types import F64, I64, Bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Comparison rows; person `p` owns rows `starts[p]` up to `starts[p + 1]`."""

    delta: F64  # (n, k)
    offset: F64  # (n,)
    target: F64  # (n,)
    weight: F64  # (n,)
    starts: I64  # (p + 1,)

    @classmethod
    def build(
        cls,
        delta: F64,
        target: F64,
        *,
        offset: F64 | None = None,
        weight: F64 | None = None,
        person: I64 | None = None,
        people: int | None = None,
    ) -> Evidence:
        """Evidence from rows in any order.

        Args:
            delta: `(n, k)`, left minus right.
            target: `(n,)`, probability that left is preferred.
            offset: `(n,)`, part of the margin that is the same for everybody; 0 by default.
            weight: `(n,)`, at or above 0; 1 by default.
            person: `(n,)`, codes from 0; one person by default. A person's rows keep their order.
            people: Number of people, if some have no rows.
        """
        delta, target = floats("delta", delta), floats("target", target)
        n = len(target)
        offset = np.zeros(n) if offset is None else floats("offset", offset)
        weight = np.ones(n) if weight is None else floats("weight", weight)
        if person is None:
            return cls(delta, offset, target, weight, np.array([0, n]))
        code = np.asarray(person)
        if not len(delta) == len(offset) == len(weight) == code.size == n:
            message = f"person: expected shape ({n},) like every other argument, got {code.shape}"
            raise InputError(message)
        order, starts = _group_rows(code, people)
        if order is None:
            return cls(delta, offset, target, weight, starts)
        return cls(delta[order], offset[order], target[order], weight[order], starts)

    def __repr__(self) -> str:
        return shown(self, rows=len(self.target), dim=self.delta.shape[-1], people=self.people)

    @property
    def people(self) -> int:
        """Number of people."""
        return len(self.starts) - 1

    @property
    def rows(self) -> tuple[F64, F64, F64, F64]:
        """Delta, offset, target and weight."""
        return self.delta, self.offset, self.target, self.weight


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of one person: a mixture of Gaussians over their user vector."""

    weights: F64  # (g,)
    means: F64  # (g, u)
    covariances: F64  # (g, u, u)
    log_evidence: float
    iterations: int
    converged: bool
    comparisons: int
    made_by: str = ""  # fingerprint of the model that it is of; empty where that is not known

    @classmethod
    def from_prior(cls, prior: Prior) -> Posterior:
        """The posterior of somebody who has not answered."""
        if isinstance(prior, ParticlePrior):
            means, covariances = prior.mean[None], prior.covariance[None]
            return cls(np.ones(1), means, covariances, 0.0, 0, True, 0)  # noqa: FBT003 - positional record
        return cls(prior.weights, prior.means, prior.covariances, 0.0, 0, True, 0)  # noqa: FBT003 - positional record

    def __repr__(self) -> str:
        return shown(
            self, dim=self.means.shape[-1], comparisons=self.comparisons,
            made_by=self.made_by[:12] or None,
        )  # fmt: skip

    @property
    def mean(self) -> F64:
        """Mean of the mixture, `(u,)`."""
        return mixture_mean(self.weights, self.means)

    @property
    def covariance(self) -> F64:
        """Covariance of the mixture, `(u, u)`."""
        return mixture_covariance(self.weights, self.means, self.covariances)


@dataclass(frozen=True, slots=True)
class Posteriors:
    """Posteriors of many people."""

    weights: F64  # (p, g)
    means: F64  # (p, g, u)
    covariances: F64 | None  # (p, g, u, u), None when not asked for
    log_evidence: F64  # (p,)
    gradients: F64  # (p,), norm at the mode, whitened by the prior
    iterations: I64  # (p,)
    converged: Bool  # (p,)
    comparisons: I64  # (p,)

    def __repr__(self) -> str:
        return shown(self, people=len(self.means), dim=self.means.shape[-1])

    def __len__(self) -> int:
        return len(self.log_evidence)

    def __getitem__(self, person: int) -> Posterior:
        return Posterior(
            self.weights[person],
            self.means[person],
            self._covariances()[person],
            float(self.log_evidence[person]),
            int(self.iterations[person]),
            bool(self.converged[person]),
            int(self.comparisons[person]),
        )

    @property
    def mean(self) -> F64:
        """Mean of every mixture, `(p, u)`."""
        return mixture_mean(self.weights, self.means)

    @property
    def covariance(self) -> F64:
        """Covariance of every mixture, `(p, u, u)`."""
        return mixture_covariance(self.weights, self.means, self._covariances())

    def _covariances(self) -> F64:
        if self.covariances is None:
            message = "covariances: not computed; place with covariance=True"
            raise InputError(message)
        return self.covariances


def _group_rows(code: Any, people: int | None) -> tuple[I64 | None, I64]:
    """Stable order by person, or None if the rows are in order, and person boundaries."""
    most = int(code.max()) if code.size else -1
    people = most + 1 if people is None else people
    if code.ndim != 1 or code.dtype.kind not in "iu" or code.min(initial=0) < 0 or most >= people:
        message = (
            f"person: expected whole numbers from 0 to {people - 1}, got {code.dtype} to {most}"
        )
        raise InputError(message)
    starts = np.zeros(people + 1, np.int64)
    np.cumsum(np.bincount(code, minlength=people), out=starts[1:])
    in_order = bool(np.all(code[1:] >= code[:-1]))
    return None if in_order else np.argsort(code, kind="stable"), starts
