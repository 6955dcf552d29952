"""Whatever is judged: fitted models and fixed rules, all asked in the same way.

A contender gets the rows that place people and the rows to judge, and answers with margins and
probabilities. It sees nothing of a person but the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from gustibus.artifact import Artifact
from gustibus.data import Dataset
from gustibus.errors import InputError
from gustibus.evaluation.doubt import margin_variances
from gustibus.evaluation.rows import Rows
from gustibus.models.base import LinearInUser, PreferenceModel
from gustibus.models.hybrid import Hybrid
from gustibus.models.validation import cyclic_shares, predictive
from gustibus.posterior import GaussianPrior, Posteriors, predict
from gustibus.types import F32, F64, I64

_LONG = 64
"""User vectors longer than this are judged without their covariance where that is possible."""
_BLOCK = 1 << 25
"""Numbers that a block of people may need at once, 256 MiB: bounds memory, not results."""


class Predictions(NamedTuple):
    """Answers foretold for judged rows."""

    margin: F64
    """`(n,)` above 0 prefers a."""
    p: F64
    """`(n,)` probability that a is preferred, averaged over what is not known of the person."""
    seconds: float
    """Time spent on placing people."""


class Contender(Protocol):
    """What the protocol needs of a method."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def family(self) -> str:
        """Row of the table of models, or the name of the baseline."""

    @property
    def kind(self) -> str:
        """`model`, `baseline` (fitted here), or `rule` (reads no features)."""

    @property
    def personal(self) -> bool:
        """Whether placing a person can change a prediction."""

    @property
    def fit_seconds(self) -> float:
        """Time of the fit; NaN when not known."""

    @property
    def digest(self) -> str:
        """Of the artifact that it came from, empty where there is none."""

    @property
    def bytes_per_person(self) -> int:
        """What has to be kept of one person: mean and covariance in float32."""

    def predict(self, evidence: Rows, judged: Rows, *, flip: bool = False) -> Predictions:
        """Place each person on their evidence and foretell their judged rows.

        Args:
            evidence: rows that place people.
            judged: rows of the same people, in the same order.
            flip: place on the opposite answers.
        """

    def cyclic_shares(self, evidence: Rows, judged: Rows) -> F64 | None:
        """`(p,)` part of each person's preferences among what they were asked that runs in circles.

        NaN for people with fewer than three items; None for a method whose rewards rank everything.

        Args:
            evidence: rows that place people.
            judged: rows of the same people, in the same order.
        """


@dataclass(frozen=True)
class Fixed:
    """The same margins for everybody: length rule, mean strength of an item."""

    name: str
    margin: F64
    """`(n,)` log-odds of every row of the data set."""
    fit_seconds: float = float("nan")

    kind: str = field(default="rule", init=False)
    personal: bool = field(default=False, init=False)
    bytes_per_person: int = field(default=0, init=False)
    digest: str = field(default="", init=False)

    @property
    def family(self) -> str:
        """The name says it."""
        return self.name

    def predict(self, evidence: Rows, judged: Rows, *, flip: bool = False) -> Predictions:
        """The margins of the judged rows."""
        del evidence, flip
        margin = self.margin[judged.row]
        return Predictions(margin, np.asarray(0.5 * (1 + np.tanh(margin / 2)), np.float64), 0.0)

    def cyclic_shares(self, evidence: Rows, judged: Rows) -> None:
        """Nothing runs in a circle."""


@dataclass(frozen=True)
class Modelled:
    """A fitted model, with the data set whose features it was made for."""

    name: str
    model: PreferenceModel
    dataset: Dataset
    kind: str = "model"
    fit_seconds: float = float("nan")
    digest: str = ""
    """Of the artifact that the model came from."""
    weight: F32 | None = None
    """`(n,)` what answers that place people count for; those of the data set when None."""

    @classmethod
    def of(cls, name: str, artifact: Artifact, dataset: Dataset) -> Modelled:
        """A saved model, on a data set with features of its encoder."""
        seconds = artifact.card.get("fit", {}).get("seconds")
        rule = artifact.strengths
        return cls(
            name, artifact.model, dataset, digest=artifact.digest,
            fit_seconds=float("nan") if seconds is None else float(seconds),
            weight=None if rule is None else rule.applied(dataset).comparisons.weight,
        )  # fmt: skip

    @property
    def family(self) -> str:
        """Row of the table of models."""
        return self.model.family

    @property
    def personal(self) -> bool:
        """Whether the model has a personal part."""
        return self.model.user_dim > 0

    @property
    def bytes_per_person(self) -> int:
        """Mean and covariance."""
        u = self.model.user_dim
        return 4 * (u + u * u)

    @cached_property
    def is_linear(self) -> bool:
        """Whether margins are linear in the user vector: the gradient is the same everywhere."""
        if not self.personal:
            return True
        a, b, here = self._table[:16], self._table[:16][::-1], self.model.prior.mean
        there = here + np.random.default_rng(0).standard_normal(len(here))
        value, slope = self.model.contrast(here, a, b)
        other, other_slope = self.model.contrast(there, a, b)
        size = np.abs(slope).max(initial=1e-12)
        expected = value + slope @ (there - here)
        return bool(
            np.allclose(slope, other_slope, rtol=1e-6, atol=1e-6 * size)
            and np.allclose(other, expected, rtol=1e-4, atol=1e-4 * size)
        )

    @cached_property
    def _is_long(self) -> bool:
        """Whether variances are cheaper without covariances, and `margin_variances` may be used."""
        prior, answering = self.model.prior, self.model.answering
        one = isinstance(prior, GaussianPrior) and len(prior.weights) == 1
        exact = answering.lapse == answering.tie == 0
        inner = self.model.inner if isinstance(self.model, Hybrid) else self.model
        at_mode = isinstance(inner, LinearInUser) and type(inner).place is LinearInUser.place
        return one and exact and at_mode and self.model.user_dim > _LONG and self.is_linear

    def predict(self, evidence: Rows, judged: Rows, *, flip: bool = False) -> Predictions:
        """Posterior of each person from the evidence, predictions averaged over it."""
        c = self.dataset.comparisons
        margin, p = np.empty(len(judged.row)), np.empty(len(judged.row))
        spent = 0.0
        for people in self._blocks(evidence, judged):
            support, asked = evidence.of(people), judged.of(people)
            target = c.target[support.row].astype(np.float64)
            a, b = self._sides(support.row)
            started = time.perf_counter()
            placed = self.model.place(
                self._table[a], self._table[b], 1 - target if flip else target,
                weight=self._weights(support), starts=support.starts,
                covariance=self.personal and not self._is_long,
            )  # fmt: skip
            spent += time.perf_counter() - started
            where = slice(judged.starts[people[0]], judged.starts[people[-1] + 1])
            margin[where], p[where] = self._foretell(placed, support, asked)
        return Predictions(margin, p, spent)

    def cyclic_shares(self, evidence: Rows, judged: Rows) -> F64 | None:
        """Of the margins at each person's posterior mean; an item counts once a prompt."""
        if self.model.transitive:
            return None
        c = self.dataset.comparisons
        a, b = self._sides(evidence.row)
        placed = self.model.place(
            self._table[a], self._table[b], c.target[evidence.row].astype(np.float64),
            weight=self._weights(evidence), starts=evidence.starts, covariance=False,
        )  # fmt: skip
        item = np.concatenate(self._sides(judged.row))
        person = np.tile(judged.person, 2)
        return cyclic_shares(self.model, placed.mean, person, item, self._table[item])

    def _weights(self, rows: Rows) -> F64:
        """What each answer that places people counts for."""
        weight = self.dataset.comparisons.weight if self.weight is None else self.weight
        return weight[rows.row].astype(np.float64)

    def _blocks(self, evidence: Rows, judged: Rows) -> Iterator[I64]:
        """People in order, so few at a time that their arrays fit into `_BLOCK` numbers."""
        u = self.model.user_dim + 1
        each = 4 * u * (evidence.counts + judged.counts) + (0 if self._is_long else u * u)
        block = np.cumsum(each) // _BLOCK
        edges = np.flatnonzero(np.diff(block, prepend=-1, append=-1))
        for start, stop in pairwise(edges):
            yield np.arange(start, stop)

    def _foretell(self, placed: Posteriors, support: Rows, judged: Rows) -> tuple[F64, F64]:
        answering, person = self.model.answering, judged.person
        if not self.is_linear:
            a, b = (self._table[side] for side in self._sides(judged.row))
            margin, p = predictive(self.model, placed, person, a, b)
            if answering.tie:
                p = _without_ties(p, predictive(self.model, placed, person, b, a)[1])
            return margin, p
        delta = self._delta(judged)
        margin, variance = delta[:, 0], np.zeros(len(delta))
        if self.personal:
            margin = margin + np.einsum("nu,nu->n", delta[:, 1:], placed.mean[person])
        if self._is_long:
            variance = self._lean_variance(placed, support, delta, judged)
        elif self.personal:
            spread = placed.covariance
            for i, (start, stop) in enumerate(pairwise(judged.starts)):
                slope = delta[start:stop, 1:]
                variance[start:stop] = ((slope @ spread[i]) * slope).sum(1)
        variance = np.maximum(variance, 0)
        p = predict(margin, variance, answering=answering)
        if answering.tie:
            p = _without_ties(p, predict(-margin, variance, answering=answering))
        return margin, p

    def _lean_variance(self, placed: Posteriors, support: Rows, asked: F64, judged: Rows) -> F64:
        """Variances of the judged margins, see `margin_variances`."""
        answered = self._delta(support)
        z = answered[:, 0] + np.einsum("nu,nu->n", answered[:, 1:], placed.mean[support.person])
        weight = self._weights(support) / (4 * np.cosh(z / 2) ** 2)
        turn = self._prior_root
        x, d = answered[:, 1:], asked[:, 1:]
        if turn is not None:
            x, d = x @ turn, d @ turn
        return margin_variances(x, weight, support, d, judged)

    @cached_property
    def _prior_root(self) -> F64 | None:
        """Cholesky factor of the prior covariance, None where that is the identity."""
        covariance = self.model.prior.covariance
        if np.array_equal(covariance, np.eye(len(covariance))):
            return None
        return np.asarray(np.linalg.cholesky(covariance), np.float64)

    def _delta(self, rows: Rows) -> F64:
        """`(n, 1 + u)` difference of both sides of a linear model."""
        a, b = self._sides(rows.row)
        if self.model.transitive:
            return self._flat[a] - self._flat[b]
        user = self.model.prior.mean
        value, slope = self.model.contrast(user, self._table[a], self._table[b])
        return np.column_stack([value - slope @ user, slope])

    def _sides(self, rows: I64) -> tuple[I64, I64]:
        """Rows of the table of both sides."""
        c = self.dataset.comparisons
        if self.model.prompt_dim == 0:
            return c.a[rows].astype(np.int64), c.b[rows].astype(np.int64)
        base = c.prompt[rows].astype(np.int64) * len(c.item_ids)
        return np.searchsorted(self._keys, base + c.a[rows]), np.searchsorted(
            self._keys, base + c.b[rows]
        )

    @cached_property
    def _keys(self) -> I64:
        """Every (prompt, item) that is compared, as one number, ascending."""
        c = self.dataset.comparisons
        prompt = np.concatenate([c.prompt, c.prompt]).astype(np.int64)
        return np.unique(prompt * len(c.item_ids) + np.concatenate([c.a, c.b]))

    @cached_property
    def _table(self) -> F32:
        """Representation of every item, or of every (prompt, item) that is compared."""
        items, prompts = self.dataset.item_features, self.dataset.prompt_features
        if items is None:
            message = f"{self.name}: the data has texts but no item features; encode them first"
            raise InputError(message, where=self.name)
        if self.model.prompt_dim == 0:
            return self.model.represent(items)
        if prompts is None:
            message = f"{self.name}: the model reads prompts, and the data has no prompt features"
            raise InputError(message, where=self.name)
        prompt, item = np.divmod(self._keys, len(items))
        return self.model.represent(items[item], prompts[prompt])

    @cached_property
    def _flat(self) -> F64:
        """`(k, 1 + u)` utility of the zero vector, and gradient, of a linear model."""
        user = self.model.prior.mean
        value, slope = self.model.linearize(user, self._table)
        return np.column_stack([value - slope @ user, slope])


def _without_ties(p: F64, q: F64) -> F64:
    """Probability of a where the answer was a or b, from those of a and of b."""
    return p / np.maximum(p + q, 1e-300)
