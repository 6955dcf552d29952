"""What was learned of a person, in numbers and words, with pairs that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

from gustibus.models.base import PreferenceModel
from gustibus.models.fingerprint import check_state
from gustibus.onboarding.confidence import confidence, side_probability
from gustibus.onboarding.doubt import carelessness, consistency
from gustibus.onboarding.information import effective_answers, information_gained
from gustibus.onboarding.pool import Linear, QuestionPool
from gustibus.onboarding.session import place_person
from gustibus.onboarding.tendencies import Tendency, tendencies
from gustibus.onboarding.turns import Rows, Turn
from gustibus.posterior import Posterior
from gustibus.types import F64, I64


@dataclass(frozen=True, slots=True)
class Example:
    """A pair that a direction decides, turned so that the preferred side comes first."""

    row: int
    prompt: str
    preferred: str
    other: str
    p: float
    """Probability that this person prefers it, in `[0, 1]`."""
    population_p: float
    """The same for somebody of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class Direction:
    """How a person differs from the population along one coordinate of the user vector."""

    index: int
    mean: float
    stderr: float
    population_mean: float
    population_sd: float
    certainty: float
    """Probability that the person is on this side of the population's mean, 0.5 to 1."""
    beyond: float
    """Share of the population that is less far out on this side, 0 to 1."""
    examples: tuple[Example, ...]

    @property
    def words(self) -> str:
        """One plain sentence."""
        sure = "Very likely" if self.certainty > 0.95 else "Probably"
        said = f"{sure} further out than {self.beyond:.0%} of people on direction {self.index + 1}"
        if not self.examples or not self.examples[0].preferred:
            return f"{said}."
        one = self.examples[0]
        return (
            f"{said}: would take “{_short(one.preferred)}” over “{_short(one.other)}” "
            f"{one.p:.0%} of the time (people in general: {one.population_p:.0%})."
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a session has taught about a person."""

    directions: tuple[Direction, ...]
    """The clearest first."""
    tendencies: tuple[Tendency, ...]
    """What the answers of the session agree on, the most certain first."""
    answers: int
    """Answers that say something: all but skipped ones."""
    effective_answers: float
    """How many questions at even odds they are worth."""
    information: float
    """Nats: `log(det prior / det posterior) / 2`."""
    confidence: float
    repeated: int
    """Pairs asked twice, sides swapped."""
    consistent: int
    """Of these, answered the same both times."""
    careless: float
    """Probability that the answers were given at random."""

    @property
    def words(self) -> str:
        """A short paragraph."""
        lines = [direction.words for direction in self.directions]
        if not lines:
            lines = ["Nothing yet that sets this person apart from the population."]
        if self.repeated:
            lines.append(
                f"Asked again, {self.consistent} of {self.repeated} answers were the same."
            )
        lines.append(
            f"From {self.answers} answers the model expects to name the preferred side of "
            f"{self.confidence:.0%} of pairs."
        )
        return " ".join(lines)


def explain(
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    *,
    turns: Sequence[Turn] = (),
    most: int = 3,
    examples: int = 2,
    certainty: float = 0.7,
) -> Explanation:
    """What was learned, direction by direction.

    A direction is a coordinate of the user vector; it counts when the person is on one side of the
    population's mean with at least `certainty`. Its examples are the pairs where it moves the
    margin most compared with all other directions together.

    Args:
        model: the fitted model.
        posterior: of the person.
        pool: questions; examples come from all of it.
        turns: the session, for consistency and the worth of the answers.
        most: directions reported.
        examples: pairs a direction.
        certainty: from 0.5 up to 1.

    Raises:
        InputError: the posterior is of another model.
    """
    check_state(posterior, model)
    prior = Posterior.from_prior(model.prior)
    agreed, repeated = consistency(turns)
    told = [turn.question.row for turn in turns if turn.target is not None]
    worth = 0.0
    found: tuple[Direction, ...] = ()
    line = pool.line(model, posterior.mean)
    if model.user_dim:
        at = np.array(told, np.int64)
        worth = effective_answers(
            Linear(line.delta[at], line.offset[at]), posterior, model.answering
        )
        found = tuple(
            _direction(model, prior, posterior, pool, line, index, examples)
            for index in _clearest(prior, posterior, most, certainty)
        )
    return Explanation(
        directions=found,
        tendencies=tendencies(pool, turns),
        answers=len(told),
        effective_answers=worth,
        information=information_gained(model.prior, posterior),
        confidence=confidence(model, posterior, pool),
        repeated=repeated,
        consistent=agreed,
        careless=carelessness(posterior, model.answering),
    )


def explain_session(
    model: PreferenceModel,
    pool: QuestionPool,
    turns: Sequence[Turn],
    *,
    earlier: Rows | None = None,
) -> Explanation:
    """`explain` of the person whose answers are given."""
    return explain(model, place_person(model, pool, turns, earlier=earlier), pool, turns=turns)


def deciding_pair(
    model: PreferenceModel, pool: QuestionPool, index: int, asked: Sequence[int]
) -> int | None:
    """The pair, of those not asked yet, that one direction decides most; None when none is left.

    Measured by how far a typical difference between people along the direction moves the margin,
    compared with such differences along all directions together.

    Args:
        model: the fitted model.
        pool: questions.
        index: of the direction.
        asked: rows asked so far.
    """
    rows = np.flatnonzero(pool.still_open(asked))
    if len(rows) == 0:
        return None
    prior = Posterior.from_prior(model.prior)
    moved = np.abs(pool.delta(model, prior.mean)[rows] * _sd(prior))  # (n, u)
    own = moved[:, index]
    return int(rows[int(np.argmax(own * own / np.maximum(moved.sum(axis=1), 1e-12)))])


def _clearest(prior: Posterior, posterior: Posterior, most: int, certainty: float) -> list[int]:
    """Coordinates by how clearly the person differs, the clearest first."""
    z = np.abs(posterior.mean - prior.mean) / _sd(posterior)
    order = np.argsort(-z, kind="stable")[:most]
    return [int(i) for i in order if _normal(float(z[i])) >= certainty]


def _direction(
    model: PreferenceModel,
    prior: Posterior,
    posterior: Posterior,
    pool: QuestionPool,
    line: Linear,
    index: int,
    examples: int,
) -> Direction:
    shift = posterior.mean - prior.mean
    moved = line.delta * shift  # (m, u) what each coordinate adds to each margin
    own = np.abs(moved[:, index])
    share = own / np.maximum(np.abs(moved).sum(axis=1), 1e-12)
    rows = _telling(own * share, pool.prompts, examples)
    p = side_probability(Linear(line.delta[rows], line.offset[rows]), posterior, model.answering)
    crowd = pool.line(model, prior.mean)
    q = side_probability(Linear(crowd.delta[rows], crowd.offset[rows]), prior, model.answering)
    spread, sd = float(_sd(prior)[index]), float(_sd(posterior)[index])
    away = float(abs(shift[index]))
    return Direction(
        index=index,
        mean=float(posterior.mean[index]),
        stderr=sd,
        population_mean=float(prior.mean[index]),
        population_sd=spread,
        certainty=_normal(away / sd),
        beyond=_normal(away / spread),
        examples=_examples(pool, rows, moved[rows, index], p, q),
    )


def _telling(worth: F64, prompts: Sequence[str], most: int) -> I64:
    """Rows of the most telling pairs; no prompt again while another has one half as telling.

    Responses to one prompt are often variations of each other, and two examples of them say no more
    than one.
    """
    order = np.argsort(-worth, kind="stable")
    fresh: dict[str, int] = {}
    for row in order[worth[order] >= 0.5 * worth[order[:1]]]:
        if len(fresh) == most:
            break
        fresh.setdefault(prompts[row], int(row))
    chosen = np.array(list(fresh.values()), np.int64)
    return np.concatenate([chosen, order[~np.isin(order, chosen)]])[:most]


def _examples(pool: QuestionPool, rows: I64, moved: F64, p: F64, q: F64) -> tuple[Example, ...]:
    """Pairs with the side first towards which the direction moves the margin."""
    found = []
    for row, push, mine, crowd in zip(rows, moved, p, q, strict=True):
        first, second = pool.texts_a[row], pool.texts_b[row]
        if push < 0:
            first, second, mine, crowd = second, first, 1.0 - mine, 1.0 - crowd
        found.append(Example(int(row), pool.prompts[row], first, second, float(mine), float(crowd)))
    return tuple(found)


def _sd(posterior: Posterior) -> F64:
    return np.asarray(np.sqrt(np.maximum(np.diagonal(posterior.covariance), 1e-24)))


def _normal(z: float) -> float:
    """Distribution function of the standard normal."""
    return 0.5 * (1.0 + erf(z / sqrt(2.0)))


def _short(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
