"""People as weighted means of given user vectors: scores of the candidates, posteriors by weights.

A weighted mean of linear rewards is one linear reward, so a person is one user vector whatever the
number of candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gustibus.models.tastes import LinearTaste
from gustibus.posterior import Answering, ParticlePrior, Posteriors, predict
from gustibus.types import F32, F64, I64

SCORES = ("log", "zero_one")


class Person(NamedTuple):
    """Answers of one person, as lines in the user vector."""

    offset: F64
    """`(s,)`."""
    delta: F64
    """`(s, u)`."""
    target: F64
    """`(s,)` in `[0, 1]`."""
    weight: F64
    """`(s,)`."""


def people_of(
    a: F32, b: F32, target: F64, weight: F64 | None, starts: I64 | None
) -> Iterator[Person]:
    """Each person's answers, from representations `[offset, phi]` of all their rows."""
    diff = np.asarray(a, np.float64) - np.asarray(b, np.float64)  # (s, 1 + u)
    target = np.asarray(target, np.float64)
    w = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)
    for start, stop in pairwise([0, len(target)] if starts is None else starts):
        rows = slice(start, stop)
        yield Person(diff[rows, 0], diff[rows, 1:], target[rows], w[rows])


def head_scores(person: Person, heads: F64, answering: Answering, score: str) -> F64:
    """`(j,)` minus the summed loss of each of the candidates `(j, u)` on a person's answers.

    Args:
        person: with at least one answer.
        heads: user vectors.
        answering: how answers arise, for the log loss.
        score: `log`, or `zero_one`: answers that the candidate foretells wrongly; half for a tie.
    """
    margin = person.offset[:, None] + person.delta @ heads.T  # (s, j)
    t = person.target[:, None]
    if score == "zero_one":
        right = 0.5 + (t - 0.5) * np.sign(margin)
        return np.asarray(person.weight @ (right - 1.0))
    p = predict(margin.ravel(), np.zeros(margin.size), answering=answering).reshape(margin.shape)
    tiny = np.finfo(np.float64).tiny
    each = t * np.log(np.maximum(p, tiny)) + (1 - t) * np.log(np.maximum(1 - p, tiny))
    return np.asarray(person.weight @ each)


def place_by_weights(
    people: Iterator[Person],
    prior: ParticlePrior,
    weigh: Callable[[Person], F64],
    *,
    covariance: bool,
) -> Posteriors:
    """Mean and covariance of the candidates under each person's weights; without rows the prior.

    Args:
        people: in order.
        prior: the candidates.
        weigh: answers of a person -> weights `(j,)` on the simplex.
        covariance: whether to compute covariances.
    """
    means, covariances, counts = list[F64](), list[F64](), list[int]()
    for person in people:
        counts.append(len(person.target))
        if not counts[-1]:  # exactly the prior, not the prior up to rounding
            means.append(prior.mean)
            covariances.append(prior.covariance)
            continue
        weights = weigh(person)
        means.append(weights @ prior.particles)
        if covariance:
            away = prior.particles - means[-1]
            covariances.append((away.T * weights) @ away)
    n, u = len(counts), prior.dim
    spread = np.reshape(covariances, (n, 1, u, u)) if covariance else np.zeros((n, 1, 0, 0))
    return Posteriors(
        np.ones((n, 1)), np.reshape(means, (n, 1, u)), spread,
        np.zeros(n), np.zeros(n), np.zeros(n, np.int64), np.ones(n, np.bool_),
        np.array(counts, np.int64),
    )  # fmt: skip


def normalised(scores: F64) -> F64:
    """`(j,)` scores -> weights on the simplex proportional to their exponentials."""
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum())


def effective(weights: F64) -> F64:
    """`(*b, j)` weights -> `(*b)` effective number of candidates, `1 / sum w^2`."""
    return np.asarray(1 / (np.asarray(weights) ** 2).sum(-1))


class Weighed(LinearTaste):
    """A family whose people are weighted means of the particles of its prior."""

    if TYPE_CHECKING:

        @property
        def prior(self) -> ParticlePrior:
            """The candidates, user vectors in the basis, with their log weights."""

        def weigh(self, person: Person) -> F64:
            """Weights `(j,)` of the candidates, on the simplex, for a person's answers."""

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
        """The weighted mean of the candidates, and their spread around it."""
        people = people_of(a, b, target, weight, starts)
        return place_by_weights(people, self.prior, self.weigh, covariance=covariance)
