"""A session as a value: how it is run, what was asked, what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np

from gustibus.errors import ConflictError, InputError
from gustibus.onboarding.confidence import Stopping
from gustibus.onboarding.pool import QuestionPool
from gustibus.onboarding.questions import QUESTIONS
from gustibus.types import F32, F64

Answer = Literal["left", "right", "tie", "both_bad", "skip"]
Reason = Literal["info", "random", "repeat", "doubt"]

ANSWERS: tuple[str, ...] = get_args(Answer)
_TARGET = {"left": 1.0, "right": 0.0, "tie": 0.5, "both_bad": 0.5}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one session is run.

    Attributes:
        seed: of every draw of the session, at or above 0; another one for every session.
        strategy: name in `QUESTIONS`.
        stopping: when it ends.
        temperature: in units of the rule's score; see `choose`.
        top: share of the pool drawn from.
        cap: largest share of people who may see a pair.
        controls: False leaves out random questions and repeats, as for benchmarks of a rule alone.

    Raises:
        InputError: the seed is negative.
        UnknownNameError: no such strategy.
    """

    seed: int
    strategy: str = "d_opt"
    stopping: Stopping = field(default_factory=Stopping)
    temperature: float = 0.02
    top: float = 0.01
    cap: float = 0.05
    controls: bool = True

    def __post_init__(self) -> None:
        """Check the name and the seed; the other numbers are checked where they are used."""
        _ = QUESTIONS[self.strategy]
        if not isinstance(self.seed, int | np.integer) or self.seed < 0:
            message = f"seed: expected a whole number at or above 0, got {self.seed!r}"
            raise InputError(message, where="seed")


@dataclass(frozen=True, slots=True)
class Question:
    """A pair as it is shown.

    Attributes:
        seq: position in the session, from 0.
        row: of the pool.
        swapped: whether the pair's side b is on the left.
        reason: `info` chosen by the rule, `random`, `repeat` of an earlier pair with sides
            swapped, or `doubt` about something that was said of the person.
    """

    seq: int
    row: int
    swapped: bool
    reason: Reason

    def show(self, pool: QuestionPool) -> dict[str, Any]:
        """JSON of a question: prompt, texts of both sides, why it is asked."""
        left, right = pool.texts_a[self.row], pool.texts_b[self.row]
        if self.swapped:
            left, right = right, left
        return {
            "id": pool.ids[self.row], "seq": self.seq, "prompt": pool.prompts[self.row],
            "left": {"text": left}, "right": {"text": right}, "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer.

    Raises:
        InputError: the answer is none of `ANSWERS`, or the time is negative.
    """

    question: Question
    answer: Answer
    ms: int | None = None
    """Milliseconds that the person took; kept, not used."""

    def __post_init__(self) -> None:
        """Check the answer."""
        if self.answer not in ANSWERS:
            message = f"answer: expected one of {list(ANSWERS)}, got {self.answer!r}"
            raise InputError(message, where="answer")
        if self.ms is not None and self.ms < 0:
            message = f"ms: expected a number at or above 0, got {self.ms}"
            raise InputError(message, where="ms")

    @property
    def target(self) -> float | None:
        """Probability that the pair's side a is preferred; None for a skipped question."""
        if self.answer == "skip":
            return None
        target = _TARGET[self.answer]
        return 1.0 - target if self.question.swapped else target

    def save(self) -> dict[str, Any]:
        """JSON that `load` turns into an equal turn."""
        q = self.question
        return {
            "seq": q.seq, "row": q.row, "swapped": q.swapped, "reason": q.reason,
            "answer": self.answer, "ms": self.ms,
        }  # fmt: skip

    @classmethod
    def load(cls, value: Mapping[str, Any]) -> Turn:
        """Inverse of `save`."""
        question = Question(
            int(value["seq"]), int(value["row"]), bool(value["swapped"]), value["reason"]
        )
        return cls(question, value["answer"], value.get("ms"))


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that has happened; a value, each change gives another one."""

    settings: Settings
    turns: tuple[Turn, ...] = ()
    stopped: bool = False
    """Whether the person ended it."""

    def answered(self, question: Question, answer: str, *, ms: int | None = None) -> Session:
        """With one more answer, or with another answer to an earlier question.

        Raises:
            ConflictError: the question is not the next one and was not asked in this session.
            InputError: no such answer.
        """
        turn = Turn(question, cast("Answer", answer), ms)
        if question.seq == len(self.turns):
            return replace(self, turns=(*self.turns, turn))
        if 0 <= question.seq < len(self.turns) and self.turns[question.seq].question == question:
            turns = (*self.turns[: question.seq], turn, *self.turns[question.seq + 1 :])
            return replace(self, turns=turns)
        message = (
            f"question: expected number {len(self.turns)} or one asked before, got number "
            f"{question.seq} with another pair"
        )
        raise ConflictError(message, where="question")

    def undone(self) -> Session:
        """Without the last answer, and no longer ended by the person."""
        return replace(self, turns=self.turns[:-1], stopped=False)

    def ended(self) -> Session:
        """Ended by the person."""
        return replace(self, stopped=True)

    def asked(self) -> list[int]:
        """Rows asked so far, skipped ones included."""
        return [turn.question.row for turn in self.turns]


class Rows(NamedTuple):
    """Answers as rows of evidence: what a model's `place` takes."""

    a: F32
    """`(s, r)`."""
    b: F32
    """`(s, r)`."""
    target: F64
    """`(s,)`."""
    weight: F64 | None = None
    """`(s,)` answers that each counts for; one each when None."""


def evidence(pool: QuestionPool, turns: Sequence[Turn]) -> Rows:
    """Rows of every answer that says something; ties and `both_bad` are 0.5, skipped ones nothing.

    Raises:
        InputError: a row is not in the pool.
    """
    told = [(turn.question.row, turn.target) for turn in turns if turn.target is not None]
    rows = np.array([row for row, _ in told], np.int64)
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(pool)):
        message = (
            f"turns: expected rows from 0 to {len(pool) - 1}, got {rows.min()} to {rows.max()}"
        )
        raise InputError(message, where="turns")
    target = np.array([target for _, target in told], np.float64)
    return Rows(pool.a[rows], pool.b[rows], target)
