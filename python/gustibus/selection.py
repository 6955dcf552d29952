"""Which of several sampled answers to give: best of n, majority, best of majority.

Samples whose answers mean the same are one answer: texts are compared in a canonical form, or by a
callable that says whether two answers are equivalent. Rewards are compared as they come, after any
transform.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import InputError, NotFiniteError
from gustibus.methods import method
from gustibus.registry import Registry
from gustibus.types import doubles

Equivalent: TypeAlias = "Callable[[str, str], bool]"
Rewards: TypeAlias = "Sequence[float] | np.ndarray | Callable[[list[int]], Sequence[float]]"
"""One a sample; or what gives those of some samples, asked only for samples that are still in."""

_PAPER = "Di et al. 2025, Best-of-Majority, arXiv 2510.03199"
_NUMBERS = "tests/unit/test_selection.py::test_worked_numbers"
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?(e[+-]?\d{1,2})?(/[+-]?\d+)?")
_LONG = 60  # characters beyond which a text is no number


@dataclass(frozen=True, slots=True)
class Selected:
    """One of the answers that a selection gives."""

    answer: str
    """As its first sample said it."""
    index: int
    """The sample that stands for it: the one with the best reward, or the first without rewards."""
    count: int
    """Samples that gave it."""
    reward: float | None
    """By which it was chosen; None where rewards had no part in it."""


def canonical_answer(text: str) -> str:
    """An answer without differences of case, spaces, width, final stop and way to write a number.

    Numbers become exact decimals, or fractions in lowest terms where there are none.

    Examples:
        >>> [canonical_answer(text) for text in (" The  End. ", "1,000.50", "2/6", "5e-1")]
        ['the end', '1000.5', '1/3', '0.5']
    """
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    plain = plain.replace("\N{FRACTION SLASH}", "/")
    if len(plain) > 1:
        plain = plain.removesuffix(".")
    if len(plain) > _LONG or not _NUMBER.fullmatch(plain) or not any(map(str.isdigit, plain)):
        return plain
    over, _, under = plain.replace(",", "").partition("/")
    try:
        value = Fraction(over) / Fraction(under or 1)
    except (ValueError, ZeroDivisionError):
        return plain
    return _digits(value)


def _digits(value: Fraction) -> str:
    """A decimal where the fraction ends, else the fraction."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    whole = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    sign = "-" if value < 0 else ""
    return sign + (whole if not places else f"{whole[:-places]}.{whole[-places:]}")


@method(
    "SELECTION",
    source="best of n on distinct answers",
    purpose="the answers with the best rewards",
    check=_NUMBERS,
    example="ops.best_of_n(answers=['a', 'b', 'a'], rewards=[0.1, 0.7, 0.9], k=1)",
)
def best_of_n(
    answers: Sequence[str], rewards: Rewards, k: int = 1, *, equivalent: Equivalent | None = None
) -> list[str]:
    """The `k` distinct answers with the best reward of any of their samples, best first.

    Args:
        answers: `n` texts, at least one.
        rewards: `(n,)`.
        k: at least 1; fewer come where there are fewer distinct answers.
        equivalent: whether two answers mean the same; equality of canonical forms by default.

    Raises:
        InputError: there is no answer, or an argument is out of range.
        NotFiniteError: a reward is NaN or infinite.
    """
    return _texts(select("best_of_n", answers, rewards, k=k, equivalent=equivalent))


@method(
    "SELECTION",
    source="Wang et al. 2023, Self-Consistency, arXiv 2203.11171",
    purpose="the answers that most samples agree on",
    check=_NUMBERS,
    example="ops.majority_vote(answers=['a', 'b', 'a'], k=1)",
)
def majority_vote(
    answers: Sequence[str], k: int = 1, *, equivalent: Equivalent | None = None
) -> list[str]:
    """The `k` most frequent answers; equally frequent ones in the order of their first samples."""
    return _texts(select("majority_vote", answers, k=k, equivalent=equivalent))


@method(
    "SELECTION",
    source=f"{_PAPER}, algorithm 1",
    purpose="the best rewards among answers that are frequent enough, safe for any number of samples",
    check=_NUMBERS,
    example="ops.best_of_majority(answers=['a', 'b', 'a'], rewards=[0.1, 0.7, 0.9], alpha=0.5)",
)
def best_of_majority(
    answers: Sequence[str],
    rewards: Rewards,
    alpha: float,
    k: int = 1,
    *,
    equivalent: Equivalent | None = None,
) -> list[str]:
    """The `k` answers with the best mean reward among those that are frequent enough.

    With `alpha` 0 every answer stays; where none is as frequent, the most frequent one is given.
    Equal rewards go by frequency, then by first sample.

    Args:
        answers: `n` texts, at least one.
        rewards: `(n,)`, or a callable from sample numbers to their rewards, which is asked only for
            samples of frequent answers.
        alpha: least share of the samples, in `[0, 1]`; `3 / (4 C)` where `1 / C` is the chance that a
            sample is the right answer. 0.003 to 0.015 did well on mathematics.
        k: at least 1.
        equivalent: whether two answers mean the same; equality of canonical forms by default.

    Raises:
        InputError: there is no answer, or an argument is out of range.
        NotFiniteError: a reward is NaN or infinite.
    """
    return _texts(
        select("best_of_majority", answers, rewards, k=k, alpha=alpha, equivalent=equivalent)
    )


@method(
    "SELECTION",
    source="Chen et al. 2021, Evaluating Large Language Models Trained on Code, arXiv 2107.03374, eq. 1",
    purpose="chance that one of k samples is right, without bias",
    check=_NUMBERS,
    example="ops.pass_at_k(n=10, c=3, k=2)",
)
def pass_at_k(n: int, c: int, k: int) -> float:
    """`1 - C(n - c, k) / C(n, k)`: k of n samples drawn without return, c of the n right.

    Raises:
        InputError: not `0 <= c <= n` and `1 <= k <= n`.
    """
    whole = all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in (n, c, k))
    if not whole or not (0 <= c <= n and 1 <= k <= n):
        message = f"n, c, k: expected whole numbers, 0 <= c <= n and 1 <= k <= n, got {n}, {c}, {k}"
        raise InputError(message, where="k")
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))


def select(
    kind: str,
    answers: Sequence[str],
    rewards: Rewards | None = None,
    *,
    k: int = 1,
    alpha: float = 0.0,
    equivalent: Equivalent | None = None,
) -> list[Selected]:
    """Answers by the name of the selection, with the samples that stand for them.

    Args:
        kind: a row of `SELECTIONS`.
        answers: `n` texts.
        rewards: `(n,)` or a callable; `majority_vote` uses them, where given, only to say which
            sample stands for an answer.
        k: how many answers.
        alpha: of `best_of_majority`.
        equivalent: whether two answers mean the same.

    Raises:
        UnknownNameError: there is no such selection.
        InputError: an argument is out of range.
    """
    run = SELECTIONS[kind].run
    if isinstance(answers, str) or not len(answers):
        message = f"answers: expected a sequence of at least one text, got {answers!r:.40}"
        raise InputError(message, where="answers")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        message = f"k: expected a whole number of at least 1, got {k!r}"
        raise InputError(message, where="k")
    number("alpha", alpha, low=0, high=1)
    groups = _group(answers, equivalent)
    chosen = run(groups, _Reader(rewards, len(answers)), alpha)
    return [
        Selected(answers[group.members[0]], index, len(group.members), reward)
        for group, index, reward in chosen[:k]
    ]


@dataclass(frozen=True, slots=True)
class _Group:
    """Samples of one answer, in order."""

    members: list[int]

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts by falling frequency, then by first sample."""
        return -len(self.members), self.members[0]


_Choice: TypeAlias = "tuple[_Group, int, float | None]"
"""An answer, the sample that stands for it, and the reward by which it was chosen."""
SELECTIONS: Registry[Callable[[list[_Group], _Reader, float], list[_Choice]]] = Registry(
    "selection"
)
"""Rows that order groups of samples from best to worst."""


@SELECTIONS.add("best_of_n", source="best of n on distinct answers", laws=("neutral",))
def _by_best(groups: list[_Group], rewards: _Reader, _alpha: float) -> list[_Choice]:
    known = rewards.of([i for group in groups for i in group.members])
    return _ordered(groups, known, [max(known[i] for i in group.members) for group in groups])


@SELECTIONS.add("majority_vote", source="Wang et al. 2023", laws=("neutral",))
def _by_count(groups: list[_Group], rewards: _Reader, _alpha: float) -> list[_Choice]:
    order = sorted(groups, key=lambda group: group.rank)
    if not rewards.given:
        return [(group, group.members[0], None) for group in order]
    known = rewards.of([i for group in groups for i in group.members])
    return [(group, _best_of(group, known), None) for group in order]


@SELECTIONS.add("best_of_majority", source=_PAPER, laws=("neutral",))
def _by_best_of_frequent(groups: list[_Group], rewards: _Reader, alpha: float) -> list[_Choice]:
    total = sum(len(group.members) for group in groups)
    # a share such as 0.3 of 10 is 3 whole samples, whatever its binary form
    kept = [group for group in groups if len(group.members) >= alpha * total * (1 - 1e-12)]
    kept = kept or [min(groups, key=lambda group: group.rank)]
    known = rewards.of([i for group in kept for i in group.members])
    means = [math.fsum(known[i] for i in g.members) / len(g.members) for g in kept]
    return _ordered(kept, known, means)


def _ordered(groups: list[_Group], known: dict[int, float], by: Sequence[float]) -> list[_Choice]:
    order = sorted(range(len(groups)), key=lambda at: (-by[at], *groups[at].rank))
    return [(groups[at], _best_of(groups[at], known), by[at]) for at in order]


def _best_of(group: _Group, known: dict[int, float]) -> int:
    return max(group.members, key=lambda i: (known[i], -i))


class _Reader:
    """Rewards of samples, checked when they are read."""

    def __init__(self, rewards: Rewards | None, count: int) -> None:
        self._rewards = rewards
        self._count = count
        self.given = rewards is not None

    def of(self, samples: list[int]) -> dict[int, float]:
        """From sample to reward."""
        if self._rewards is None:
            message = "rewards: expected one a sample, got none"
            raise InputError(message, where="rewards")
        asked = callable(self._rewards)
        given = self._rewards(sorted(samples)) if callable(self._rewards) else self._rewards
        expected = len(samples) if asked else self._count
        try:
            values = doubles(given)
        except (TypeError, ValueError) as error:
            message = f"rewards: expected numbers, got {type(given).__name__}: {error}"
            raise InputError(message, where="rewards") from None
        if values.shape != (expected,):
            message = f"rewards: expected {expected}, one a sample, got shape {values.shape}"
            raise InputError(message, where="rewards")
        if not np.isfinite(values).all():
            message = f"rewards: expected finite numbers, got {values[~np.isfinite(values)][0]}"
            raise NotFiniteError(message, where="rewards")
        names = sorted(samples) if asked else range(self._count)
        return dict(zip(names, values.tolist(), strict=True))


def _group(answers: Sequence[str], equivalent: Equivalent | None) -> list[_Group]:
    """Samples by answer, in the order of first samples."""
    for at, answer in enumerate(answers):
        if not isinstance(answer, str):
            message = f"answers: expected texts, got {type(answer).__name__} at {at}"
            raise InputError(message, where="answers")
    if equivalent is None:
        found: dict[str, _Group] = {}
        for at, answer in enumerate(answers):
            found.setdefault(canonical_answer(answer), _Group([])).members.append(at)
        return list(found.values())
    groups: list[_Group] = []
    for at, answer in enumerate(answers):
        for group in groups:
            if equivalent(answers[group.members[0]], answer):
                group.members.append(at)
                break
        else:
            groups.append(_Group([at]))
    return groups


def _texts(chosen: list[Selected]) -> list[str]:
    return [one.answer for one in chosen]
