"""How well a person is known, what more questions would bring, and when to stop asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel
from gustibus.onboarding.information import answer_information, margin_variance
from gustibus.onboarding.pool import Linear, QuestionPool
from gustibus.posterior import Answering, Posterior, acquire, predict
from gustibus.types import F64, I64

Stop = Literal["max_questions", "information", "gain", "exhausted", "person"]
"""Why a session ends; `person` means that they stopped it."""

_SCAN = 2000
"""Pairs that a look ahead reads: it needs good questions, not the very best of a large pool."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Stopping:
    """When a session ends.

    Attributes:
        min_questions: never before so many, at or above 0.
        max_questions: never after so many, at or above `min_questions` and 1.
        information: nats below which the best question is not worth asking.
        gain: rise in confidence that the next `ahead` questions must promise.
        ahead: questions looked ahead.

    Raises:
        InputError: a number is out of range.
    """

    min_questions: int = 2
    max_questions: int = 12
    information: float = 0.02
    gain: float = 0.005
    ahead: int = 3

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 <= self.min_questions <= self.max_questions or self.max_questions < 1:
            message = (
                "min_questions, max_questions: expected 0 <= min <= max and max >= 1, "
                f"got {self.min_questions} and {self.max_questions}"
            )
            raise InputError(message, where="max_questions")
        if not (self.information >= 0 and self.gain >= 0 and self.ahead >= 1):
            message = (
                "information, gain, ahead: expected numbers at or above 0, 0 and 1, "
                f"got {self.information}, {self.gain} and {self.ahead}"
            )
            raise InputError(message, where="information")


def preference(model: PreferenceModel, posterior: Posterior, pool: QuestionPool, rows: I64) -> F64:
    """`(n,)` probability that the person prefers a to b of the given pairs, if they take a side."""
    line = _rows(pool.line(model, posterior.mean), rows)
    return side_probability(line, posterior, model.answering)


def side_probability(line: Linear, posterior: Posterior, answering: Answering) -> F64:
    """`P(a) / (P(a) + P(b))` under the posterior, `(m,)`; `P(a)` where ties are not modelled."""
    mean = posterior.means @ line.delta.T + line.offset  # (g, m)
    variance = np.stack([margin_variance(line.delta, s) for s in posterior.covariances])
    a = _predict(mean, variance, posterior, answering)
    if answering.tie == 0.0:
        return a
    b = _predict(-mean, variance, posterior, answering)
    return np.asarray(a / (a + b), np.float64)


def confidence(
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    rows: I64 | None = None,
) -> float:
    """Expected share of pairs on which the model names the side that the person would take.

    `mean_j max(p_j, 1 - p_j)` with `p_j` the probability under the whole posterior. (Taking the
    larger side inside the average over user vectors would credit the model with knowing who the
    person is: that number cannot rise in expectation as answers arrive, this one does.)

    Args:
        model: the fitted model.
        posterior: what is known of the person.
        pool: questions.
        rows: pairs to average over; default `pool.sample()`.

    Returns:
        From 0.5, a coin, to 1.
    """
    p = preference(model, posterior, pool, pool.sample() if rows is None else rows)
    return float(np.maximum(p, 1.0 - p).mean()) if len(p) else 0.5


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next questions are expected to bring, if the best ones are asked.

    Attributes:
        information: `(q + 1,)` nats of the best question after 0, 1, .. q more questions.
        confidence: `(q + 1,)` expected confidence after 0, 1, .. q more questions.
    """

    information: F64
    confidence: F64

    def gain(self, after: int, ahead: int) -> float:
        """Expected rise in confidence of `ahead` questions that follow `after` questions."""
        last = len(self.confidence) - 1
        return float(self.confidence[min(after + ahead, last)] - self.confidence[min(after, last)])


def outlook(
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    *,
    questions: int,
    asked: Sequence[int] = (),
) -> Outlook:
    """Look ahead without simulating answers.

    The best questions are picked greedily by `log(1 + a v) / 2` among at most 2,000 evenly spaced pairs
    of the pool. Here `a` is not the information at the mean but its expectation over the margin
    `N(m, v)`, about `s a(s m)` with `s = 1 / sqrt(1 + pi v / 8)`: one answer to a question of huge
    variance is still one bit at most. After the questions a pair's variance `v` has fallen to `v'`,
    and its mean margin, a martingale, is spread as `N(m, v - v')`; expected confidence is the mean
    over that spread of `max(p, 1 - p)` at variance `v'`, `p = sigmoid(m / sqrt(1 + pi v' / 8))`. A
    mixture counts as one Gaussian. By Jensen the outlook never falls. Information now is exact;
    later it shrinks as `log(1 + a v) / 2` of the best pair does.

    Args:
        model: the fitted model.
        posterior: what is known of the person.
        pool: questions.
        questions: how far to look, at or above 0.
        asked: rows that are not asked again.

    Source: MacKay 1992, "The evidence framework applied to classification networks", for `p`.
    """
    open_ = _scanned(pool, asked)
    sample = pool.sample(128)
    flat = np.zeros(questions + 1)
    if model.user_dim == 0 or len(open_) == 0 or len(sample) == 0:
        return Outlook(flat, flat)
    line = pool.line(model, posterior.mean)
    asks, judged = _rows(line, open_), _rows(line, sample)
    covariance = posterior.covariance.copy()
    variance = margin_variance(asks.delta, covariance)
    margin = asks.offset + asks.delta @ posterior.mean
    scale = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * variance)
    information_at = answer_information(scale * margin, model.answering)
    now = margin_variance(judged.delta, covariance)
    later = np.empty((questions + 1, len(sample)))
    best_gain = np.empty(questions + 1)
    for turn in range(questions + 1):
        later[turn] = now
        a = information_at / np.sqrt(1.0 + np.pi / 8.0 * np.maximum(variance, 0.0))
        best = int(np.argmax(a * variance))
        best_gain[turn] = np.log1p(max(a[best] * variance[best], 0.0))
        reach = covariance @ asks.delta[best]  # (u,)
        shrink = a[best] / (1.0 + a[best] * max(variance[best], 0.0))
        covariance -= shrink * np.outer(reach, reach)
        variance -= shrink * (asks.delta @ reach) ** 2
        now = np.maximum(now - shrink * (judged.delta @ reach) ** 2, 0.0)
        information_at[best] = 0.0  # asked
    exact = acquire(
        "information", asks.delta, posterior, offset=asks.offset, answering=model.answering
    )
    information = best_gain * (float(exact.max()) / max(float(best_gain[0]), 1e-12))
    mean = judged.offset + judged.delta @ posterior.mean
    return Outlook(information, _expected_confidence(mean, later, model.answering.lapse))


def best_information(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, *, asked: Sequence[int] = ()
) -> float:
    """Nats of the best question still open, among at most 2,000 evenly spaced pairs."""
    open_ = _scanned(pool, asked)
    if model.user_dim == 0 or len(open_) == 0:
        return 0.0
    line = _rows(pool.line(model, posterior.mean), open_)
    return float(
        acquire(
            "information", line.delta, posterior, offset=line.offset, answering=model.answering
        ).max()
    )


def _scanned(pool: QuestionPool, asked: Sequence[int]) -> I64:
    rows = np.flatnonzero(pool.still_open(asked))
    if len(rows) > _SCAN:
        rows = rows[np.linspace(0, len(rows) - 1, _SCAN).round().astype(np.int64)]
    return rows


def _expected_confidence(mean: F64, later: F64, lapse: float) -> F64:
    """`(n,)` mean margins, `(t, n)` variances falling with t -> `(t,)` expected confidences."""
    spread = np.sqrt(np.maximum(later[0] - later, 0.0))  # (t, n)
    margin = np.abs(mean[:, None] + spread[..., None] * _NODES)  # (t, n, nodes)
    scaled = margin / np.sqrt(1.0 + np.pi / 8.0 * later)[..., None]
    known = 1.0 / (1.0 + np.exp(-scaled))
    sure = ((0.5 * lapse + (1.0 - lapse) * known) @ _WEIGHTS).mean(axis=1)
    return np.asarray(np.maximum.accumulate(sure), np.float64)


def stop_reason(
    *,
    asked: int,
    rules: Stopping,
    information: tuple[float, float | None],
    gain: float,
    exhausted: bool = False,
) -> Stop | None:
    """Why to stop now, None to go on.

    In this order: `max_questions`; no pair left; then, from `min_questions` on, the best question
    below the floor of information now and before the last answer, and an expected gain below its
    floor.

    Args:
        asked: questions asked so far, skipped ones included.
        rules: the bounds.
        information: nats of the best question now, and before the last answer (None if there was
            none).
        gain: expected rise in confidence of the next `rules.ahead` questions.
        exhausted: no pair is left to ask.
    """
    if asked >= rules.max_questions:
        return "max_questions"
    if exhausted:
        return "exhausted"
    if asked < rules.min_questions:
        return None
    now, before = information
    if before is not None and max(now, before) < rules.information:
        return "information"
    return "gain" if gain < rules.gain else None


def expected_remaining(look: Outlook, *, asked: int, rules: Stopping) -> int:
    """How many more questions the stopping rule is expected to let through.

    The first number of further questions after which it would fire, were the outlook to come true.

    Args:
        look: as far ahead as `rules.max_questions - asked + rules.ahead`.
        asked: questions asked so far.
        rules: the bounds.
    """
    most = max(rules.max_questions - asked, 0)
    nats, last = look.information, len(look.information) - 1
    for more in range(max(rules.min_questions - asked, 0), most):
        best = (float(nats[min(more, last)]), float(nats[min(more - 1, last)]) if more else None)
        gain = look.gain(more, rules.ahead)
        if stop_reason(asked=asked + more, rules=rules, information=best, gain=gain):
            return more
    return most


def _rows(line: Linear, rows: I64) -> Linear:
    return Linear(line.delta[rows], line.offset[rows])


def _predict(mean: F64, variance: F64, posterior: Posterior, answering: Answering) -> F64:
    """Mixture average of `P(a)`: `(g, m)` twice -> `(m,)`."""
    return predict(mean, variance, answering=answering, weights=posterior.weights)
