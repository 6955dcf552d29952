"""What comes next in a session: pure functions of its settings and answers.

No clock, no database, no hidden state: the same settings, answers and exposure give the same next
question, so a restarted process goes on where another stopped, and undoing an answer is leaving it
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gustibus.errors import ConflictError
from gustibus.models.base import PreferenceModel
from gustibus.models.fingerprint import check_state
from gustibus.onboarding.confidence import (
    Stop,
    best_information,
    confidence,
    expected_remaining,
    outlook,
    stop_reason,
)
from gustibus.onboarding.pool import QuestionPool
from gustibus.onboarding.questions import Exposure, check_exposure, choose
from gustibus.onboarding.turns import Question, Reason, Rows, Session, Settings, Turn, evidence
from gustibus.posterior import Posterior

_BLOCK = 10  # one question of ten is random, and from eight questions on one of ten is a repeat
_REPEAT_FROM = 8
_REPEAT_GAP = 3  # a pair comes back after at least two others


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a session stands."""

    answered: int
    """Questions dealt with, skipped ones included."""
    expected_remaining: int
    max: int
    confidence: float
    """Expected accuracy on pairs not asked, 0.5 to 1."""


@dataclass(frozen=True, slots=True)
class Step:
    """What follows from a session: a question, or the reason why there is none."""

    question: Question | None
    stop: Stop | None
    progress: Progress
    posterior: Posterior


def place_person(
    model: PreferenceModel,
    pool: QuestionPool,
    turns: Sequence[Turn],
    *,
    earlier: Rows | None = None,
) -> Posterior:
    """Where answers put a person; exactly the prior without any.

    Args:
        model: the fitted model.
        pool: questions.
        turns: of this session.
        earlier: what was known of the person before.
    """
    rows = evidence(pool, turns)
    if earlier is not None:
        before = np.ones(len(earlier.target)) if earlier.weight is None else earlier.weight
        rows = Rows(
            np.concatenate([earlier.a, rows.a]),
            np.concatenate([earlier.b, rows.b]),
            np.concatenate([earlier.target, rows.target]),
            np.concatenate([before, np.ones(len(rows.target))]),
        )
    if len(rows.target) == 0 or model.user_dim == 0:
        return Posterior.from_prior(model.prior)
    return model.place(rows.a, rows.b, rows.target, weight=rows.weight)[0]


def advance(
    model: PreferenceModel,
    pool: QuestionPool,
    session: Session,
    *,
    exposure: Exposure | None = None,
    earlier: Rows | None = None,
) -> Step:
    """The next question of a session with its progress, or the reason why it ends.

    Args:
        model: the fitted model.
        pool: questions of that model.
        session: so far.
        exposure: how often pairs were shown to others; keep it for the session, or store questions
            when they are asked, if another process has to ask the same one.
        earlier: answers of the person from before this session.
    """
    check_exposure(exposure, pool)
    settings, asked = session.settings, session.asked()
    rules = settings.stopping
    posterior = place_person(model, pool, session.turns, earlier=earlier)
    left = max(rules.max_questions - len(asked), 0)
    look = outlook(model, posterior, pool, questions=left + rules.ahead, asked=asked)
    before = None
    if (
        session.turns
        and len(asked) >= rules.min_questions
        and look.information[0] < rules.information
    ):
        previous = place_person(model, pool, session.turns[:-1], earlier=earlier)
        before = best_information(model, previous, pool, asked=asked[:-1])
    stop: Stop | None = "person"
    if not session.stopped:
        stop = stop_reason(
            asked=len(asked),
            rules=rules,
            information=(float(look.information[0]), before),
            gain=look.gain(0, rules.ahead),
            exhausted=not pool.still_open(asked).any(),
        )
    question = None
    if stop is None:
        question = ask(model, posterior, pool, session, exposure=exposure)
    remaining = 0 if stop else expected_remaining(look, asked=len(asked), rules=rules)
    progress = Progress(
        answered=len(asked),
        expected_remaining=remaining if stop else max(remaining, 1),
        max=rules.max_questions,
        confidence=confidence(model, posterior, pool),
    )
    return Step(question, stop, progress, posterior)


def next_question(
    model: PreferenceModel,
    pool: QuestionPool,
    session: Session,
    *,
    exposure: Exposure | None = None,
    earlier: Rows | None = None,
) -> Question | None:
    """The question that `advance` asks, None when the session ends."""
    return advance(model, pool, session, exposure=exposure, earlier=earlier).question


def replay(
    model: PreferenceModel,
    pool: QuestionPool,
    settings: Settings,
    answers: Sequence[str],
    *,
    exposure: Exposure | None = None,
    earlier: Rows | None = None,
) -> Session:
    """The session that given answers lead to, asking every question anew.

    Raises:
        ConflictError: there are more answers than questions.
    """
    session = Session(settings)
    for number, answer in enumerate(answers):
        step = advance(model, pool, session, exposure=exposure, earlier=earlier)
        if step.question is None:
            message = (
                f"answers: expected {number}, after which the session ends ({step.stop}), "
                f"got {len(answers)}"
            )
            raise ConflictError(message, where="answers")
        session = session.answered(step.question, answer)
    return session


def slot(seq: int, seed: int) -> Reason:
    """What kind of question a position is for: of every ten one is random and one a repeat.

    The first question is never random, and the first repeat is at position 8 or 9.
    """
    block, place = divmod(seq, _BLOCK)
    rng = np.random.default_rng([seed, 1, block])
    first_repeat, first_random = (_REPEAT_FROM, 1) if block == 0 else (0, 0)
    repeat = int(rng.integers(first_repeat, _BLOCK))
    others = [p for p in range(first_random, _BLOCK) if p != repeat]
    if place == repeat:
        return "repeat"
    return "random" if place == others[int(rng.integers(len(others)))] else "info"


def ask(
    model: PreferenceModel,
    posterior: Posterior,
    pool: QuestionPool,
    session: Session,
    *,
    exposure: Exposure | None = None,
) -> Question | None:
    """The question of a session's next position, whether or not it should end; None without pairs.

    Args:
        model: the fitted model.
        posterior: of the person after the session's answers.
        pool: questions.
        session: so far.
        exposure: how often pairs were shown to others.

    Raises:
        InputError: the posterior is of another model.
    """
    check_state(posterior, model)
    settings, seq = session.settings, len(session.turns)
    rng = np.random.default_rng([settings.seed, 2, seq])
    swapped = bool(rng.integers(2))
    reason = slot(seq, settings.seed) if settings.controls else "info"
    if reason == "repeat":
        again = _repeatable(session.turns, seq)
        if again:
            earlier = again[int(rng.integers(len(again)))]
            return Question(seq, earlier.row, not earlier.swapped, "repeat")
        reason = "info"
    rule = "random" if reason == "random" else settings.strategy
    if seq == 0:  # the same for everybody, so that it can be kept ready
        rng, swapped, exposure = np.random.default_rng(0), False, None
    row = choose(
        model, posterior, pool, rule=rule, asked=session.asked(), rng=rng, exposure=exposure,
        top=settings.top, cap=settings.cap, temperature=settings.temperature if seq else 0.0,
    )  # fmt: skip
    if row is None:
        return None
    return Question(seq, row, swapped, "random" if rule == "random" else "info")


def _repeatable(turns: Sequence[Turn], seq: int) -> list[Question]:
    """Questions that were answered some time ago and not repeated yet."""
    repeated = {turn.question.row for turn in turns if turn.question.reason == "repeat"}
    return [
        turn.question
        for turn in turns
        if turn.answer != "skip"
        and turn.question.row not in repeated
        and seq - turn.question.seq >= _REPEAT_GAP
    ]
