"""Signs that nobody with a taste gave a person's answers; two of them put the person into quarantine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from math import comb
from statistics import median
from typing import TYPE_CHECKING, Literal, cast

from gustibus.onboarding import CARELESS, Question, Turn, consistency
from gustibus.onboarding.turns import Answer, Reason

if TYPE_CHECKING:
    from gustibus.store import Given

Signal = Literal["repeats", "fast", "side", "information", "crowd"]
SIGNALS: tuple[Signal, ...] = ("repeats", "fast", "side", "information", "crowd")
ENOUGH = 2
"""Signals that put somebody into quarantine: each alone befalls one in a few dozen people with a taste."""

_AGREEING = 0.7  # chance that somebody answers a hard pair the same way again
_RARE = 0.1  # so seldom would such a person agree with themselves no more often
_HURRIED = 600  # milliseconds, the median below which nothing was read
_TIMED = 5  # answers whose times have a median
_SIDED = 8  # all on one side by chance: one in 128
_TELLING = 10  # answers whose evidence tells something
_RANDOM = 0.5  # carelessness; nine to one against a taste, before which a tenth of people is taken for such
_EXPECTED = (CARELESS, 0.5, 0.9)


def signals_of(given: Iterable[Given], since: datetime | None) -> list[Signal]:
    """What a person's answers in sessions tell of how they were given.

    Sides count in sessions alone, where they are drawn: applications that send comparisons often call what
    was chosen `a`.

    Args:
        given: answers.
        since: an operator has judged what was said by then; None where none has.
    """
    given = [one for one in given if since is None or one.answered_at > since]
    found: list[Signal] = []
    turns = [turn for each in _sessions(given) for turn in each]
    if _disagrees(*agreement(given)):
        found.append("repeats")
    times = [turn.ms for turn in turns if turn.ms is not None and turn.answer != "skip"]
    if len(times) >= _TIMED and median(times) < _HURRIED:
        found.append("fast")
    sided = [turn.answer for turn in turns if turn.answer in {"left", "right"}]
    if len(sided) >= _SIDED and len(set(sided)) == 1:
        found.append("side")
    return found


def agreement(given: Iterable[Given]) -> tuple[int, int]:
    """How many pairs that were asked twice in a session got the same answer again, of how many."""
    each = [consistency(turns) for turns in _sessions(given)]
    return sum(agreed for agreed, _ in each), sum(repeated for _, repeated in each)


def _sessions(given: Iterable[Given]) -> Sequence[list[Turn]]:
    """Answers as turns of the sessions that they were given in."""
    found: dict[str, list[Turn]] = {}
    for one in given:
        q = one.question
        question = Question(q.seq, q.row, q.swapped, cast("Reason", q.reason))
        turn = Turn(question, cast("Answer", q.answer), q.ms)
        found.setdefault(one.session, []).append(turn)
    return list(found.values())


def _disagrees(agreed: int, repeated: int) -> bool:
    """Whether somebody with a taste would hardly ever agree with themselves so rarely."""
    chance = sum(
        comb(repeated, n) * _AGREEING**n * (1 - _AGREEING) ** (repeated - n)
        for n in range(agreed + 1)
    )
    return repeated > 0 and chance < _RARE


def tells_little(careless: float, answers: int) -> bool:
    """Whether answers carry as little information as a coin's.

    Args:
        careless: probability that they are, as `Fit` has it.
        answers: how many there are.
    """
    return answers >= _TELLING and careless >= _RANDOM


def expected(signals: Sequence[Signal]) -> float:
    """How probable it is that somebody with these signals answers at random, before the answers count."""
    return _EXPECTED[min(len(signals), ENOUGH)]
