"""Simulated people who answer questions: what a rule is worth before real people are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel
from gustibus.onboarding.confidence import side_probability
from gustibus.onboarding.pool import Linear, QuestionPool
from gustibus.onboarding.questions import Exposure
from gustibus.onboarding.session import ask
from gustibus.onboarding.turns import Session, Settings, Turn, evidence
from gustibus.posterior import Answering, Posterior, Posteriors
from gustibus.types import F64, I64


@dataclass(frozen=True, slots=True)
class People:
    """Simulated people by what they truly want.

    Attributes:
        pool: `(p, m)` true log-odds that each person prefers side a of each pool pair.
        judged: `(p, h)` the same for pairs on which predictions are judged.
        lapse: probability of a coin flip instead of an answer, in `[0, 1]`; 1 answers at random.
        seed: of the answers; the n-th answer of a person uses the same draw under every rule.
    """

    pool: F64
    judged: F64
    lapse: float
    seed: int

    def draws(self, length: int) -> F64:
        """`(p, length, 3)` uniform numbers: whether to lapse, the coin, the choice."""
        return np.random.default_rng(self.seed).random((len(self.pool), length, 3))


@dataclass(frozen=True, slots=True)
class Curve:
    """How well people are known after given numbers of answers.

    Attributes:
        lengths: numbers of answers, rising.
        accuracy: `(p, l)` expected share of judged pairs on which the model names the side that the
            person takes (their choice is itself random where the margin is small).
        sign: `(p, l)` share of judged pairs on which the model names the truly better side.
        calibration: `(l,)` expected calibration error of `p` in ten equal bins, over all people.
        confidence: `(p, l)` the model's own expectation of `accuracy`.
        shown: `(m,)` how many people were shown each pair after their first question.
    """

    lengths: tuple[int, ...]
    accuracy: F64
    sign: F64
    calibration: F64
    confidence: F64
    shown: I64


def simulate(
    model: PreferenceModel,
    pool: QuestionPool,
    judged: Linear,
    people: People,
    *,
    settings: Settings,
    lengths: Sequence[int],
    capped: bool = False,
) -> Curve:
    """Ask every person the questions of a rule, side by side, and judge the predictions.

    Args:
        model: linear in the user vector.
        pool: questions.
        judged: `(h, u)` pairs to predict, not of the pool.
        people: who answers.
        settings: of every session; person i has seed `settings.seed + i`.
        lengths: numbers of answers after which to judge.
        capped: whether the exposure cap of the settings applies, among these people.

    Raises:
        InputError: lengths do not rise from 0 up, or people do not fit the pool.
    """
    wanted = tuple(lengths)
    if not wanted or list(wanted) != sorted(set(wanted)) or wanted[0] < 0:
        message = f"lengths: expected rising numbers at or above 0, got {list(wanted)}"
        raise InputError(message, where="lengths")
    if people.pool.shape[1] != len(pool) or people.judged.shape[1] != len(judged.offset):
        message = (
            f"people: expected {len(pool)} pool and {len(judged.offset)} judged pairs, "
            f"got {people.pool.shape[1]} and {people.judged.shape[1]}"
        )
        raise InputError(message, where="people")
    draws = people.draws(wanted[-1])
    shown = np.zeros(len(pool), np.int64)
    sessions = [_session(settings, person) for person in range(len(people.pool))]
    seen: list[tuple[F64, F64, float, F64]] = []
    for length in range(wanted[-1] + 1):
        posteriors = place_everybody(model, pool, sessions)
        if length in wanted:
            seen.append(_judge(model.answering, posteriors, judged, people))
        if length == wanted[-1]:
            break
        for person, posterior in enumerate(posteriors):
            exposure = Exposure(shown, len(sessions)) if capped else None
            question = ask(model, posterior, pool, sessions[person], exposure=exposure)
            if question is None:
                continue
            shown[question.row] += length > 0 and question.reason != "repeat"
            lapses, coin, choice = draws[person, length]
            z = people.pool[person, question.row]
            chance = 0.5 if lapses < people.lapse else 1.0 / (1.0 + np.exp(-z))
            is_a = bool((coin if lapses < people.lapse else choice) < chance)
            answer = "left" if is_a != question.swapped else "right"
            sessions[person] = sessions[person].answered(question, answer)
    columns = list(zip(*seen, strict=True))
    accuracy, sign, confidence = (np.stack(columns[i], axis=1) for i in (0, 1, 3))
    return Curve(wanted, accuracy, sign, np.array(columns[2]), confidence, shown)


def place_everybody(
    model: PreferenceModel, pool: QuestionPool, sessions: Sequence[Session]
) -> list[Posterior]:
    """Posterior of every session's person, placed in one call of the engine."""
    turns: list[Turn] = [turn for session in sessions for turn in session.turns]
    rows = evidence(pool, turns)
    told = [sum(turn.target is not None for turn in session.turns) for session in sessions]
    starts = np.concatenate([[0], np.cumsum(told)]).astype(np.int64)
    if len(rows.target) == 0:
        return [Posterior.from_prior(model.prior)] * len(sessions)
    placed: Posteriors = model.place(rows.a, rows.b, rows.target, starts=starts)
    return [placed[person] for person in range(len(sessions))]


def paired_difference(
    first: F64, second: F64, *, seed: int, draws: int = 2000, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of `first - second` over people with a bootstrap interval: mean, low, high.

    Args:
        first: `(p,)` one figure a person.
        second: `(p,)` of the same people.
        seed: of the resampling.
        draws: resamples of people.
        level: of the percentile interval.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    rng = np.random.default_rng(seed)
    resampled = rng.integers(len(difference), size=(draws, len(difference)))
    means = difference[resampled].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(difference.mean()), float(low), float(high)


def calibration_error(predicted: F64, happened: F64, *, bins: int = 10) -> float:
    """Expected calibration error: mean distance of predicted and observed share over equal bins."""
    which = np.minimum((np.asarray(predicted) * bins).astype(np.int64), bins - 1).ravel()
    gap = np.bincount(which, np.ravel(predicted) - np.ravel(happened), minlength=bins)
    return float(np.abs(gap).sum() / max(which.size, 1))


def _session(settings: Settings, person: int) -> Session:
    return Session(
        Settings(
            seed=settings.seed + person, strategy=settings.strategy, stopping=settings.stopping,
            temperature=settings.temperature, top=settings.top, cap=settings.cap,
            controls=settings.controls,
        )
    )  # fmt: skip


def _judge(
    answering: Answering, posteriors: Sequence[Posterior], judged: Linear, people: People
) -> tuple[F64, F64, float, F64]:
    """Accuracy, sign accuracy, calibration error and confidence of predictions without lapses."""
    steady = Answering(lapse=0.0, tie=answering.tie)
    p = np.stack([side_probability(judged, one, steady) for one in posteriors])  # (p, h)
    truth = 1.0 / (1.0 + np.exp(-people.judged))
    says_a = np.where(np.abs(p - 0.5) < 1e-6, 0.5, p > 0.5)  # no opinion: right half of the time
    right = says_a * truth + (1.0 - says_a) * (1.0 - truth)
    better = people.judged > 0
    sign = says_a * better + (1.0 - says_a) * ~better
    return (
        right.mean(axis=1), sign.mean(axis=1), calibration_error(p, truth),
        np.maximum(p, 1.0 - p).mean(axis=1),
    )  # fmt: skip
