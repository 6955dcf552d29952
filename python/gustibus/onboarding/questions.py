"""Which question to ask next: rules that value every pair, and the draw of one of the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gustibus.errors import InputError
from gustibus.models.base import PreferenceModel
from gustibus.onboarding.information import after_answers, answer_information, target_gain
from gustibus.onboarding.pool import QuestionPool
from gustibus.posterior import Posterior, acquire
from gustibus.registry import Registry
from gustibus.types import F64, I64, Bool

Rule: TypeAlias = Callable[[PreferenceModel, Posterior, QuestionPool, np.random.Generator], F64]
"""`(model, posterior, pool, rng) -> scores (m,)`, larger is asked sooner."""

QUESTIONS: Registry[Rule] = Registry("question rule")
"""Every rule by name; laws: `order_free` (a pair's score does not depend on the others),
`side_free`
(nor on which side is a), `reads_answers` (nor is it blind to what is known)."""


@QUESTIONS.add(
    "d_opt",
    source="Chaloner & Verdinelli 1995",
    laws=("order_free", "side_free", "reads_answers"),
)
def d_opt(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, rng: np.random.Generator
) -> F64:
    """`log(1 + a v) / 2` in nats: how much the person's uncertainty is expected to shrink."""
    del rng
    return _acquire("d_opt", model, posterior, pool)


@QUESTIONS.add(
    "eubo",
    source="Lin, Astudillo, Frazier & Bakshy 2022, AISTATS",
    laws=("order_free", "reads_answers"),
)
def eubo(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, rng: np.random.Generator
) -> F64:
    """`E max(r_a, r_b)` in log-odds: finds a good response now rather than learn the person."""
    del rng
    base = model.utility(posterior.mean, pool.b)
    if model.user_dim == 0:
        return np.asarray(np.maximum(model.utility(posterior.mean, pool.a), base), np.float64)
    return _acquire("eubo", model, posterior, pool, base=np.asarray(base, np.float64))


@QUESTIONS.add(
    "information",
    source="Houlsby et al. 2011, arXiv 1112.5745",
    laws=("order_free", "side_free", "reads_answers"),
)
def information(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, rng: np.random.Generator
) -> F64:
    """Mutual information in nats of the answer and the person's user vector, groups included."""
    del rng
    return _acquire("information", model, posterior, pool)


@QUESTIONS.add(
    "v_opt",
    source="Yu, Bi & Tresp 2006, ICML",
    laws=("side_free", "reads_answers"),
)
def v_opt(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, rng: np.random.Generator
) -> F64:
    """How much less uncertain margins of the pairs kept aside are expected to be, in squared log-odds.

    Those pairs, on which confidence is measured too, stand for what will be ranked: a pool whose
    `held_out` pairs are such as an application ranks has the person asked about those. `d_opt` learns
    every direction of taste alike, whether anything to be ranked differs in it or not.
    """
    del rng
    if model.user_dim == 0:
        return np.zeros(len(pool))
    line = pool.line(model, posterior.mean)
    return target_gain(
        line, posterior, targets=line.delta[pool.sample()], answering=model.answering
    )


@QUESTIONS.add("random", source="the control arm")
def random(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, rng: np.random.Generator
) -> F64:
    """Uniform numbers: questions that do not depend on anything."""
    del model, posterior
    return rng.random(len(pool))


def _acquire(
    rule: str,
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    *,
    base: F64 | None = None,
) -> F64:
    if model.user_dim == 0:
        return np.zeros(len(pool))  # there is nothing to learn about anybody
    line = pool.line(model, posterior.mean)
    return acquire(
        rule, line.delta, posterior, offset=line.offset, base=base, answering=model.answering
    )


@dataclass(frozen=True, slots=True)
class Exposure:
    """How often each pair of a pool has been shown, first questions left out.

    Attributes:
        counts: `(m,)` people who were shown each pair.
        people: people who were shown any question.
    """

    counts: I64
    people: int

    def open(self, cap: float) -> Bool:
        """`(m,)`; False for pairs that one more person would bring above `cap` of all people.

        A pair may always be shown to one person: with few people no share is meaningful.
        """
        allowed = max(1, int(cap * (self.people + 1)))
        return np.asarray(np.asarray(self.counts) < allowed)


def check_exposure(exposure: Exposure | None, pool: QuestionPool) -> None:
    """Refuse counts of another pool, or below 0.

    Raises:
        InputError: the counts have another length than the pool, or one is negative.
    """
    if exposure is None:
        return
    counts = np.asarray(exposure.counts)
    if counts.shape != (len(pool),):
        message = f"exposure.counts: expected shape ({len(pool)},), got {counts.shape}"
        raise InputError(message, where="exposure")
    if exposure.people < 0 or (len(counts) and counts.min() < 0):
        message = "exposure: expected counts at or above 0, got a negative one"
        raise InputError(message, where="exposure")


def choose(
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    *,
    rule: str,
    asked: Sequence[int],
    rng: np.random.Generator,
    exposure: Exposure | None = None,
    top: float = 0.01,
    temperature: float = 0.02,
    cap: float = 0.05,
) -> int | None:
    """Row of the next question, None when every pair has been asked.

    One of the best `top` share by score, with probability proportional to `exp(score /
    temperature)`. Pairs over the exposure cap are left out unless nothing else remains.

    Args:
        model: the fitted model.
        posterior: what is known of the person.
        pool: questions.
        rule: name in `QUESTIONS`.
        asked: rows asked before; they never come again.
        rng: the only source of chance.
        exposure: how often pairs were shown; None is no cap.
        top: share of the pairs still open that is drawn from, above 0 up to 1; at least one pair.
        temperature: in units of the score, at or above 0; 0 takes the best, ties to the lowest row.
        cap: largest share of people who may see a pair, above 0 up to 1.

    Raises:
        InputError: a row, share or temperature is out of range, or the exposure is of another pool.
        UnknownNameError: no such rule.
    """
    open_ = _open(pool, asked, exposure, cap)
    _check_draw(top, temperature)
    scores = QUESTIONS[rule].run(model, posterior, pool, rng)
    rows = np.flatnonzero(open_)
    if len(rows) == 0:
        return None
    return _draw(scores, rows, rng, top=top, temperature=temperature)


def choose_batch(
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    *,
    size: int,
    rule: str = "d_opt",
    asked: Sequence[int] = (),
    rng: np.random.Generator,
    exposure: Exposure | None = None,
    cap: float = 0.05,
) -> list[int]:
    """Rows of questions to ask together, greedily: each given that those before it are answered.

    After each pick the covariance is what it is expected to be after the answer; with `d_opt` the
    batch is within `1 - 1/e` of the best one. Fewer rows than `size` when the pool runs out.

    Raises:
        InputError: as in `choose`, or `size` is below 0.

    Source: Nemhauser, Wolsey and Fisher 1978.
    """
    if size < 0:
        message = f"size: expected at least 0, got {size}"
        raise InputError(message, where="size")
    picked: list[int] = []
    for _ in range(size):
        row = choose(
            model, posterior, pool, rule=rule, asked=[*asked, *picked], rng=rng,
            exposure=exposure, temperature=0.0, cap=cap,
        )  # fmt: skip
        if row is None:
            break
        picked.append(row)
        posterior = expected_after(model, posterior, pool, row)
    return picked


def expected_after(
    model: PreferenceModel, posterior: Posterior, pool: QuestionPool, row: int
) -> Posterior:
    """The posterior as uncertain as it will be once a pair has been answered; its mean stays."""
    if model.user_dim == 0:
        return posterior
    line = pool.line(model, posterior.mean)
    margins = posterior.means @ line.delta[row] + line.offset[row]  # (g,)
    return after_answers(posterior, line.delta[row], answer_information(margins, model.answering))


def _open(pool: QuestionPool, asked: Sequence[int], exposure: Exposure | None, cap: float) -> Bool:
    if not 0.0 < cap <= 1.0:
        message = f"cap: expected a share above 0 and up to 1, got {cap}"
        raise InputError(message, where="cap")
    open_ = pool.still_open(asked)
    check_exposure(exposure, pool)
    if exposure is None:
        return open_
    fresh = open_ & exposure.open(cap)
    return fresh if fresh.any() else open_


def _check_draw(top: float, temperature: float) -> None:
    if not 0.0 < top <= 1.0:
        message = f"top: expected a share above 0 and up to 1, got {top}"
        raise InputError(message, where="top")
    if not 0.0 <= temperature < np.inf:
        message = f"temperature: expected a finite number at or above 0, got {temperature}"
        raise InputError(message, where="temperature")


def _draw(
    scores: F64, rows: I64, rng: np.random.Generator, *, top: float, temperature: float
) -> int:
    """One of the best rows."""
    value = scores[rows]
    if temperature == 0.0:
        return int(rows[np.argmax(value)])
    count = max(1, int(np.ceil(top * len(rows))))
    best = _largest(value, count)
    weight = np.exp((value[best] - value[best[0]]) / temperature)
    return int(rows[rng.choice(best, p=weight / weight.sum())])


def _largest(value: F64, count: int) -> I64:
    """Where the `count` largest are, largest first, ties to the lowest; without sorting the others."""
    fall = -value
    among = np.flatnonzero(fall <= np.partition(fall, count - 1)[count - 1])
    return np.asarray(among[np.argsort(fall[among], kind="stable")[:count]], np.int64)
