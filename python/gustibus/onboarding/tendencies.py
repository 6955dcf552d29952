"""What somebody's answers have in common, in words that need no model: shorter, with lists, livelier.

Counts, not estimates: of the pairs that differ clearly in a trait, how many times the side with more
of it, or less, was taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb, log

import numpy as np

from gustibus.onboarding.pool import QuestionPool
from gustibus.onboarding.turns import Turn

_WORD = re.compile(r"\w+")
_LETTERS = re.compile(r"[^\W\d_]+")
_LIST = re.compile(r"(?m)^\s*(?:[-*•]|\d+[.)])\s")
_LIVELY = re.compile("[!\u2600-\u27bf\U0001f300-\U0001faff]")
_SENTENCE = re.compile(r"[.!?…。！？]+")


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that can be seen in a text.

    Attributes:
        name: for the interface.
        more: what answers with more of it are, after "You tend to prefer".
        less: what answers with less of it are.
        measure: of a text.
        least: difference of two texts from which it is clear which has more.
    """

    name: str
    more: str
    less: str
    measure: Callable[[str], float]
    least: float


def _sentences(text: str) -> float:
    words = len(_WORD.findall(text))
    parts = sum(bool(_WORD.search(part)) for part in _SENTENCE.split(text))
    return log(max(words, 1) / max(parts, 1))


def _letters(text: str) -> float:
    words = _LETTERS.findall(text)
    return sum(map(len, words)) / len(words) if words else 0.0


TRAITS: tuple[Trait, ...] = (
    Trait("length", "longer answers", "shorter answers",
          lambda text: log(len(_WORD.findall(text)) + 1), log(1.2)),
    Trait("lists", "answers with lists", "answers without lists",
          lambda text: float(len(_LIST.findall(text))), 2.0),
    Trait("questions", "answers that ask something back", "answers that ask nothing back",
          lambda text: float(text.count("?")), 1.0),
    Trait("liveliness", "lively answers, with exclamation marks or emoji",
          "calm answers, without exclamation marks or emoji",
          lambda text: float(len(_LIVELY.findall(text))), 1.0),
    Trait("numbers", "answers with numbers", "answers without numbers",
          lambda text: float(len(re.findall(r"\d+", text))), 2.0),
    Trait("words", "answers with longer words", "answers with plainer words", _letters, 0.5),
    Trait("sentences", "answers with longer sentences", "answers with shorter sentences",
          _sentences, log(1.3)),
)  # fmt: skip
"""Every trait, the most telling first."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A pair of the session, the side that was taken first."""

    prompt: str
    preferred: str
    other: str


@dataclass(frozen=True, slots=True)
class Tendency:
    """A trait that somebody's answers agree on."""

    trait: str
    more: bool
    """Whether the side with more of it is taken."""
    kept: int
    """Answers that agree."""
    of: int
    """Answers to pairs that differ clearly in the trait."""
    certainty: float
    """Probability that it is more than chance: of a rate above one half, before which every rate
    was as likely."""
    examples: tuple[Chosen, ...]

    @property
    def words(self) -> str:
        """One plain sentence."""
        trait = next(one for one in TRAITS if one.name == self.trait)
        return f"You tend to prefer {trait.more if self.more else trait.less}: {self.kept} of {self.of}."


def tendencies(
    pool: QuestionPool, turns: Sequence[Turn], *, most: int = 3, examples: int = 2,
    certainty: float = 0.93,
) -> tuple[Tendency, ...]:  # fmt: skip
    """Traits that the answers of a session agree on, the most certain first.

    Args:
        pool: questions.
        turns: the session; ties, skipped questions and repeats say nothing here.
        most: tendencies reported.
        examples: pairs a tendency.
        certainty: from 0.5 up to 1; three of three have 0.94.
    """
    told = [t for t in turns if t.target in {0.0, 1.0} and t.question.reason != "repeat"]
    found = [_tendency(trait, pool, told, examples) for trait in TRAITS]
    clear = [one for one in found if one is not None and one.certainty >= certainty]
    return tuple(sorted(clear, key=lambda one: -one.certainty)[:most])


def _tendency(
    trait: Trait, pool: QuestionPool, told: Sequence[Turn], examples: int
) -> Tendency | None:
    differing: list[tuple[float, Chosen]] = []
    for turn in told:
        row = turn.question.row
        first, second = pool.texts_a[row], pool.texts_b[row]
        if turn.target == 0.0:
            first, second = second, first
        ahead = trait.measure(first) - trait.measure(second)
        if abs(ahead) >= trait.least:
            differing.append((ahead, Chosen(pool.prompts[row], first, second)))
    if not differing:
        return None
    up = sum(ahead > 0 for ahead, _ in differing)
    more, of = 2 * up >= len(differing), len(differing)
    kept = up if more else of - up
    shown = sorted(
        ((abs(ahead), pair) for ahead, pair in differing if (ahead > 0) == more),
        key=lambda row: -row[0],
    )
    return Tendency(
        trait.name, more, kept, of, _above_half(kept, of), tuple(p for _, p in shown[:examples])
    )


def _above_half(kept: int, of: int) -> float:
    """`P(rate > 1/2)` after `kept` of `of` under a uniform prior: a tail of a fair coin."""
    return sum(comb(of + 1, k) for k in range(kept + 1)) / float(2 ** (of + 1))


def telling_pair(pool: QuestionPool, trait: str, asked: Sequence[int]) -> int | None:
    """The pair that differs most in a trait of those not asked yet; None when none is clear.

    Raises:
        KeyError: there is no such trait.
    """
    one = {known.name: known for known in TRAITS}[trait]
    rows = np.flatnonzero(pool.still_open(asked))
    gaps = [abs(one.measure(pool.texts_a[r]) - one.measure(pool.texts_b[r])) for r in rows]
    if not gaps or max(gaps) < one.least:
        return None
    return int(rows[int(np.argmax(gaps))])
