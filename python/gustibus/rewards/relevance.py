"""A reward without any preference data: how relevant a response is, kept honest by simple terms.

It serves tenants without labels, stands as a feature beside learnt rewards, and is a check on them.

Source: Kim & Seo 2024, Rethinking the Role of Proxy Rewards in Language Model Alignment, arXiv
2402.03469.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from gustibus.data.arrays import number
from gustibus.errors import InputError
from gustibus.methods import method
from gustibus.rewards.arrays import arrays

_CLOSED_TOP = 3.5
"""Relevance of a closed answer from which it counts in full."""
_WORD = re.compile(r"\w+")


@method(
    "OPS",
    source="Kim & Seo 2024, arXiv 2402.03469, and its published code",
    purpose="a reward for tenants that have no preference data",
    check="tests/unit/test_rewards_relevance.py::test_worked_numbers",
    example="ops.relevance_reward(relevance=1.8, n_words=140, unique_trigrams=120, "
    "total_trigrams=138, open_ended=True)",
)
def relevance_reward(
    relevance: float,
    n_words: int,
    unique_trigrams: int,
    total_trigrams: int,
    open_ended: bool,  # noqa: FBT001 - the name in the paper, given by keyword
    max_tokens: int = 512,
) -> float:
    """Relevance times length times variety.

    Open-ended: `relevance * n_words / 100 * unique / total`. Closed: relevance to a reference answer,
    mapped linearly from `[0, 3.5]` to `[0, max_tokens / 100]` and held there, times `unique / total`.
    Without trigrams the last factor is 1.

    Args:
        relevance: inner product of mean-pooled retriever embeddings: of prompt and response, or of
            reference answer and response for a closed prompt.
        n_words: words of the response.
        unique_trigrams: different trigrams of words.
        total_trigrams: all trigrams of words.
        open_ended: whether many different answers are right.
        max_tokens: most tokens that the policy may generate.

    Raises:
        InputError: a count is below 0, or more trigrams differ than there are.
    """
    relevance = number("relevance", relevance, low=-1e6, high=1e6, open_ends="()")
    for name, count in (
        ("n_words", n_words), ("unique_trigrams", unique_trigrams), ("max_tokens", max_tokens),
        ("total_trigrams", total_trigrams),
    ):  # fmt: skip
        number(name, count, low=0, high=1e12)
    if unique_trigrams > total_trigrams:
        message = f"unique_trigrams: expected at most {total_trigrams}, got {unique_trigrams}"
        raise InputError(message, where="unique_trigrams")
    variety = unique_trigrams / total_trigrams if total_trigrams else 1.0
    if open_ended:
        return relevance * n_words / 100 * variety
    return float(np.interp(relevance, [0, _CLOSED_TOP], [0, max_tokens / 100])) * variety


class Counts(NamedTuple):
    """What `relevance_reward` reads of a text."""

    n_words: int
    unique_trigrams: int
    total_trigrams: int


def count_words(response: str, prompt: str = "") -> Counts:
    """Words and trigrams of a response.

    Trigrams that the prompt has already are not counted among the unique ones, so that a response
    earns nothing by repeating the question, which no retriever finds more relevant than anything else.
    """
    words = _words(response)
    trigrams = _trigrams(words)
    return Counts(len(words), len(set(trigrams) - set(_trigrams(_words(prompt)))), len(trigrams))


def relevance_of(first: Any, second: Any) -> float:
    """Inner product of the mean vectors of two texts: token embeddings `(t, d)` and `(s, d)`.

    Raises:
        InputError: shapes differ, or a text has no token.
    """
    _, a, b = arrays(first=first, second=second)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not len(a) or not len(b):
        message = f"first, second: expected (t, d) and (s, d), got {a.shape} and {b.shape}"
        raise InputError(message, where="second")
    return float(a.mean(0) @ b.mean(0))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _trigrams(words: list[str]) -> list[tuple[str, ...]]:
    return list(zip(words, words[1:], words[2:], strict=False))
